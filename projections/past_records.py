"""The records that a fold of the past takes: read from the log when it is asked, and kept as far as that pays."""

from __future__ import annotations

import heapq
import itertools
import operator
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from eventstore.events.registry import by_class
from projections.garbage import gc_disabled
from projections.reading import PAGE, tail
from projections.view import SHARED, is_of_group

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Self

    from eventstore import Event, EventReader, Record

    Types = tuple[type[Event], ...]
    Pages = Iterable[list[Record]]

HELD_MAX = 100_000
"""Of at most so many log positions the records are held, for whatever else is asked of them."""
HELD_BYTES_MAX = 64 << 20
"""None are held if their data takes more: an event may be a hundred times as large as usual."""
READS_MAX = 16
"""After so many reads of single accounts or types the records of all are read in one pass, if they can be held."""

_position = operator.attrgetter("position")


class PastRecords:
    """The records of a log from the oldest cut that views start from up to a position, of some accounts or all."""

    def __init__(self, reader: EventReader, until: int, accounts: frozenset[str] | None) -> None:
        self._reader, self._until, self._accounts = reader, until, accounts
        self.oldest = until
        """What may be asked for lies after this log position."""
        self._reads = 0
        self._held: _Held | None = None
        self._can_hold = True
        # What was read last: other views fold the same records.
        self._own: _Kept | None = None
        self._rare: _Kept | None = None
        self._types: frozenset[str] | None = None

    def reach(self, log_position: int) -> None:
        """Expect to be asked for what lies after a log position."""
        self.oldest = min(self.oldest, log_position)

    def hold(self) -> bool:
        """Read all records, so that the log is not read again; return False where they are too many to be held."""
        if self._held is None and self._can_hold:
            self._can_hold = self._until - self.oldest <= HELD_MAX
            if self._can_hold:
                self.types_in_log()
                with gc_disabled():
                    self._held = _Held.of(tail(self._reader, self.oldest, self._until, self._accounts))
                self._can_hold = self._held is not None
        return self._held is not None

    def of_all(self, after: int, types: Types | None) -> Pages:
        """Return pages of the records of some types, of all the accounts that there are here."""
        names = self._in_log(types)
        if names is not None and not names:
            return []
        if self._has_all() and self._held is not None:
            return [self._held.of_types(names)]
        return tail(self._reader, after, self._until, self._accounts, types=_sorted(names))

    def of_types(self, after: int, types: Types) -> Pages:
        """Return pages of the records of types that are rare, whatever accounts their streams name."""
        names = self._in_log(types)
        if not names:
            return []
        if self._held is not None and self._accounts is None:
            return [self._held.of_types(names)]
        if self._rare is None or not self._rare.has(after, None, names):
            kept, pages = _peeked(tail(self._reader, after, self._until, None, types=_sorted(names)))
            self._rare = None if kept is None else _Kept(after, None, names, kept)
            return pages
        return [self._rare.records]

    def of_accounts(self, after: int, accounts: frozenset[str], types: Types | None) -> Pages:
        """Return pages of the records of some types, or more, of accounts, of SHARED and of the limits of groups."""
        names, own = self._in_log(types), self._own
        if names is not None and not names:
            return []
        if own is not None and own.has(after, accounts, names):
            return [own.records]
        if self._has_all() and self._held is not None:
            return [self._held.of_accounts(accounts)]
        if own is None or not own.has(after, accounts, frozenset()):
            pages: Pages = tail(self._reader, after, self._until, accounts, types=_sorted(names))
        else:
            # Who asks for a second view asks for more: all that the first one passed over is read at once.
            rest = self.types_in_log() - (own.names or frozenset())
            names, more = None, tail(self._reader, after, self._until, accounts, types=_sorted(rest))
            pages = merged([own.records], more)
        kept, pages = _peeked(iter(pages))
        self._own = None if kept is None else _Kept(after, accounts, names, kept)
        return pages

    def types_in_log(self) -> frozenset[str]:
        """Return the names of the types that the log has events of."""
        if self._types is None:
            self._types = frozenset(self._reader.types())
        return self._types

    def _in_log(self, types: Types | None) -> frozenset[str] | None:
        return None if types is None else names_of(types) & self.types_in_log()

    def _has_all(self) -> bool:
        """Count a read of the log, and return whether it is not necessary because all records are held."""
        self._reads += 1
        return self._held is not None or (self._reads > READS_MAX and self._accounts is None and self.hold())


class _Kept(NamedTuple):
    """The records of one page that were read last, of some accounts or all, and of some types or all."""

    after: int
    accounts: frozenset[str] | None
    names: frozenset[str] | None
    records: list[Record]

    def has(self, after: int, accounts: frozenset[str] | None, names: frozenset[str] | None) -> bool:
        is_all = self.names is None or (names is not None and names <= self.names)
        return is_all and (self.after, self.accounts) == (after, accounts)


class _Held:
    """All records between two log positions, by account and by type."""

    def __init__(self) -> None:
        self._all: list[Record] = []
        self._by_account: defaultdict[str, list[Record]] = defaultdict(list)
        self._by_type: defaultdict[str, list[Record]] = defaultdict(list)
        self._of_groups: list[Record] = []

    @classmethod
    def of(cls, pages: Pages) -> Self | None:
        """Return the records of pages; None if they take too much."""
        held, size = cls(), 0
        for page in pages:
            size += sum([len(record.data) for record in page])
            if size > HELD_BYTES_MAX:
                return None
            held._all += page
            for record in page:
                held._by_account[record.account].append(record)
                held._by_type[record.type].append(record)
                if is_of_group(record):
                    held._of_groups.append(record)
        return held

    def of_types(self, names: Collection[str] | None) -> list[Record]:
        return self._all if names is None else _in_order([self._by_type.get(name, []) for name in names])

    def of_accounts(self, accounts: frozenset[str]) -> list[Record]:
        parts = [self._by_account.get(account, []) for account in accounts | {SHARED}]
        return _in_order([*parts, self._of_groups])


def merged(*given: Pages) -> Iterator[list[Record]]:
    """Yield pages of several sources in order of position; a record that comes twice is folded once."""
    records = heapq.merge(*map(itertools.chain.from_iterable, given), key=_position)
    while page := list(itertools.islice(records, PAGE)):
        yield page


def names_of(types: Iterable[type[Event]]) -> frozenset[str]:
    return frozenset([by_class(cls).name for cls in types])


def _peeked(pages: Iterator[list[Record]]) -> tuple[list[Record] | None, Pages]:
    """Return the records of pages that are only one, or None; and the pages."""
    first, second = next(pages, []), next(pages, None)
    return (first, [first]) if second is None else (None, itertools.chain([first, second], pages))


def _in_order(parts: Iterable[list[Record]]) -> list[Record]:
    found = [part for part in parts if part]
    return found[0] if len(found) == 1 else sorted(itertools.chain.from_iterable(found), key=_position)


def _sorted(names: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))
