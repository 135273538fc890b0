"""The contract of journals, for one that a service has: over memory, and over SQLite.

The suite's drafts are what a service refuses of clients on purpose: types it has no class for, ids of keys that are not
sent, actors of their own. So a route of these tests takes drafts as they are, in the place of `/v1/groups`; everything
else of journal, transport and service is what programs use. What goes through `/v1/groups` has the suite of stores.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from eventstore import StoreError
from eventstore.clock import ManualClock
from eventstore.journal import Group, Journal, Maintenance
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import SqliteJournal
from eventstore.record import Draft, PreparedBatch, Unchanged
from eventstore.remote import groups as sending
from eventstore.remote.identity import LOG_ID_HEADER
from eventstore.remote.journal import RemoteJournal
from eventstore.remote.packing import PackedOutcome, packed, packed_outcome
from eventstore.remote.problems import problem_of
from eventstore.remote.transport import Transport
from eventstore.testing import MaintenanceContract
from gateways.http import Service
from tests.http.mounted import Mounts, mounting

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp, Receive, Scope, Send


class DraftGroup(msgspec.Struct):
    """A group as these tests send it."""

    batches: list[PreparedBatch]


def drafted(group: Sequence[PreparedBatch]) -> DraftGroup:
    return DraftGroup([msgspec.structs.replace(each, drafts=list(each.drafts)) for each in group])


class DraftGroups(msgspec.Struct):
    """What takes the place of the body of `/v1/groups`."""

    groups: list[dict[str, list[dict[str, Any]]]]


_decoder = msgspec.json.Decoder(DraftGroups)


def received(body: bytes) -> list[Group]:
    """Return the groups of a body; bytes are in base64."""
    return [
        [msgspec.convert(batch, PreparedBatchOfDrafts).batch for batch in group["batches"]]
        for group in _decoder.decode(body).groups
    ]


class PreparedBatchOfDrafts(msgspec.Struct):
    """A prepared batch, with the class of its drafts."""

    stream: str
    drafts: list[dict[str, Any]]
    expected: int | None
    occurred_at_given: bool
    unchanged: dict[str, Any] | None
    keys: list[str]

    @property
    def batch(self) -> PreparedBatch:
        drafts = []
        for each in self.drafts:
            of_bytes = {
                name: None if each[name] is None else base64.b64decode(each[name])
                for name in ("id", "data", "correlation_id", "causation_id")
            }
            drafts.append(Draft(**(each | of_bytes)))
        unchanged = None
        if self.unchanged is not None:
            unchanged = Unchanged(accounts=tuple(self.unchanged["accounts"]), since=self.unchanged["since"])
        return PreparedBatch(self.stream, drafts, self.expected, self.occurred_at_given, unchanged)


def taking_drafts(app: ASGIApp, service: Service) -> ASGIApp:
    """Return an application that commits drafts as they are."""
    journal = service.store.sync_store.journal
    assert isinstance(journal, Journal)

    def commit(body: bytes) -> bytes:
        found = journal.commit(received(body))
        return packed([
            PackedOutcome(problem=msgspec.json.encode(problem_of(each)))
            if isinstance(each, StoreError)
            else packed_outcome(each)
            for each in found
        ])  # fmt: skip

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/v1/groups":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        answer = await service.store.long(lambda: commit(body))
        headers = [(LOG_ID_HEADER.encode(), service.store.log_id.hex().encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return call


@pytest.fixture(scope="module")
def mounts() -> Iterator[Mounts]:
    with mounting() as found:
        yield found


class RemoteContract(MaintenanceContract):
    """The contract of a RemoteJournal; a subclass says what the service has."""

    @pytest.fixture
    def journal(
        self, mounts: Mounts, served: Maintenance, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[RemoteJournal]:
        monkeypatch.setattr(sending, "sent_group", drafted)
        with mounts.serving(served, clock, taking_drafts) as url:
            journal = RemoteJournal(Transport(url, ""))
            yield journal
            journal.close()


class TestServedFromMemory(RemoteContract):
    @pytest.fixture
    def served(self, clock: ManualClock) -> Maintenance:
        return MemoryJournal(clock=clock)


@pytest.mark.service
class TestServedFromSqlite(RemoteContract):
    @pytest.fixture
    def served(self, tmp_path: Path, clock: ManualClock) -> Maintenance:
        return SqliteJournal(tmp_path / "journal.db", clock=clock)
