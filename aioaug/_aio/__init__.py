"""Small asyncio tools, and the event loop that blocking callers share."""
