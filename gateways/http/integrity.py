"""Checking the storage of a served log: one check at a time, which those who ask for it share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.aio import AsyncEventStore
    from eventstore.journal import Fault


class IntegrityCheck:
    """The check that runs, if one does: it takes minutes on a large log, longer than a request waits."""

    def __init__(self, store: AsyncEventStore) -> None:
        self._store = store
        self._running: asyncio.Task[list[Fault]] | None = None

    async def found(self, seconds: float) -> list[Fault] | None:
        """Return what is wrong with the storage, as of a check that ran after this began; None while it still runs."""
        running = self._running
        if running is None or running.get_loop() is not asyncio.get_running_loop():
            running = self._running = asyncio.create_task(self._check())
        done, _ = await asyncio.wait([running], timeout=seconds)
        if not done:
            return None
        if self._running is running:
            self._running = None
        return running.result()

    async def _check(self) -> list[Fault]:
        store = self._store
        journal = store.sync_store.journal
        return await store.long(lambda: journal.integrity(is_canceled=lambda: store.threads.is_closed))
