"""Finding a timeline's records, forwards and backwards, also by what no index has: so far as one page may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.streams import unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import EventReader, Record
    from projections.auditing.selection import TimelineSelection

SEARCHED_MAX = 20_000
"""How many records are looked at for one page where no index has what is asked for."""
POSITIONS_AT_ONCE = 50
"""So many positions that an index or the type left out cost as much as one record that is looked at."""
ORDER_COST = 20
"""Looking up what an order trades costs as much as looking at so many records."""
TEXT_MAX = 200
_GROWTH = 8
_WINDOW_MAX = 500_000
_SPREAD_MAX = 10
"""Records are read with those in between, if these are at most so many times as many."""
_NAMED_BY_SYMBOL = frozenset({"contract", "position", "quote"})


class WantedRecords(NamedTuple):
    """What is looked for; all that is given must fit.

    `stream` is a name; `symbols` are the names of one contract; `text` stands, in any case, somewhere in a record's
    stream, type, actor, note or data. `positions`, sorted, are the only ones that may fit. `sees` says whether records
    of a stream may be shown.
    """

    selection: TimelineSelection
    stream: str | None = None
    symbols: frozenset[str] = frozenset()
    text: str | None = None
    positions: Sequence[int] | None = None
    sees: Callable[[str], bool] | None = None

    @property
    def is_indexed(self) -> bool:
        """Whether the log's own order and indexes give what is looked for."""
        chosen = self.selection
        others = (chosen.types, chosen.actor, self.text, self.sees, self.positions)
        return all(each is None for each in others) and not self.symbols and not chosen.unless_automatic

    @property
    def reads_data(self) -> bool:
        return bool(self.symbols) or self.text is not None


class FoundRecords(NamedTuple):
    """Records in the order of the log, and what was looked through: past `after` and up to `until`, all of it.

    `is_first` and `is_last`: there is nothing before it, or past it, that could fit.
    """

    records: list[Record]
    after: int
    until: int
    is_first: bool
    is_last: bool


def find_records(
    store: EventReader, wanted: WantedRecords, *, after: int | None = None, before: int | None = None, limit: int
) -> FoundRecords:
    """Return a page of records: the first ones past a log position, or the last ones before one.

    Where there is neither, the first ones. It ends early once it has looked at SEARCHED_MAX records: what was looked
    through says where to continue. Raises InvalidEvent for both, and for a text that is too long.
    """
    if after is not None and before is not None:
        msg = "give one of after and before: a page lies past a position, or before one"
        raise InvalidEvent(msg)
    if wanted.text is not None and not 0 < len(wanted.text) <= TEXT_MAX:
        msg = f"the text to look for has 1 to {TEXT_MAX} characters, not {shown(wanted.text)}"
        raise InvalidEvent(msg)
    search = _Search(store, wanted)
    return search.forwards(after or 0, limit) if before is None else search.backwards(before, limit)


