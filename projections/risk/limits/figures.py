"""The results that rules compare: a day's or week's in a limit's currency, and which inputs are uncertain."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import UnknownContract
from eventstore.clock import NANOSECONDS, utc_date
from eventstore.trading import (
    ContractDefined,
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionAdjusted,
    SessionOpened,
    SessionReset,
    Severity,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.risk.limits.base import now_of
from projections.risk.limits.parameters import Basis
from projections.risk.limits.sentences import money, until
from projections.risk.policies import TriggerKind
from projections.views.executions.pnl_totals import Rates, to_currency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.risk.limits.parameters import (
        DailyLossParameters,
        DailyProfitParameters,
        Parameters,
        WeeklyLossParameters,
    )
    from projections.risk.policies import Trigger
    from projections.sessions import TradingDay
    from projections.views.executions.ledger_entry import LedgerEntry
    from projections.views.executions.state import ExecutionsState
    from projections.views.limits.view import Limit

    OnResult = DailyLossParameters | WeeklyLossParameters | DailyProfitParameters

RESULT_EVENTS: tuple[type[Event], ...] = (
    OrderFilled,
    TradeExecuted,
    FeeCharged,
    TradeBusted,
    TradeCorrected,
    PositionAdjusted,
    LimitsSet,
    SessionOpened,
    SessionReset,
    ContractDefined,
)
"""Events that may change a day's result or what it is compared with."""
_DAY_NS = 24 * 3_600 * NANOSECONDS
_WEEK_DAYS = 7
_RECENTLY_NS = 3_600 * NANOSECONDS


class PeriodResult(msgspec.Struct, frozen=True):
    """A day's or week's result in one currency; `details` are its components, as text."""

    amount: Decimal
    currency: str | None
    basis: Basis
    details: dict[str, Any]


class TradingPeriod(msgspec.Struct, frozen=True):
    """A trading day or week: the date of its last day, and its end, None if unknown."""

    trading_day: date
    ends_at: int | None
    is_current: bool


def day_of(book: Book, account: str, at: int, now: int) -> TradingPeriod:
    """Return the trading day around an instant: as recorded, else by the calendar, else the date in UTC."""
    session = book.sessions.current(account, at)
    reset = book.sessions.next_reset(account, at)
    if session is not None:
        return TradingPeriod(session.trading_day, session.resets_at or reset, session.holds(now))
    planned = calendar_day_if_missing(book, account, at)
    if planned is not None:
        return TradingPeriod(planned.trading_day, planned.resets_at, now < planned.resets_at)
    ends_at = at - at % _DAY_NS + _DAY_NS if reset is None else reset
    return TradingPeriod(utc_date(at), ends_at, now < ends_at)


def calendar_day_if_missing(book: Book, account: str, at: int) -> TradingDay | None:
    """Return the calendar's trading day if no session records it: no process was running at its reset."""
    calendar = book.sessions.calendar(account)
    return None if calendar is None or book.sessions.current(account, at) is not None else calendar.day_at(at)


def week_of(book: Book, account: str, at: int, now: int) -> TradingPeriod:
    """Return the week around an instant, up to its last day's reset, as far as sessions or a calendar know it."""
    day = day_of(book, account, at, now)
    session, calendar = book.sessions.current(account, at), book.sessions.calendar(account)
    if session is None and calendar is None:
        monday = day.trading_day - timedelta(days=day.trading_day.weekday())
        start = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
        ends_at = int(start.timestamp()) * NANOSECONDS + _WEEK_DAYS * _DAY_NS
        return TradingPeriod(day.trading_day, ends_at, now < ends_at)
    last = day.ends_at
    if calendar is not None and last is not None:
        # The current day ends as its session recorded; only the days after it come from the calendar.
        week = calendar.day_at(last - 1).week
        for following in calendar.days(last, last + _WEEK_DAYS * _DAY_NS):
            if following.week != week:
                break
            last = following.resets_at
    return TradingPeriod(day.trading_day, last, last is None or now < last)


def effective_time(trigger: Trigger) -> int:
    """Return the instant whose trading day a trigger affects: for a quote the time of receipt, not its feed's."""
    return now_of(trigger) if trigger.kind is TriggerKind.QUOTE else trigger.at


def period_results(
    book: Book, trigger: Trigger, at: int, parameters: OnResult, *, basis: Basis, week: bool = False
) -> Iterator[PeriodResult]:
    """Yield a day's or week's result in the limit's or the account's currency; if neither is known, in each."""
    net = parameters.net_of_fees
    with decimal.localcontext(FIXED):
        totals = _PeriodTotals(book, trigger.account)
        totals.add_realized(at, week=week)
        if basis is Basis.EQUITY:
            totals.add_unrealized(now_of(trigger))
        found = list(totals.results(parameters.currency, basis, net=net))
    yield from found


