"""The contract of stores, for a local one and for the client of a service, of threads and of asyncio."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, aio
from eventstore.aio import AsyncEventStore
from eventstore.testing import EventStoreContract, LoopedStore
from tests.http.serving import running


class TestLocalStore(EventStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EventStore]:
        with eventstore.open(tmp_path) as store:
            yield store


class TestServiceStore(EventStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EventStore]:
        with running(tmp_path) as service, eventstore.connect(service.url, key="") as store:
            yield store


class TestLocalStoreOfALoop(EventStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LoopedStore]:
        async def opened() -> AsyncEventStore:
            return await aio.open(tmp_path)

        store = LoopedStore(opened)
        yield store
        store.end()


class TestServiceStoreOfALoop(EventStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LoopedStore]:
        with running(tmp_path) as service:

            async def opened() -> AsyncEventStore:
                return await aio.connect(service.url, key="")

            store = LoopedStore(opened)
            yield store
            store.end()
