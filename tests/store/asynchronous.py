"""What tests of the asyncio store share: a store for a story, a disk that can be held, the errors of calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from eventstore import StoreError, aio
from eventstore.aio import AsyncEventStore
from eventstore.journal import Group, Outcome
from tests.store.facts import text_of

Story = Callable[[AsyncEventStore], Awaitable[None]]


def run_story(path: Path | str, story: Story, **options: Any) -> None:  # noqa: ANN401 - the arguments of `open`
    """Run what happens with a store, in a loop of its own."""

    async def main() -> None:
        async with aio.open(path, **options) as store:
            await story(store)

    asyncio.run(main())


async def texts_of(store: AsyncEventStore, **options: Any) -> list[object]:  # noqa: ANN401 - the arguments of `read`
    return [text_of(record) async for record in store.read(**options)]


async def raised(call: Awaitable[object]) -> StoreError:
    with pytest.raises(StoreError) as error:
        await call
    return error.value


@asynccontextmanager
async def disk_held(store: AsyncEventStore) -> AsyncIterator[asyncio.Event]:
    """Let no commit come to the disk within this context; yield what is set once one wants to."""
    journal, loop = store.sync_store.committer._journal, asyncio.get_running_loop()
    real, begun, free = journal.commit, asyncio.Event(), threading.Event()

    def commit(groups: Sequence[Group]) -> Sequence[Outcome]:
        loop.call_soon_threadsafe(begun.set)
        assert free.wait(30)
        return real(groups)

    with patch.object(journal, "commit", commit):
        try:
            yield begun
        finally:
            free.set()
