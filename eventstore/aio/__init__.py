"""The store for asyncio programs: what waits for the disk waits in threads, and the loop continues meanwhile."""

from eventstore.aio.appending import AsyncPending
from eventstore.aio.store import AsyncEventStore, connect, open

__all__ = ["AsyncEventStore", "AsyncPending", "connect", "open"]
