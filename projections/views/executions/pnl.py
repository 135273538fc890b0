"""Queries about profit and loss by trading day, week, symbol and currency, joined from the states of other views."""

import decimal
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal

import msgspec

from eventstore import Instant, InvalidEvent, UnknownContract
from eventstore.clock import Times, asked_ns
from eventstore.readable import Readable
from eventstore.streams import SEPARATOR
from eventstore.trading import Cost, PositionSide, Valuation
from projections.decimals import FIXED, ZERO
from projections.valuation import Standing, Status, unknown, worst
from projections.view import BookReader, check_covered
from projections.views.accounts import (
    AccountsState,
    AccountsView,
    ReportedPnl,
    account_rates,
    cash_results,
    configuration_of,
)
from projections.views.executions.ledger import Ledger
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.payoffs import certainty, is_price, unrealized
from projections.views.executions.pnl_totals import (
    PnlTotals,
    Rates,
    holdings_of,
    since_inception,
    to_currency,
)
from projections.views.executions.state import VIEW, ExecutionsState, Holding
from projections.views.quotes import Quotes

__all__ = ["Pnl", "PnlTotals", "ReportedPnl", "Unrealized"]

Entries = Iterable[tuple[str, LedgerEntry]]
_EMPTY: Ledger[LedgerEntry] = Ledger()


