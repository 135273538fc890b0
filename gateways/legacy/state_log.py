"""The saves of one account in a log, and in the logs that continue it: read, and replaced in one step."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

import eventstore
from eventstore import Batch, Overloaded, Unavailable, VersionConflict
from eventstore.ids import keyed_id
from eventstore.streams import check_name, stream_of
from eventstore.trading import LogContinued, PairStateSaved, PortfolioSaved
from gateways.legacy import contents, documents
from gateways.legacy.contents import POSITION, Current, SavedContents, SavedItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import Event, EventStore, InfluxSettings, Record
    from gateways.legacy.values import Plain

ATTEMPTS_MAX = 200
"""How often a save is tried again because another process has saved meanwhile."""
CONTINUED = "log/-/-"
"""The stream whose first record says which log this one continues."""
LOGS_MAX = 1_000
"""How many logs may continue one another."""


class Wanted(NamedTuple):
    """A whole state as plain JSON: positions and pairs' states by name, and the portfolio's members."""

    positions: Sequence[tuple[Plain, Plain]]
    pair_states: Sequence[tuple[Plain, Plain]]
    portfolio: Plain | None
    absent: tuple[str, ...] = ()
    exists: bool = True


class Origin(NamedTuple):
    """Who saves, what is said of the save, and what is appended with it. Under a `key` it is saved once."""

    actor: str | None = None
    note: str = ""
    source: str | None = None
    snapshot: str | None = None
    restored: str | None = None
    key: str | None = None
    occurred_at: int | None = None
    also: tuple[Batch, ...] = ()


class StateLog:
    """One account's saves. Follows a log to the one that continues it, which `restore_snapshot` begins."""

    def __init__(self, store: EventStore, account: str, *, owned: bool, influx: InfluxSettings | None = None) -> None:
        self.store, self.account = store, check_name("account", account)
        self._owned, self.influx = owned, influx
        self._current = contents.NOTHING
        self._texts: dict[int, bytes] = {}

    def close(self) -> None:
        """Close the store if it was opened here."""
        if self._owned:
            self.store.close()

    def current(self) -> Current:
        """Return the newest save, of the last log that continues this one."""
        for _ in range(LOGS_MAX):
            self._current = contents.newest(self.store, self.account, known=self._current)
            saved = self._current.contents
            if saved is None or saved.continued_in is None:
                return self._current
            self.follow(saved.continued_in)
        msg = f"log {self.store.log} is continued by more than {LOGS_MAX:,} others"
        raise Unavailable(msg)

    def follow(self, log: str) -> None:
        """Go on with another log of the same directory, which must exist."""
        store = self.open_beside(log)
        if store.head() == 0:
            store.close()
            msg = f"log {self.store.log} is continued by {log}, which is empty in {self.store.directory}: restore it"
            raise Unavailable(msg)
        self.close()
        self.store, self._owned = store, True
        self._current, self._texts = contents.NOTHING, {}

    def open_beside(self, log: str, *, read_only: bool | None = None) -> EventStore:
        """Open another log of this store's directory; by default to append where this one is."""
        directory = self.store.directory
        if directory is None:
            msg = "a log in memory, or in PostgreSQL, has no other logs beside it: keep the state in a directory"
            raise Unavailable(msg)
        read_only = self.store.read_only if read_only is None else read_only
        influx = None if read_only else self.influx
        return eventstore.open(directory.parent, log=log, clock=self.store.clock, influx=influx, read_only=read_only)

    @contextlib.contextmanager
    def logs(self) -> Iterator[list[EventStore]]:
        """Yield this log and, opened to read, those that it continues, newest first."""
        found = [self.store]
        with contextlib.ExitStack() as stack:
            while len(found) < LOGS_MAX and (name := _continues(found[-1])) is not None:
                found.append(stack.enter_context(self.open_beside(name, read_only=True)))
            yield found

    def text(self, position: int) -> bytes:
        """Return the JSON of what a save names; that of the newest save is kept in memory."""
        text = self._texts.get(position)
        if text is None:
            text = self._texts[position] = documents.read_text(self.store, position)
        return text

    def value(self, position: int) -> Plain:
        """Return what a save names, made of new objects."""
        return msgspec.json.decode(self.text(position))

    def save(self, change: Callable[[Current], Wanted], origin: Origin) -> Current:
        """Replace the state by what `change` makes of the newest one; try again if another process was first."""
        return self._append(lambda saving, current: saving.append(change(current)), origin)

    def amend(self, change: Callable[[Current], SavedContents], origin: Origin) -> Current:
        """Append contents that name records of the log alone: the same state, with something said of it."""
        return self._append(lambda saving, current: saving.append_contents(change(current)), origin)

    def _append(self, append: Callable[[_Saving, Current], Record], origin: Origin) -> Current:
        for _ in range(ATTEMPTS_MAX):
            current = self.current()
            if origin.key is not None and (found := self._once(origin.key)) is not None:
                return contents.read(self.store, found)
            try:
                return self._take(append(_Saving(self, current, origin), current))
            except VersionConflict:
                continue
        msg = f"other processes saved the state of {self.account} {ATTEMPTS_MAX} times meanwhile: nothing was written"
        raise Overloaded(msg)

    def _once(self, key: str) -> Record | None:
        return self.store.find(keyed_id(contents.stream(self.account), key))

    def _take(self, record: Record) -> Current:
        self._current = contents.read(self.store, record)
        saved = self._current.contents
        assert saved is not None
        named = {item.position for item in saved.items().values()} | {saved.portfolio}
        self._texts = {position: text for position, text in self._texts.items() if position in named}
        return self._current