class _Search:
    """One page's search, window by window, each larger than the one before."""

    def __init__(self, store: EventReader, wanted: WantedRecords) -> None:
        self._store, self._wanted = store, wanted
        chosen = wanted.selection
        self._query = {"account": chosen.account, "types": chosen.types, "stream": wanted.stream}
        self._left = SEARCHED_MAX
        self._symbol_of_order: dict[str, bool] = {}
        self._text = None if wanted.text is None else wanted.text.lower()
        self._data = tuple([b'"symbol":' + msgspec.json.encode(name) for name in wanted.symbols])
        self._last = store.head()
        self._first = 0 if not chosen.start else min(store.position_before(chosen.start), self._last)
        if chosen.stop is not None:
            self._last = max(min(store.position_before(chosen.stop), self._last), self._first)

    def forwards(self, after: int, limit: int) -> FoundRecords:
        at = begin = min(max(after, self._first), self._last)
        found: list[Record] = []
        size = limit
        while at < self._last and self._left > 0:
            until = min(at + self._most(size), self._last)
            found += self._window(at, until, limit - len(found), newest=False)
            if len(found) == limit:
                return self._found(found, begin, found[-1].position)
            at, size = until, self._next(size, limit - len(found), (len(found), until - begin))
        return self._found(found, begin, at)

    def backwards(self, before: int, limit: int) -> FoundRecords:
        at = end = max(min(before - 1, self._last), self._first)
        found: list[Record] = []
        size = limit
        while at > self._first and self._left > 0:
            after = max(at - self._most(size), self._first)
            found = self._window(after, at, limit - len(found), newest=True) + found
            if len(found) == limit:
                return self._found(found, found[0].position - 1, end)
            at, size = after, self._next(size, limit - len(found), (len(found), end - after))
        return self._found(found, at, end)

    def _next(self, size: int, missing: int, so_far: tuple[int, int]) -> int:
        """Return how large the next window is: as large as what was found in so many positions leads to expect."""
        found, searched = so_far
        expected = size * _GROWTH if not found else missing * searched * 5 // (found * 4) + 1
        return min(max(expected, size // _GROWTH + 1), size * _GROWTH, _WINDOW_MAX)

    def _found(self, records: list[Record], after: int, until: int) -> FoundRecords:
        return FoundRecords(records, after, until, after <= self._first, until >= self._last)

    def _most(self, size: int) -> int:
        """Return how large the next window may be: where each record in it is looked at, no larger than is left."""
        is_narrow = self._wanted.is_indexed or self._query["account"] or self._query["types"] or self._wanted.stream
        return size if is_narrow else min(size, self._left)

    def _window(self, after: int, until: int, most: int, *, newest: bool) -> list[Record]:
        """Return the records of a window that fit, at most so many: the newest ones of it, or the oldest."""
        self._left -= (until - after) // POSITIONS_AT_ONCE
        if self._wanted.is_indexed:
            found = list(self._store.read(after=after, until=until, limit=None if newest else most, **self._query))  # type: ignore[arg-type]
            return found[-most:] if newest else found
        positions = self._positions(after, until)
        return self._records(positions[-most:] if newest else positions[:most])

    def _positions(self, after: int, until: int) -> list[int]:
        if self._wanted.positions is not None:
            return [each for each in self._wanted.positions if after < each <= until and self._is_fit(each)]
        return list(self._fitting(after, until))

    def _is_fit(self, position: int) -> bool:
        return position in self._fitting(position - 1, position)

    def _fitting(self, after: int, until: int) -> Iterator[int]:
        """Yield the positions whose records fit, in order, with a look at each."""
        chosen = self._wanted.selection
        names = ("stream", "type", "actor", "causation_id", *(("note", "data") if self._wanted.reads_data else ()))
        for page in self._store.rows(names, after=after, until=until, **self._query):  # type: ignore[arg-type]
            self._left -= len(page)
            for position, stream, type_, actor, cause, *more in page:
                if not chosen.has(actor, type_, cause) or not (self._wanted.sees is None or self._wanted.sees(stream)):
                    continue
                if not more or self._says((stream, type_, actor, more[0]), more[1]):
                    yield position

    def _says(self, texts: tuple[str, ...], data: bytes) -> bool:
        if self._text is not None and not any(self._text in text.lower() for text in texts):
            # The data's text, with its escapes undone where it has any.
            content = data.decode("utf-8", "replace")
            if b"\\" in data:
                content += " ".join(_strings(data))
            if self._text not in content.lower():
                return False
        return not self._data or self._is_of_symbol(texts[0], data)

    def _is_of_symbol(self, stream: str, data: bytes) -> bool:
        if any(each in data for each in self._data):
            return True
        category, _, rest = stream.partition("/")
        if category in _NAMED_BY_SYMBOL:
            return unescaped(rest.partition("/")[2]).partition("/")[0] in self._wanted.symbols
        return category == "order" and self._is_order_of_symbol(stream)

    def _is_order_of_symbol(self, stream: str) -> bool:
        """Return whether an order's first record names the symbol: its later ones say nothing of it."""
        known = self._symbol_of_order.get(stream)
        if known is None:
            self._left -= ORDER_COST
            first = next(self._store.read(stream=stream, limit=1), None)
            known = first is not None and any(each in first.data for each in self._data)
            self._symbol_of_order[stream] = known
        return known

    def _records(self, positions: list[int]) -> list[Record]:
        """Return the records at some positions, in order."""
        if not positions:
            return []
        if positions[-1] - positions[0] < _SPREAD_MAX * len(positions):
            wanted = set(positions)
            near = self._store.read(after=positions[0] - 1, until=positions[-1], **self._query)  # type: ignore[arg-type]
            return [record for record in near if record.position in wanted]
        single = (next(self._store.read(after=each - 1, until=each, limit=1), None) for each in positions)
        return [record for record in single if record is not None]


def _strings(data: bytes) -> Iterator[str]:
    """Yield each text within an event's JSON; none where it was altered and is not JSON any more."""
    try:
        waiting = [msgspec.json.decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as members:
                waiting += members.values()
            case list() as items:
                waiting += items