class Unrealized(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """What closing an open position at its quote's price would realize, before fees.

    `amount` is in money, first in first out, `amount_average_cost` against the average cost; both are None without a
    price. `result` is the one of the account's method, `cost`. A quantity that was opened without a price is in
    `unpriced` and realizes nothing. `age` is the price's, in ns; `status` and `why` say how far the amount is known.
    """

    symbol: str
    side: PositionSide
    quantity: Decimal
    currency: str | None
    amount: Decimal | None
    amount_average_cost: Decimal | None
    price: Decimal | None
    quoted_at: Instant | None
    age: int | None
    unpriced: Decimal
    standing: Standing
    cost: Cost = Cost.FIFO

    @property
    def status(self) -> Status:
        return self.standing.status

    @property
    def why(self) -> str:
        return self.standing.why

    @property
    def stale(self) -> bool:
        """Whether the amount is not KNOWN."""
        return self.standing.status is not Status.KNOWN

    @property
    def result(self) -> Decimal | None:
        """The amount by the account's method."""
        return self.amount if self.cost is Cost.FIFO else self.amount_average_cost


class Pnl:
    """Queries about profit and loss: one PnlTotals per currency. `at` selects a day or week, as it is known now.

    Days are those that session events state, and dates in UTC elsewhere. Raises UnknownContract if points have to be
    converted to money and the contract's multiplier is not known.
    """

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def day(
        self, account: str, at: Times | None = None, *, trading_day: date | str | None = None
    ) -> tuple[PnlTotals, ...]:
        """Return the totals of the trading day that an instant lies in, by default now, or of the day named."""
        return self._totals(account, lambda ledger: self._of_day(ledger, at, trading_day))

    def session(self, account: str, at: Times | None = None, *, by_symbol: bool = False) -> tuple[PnlTotals, ...]:
        """Return the totals of the session that an instant lies in, by default now; nothing outside a known session."""
        at_ns = self._ns(at)
        return self._totals(
            account,
            lambda ledger: () if ledger.day_at(at_ns) is None else ledger.at(at_ns).items(),
            by_symbol=by_symbol,
        )

    def week(self, account: str, at: Times | None = None, *, by_symbol: bool = False) -> tuple[PnlTotals, ...]:
        """Return the totals of the week of trading days that an instant lies in, by default now."""
        at_ns = self._ns(at)
        return self._totals(account, lambda ledger: ledger.of_week(at_ns), by_symbol=by_symbol)

    def span(
        self, account: str, first: date | str | None = None, last: date | str | None = None, *, by_symbol: bool = False
    ) -> tuple[PnlTotals, ...]:
        """Return the totals from one trading day to another, both included; None: from the oldest, to the newest.

        What lies in no known day counts for its date in UTC. Raises InvalidEvent for an invalid date, for a span that
        ends before it begins, and for one that reaches back beyond the 400 days that are kept.
        """
        begin, end = _date_of("first", first), _date_of("last", last)
        if begin is not None and end is not None and end < begin:
            msg = f"a span from {begin} to {end} ends before it begins: give the earlier day first"
            raise InvalidEvent(msg)
        since = self._ledger(account).known_since()
        if since is not None and (begin is None or begin < since):
            msg = f"the days of {account} are kept since {since}: begin there, or ask for the total"
            raise InvalidEvent(msg)

        def entries(ledger: Ledger[LedgerEntry]) -> Entries:
            return [each for name in ledger.names_between(begin, end) for each in ledger.of_day(name).items()]

        return self._totals(account, entries, by_symbol=by_symbol)

    def total(self, account: str) -> tuple[PnlTotals, ...]:
        """Return the totals since the account's first event."""
        cash = cash_results(self._book, account)
        of_cash = [(SEPARATOR, LedgerEntry(cash=cash))] if cash else []
        rates = account_rates(self._book, account)
        return self._totals(account, lambda _: [*since_inception(self._book, account, rates), *of_cash])

    def by_symbol(
        self, account: str, at: Times | None = None, *, trading_day: date | str | None = None
    ) -> tuple[PnlTotals, ...]:
        """Return the same as `day` for each symbol, side and currency, sorted."""
        return self._totals(account, lambda ledger: self._of_day(ledger, at, trading_day), by_symbol=True)

    def days(self, account: str, *, by_symbol: bool = False) -> tuple[tuple[str, tuple[PnlTotals, ...]], ...]:
        """Return each day's name with its totals, oldest first: the newest 400 in which anything happened.

        A name is a trading day's date or, with `~` before it, the date in UTC of what lies in no known day.
        """
        return tuple(
            (name, self._totals(account, lambda ledger, name=name: ledger.of_day(name).items(), by_symbol=by_symbol))  # type: ignore[misc]
            for name in self._ledger(account).names()
        )

    def unrealized(self, account: str, at: Times | None = None) -> tuple[Unrealized, ...]:
        """Return, for each open position, what closing it at the price of the account's valuation would realize.

        The price's age and status are as of `at`. Raises UnknownContract for a contract without a multiplier.
        """
        check_covered(self._book, account)
        at_ns = self._ns(at)
        rates, quotes = account_rates(self._book, account), quotes_of(self._book)
        held = [holding for holding in holdings_of(self._book, account) if holding.totals.quantity]
        valuation = configuration_of(self._book, account).valuation
        with decimal.localcontext(FIXED):
            found = [_valued(holding, rates, quotes, at_ns, valuation) for holding in held]
        return tuple(sorted(found, key=lambda each: (each.symbol, each.side)))

    def reported(self, account: str) -> tuple[ReportedPnl, ...]:
        """Return the profit and loss that others report: the newest for each trading day, symbol and currency."""
        state: AccountsState | None = self._book.state(AccountsView.name, account)
        found = [] if state is None else state.reported.values()
        return tuple(
            sorted(found, key=lambda each: (str(each.trading_day or ""), each.symbol or "", each.currency or ""))
        )

    def _of_day(self, ledger: Ledger[LedgerEntry], at: Times | None, trading_day: date | str | None) -> Entries:
        if trading_day is None:
            return ledger.at(self._ns(at)).items()
        name = str(trading_day)
        found = ledger.of_day(name)
        # If no trading day of that name is known, the date is the one in UTC.
        return (found or ledger.of_day("~" + name) if ledger.day_named(name) is None else found).items()

    def _totals(
        self, account: str, choose: Callable[[Ledger[LedgerEntry]], Entries], *, by_symbol: bool = False
    ) -> tuple[PnlTotals, ...]:
        rates = account_rates(self._book, account)
        with decimal.localcontext(FIXED):
            return to_currency(choose(self._ledger(account)), rates, by_symbol=by_symbol)

    def _ledger(self, account: str) -> Ledger[LedgerEntry]:
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            check_covered(self._book, account)
            return _EMPTY
        return state.ledger

    def _ns(self, at: Times | None) -> int:
        return asked_ns(at, self._book.now_ns)


def quotes_of(book: BookReader) -> Quotes:
    """Return the book's own quotes, which hold the age limit that was set; else quotes with the default limit."""
    found = getattr(book, "quotes", None)
    return found if isinstance(found, Quotes) else Quotes(book)


def _valued(holding: Holding, rates: Rates, quotes: Quotes, at: int, valuation: Valuation) -> Unrealized:
    totals, contract = holding.totals, rates.find(holding.symbol)
    if contract is None or contract.multiplier is None:
        raise UnknownContract(holding.symbol)
    found = quotes.price(holding.symbol, at, valuation, long=totals.quantity > ZERO)
    price = amount = average = None
    standing = worst([certainty(holding.symbol, totals, contract), found.standing])
    if found.price is not None and not is_price(found.price, contract):
        standing = unknown(f"a price of {found.price} gives the inverse contract {holding.symbol} no value")
    elif found.price is not None:
        price = found.price
        amount = unrealized(totals, price, contract)
        average = unrealized(totals, price, contract, Cost.AVERAGE)
    return Unrealized(
        symbol=holding.symbol,
        side=holding.side,
        quantity=totals.quantity,
        currency=rates.currency_of(contract),
        amount=amount,
        amount_average_cost=average,
        price=price,
        quoted_at=None if price is None else found.at,
        age=None if price is None else at - found.at,
        unpriced=totals.unpriced,
        standing=standing,
        cost=rates.cost,
    )


def _date_of(what: str, given: date | str | None) -> date | None:
    if given is None or (isinstance(given, date) and not isinstance(given, datetime)):
        return given
    try:
        return date.fromisoformat(given)  # type: ignore[arg-type]
    except (TypeError, ValueError) as e:
        msg = f"{what} is a trading day's date, such as 2025-11-19, not {given!r:.80}"
        raise InvalidEvent(msg) from e
