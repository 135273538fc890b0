"""Positions at past instants, as a frame."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent, UnknownContract
from eventstore.errors import shown
from eventstore.trading import PositionSide
from projections.analysis.columns import Column, Kind
from projections.analysis.questions import ACCOUNT, AT, STATUS, question
from projections.analysis.sources import OCCURRED
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.every import At, Every
    from projections.analysis.frame import Frame
    from projections.analysis.sources import Source
    from projections.book import Book
    from projections.sessions import Calendar
    from projections.views.executions.positions import Position

POSITIONS = (
    AT,
    ACCOUNT,
    Column("symbol", Kind.TEXT),
    Column("side", Kind.ENUM, tuple(side.value for side in PositionSide)),
    Column("quantity", Kind.DECIMAL),
    Column("average_price", Kind.DECIMAL),
    Column("average_cost", Kind.DECIMAL),
    Column("realized", Kind.DECIMAL),
    Column("fees", Kind.DECIMAL),
    Column("currency", Kind.TEXT),
    STATUS,
)


def positions(
    store: Source,
    *,
    at: At | None = None,
    every: Every | None = None,
    account: str | None = None,
    symbol: str | None = None,
    flat: bool = True,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    calendar: Calendar | None = None,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the positions of one account or of all at past instants, as `book.positions` answers at each.

    `at` is an instant or several; `every` a timedelta, text such as "1h", "trade" (each execution) or "day" (each
    trading day's end: of one account by the days that are recorded of it, else by `calendar`, else by dates in UTC).
    With neither it is the newest instant. By `time` "occurred" it is what was true then, as known now; by "recorded"
    what was known.

    `quantity` is negative when short; prices are those of the open lots, first in first out, and by average cost;
    `realized` is money by first in first out, before `fees`, and null without the contract's multiplier. `status` is
    UNKNOWN where a figure may be wrong: see `Position.is_uncertain`. `symbol` may be any name of a contract.
    `flat=False` leaves out positions without a quantity.
    """
    given: object = symbol
    if given is not None and (not isinstance(given, str) or not given):
        msg = f"symbol is a contract's name, not {shown(symbol)}"
        raise InvalidEvent(msg)
    asked = question(
        store, account=account, at=at, every=every, start=start, stop=stop, time=time, calendar=calendar,
        exact=exact, progress=progress,
    )  # fmt: skip
    rows = functools.partial(rows_of, symbol=symbol, flat=flat)
    return asked.frame(POSITIONS, lambda: rows, "positions")


def rows_of(
    book: Book, account: str, _at: int, *, symbol: str | None = None, flat: bool = True
) -> Iterator[tuple[Any, ...]]:
    """Yield an account's positions in a book, a value for each column past `at` and `account`."""
    contract = None if symbol is None else book.contracts.find(symbol)
    name = symbol if contract is None else contract.symbol
    for held in book.positions.of(account):
        if name in {None, held.symbol} and (flat or held.quantity):
            realized = _realized(held)
            is_known = realized is not None and not held.unpriced and not held.is_uncertain
            yield (
                held.symbol, held.side, held.quantity, held.average_price, held.average_cost, realized, held.fees,
                held.currency, Status.KNOWN if is_known else Status.UNKNOWN,
            )  # fmt: skip


def _realized(held: Position) -> Decimal | None:
    try:
        return held.realized
    except UnknownContract:
        return None
