"""Books of the past at many instants, by one pass over the log that stops at each, instead of one fold for each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from eventstore.clock import derived_times
from projections.analysis.copying import copied
from projections.analysis.late import Times, chunks_of, cost_of
from projections.analysis.prices import Feed
from projections.analysis.progress import Progress
from projections.analysis.sources import RECORDED
from projections.book import Book
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.opening import snapshots_of
from projections.reading import tail
from projections.view import GROUP, LIMITS, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import EventReader, Record
    from projections.analysis.late import Chunk
    from projections.analysis.prices import GivenPrices

_COST_MAX = 2
"""Up to so many foldings of each record, the accounts of a log are folded together."""
_AT_ONCE = 500
"""Late records nearer than that are read together."""


class Pass(NamedTuple):
    """What books of the past are asked for: of which accounts (None: all), on which axis of time, known until when.

    `until` is a log position. `prices` are observed at their instants. `apart`: whether an answer about an account
    needs no other one, so that accounts may be folded one after the other.
    """

    accounts: frozenset[str] | None
    time: str
    until: int
    prices: GivenPrices | None = None
    apart: bool = True
    progress: bool | None = None


def pasts(reader: EventReader, asked: Pass, instants: Sequence[int]) -> Iterator[tuple[int, Book]]:
    """Yield each instant (UNIX ns, sorted) with the book as `projections.as_of` gives it, before the next is asked for.

    By "recorded" it is what was known then, by "occurred" what was true, as known at `until`. Several accounts whose
    records occurred in quite another order than they were recorded in come one account after the other, each with all
    instants.
    """
    if asked.time == RECORDED:
        yield from _recorded(reader, asked, instants)
        return
    times = _times(reader, asked.accounts, asked.until)
    plan = chunks_of(times, instants)
    if asked.accounts is None and asked.apart and cost_of(plan) > _COST_MAX * len(times.positions):
        found = _by_account(reader, asked, instants)
        if sum(cost_of(chunks) for _, chunks in found) < cost_of(plan):
            for each, chunks in found:
                yield from _occurred(reader, each, chunks)
            return
    yield from _occurred(reader, asked, plan)


def _recorded(reader: EventReader, asked: Pass, instants: Sequence[int]) -> Iterator[tuple[int, Book]]:
    if not instants:
        return
    with derived_times():
        positions = [min(reader.position_at(instant), asked.until) for instant in instants]
    fold = Fold(accounts=asked.accounts)
    book = Book(reader, fold, accounts=asked.accounts, snapshots=snapshots_of(reader, None))
    first = positions[0]
    with Progress(positions[-1], asked.progress) as progress:
        book.load(builtin_views(), first, lambda done, _: progress.at(done))
        book.freeze()
        feed = _feed(reader, asked, book)
        for instant, position in zip(instants, positions, strict=True):
            for page in tail(reader, fold.log_position, position, asked.accounts):
                fold.apply(page)
                progress.at(page[-1].position)
            # Records of other accounts count as folded too.
            fold.log_position = position
            if feed is not None:
                _observe(feed, fold, instant)
            yield instant, book


def _occurred(reader: EventReader, asked: Pass, chunks: Sequence[Chunk]) -> Iterator[tuple[int, Book]]:
    with Progress(cost_of(chunks), asked.progress) as progress:
        done = 0
        for chunk in chunks:
            line = _Line(reader, asked, chunk)
            for index, instant in enumerate(chunk.instants):
                line.fold_until(chunk.firsts[index] - 1)
                progress.at(done + line.folded)
                yield instant, line.book_at(instant, chunk.firsts[index])
            done += chunk.cost


class _Line:
    """One pass over the records that had occurred by the last instant of a chunk, in the order of the log."""

    def __init__(self, reader: EventReader, asked: Pass, chunk: Chunk) -> None:
        self._reader, self._asked, self._horizon = reader, asked, chunk.instants[-1]
        self._fold = Fold(accounts=asked.accounts)
        self._book = Book(reader, self._fold, accounts=asked.accounts, live=False)
        # It folds no records: views that rest on observed events take the prices.
        self._book.load(builtin_views(), 0)
        self._book.freeze()
        self._feed = _feed(reader, asked, self._book)
        self._pages = tail(reader, 0, chunk.firsts[-1] - 1, asked.accounts)
        self._page: list[Record] = []
        self._late = _records_at(reader, chunk.late)
        self._late_positions = [record.position for record in self._late]
        self.folded = 0

    def fold_until(self, position: int) -> None:
        """Fold the records up to a log position."""
        while True:
            cut = bisect_left(self._page, position + 1, key=_log_position)
            chosen = [record for record in self._page[:cut] if record.occurred_at <= self._horizon]
            self.folded += self._fold.apply(chosen)
            del self._page[:cut]
            if self._page:
                return
            page = next(self._pages, None)
            if page is None:
                return
            self._page = page

    def book_at(self, instant: int, first: int) -> Book:
        """Return the book of an instant: what is folded, and what had occurred by then of what is past `first`."""
        asked = self._asked
        late = [each for each in self._late[bisect_left(self._late_positions, first) :] if each.occurred_at <= instant]
        fork = Fork(self._fold)
        self.folded += fork.apply(late)
        fork.log_position = asked.until
        book = Book(self._reader, fork, accounts=asked.accounts, occurred_until=instant, live=False)
        if self._feed is not None:
            _observe(self._feed, self._fold, instant)
            fork.share("quotes", self._fold)
            self._feed.settle(book)
        return book


class Fork(Fold):
    """A fold that continues from another one's states, and leaves these as they are: it changes copies.

    It folds stored records only. The other one must not fold while this one is used.
    """

    def __init__(self, line: Fold) -> None:
        super().__init__(accounts=line.accounts)
        self._own: set[tuple[str, str]] = set()
        for view_state in line.slots.values():
            self.slots[view_state.view.name] = view_state._replace(
                states=view_state.states.copy(),
                changed=set(),
                parked=view_state.parked.copy(),
                waiting=defaultdict(list),
                change_counts={},
                saved={},
            )
        self.end_volatile()
        self.log_position = line.log_position

    @override
    def fold_waiting(self) -> None:
        for name, view_state in self.slots.items():
            states = view_state.states
            for partition in view_state.waiting:
                if partition in states and (name, partition) not in self._own:
                    states[partition] = copied(states[partition])
                self._own.add((name, partition))
        super().fold_waiting()

    def share(self, view: str, line: Fold) -> None:
        """Take the states of a view as the other fold has them now."""
        self.slots[view].states.update(line.slots[view].states)


def _feed(reader: EventReader, asked: Pass, book: Book) -> Feed | None:
    if asked.prices is None:
        return None
    feed = Feed(asked.prices, reader, asked.accounts, time=asked.time, until=asked.until)
    feed.settle(book)
    return feed


def _observe(feed: Feed, fold: Fold, instant: int) -> None:
    view_state = fold.slots["quotes"]
    feed.observe(view_state.view, view_state.states, instant)  # type: ignore[arg-type] # the view of quotes


def _times(reader: EventReader, accounts: frozenset[str] | None, until: int) -> Times:
    """Return what `tail` reads of a log, without its events."""
    found: list[tuple[int, int]] = []
    for account in (None,) if accounts is None else sorted(accounts | {SHARED}):
        for page in reader.rows(("occurred_at",), until=until, account=account):
            found += page
    if accounts is not None:
        for page in reader.rows(("occurred_at", "stream"), until=until, stream=LIMITS):
            found += [
                (position, occurred)
                for position, occurred, stream in page
                if stream.startswith(LIMITS + GROUP) and stream.split("/", 2)[1] not in accounts
            ]
        found.sort()
    return Times(array("q", [position for position, _ in found]), array("q", [occurred for _, occurred in found]))


def _by_account(reader: EventReader, asked: Pass, instants: Sequence[int]) -> list[tuple[Pass, list[Chunk]]]:
    """Return the passes of each account alone."""
    names = {row[1].split("/", 2)[1] for page in reader.rows(("stream",), until=asked.until) for row in page}
    found = []
    for name in sorted(name for name in names if name != SHARED and not name.startswith(GROUP)):
        each = asked._replace(accounts=frozenset({name}))
        found.append((each, chunks_of(_times(reader, each.accounts, asked.until), instants)))
    return found


def _records_at(reader: EventReader, positions: Sequence[int]) -> list[Record]:
    """Return the records at some log positions, which are sorted; those near one another are read together."""
    found: list[Record] = []
    begin = 0
    for index in range(1, len(positions) + 1):
        if index < len(positions) and positions[index] - positions[index - 1] <= _AT_ONCE:
            continue
        chosen = set(positions[begin:index])
        records = reader.read(after=positions[begin] - 1, until=positions[index - 1])
        found += [record for record in records if record.position in chosen]
        begin = index
    return found


def _log_position(record: Record) -> int:
    return record.position
