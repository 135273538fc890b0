"""Records live messages in a book, from any thread: each once, in the right stream, and none is lost in silence."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import (
    SYNCED,
    VOLATILE,
    AccountChanged,
    Batch,
    Closed,
    DuplicateEvent,
    Event,
    EventStore,
    InvalidEvent,
    Overloaded,
    ReadOnly,
    Unchanged,
)
from eventstore.arguments import check_allowed
from eventstore.clock import GIVEN_MIN, NOW_MAX, to_ns
from eventstore.errors import StoreError, shown
from eventstore.events import encode
from eventstore.events.registry import by_class
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from eventstore.trading import ContractDefined, NoteAdded
from gateways.messages.definitions import new_definition, parts_defined
from gateways.messages.imported import ImportedExecutions
from gateways.messages.mapped import Unmapped
from gateways.messages.notes import MARKET_DATA, UNMAPPED, note_of, note_of_unopened
from gateways.messages.novelty import new_events
from gateways.messages.redaction import redacted
from gateways.messages.routing import OrderRoutes
from projections.view import SHARED, PartitionParked
from projections.views.accounts import starting_balance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from eventstore import Record
    from gateways.messages.mapped import MappedEvent, MessageMapping
    from projections import Book

ATTEMPTS_MAX = 20
HELD_MAX = 10_000
"""How many messages are held that could not be written."""
MARKET_NOTES_MAX = 10
"""How many examples are kept of each kind of market data that cannot be mapped."""
# The members of events that hold a broker's own words.
_TEXTS = ("reason", "raw_status")


class RecorderCounts(msgspec.Struct, frozen=True):
    """What became of a Recorder's messages.

    `recorded` are events that were appended, `repeated` those that the log had, `observed` those that are never stored.
    `unmapped` messages are notes; `held` ones wait for the store to take them again; `lost` ones are in neither, and
    `record` raised for each.
    """

    messages: int = 0
    recorded: int = 0
    repeated: int = 0
    observed: int = 0
    unmapped: int = 0
    held: int = 0
    lost: int = 0


class Recorder:
    """Records the messages of one source: `record` from any thread, `close` at the end.

    `record` returns when the events are on disk and in the book. A message that cannot be mapped becomes a note. If the
    store cannot take a message (Overloaded, StorageFull, Closed, …), that error is raised, the message is held, and the
    next `record` of events that are stored, or `retry`, records it first. One beyond 10,000 held messages is lost, and
    its Overloaded says so. In the child of a fork it raises Closed.
    """

    def __init__(self, book: Book, mapping: MessageMapping) -> None:
        store = book.reader
        if not isinstance(store, EventStore) or store.read_only:
            msg = "a Recorder appends: open the book on a store that is opened without read_only"
            raise ReadOnly(msg)
        self.book = book
        self._store, self._mapping, self._process = store, mapping, os.getpid()
        self._routes = OrderRoutes(book)
        self._lock = threading.Lock()
        self._retrying = threading.RLock()
        self._held: deque[list[MappedEvent]] = deque()
        self._counts: Counter[str] = Counter()
        self._market_notes: Counter[str] = Counter()
        self._accounts: set[str] = {SHARED}
        self.unopened: frozenset[str] = frozenset()
        """The accounts that messages name, and that were never opened in this log when they first did."""

    @property
    def counts(self) -> RecorderCounts:
        with self._lock:
            return RecorderCounts(**self._counts, held=len(self._held))

    def record(self, message: Mapping[str, object]) -> list[Record]:
        """Record a message; return the records of its events that are new.

        Raises what keeps the store from taking it, with the message held, and Overloaded where no more can be held.
        """
        (outcome,) = self.store_all([self.observed(message)])
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    def observed(self, message: Mapping[str, object]) -> list[MappedEvent]:
        """Observe what is never stored of a message, and return what `store_all` is to store; the first half of it.

        It waits for no disk, and for nothing that is held: a price that comes late is none.
        """
        self.check_process()
        self._count("messages")
        events = [self._received(each) for each in self._routes.placed(self._events_of(message))]
        stored = [each for each in events if not _is_volatile(each)]
        try:
            for each in events:
                if _is_volatile(each):
                    self.book.observe(each.stream, each.event, occurred_at=each.occurred_at)
                    self._count("observed")
        except StoreError as error:
            self._hold(stored, error)
            raise
        return stored

    def store_all(self, messages: Sequence[list[MappedEvent]]) -> list[list[Record] | StoreError]:
        """Store the events of several messages, in one commit where all are stored; return what became of each.

        An error keeps no other message out: its message is held.
        """
        if len(messages) > 1 and not self._held and not any(_defines(each) for each in messages):
            try:
                return [*self._append(messages)]
            except StoreError:
                # Each by itself: what was stored is found by its key.
                pass
        return [self._outcome(each) for each in messages]

    def retry(self) -> list[Record]:
        """Record what is held; raise what keeps the store from taking it, with the rest still held."""
        self.check_process()
        records: list[Record] = []
        with self._retrying:
            while self._held:
                try:
                    records += self._append_one(self._held[0])
                except StoreError as error:
                    _explain(error, len(self._held))
                    raise
                self._held.popleft()
        return records

    def close(self) -> None:
        """Record what is held; raise what keeps the store from taking it. The book and its store stay open."""
        self.retry()

    def check_process(self) -> None:
        """Raise Closed in the child of a fork: the locks of its parent's threads may be held forever."""
        if os.getpid() != self._process:
            msg = "the recorder was made by the parent process: open the store, and make a recorder, in this one"
            raise Closed(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        counts = self.counts
        held = f", {counts.held} held" if counts.held else ""
        return f"<Recorder of {self._mapping.source}: {counts.messages} messages, {counts.unmapped} unmapped{held}>"

    # Events of a message

    def _events_of(self, message: Mapping[str, object]) -> list[MappedEvent]:
        """Return a message's events, or the note that keeps it: whatever is wrong with it is not the caller's error."""
        source, kind = self._mapping.source, "message"
        try:
            events = self._mapping.events(message)
        except Unmapped as error:
            return self._kept(error)
        except Exception as error:  # noqa: BLE001 - whatever a mapping does wrong, the message is not lost
            return self._kept(Unmapped(source, kind, f"{type(error).__name__}: {shown(error)}", message))
        found = []
        for mapped in events:
            try:
                checked = _checked(mapped)
                found += self._kept_note(checked) if isinstance(checked.event, NoteAdded) else [checked]
            except InvalidEvent as error:
                found += self._kept(Unmapped(source, type(mapped.event).__name__, str(error), message))
        return found

    def _kept(self, error: Unmapped) -> list[MappedEvent]:
        return self._kept_note(note_of(error))

    def _kept_note(self, note: MappedEvent) -> list[MappedEvent]:
        """Count a note of a message that is not mapped; of market data only the first of a kind are kept."""
        tags = note.event.tags if isinstance(note.event, NoteAdded) else ()
        if UNMAPPED not in tags:
            return [note]
        self._count("unmapped")
        with self._lock:
            if MARKET_DATA not in tags:
                return [note]
            self._market_notes[str(tags)] += 1
            return [note] if self._market_notes[str(tags)] <= MARKET_NOTES_MAX else []

    def _received(self, mapped: MappedEvent) -> MappedEvent:
        """Return an event with the time when it came, if it states none and comes but once.

        A position or balance without a time is as of then, however long its message is held.
        """
        now = self._store.clock.now_ns()
        is_dated = mapped.occurred_at is not None or mapped.key is not None
        return mapped if is_dated or not GIVEN_MIN <= now <= NOW_MAX else replace(mapped, occurred_at=now)

    # Appending

    def _outcome(self, stored: list[MappedEvent]) -> list[Record] | StoreError:
        """Store a message's events after what is held; return the records, or the error for which it is held."""
        if not stored:
            return []
        try:
            if not self._held:
                return self._append_one(stored)
            with self._retrying:
                return [*self.retry(), *self._append_one(stored)]
        except StoreError as error:
            try:
                self._hold(stored, error)
            except Overloaded as lost:
                return lost
            return error

    def _append_one(self, stored: list[MappedEvent]) -> list[Record]:
        """Append a message's events; of a contract that it defines twice, the second definition after the first."""
        records: list[Record] = []
        for part in parts_defined(stored):
            try:
                records += self._append([part])[0]
            except InvalidEvent as error:
                records += self._append_each(part, error)
        return records

    def _append(self, messages: Sequence[list[MappedEvent]]) -> list[list[Record]]:
        """Append the events of messages in one commit, which shares its sync with all that wait."""
        accounts = {account_of(each.stream) for stored in messages for each in stored} - self._accounts
        *others, last, noted = self._append_stored([*messages, [*self._notes_of_accounts(accounts)]])
        # Only now: a note that could not be written is due with the next message.
        self._accounts |= accounts
        return [*others, [*last, *noted]]

    def _append_stored(self, messages: Sequence[list[MappedEvent]]) -> list[list[Record]]:
        failed: StoreError | None = None
        for _ in range(ATTEMPTS_MAX):
            defines = any(_defines(each) for each in messages)
            if defines or failed is not None:
                self.book.refresh()
            position, seen = self.book.position, dict[bytes, Event]()
            imported = ImportedExecutions(self.book, self._store, self._mapping.source)
            fresh = [new_events(self._store, imported.named(self._defined(stored)), seen) for stored in messages]
            stated, new = sum(map(len, messages)) + imported.count, sum(map(len, fresh))
            if not new:
                self._count("repeated", stated)
                self.book.refresh()
                return [[] for _ in messages]
            batches = [
                Batch(each.stream, each.event, key=each.key, occurred_at=each.occurred_at)
                for each in itertools.chain.from_iterable(fresh)
            ]  # fmt: skip
            decided = sorted({*imported.accounts, *[SHARED] * defines})
            unchanged = Unchanged(accounts=decided, since=position) if decided else None
            try:
                records = iter(self.book.append_many(batches, unchanged=unchanged))
            except (DuplicateEvent, AccountChanged) as error:
                # Another thread or process has recorded a part of it in between, or what was decided by.
                failed = error
                continue
            self._count("recorded", new)
            self._count("repeated", stated - new)
            return [list(itertools.islice(records, len(each))) for each in fresh]
        assert failed is not None
        raise failed

    def _append_each(self, stored: Sequence[MappedEvent], error: InvalidEvent) -> list[Record]:
        """Append events one by one, and keep the one that the store refuses as a note: no other waits for it."""
        if len(stored) > 1:
            return [record for each in stored for record in self._append_one([each])]
        refused = stored[0].event
        if isinstance(refused, NoteAdded):
            raise error
        return self._append_one(self._kept(self._refused(refused, error)))

    def _refused(self, event: Event, error: InvalidEvent) -> Unmapped:
        return Unmapped(self._mapping.source, type(event).__name__, str(error), msgspec.to_builtins(event))

    def _defined(self, stored: list[MappedEvent]) -> Iterator[MappedEvent]:
        """Yield events, definitions of contracts only where they add something to what the log has."""
        for mapped in stored:
            if not isinstance(mapped.event, ContractDefined):
                yield mapped
                continue
            try:
                definition = new_definition(self.book, mapped, mapped.event)
            except InvalidEvent as error:
                yield from self._kept(self._refused(mapped.event, error))
                continue
            if definition is not None:
                yield definition

    def _notes_of_accounts(self, accounts: Iterable[str]) -> Iterator[MappedEvent]:
        for account in sorted(accounts):
            if not _is_opened(self.book, account):
                self.unopened |= {account}
                yield note_of_unopened(self._mapping.source, account)

    # What cannot be written

    def _hold(self, events: list[MappedEvent], error: StoreError) -> None:
        """Hold a message's events until the store takes them."""
        if not events:
            return
        with self._lock:
            is_full = len(self._held) >= HELD_MAX
            if not is_full:
                self._held.append(events)
        if is_full:
            self._count("lost")
            msg = (
                f"{HELD_MAX:,} messages are held already, and this one is lost ({error}): once the store takes events "
                "again, ask the broker for what happened since"
            )
            raise Overloaded(msg) from error
        _explain(error, len(self._held))

    def _count(self, what: str, by: int = 1) -> None:
        with self._lock:
            self._counts[what] += by


def _explain(error: StoreError, held: int) -> None:
    note = f"{held:,} message(s) are held and not lost: the next record() that stores, or retry(), records them first"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _is_opened(book: Book, account: str) -> bool:
    try:
        return starting_balance(book, account) is not None
    except PartitionParked:
        # The book says by itself that this account's fold has stopped.
        return True


def _is_volatile(mapped: MappedEvent) -> bool:
    return by_class(type(mapped.event)).durability is VOLATILE


def _defines(stored: Iterable[MappedEvent]) -> bool:
    return any(isinstance(each.event, ContractDefined) for each in stored)


def _checked(mapped: MappedEvent) -> MappedEvent:
    """Return an event that the store takes, its texts without secrets; raise InvalidEvent otherwise."""
    texts = {name: text for name in _TEXTS if isinstance(text := getattr(mapped.event, name, None), str)}
    hidden = {name: redacted(text) for name, text in texts.items()}
    if hidden != texts:
        mapped = replace(mapped, event=replace(mapped.event, **hidden))
    kind, _ = encode(mapped.event)
    account_of(mapped.stream)
    check_allowed(kind, mapped.event, mapped.stream, VOLATILE if kind.durability is VOLATILE else SYNCED, None)
    if mapped.key is not None:
        keyed_id(mapped.stream, mapped.key)
    if mapped.occurred_at is not None:
        to_ns(mapped.occurred_at)
    return mapped