class _PeriodTotals:
    """Money by currency, and the symbols whose part is missing or uncertain, by the reason."""

    def __init__(self, book: Book, account: str) -> None:
        own = book.accounts.get(account)
        self.own = None if own is None else own.currency
        self.book, self.account = book, account
        self.rates = Rates(book, self.own)
        self.realized: dict[str | None, Decimal] = {}
        self.fees: dict[str | None, Decimal] = {}
        self.unrealized: dict[str | None, Decimal] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        reasons = ("stale", "unquoted", "unknown", "unpriced", "uncertain_fees")
        self.uncertain: dict[str, list[str]] = {reason: [] for reason in reasons}

    def add_realized(self, at: int, *, week: bool) -> None:
        """Add the realized results of the day or week around an instant."""
        state: ExecutionsState | None = self.book.state("executions", self.account)
        if state is None:
            return
        ledger, planned = state.ledger, calendar_day_if_missing(self.book, self.account, at)
        if week:
            entries = [each for name in ledger.names_of_week(at) for each in ledger.of_day(name).items()]
        elif planned is not None and planned.began_at >= ledger.steps_from:
            # No session assigns fills to this day: those since the calendar's reset are taken from the path.
            entries = [(step.key, step.entry) for step in ledger.steps_of(planned.began_at, planned.resets_at)]
        else:
            entries = list(ledger.at(at).items())
        known = []
        for key, entry in entries:
            symbol, _, _, multiplier = self.rates.of_key(key)
            self._note_uncertain(symbol, entry)
            if entry.points and multiplier is None:
                # A symbol without a multiplier must not hide what all others lost.
                self.uncertain["unknown"].append(symbol)
            else:
                known.append((key, entry))
        for total in to_currency(known, self.rates):
            self.realized[total.currency], self.fees[total.currency] = total.realized, total.fees

    def _note_uncertain(self, symbol: str, entry: LedgerEntry) -> None:
        if entry.unpriced:
            self.uncertain["unpriced"].append(symbol)
        if entry.uncertain_fees:
            self.uncertain["uncertain_fees"].append(symbol)

    def add_unrealized(self, at: int) -> None:
        """Add the result of closing the open positions at the newest quotes."""
        for held in self.book.positions.of(self.account):
            if not held.quantity:
                continue
            quote = self.book.quotes.get(held.symbol, at)
            if quote is None or quote.price is None:
                self.uncertain["unquoted"].append(held.symbol)
                continue
            try:
                amount = held.unrealized(quote.price)
            except UnknownContract:
                self.uncertain["unknown"].append(held.symbol)
                continue
            currency = self.rates.currency(held.symbol)
            self.unrealized[currency] = self.unrealized.get(currency, ZERO) + amount
            self.quotes[held.symbol] = {"price": str(quote.price), "at": quote.quoted_at}
            if quote.stale:
                self.uncertain["stale"].append(held.symbol)

    def results(self, preferred: str | None, basis: Basis, *, net: bool) -> Iterator[PeriodResult]:
        known = {*self.realized, *self.fees, *self.unrealized}
        chosen = preferred or self.own
        # Without a currency of the account's own none is preferred: each is compared with the limit by itself.
        for currency in sorted(known or {None}, key=lambda name: name or "") if chosen is None else [chosen]:
            realized, fees = self.realized.get(currency, ZERO), self.fees.get(currency, ZERO)
            amount = realized - fees if net else realized
            details: dict[str, Any] = {"realized": str(realized), "fees": str(fees)}
            if basis is Basis.EQUITY:
                amount += self.unrealized.get(currency, ZERO)
                details["unrealized"] = str(self.unrealized.get(currency, ZERO))
                details["quotes"] = self.quotes
            others = {other or "": str(self._sum(other, net=net)) for other in known - {currency}}
            details |= {"other_currencies": others} if others else {}
            details |= {name: sorted(set(symbols)) for name, symbols in self.uncertain.items() if symbols}
            yield PeriodResult(amount, currency, basis, details)

    def _sum(self, currency: str | None, *, net: bool) -> Decimal:
        gross = self.realized.get(currency, ZERO) + self.unrealized.get(currency, ZERO)
        return gross - self.fees.get(currency, ZERO) if net else gross


def cannot_change(trigger: Trigger, limit: Limit, basis: Basis) -> bool:
    """Return whether a trigger cannot change the outcome of a limit, so that computing it would be wasted.

    A quote changes only what includes open positions. Time alone changes the outcome only where a limit comes into
    force later than it was recorded; the hour after that is ample for a tick to see it.
    """
    if trigger.kind is TriggerKind.QUOTE:
        return basis is not Basis.EQUITY
    if trigger.kind is TriggerKind.TIME:
        begins_at = limit.in_force_at or 0
        return begins_at <= limit.set_at or trigger.at - begins_at > _RECENTLY_NS
    return False


def sentence(book: Book, trigger: Trigger, parameters: Parameters, what: str, ends_at: int | None) -> str:
    """Return a breach's sentence: what was reached and, if it locks, until when."""
    is_over = ends_at is not None and ends_at <= now_of(trigger)
    if parameters.severity is Severity.WARNING or is_over:
        return f"{what} reached"
    return f"{what} reached; {until(book, trigger.account, ends_at)}"


def amounts(figure: Decimal, limit: Decimal, currency: str | None) -> str:
    """Return `-18,500.00 of -20,000.00 USD`."""
    return f"{money(figure)} of {money(limit)} {currency or ''}".rstrip()