class _Saving:
    """One attempt: the events of what has changed, and the record that names all of it."""

    def __init__(self, log: StateLog, current: Current, origin: Origin) -> None:
        self._log, self._current, self._origin = log, current, origin
        self._known = {} if current.contents is None else current.contents.items()
        # What is new is referred to by its number in here, from -1 on, until the number of all is known.
        self._batches: list[Batch] = [*origin.also]

    def append(self, wanted: Wanted) -> Record:
        positions = self._items(POSITION, wanted.positions)
        pairs = self._items(contents.PAIR_STATE, wanted.pair_states)
        portfolio = self._portfolio(wanted.portfolio)
        kept = {item.id for item in (*positions, *pairs)}
        for id_ in sorted(self._known.keys() - kept):
            self._add(PairStateSaved(state=documents.GONE, pair=id_), "pair", id_)
        origin = self._origin
        saved = SavedContents(
            positions=positions,
            pair_states=pairs,
            portfolio=portfolio,
            exists=wanted.exists,
            absent=wanted.absent,
            source=origin.source,
            snapshot=origin.snapshot,
            restored=origin.restored,
        )
        return self.append_contents(saved)

    def append_contents(self, saved: SavedContents) -> Record:
        """Append what waits and the record that names it, if nobody has saved since."""
        # Its own parts stand before it too, and how many they are depends on the numbers in it.
        parts = 0
        states: list[Plain] = []
        while len(states) != parts + 1:
            parts = max(len(states) - 1, 0)
            plain = contents.plain(_relative(saved, len(self._batches) + parts))
            states = documents.states_of(documents.text_of(plain), "the list of all pairs")
        for number, state in enumerate(states[:-1]):
            self._add_state("portfolio", contents.part_id(contents.NAME, number), state)
        event = PortfolioSaved(state=states[-1], portfolio=contents.NAME)
        stream, origin = contents.stream(self._log.account), self._origin
        self._batches.append(
            Batch(stream, event, self._current.version, origin.key, origin.occurred_at, origin.actor, origin.note)
        )
        return self._log.store.append_many(self._batches)[-1]

    def _items(self, kind: str, named: Sequence[tuple[Plain, Plain]]) -> tuple[SavedItem, ...]:
        return tuple(self._item(contents.item_id(kind, name), name, value) for name, value in named)

    def _item(self, id_: str, name: Plain, value: Plain) -> SavedItem:
        known = self._known.get(id_)
        return SavedItem(name, id_, self._place("pair", id_, value, 0 if known is None else known.position))

    def _portfolio(self, value: Plain | None) -> int:
        known = 0 if self._current.state is None else self._current.state.portfolio
        return known if value is None else self._place("portfolio", contents.PORTFOLIO_ID, value, known)

    def _place(self, category: str, id_: str, value: Plain, known: int) -> int:
        """Return the record that has a value: the known one if it still has it, else a new one, by its number."""
        text = documents.text_of(value)
        if known and self._log.text(known) == text:
            return known
        *parts, state = documents.states_of(text, id_)
        for number, part in enumerate(parts):
            self._add_state(category, contents.part_id(id_, number), part)
        self._add_state(category, id_, state)
        return -len(self._batches)

    def _add_state(self, category: str, id_: str, state: Plain) -> None:
        event: Event
        event = (
            PairStateSaved(state=state, pair=id_) if category == "pair" else PortfolioSaved(state=state, portfolio=id_)
        )
        self._add(event, category, id_)

    def _add(self, event: Event, category: str, id_: str) -> None:
        origin = self._origin
        stream = stream_of(category, self._log.account, id_)
        self._batches.append(Batch(stream, event, None, None, origin.occurred_at, origin.actor, origin.note))


def _continues(store: EventStore) -> str | None:
    """Return the name of the log that a log continues, None for one that begins by itself."""
    first = next(store.read(stream=CONTINUED, types=LogContinued, limit=1), None)
    event = None if first is None else first.event
    # After a rotation the store itself reads the log that is continued.
    return event.name if isinstance(event, LogContinued) and event.carried is None else None


def _relative(saved: SavedContents, total: int) -> SavedContents:
    """Return contents whose new records, numbered from -1 on, are counted back from the one after `total` records."""

    def place(number: int) -> int:
        return -(total + 1 + number) if number < 0 else number

    moved = {
        name: tuple(SavedItem(item.name, item.id, place(item.position)) for item in items)
        for name, items in (("positions", saved.positions), ("pair_states", saved.pair_states))
    }
    return msgspec.structs.replace(saved, portfolio=place(saved.portfolio), **moved)
