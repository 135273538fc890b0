"""Frames of past states: what is asked, at which instants, of which accounts; a row for each answer."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import InvalidEvent
from eventstore.arguments import accounts_of
from eventstore.clock import derived_from, derived_times, to_ns
from eventstore.errors import shown
from eventstore.trading import GroupDefined
from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.every import (
    Span,
    calendar_of,
    every_of,
    given_instants,
    instants_of,
    newest_instant,
)
from projections.analysis.folding import batches_of
from projections.analysis.frame import Frame
from projections.analysis.pasts import Pass, pasts
from projections.analysis.prices import prices_of
from projections.analysis.sources import AXES, OCCURRED, opened
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import timedelta

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.every import At, Every
    from projections.analysis.prices import GivenPrices
    from projections.analysis.sources import Source
    from projections.book import Book
    from projections.sessions import Calendar

    Rows = Callable[[Book, str, int], Iterable[tuple[Any, ...]]]
    """What an account's rows are in a book at an instant (UNIX ns)."""

AT = Column("at", Kind.INSTANT)
ACCOUNT = Column("account", Kind.TEXT)
STATUS = Column("status", Kind.ENUM, ("KNOWN", "STALE", "UNKNOWN"))
WHY = Column("why", Kind.TEXT)


class FrameQuestion(NamedTuple):
    """What a frame of past states is asked for, with every argument checked.

    `at` are instants that were given, `every` how often otherwise; with neither it is the newest instant. `members`:
    whether an answer about an account needs the other accounts of its groups.
    """

    store: Source
    span: Span
    at: tuple[int, ...] | None
    every: int | str | None
    calendar: Calendar | None
    prices: GivenPrices | None
    exact: Exact
    progress: bool | None
    members: bool = False

    @property
    def account(self) -> str | None:
        return self.span.account

    def instants(self, reader: EventReader) -> Sequence[int]:
        """Return when it is asked for, sorted, in UNIX ns."""
        if self.at is not None:
            return [instant for instant in self.at if self.span.holds(instant)]
        if self.every is not None:
            return instants_of(reader, self.span, self.every, self.calendar, self.prices)
        newest = newest_instant(reader, self.span)
        return [] if newest is None else [newest]

    def books(self, reader: EventReader, instants: Sequence[int]) -> Iterator[tuple[int, Book]]:
        """Yield each instant with the book of it."""
        account = self.account
        accounts = None if account is None else frozenset({account})
        if accounts is not None and self.members:
            accounts = _with_members(reader, accounts, self.span.until)
        asked = Pass(accounts, self.span.time, self.span.until, self.prices, not self.members, self.progress)
        return pasts(reader, asked, instants)

    def frame(self, columns: Sequence[Column], reading: Callable[[], Rows], title: str) -> Frame:
        """Return the rows that each account has at each instant, in the order of instants, then of accounts.

        `reading` gives the function of the rows again for each reading of the frame. Quotients are rounded to nine
        decimals with exact=True.
        """
        return Frame(
            columns,
            lambda: batches_of(self.rows(reading()), columns, self.exact),
            exact=self.exact,
            title=title,
        )

    def rows(self, rows_of: Rows) -> Iterable[tuple[Any, ...]]:
        """Yield rows that begin with the instant and the account."""
        with opened(self.store) as reader:
            with derived_times():
                instants = self.instants(reader)
            books = self.books(reader, instants)
            first = next(books, None)
            if first is None:
                return
            found = self._rows(itertools.chain([first], books), rows_of)
            if self.account is not None or first[1].covers(SHARED):
                yield from found
            else:
                # Accounts come one after the other. Else no more rows are in memory than a batch has.
                yield from sorted(found, key=_place)

    def _rows(self, books: Iterable[tuple[int, Book]], rows_of: Rows) -> Iterator[tuple[Any, ...]]:
        for at, book in books:
            for name in (self.account,) if self.account is not None else book.accounts.known():
                # Not around the whole loop: what a caller does between two rows is not derived from a record.
                with derived_from(at):
                    found = [(at, name, *row) for row in rows_of(book, name, at)]
                yield from found


def question(
    store: Source,
    *,
    account: str | None,
    at: At | None = None,
    every: Every | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    calendar: Calendar | None = None,
    prices: object = None,
    stale_after: timedelta | int | None = None,
    exact: Exact = False,
    progress: bool | None = None,
    members: bool = False,
) -> FrameQuestion:
    """Return what a frame is asked for; raise InvalidEvent for an argument that means nothing."""
    if time not in AXES:
        msg = f"time is {' or '.join(map(repr, AXES))}, not {shown(time)}"
        raise InvalidEvent(msg)
    if account is not None:
        accounts_of((account,))
    if account == SHARED:
        msg = f"{SHARED!r} is not an account: it stands where a record belongs to none"
        raise InvalidEvent(msg)
    if at is not None and every is not None:
        msg = "give at or every, not both: at names instants, every says how often"
        raise InvalidEvent(msg)
    given = None if at is None else tuple(given_instants(at))
    bounds = [None if bound is None else to_ns(bound) for bound in (start, stop)]
    with opened(store) as reader:
        span = Span(account, time, reader.head(), *bounds)
    return FrameQuestion(
        store=store,
        span=span,
        at=given,
        every=None if every is None else every_of(every),
        calendar=calendar_of(calendar),
        prices=prices_of(prices, stale_after),
        exact=exact_of(exact),
        progress=progress,
        members=members,
    )


def _with_members(reader: EventReader, accounts: frozenset[str], until: int) -> frozenset[str]:
    """Return accounts with those that were ever in one of their groups."""
    found = set(accounts)
    for record in reader.read(types=GroupDefined, until=until):
        event = record.event
        if isinstance(event, GroupDefined) and not accounts.isdisjoint(event.accounts):
            found.update(event.accounts)
    return frozenset(found)


def _place(row: tuple[Any, ...]) -> tuple[int, str]:
    return row[0], row[1]
