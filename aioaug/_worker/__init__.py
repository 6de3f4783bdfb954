"""What runs in a worker process. Nothing here uses asyncio."""
