"""An account's equity over time, as a frame: balance, unrealized result and drawdown, with their status and why."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from projections.analysis.columns import Column, Kind
from projections.analysis.questions import ACCOUNT, AT, STATUS, WHY, question
from projections.analysis.sources import OCCURRED
from projections.decimals import FIXED, ZERO
from projections.valuation import Status
from projections.views.book_value import BookValue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from decimal import Decimal

    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.every import At, Every
    from projections.analysis.frame import Frame
    from projections.analysis.sources import Source
    from projections.book import Book
    from projections.sessions import Calendar

EQUITY = (
    AT,
    ACCOUNT,
    Column("currency", Kind.TEXT),
    Column("balance", Kind.DECIMAL),
    Column("unrealized", Kind.DECIMAL),
    Column("equity", Kind.DECIMAL),
    Column("high_water", Kind.DECIMAL),
    Column("drawdown", Kind.DECIMAL),
    Column("floor", Kind.DECIMAL),
    STATUS,
    WHY,
)

_VIEWS = (
    "accounts", "executions", "orders", "sessions", "limits", "lockouts", "equity", "blackouts", "enforcement", "pairs"
)  # fmt: skip
"""An account that none of these views knows did not exist yet: its balance is not 0 but unknown."""


class EquityAt(NamedTuple):
    """An account's equity at an instant; what is not known is None. Amounts are in the account's own `currency`.

    `capital` is the starting balance and what came from outside since; `life` the log position of the newest reopening;
    `exists` says whether any record of the account had come by then.
    """

    currency: str | None
    balance: Decimal | None
    unrealized: Decimal | None
    equity: Decimal | None
    high_water: Decimal | None
    floor: Decimal | None
    capital: Decimal | None
    life: int
    status: Status
    why: str
    exists: bool


def equity(
    store: Source,
    account: str | None = None,
    *,
    every: Every | None = None,
    at: At | None = None,
    prices: object = None,
    stale_after: timedelta | int | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    calendar: Calendar | None = None,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the equity of one account or of all at past instants, as `book.equity.now` answers at each.

    `every`, `at` and `time` are those of `positions`; without `every` and `at` it is each trading day's end. The equity
    of an account whose opening is not recorded counts from zero, and only what is recorded of it. Quotes are not
    stored, so open positions have no value unless `prices` are given: a frame of at, symbol and price, each the price
    of its symbol by any valuation from its instant on, until it is older than `stale_after` (10 s by default).

    Amounts are in the account's own currency; what is converted by a quotient has no last decimal, so that exact=True
    refuses it and "text" gives it. `equity` is `balance` + `unrealized`. What is UNKNOWN is null, `why` says what is
    missing; what is STALE is made with an old price or rate. `high_water` and `floor` are those of the book at that
    instant: as marked, and the high of an equity that two observations confirm. `drawdown`, 0 or more, is how far the
    equity lies below the highest one of this frame or `high_water` so far; cash from outside moves that too.
    """
    asked = question(
        store, account=account, at=at, every="day" if at is None and every is None else every, start=start, stop=stop,
        time=time, calendar=calendar, prices=prices, stale_after=stale_after, exact=exact, progress=progress,
    )  # fmt: skip
    return asked.frame(EQUITY, lambda: Drawdowns().rows_of, "instants of equity")


class Drawdowns:
    """Gives the rows of one instant after the other, with the drawdown from an account's highest equity so far."""

    def __init__(self) -> None:
        self._highest: dict[str, tuple[Decimal | None, EquityAt]] = {}

    def rows_of(self, book: Book, account: str, at: int) -> Iterator[tuple[Any, ...]]:
        """Yield an account's row, a value for each column past `at` and `account`."""
        found = valued_at(book, account, at)
        with decimal.localcontext(FIXED):
            drawdown = self._drawdown(account, found)
        yield (
            found.currency, found.balance, found.unrealized, found.equity, found.high_water, drawdown, found.floor,
            found.status, found.why,
        )  # fmt: skip

    def _drawdown(self, account: str, found: EquityAt) -> Decimal | None:
        highest, before = self._highest.get(account, (None, found))
        if before.life != found.life:
            highest = None
        elif highest is not None and before.capital is not None and found.capital is not None:
            highest += found.capital - before.capital
        # What is stale may be wrong, and would stay the highest.
        fresh = found.equity if found.status is Status.KNOWN else None
        highest = max((each for each in (highest, found.high_water, fresh) if each is not None), default=None)
        self._highest[account] = highest, found
        return None if found.equity is None or highest is None else max(highest - found.equity, ZERO)


def valued_at(book: Book, account: str, at: int) -> EquityAt:
    """Return an account's equity in a book at an instant (UNIX ns), as `book.equity.now` answers."""
    if not any(book.state(view, account) is not None for view in _VIEWS):
        why = f"nothing that happened to {account} by then is recorded"
        return EquityAt(None, None, None, None, None, None, None, 0, Status.UNKNOWN, why, exists=False)
    found, value = book.equity.now(account, at), BookValue(book, account, at)
    is_known = found.status is not Status.UNKNOWN
    with decimal.localcontext(FIXED):
        capital = value.capital
        has_balance = is_known or value.balance.standing.status is not Status.UNKNOWN
    # Without a mark and without capital, the high water is the equity itself.
    has_high = is_known or capital is not None or bool(book.equity.high_marks(account))
    return EquityAt(
        currency=found.currency,
        balance=found.balance if has_balance else None,
        unrealized=found.unrealized if is_known else None,
        equity=found.equity if is_known else None,
        high_water=found.high_water if has_high else None,
        floor=found.floor,
        capital=capital,
        life=book.accounts.reopened(account),
        status=found.status,
        why=found.why,
        exists=True,
    )
