"""What everything stands on. Nothing here knows of asyncio or of other processes."""
