"""A journal that another process has: what is appended goes to a service, what is read comes from it and is checked."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from typing_extensions import override

from eventstore.errors import Closed, CorruptJournal, OutcomeUnknown, StoreError, Unavailable
from eventstore.journal import drafts_of
from eventstore.journals import forks
from eventstore.proofs.merkle import STORED_LEVEL
from eventstore.record import Digester
from eventstore.remote.groups import answered_outcomes, is_to_repeat, sent_bodies
from eventstore.remote.identity import MSGPACK
from eventstore.remote.packing import IDS_MAX, MEMBERS, NODES_MAX, unpacked_columns, unpacked_records
from eventstore.remote.served import (
    ServedHead,
    ServedIntegrity,
    ServedLog,
    ServedNodes,
    ServedNumber,
    ServedTree,
    ServedTypes,
    received_faults,
    received_nodes,
    received_tree,
)
from eventstore.remote.transport import NoAnswer, Transport
from eventstore.remote.watching import Watch
from eventstore.remote.wire import SentRecords, received_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from eventstore.journal import Fault, Group, MissingTail, Outcome, Query, TypeRow
    from eventstore.proofs.merkle import Frontier, Node
    from eventstore.record import Record

T = TypeVar("T")

PAGE = 2_000
"""Records that are best asked for at a time: some hundred bytes each, for one round trip."""
OPENING_SECONDS = 5.0
"""For so long a service is looked for at first, where nobody yet relies on it."""
INTEGRITY_SECONDS = 1.0
INTEGRITY_SECONDS_MAX = 3_600.0
MIRROR_SECONDS = 120.0
AGAIN_SECONDS = 0.25
"""After so long what a service that stops did not take is sent again, to the one that follows it."""


class RemoteJournal:
    """One log of a service, for any number of threads. Each record that comes is checked against its digest.

    What is not answered is asked again, with growing pauses, for the transport's `retry_seconds`. So is what is
    appended: its ids, drawn here, and keys let the service find what it has written already.
    """

    def __init__(self, transport: Transport, *, log: str = "main") -> None:
        self.log, self.page = log, PAGE
        self._transport = transport
        self._process = os.getpid()
        self._closed = ""
        self._digester: Digester | None = None
        about = self._about(retry_seconds=min(OPENING_SECONDS, transport.retry_seconds))
        try:
            self.log_id = bytes.fromhex(about.log_id)
        except ValueError as e:
            raise self._unreadable(e) from e
        if about.log != log:
            msg = f"the service at {transport} serves the log {about.log!r}, not {log!r}: give log={about.log!r}"
            raise Unavailable(msg)
        transport.claim(self.log_id)
        self.actor = about.actor
        """By whom the service records what is appended here: the name of the key."""
        self._body_bytes_max = about.body_bytes_max
        self._is_mirrored = about.is_mirrored
        self.is_replicated = about.is_replicated
        """Whether each append waits for a standby of the PostgreSQL server that has the service's log."""
        self.unproved = about.unproved
        self._digester = Digester(self.log_id)
        self._watch = Watch(self._head_past, f"head of {transport}")
        forks.opened(self)

    # Writing

    def commit(self, groups: Sequence[Group]) -> Sequence[Outcome]:
        """Send several groups, each with its own outcome; see `Journal.commit`.

        What was not answered in the end is OutcomeUnknown, or Unavailable where it was never taken. Then the groups
        after it are not sent: nobody's events overtake those that were appended before.
        """
        self.check_open()
        outcomes: list[Outcome | None] = [None] * len(groups)
        missed: StoreError | None = None
        for body, numbers in sent_bodies(groups, self._body_bytes_max, outcomes):
            if missed is not None:
                msg = f"it was not sent, after what was appended before it was not answered ({missed})"
                found: Sequence[Outcome] = [Unavailable(msg)] * len(numbers)
            else:
                found = self._sent(body, [groups[number] for number in numbers])
                missed = next((each for each in found if isinstance(each, OutcomeUnknown | Unavailable)), None)
            for number, outcome in zip(numbers, found, strict=True):
                outcomes[number] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _sent(self, body: bytes, groups: Sequence[Group]) -> Sequence[Outcome]:
        """Send some groups until they are answered; return each one's outcome."""
        deadline = time.monotonic() + self._transport.retry_seconds
        may_be_done = False
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            try:
                answer = self._transport.ask("POST", "/v1/groups", body=body, accept=MSGPACK, retry_seconds=left)
            except NoAnswer as e:
                return [self._unanswered(e, group, may_be_done=may_be_done) for group in groups]
            except StoreError as e:
                if not may_be_done:
                    return [e] * len(groups)
                return [self._unanswered(NoAnswer(str(e), may_be_done=True), group) for group in groups]
            try:
                outcomes = answered_outcomes(answer.body, groups, self.log, self.check_digests)
            except (ValueError, CorruptJournal) as e:
                # Something was done, and what cannot be known from this.
                why = NoAnswer(f"the answer of the service cannot be read: {e}", may_be_done=True)
                return [self._unanswered(why, group) for group in groups]
            if not any(map(is_to_repeat, outcomes)):
                return outcomes
            may_be_done = True
            if time.monotonic() + AGAIN_SECONDS > deadline or self._transport.pause(AGAIN_SECONDS):
                return [self._final(outcome, group) for outcome, group in zip(outcomes, groups, strict=True)]

    def _final(self, outcome: Outcome, group: Group) -> Outcome:
        """Return an outcome that is not asked for again."""
        if isinstance(outcome, Closed | OutcomeUnknown):
            return self._unanswered(NoAnswer(str(outcome), may_be_done=True), group)
        return outcome

    def _unanswered(self, why: NoAnswer, group: Group, *, may_be_done: bool = False) -> StoreError:
        if why.may_be_done or may_be_done:
            return OutcomeUnknown([draft.id for draft in drafts_of(group)], why.reason)
        return Unavailable(f"{why.reason}: nothing was written")

    @property
    def is_mirrored(self) -> bool:
        """Whether the service ships its log to InfluxDB, so that an append can wait for that."""
        return self._is_mirrored

    def confirm(self, position: int) -> None:
        """Return once InfluxDB has the records up to a position; raise NotMirrored, without records."""
        self._get("/v1/mirrored", ServedNumber, {"position": position}, answer_seconds=MIRROR_SECONDS)

    # Reading

    def read(self, query: Query, /) -> Sequence[Record]:
        """Return the records that fit a query; raise CorruptJournal for one that does not have its digest."""
        body = self._body("/v1/columns", _asked(query, MEMBERS), accept=MSGPACK)
        records = self._checked(lambda: unpacked_records(body, self.log))
        self.check_digests(records)
        after, is_whole = query.after, (query.stream, query.account, query.types) == (None, None, None)
        for record in records:
            if record.position <= after or (is_whole and record.position != after + 1):
                raise CorruptJournal(after + 1, f"the service answers with position {record.position} after {after}")
            after = record.position
        return records

    def columns(self, query: Query, members: Sequence[str], /) -> list[list[Any]]:
        """Return a list for each of the named members of the records that fit a query, as the service says them."""
        body = self._body("/v1/columns", _asked(query, members), accept=MSGPACK)
        return self._checked(lambda: unpacked_columns(body, len(members)))

    def check_digests(self, records: Sequence[Record]) -> None:
        """Raise CorruptJournal for a record that does not have its digest."""
        assert self._digester is not None
        is_sound = self._digester.is_sound
        for record in records:
            if not is_sound(record):
                raise CorruptJournal(record.position, "the record does not have its digest: it was changed on its way")

    def head(self) -> int:
        return self._head_past(None, 0.0)

    def _head_past(self, position: int | None, timeout: float) -> int:
        asked = {} if position is None else {"past": position, "timeout": f"{timeout:.3f}"}
        return self._get("/v1/head", ServedHead, asked).head

    def version(self, stream: str) -> int:
        return self._get("/v1/version", ServedNumber, {"stream": stream}).found

    def position_at(self, recorded_at: int) -> int:
        return self._get("/v1/position", ServedNumber, {"recorded_at": recorded_at}).found

    def type_names(self) -> Sequence[str]:
        return sorted({kind.name for kind in self.types()})

    def types(self) -> Sequence[TypeRow]:
        return self._get("/v1/types", ServedTypes).types

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Record]:
        self.check_open()
        found: dict[bytes, Record] = {}
        for start in range(0, len(ids), IDS_MAX):
            asked = {"id": [id_.hex() for id_ in ids[start : start + IDS_MAX]]}
            sent = self._get("/v1/find", SentRecords, asked).records
            records = self._checked(lambda sent=sent: [received_record(each) for each in sent])  # type: ignore[misc]
            self.check_digests(records)
            found |= {record.id: record for record in records}
        return found

    def wait(self, position: int, timeout: float) -> bool:
        """Wait until the head is past a position; return whether it is. One thread asks for all who wait."""
        self.check_open()
        return self._watch.wait(position, timeout)

    # Maintenance: what is stored is the service's matter, what it is worth is checked here

    @property
    def trouble(self) -> str:
        """What the service's journal failed to do in the background, '' when all goes well."""
        return self._about().trouble

    def frontier(self) -> Frontier:
        """Return the log's tree as the service has it: `verify` compares it with the records."""
        sent = self._get("/v1/tree", ServedTree)
        return self._checked(lambda: received_tree(sent))

    def nodes(self, first: int, last: int, *, level: int = STORED_LEVEL) -> Sequence[Node]:
        found: list[Node] = []
        for start in range(first, last + 1, NODES_MAX):
            asked = {"first": start, "last": min(last, start + NODES_MAX - 1), "level": level}
            sent = self._get("/v1/tree/nodes", ServedNodes, asked)
            found += self._checked(lambda sent=sent: received_nodes(sent))  # type: ignore[misc]
            if not sent.nodes:
                break
        return found

    def missing_tail(self) -> MissingTail | None:
        return self._about().missing_tail

    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        """Return what the service finds wrong with its storage: it looks, and is asked until it has looked."""
        deadline = time.monotonic() + INTEGRITY_SECONDS_MAX
        while time.monotonic() < deadline:
            found = self._get("/v1/integrity", ServedIntegrity, {"timeout": INTEGRITY_SECONDS})
            if found.is_done:
                return received_faults(found)
            if is_canceled is not None and is_canceled():
                msg = "the check of the service's storage was left"
                raise Closed(msg)
        msg = f"the service's check of its storage takes more than {INTEGRITY_SECONDS_MAX:.0f} s"
        raise Unavailable(msg)

    def uncached(self) -> AbstractContextManager[RemoteJournal]:
        """Return this journal: nothing is remembered here."""
        self.check_open()
        return contextlib.nullcontext(self)

    # Asking

    def _about(self, *, retry_seconds: float | None = None) -> ServedLog:
        return self._get("/v1/log", ServedLog, retry_seconds=retry_seconds)

    def _get(
        self,
        path: str,
        cls: type[T],
        query: Mapping[str, object] | None = None,
        *,
        answer_seconds: float | None = None,
        retry_seconds: float | None = None,
    ) -> T:
        body = self._body(path, query, answer_seconds=answer_seconds, retry_seconds=retry_seconds)
        return self._checked(lambda: msgspec.json.decode(body, type=cls))

    def _body(
        self,
        path: str,
        query: Mapping[str, object] | None,
        *,
        accept: str = "application/json",
        answer_seconds: float | None = None,
        retry_seconds: float | None = None,
    ) -> bytes:
        self.check_open()
        try:
            return self._transport.ask(
                "GET", path, query=query, accept=accept, answer_seconds=answer_seconds, retry_seconds=retry_seconds
            ).body
        except NoAnswer as e:
            self.check_open()
            raise Unavailable(e.reason) from e

    def _checked(self, read: Callable[[], T]) -> T:
        """Return what is made of an answer; raise Unavailable for one that is not as the service sends it."""
        try:
            return read()
        except (ValueError, TypeError) as e:
            raise self._unreadable(e) from e

    def _unreadable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the answer of the service at {self._transport} cannot be read ({error}): is it newer?")

    # Closing

    def check_open(self) -> None:
        """Raise Closed after `close`, and in a fork's child."""
        if self._closed:
            raise Closed(self._closed)

    def inherited(self) -> None:
        """Become closed in a fork's child: the connections are the parent's."""
        self._closed = "this connection to a service was opened by the parent process: connect again"

    def close(self) -> None:
        if self._closed:
            return
        self._closed = "this connection to a service is closed: connect again"
        forks.closed(self)
        self._watch.close()
        self._transport.close()

    @override
    def __repr__(self) -> str:
        return f"<RemoteJournal {self.log} at {self._transport}{' (closed)' if self._closed else ''}>"


def _asked(query: Query, members: Sequence[str]) -> dict[str, object]:
    """Return a query's parameters; of a stream the account is named, to which a key may be limited."""
    account, parts = query.account, (query.stream or "").split("/")
    if account is None and len(parts) == 3:  # noqa: PLR2004 - category, account, and an entity or nothing
        account = parts[1]
    return {
        "after": query.after,
        "until": query.until,
        "limit": query.limit,
        "stream": query.stream,
        "account": account,
        "types": None if query.types is None else ",".join(query.types),
        "members": ",".join(members),
    }
