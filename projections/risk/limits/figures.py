"""What rules judge: what a day or a week has made in a limit's currency, and what of it is not certain."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from eventstore import UnknownContract
from eventstore.clock import NANOSECONDS
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
    from projections.risk.limits.parameters import DailyLoss, DailyProfit, Parameters, WeeklyLoss
    from projections.risk.policies import Trigger
    from projections.sessions import TradingDay
    from projections.views.executions.position_state import PositionsState
    from projections.views.limits.view import Limit

    OnResult = DailyLoss | WeeklyLoss | DailyProfit

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
"""After which a day's result, or what it is held against, may be another."""
_DAY_NS = 24 * 3_600 * NANOSECONDS
_WEEK_DAYS = 7
_JUST_NS = 3_600 * NANOSECONDS


class Result(msgspec.Struct, frozen=True):
    """What a day or a week came to in one currency; `details` are what it was made of, as text."""

    amount: Decimal
    currency: str | None
    basis: Basis
    details: dict[str, Any]


class Span(msgspec.Struct, frozen=True):
    """A trading day or week: its last day's date and when that ends, None where nobody told."""

    trading_day: date
    ends_at: int | None
    is_current: bool


def day_of(book: Book, account: str, at: int, now: int) -> Span:
    """Return the trading day around an instant: as told, else by the calendar, else the date in UTC."""
    session = book.sessions.current(account, at)
    reset = book.sessions.next_reset(account, at)
    if session is not None:
        return Span(session.trading_day, session.resets_at or reset, session.holds(now))
    planned = untold(book, account, at)
    if planned is not None:
        return Span(planned.trading_day, planned.resets_at, now < planned.resets_at)
    ends_at = at - at % _DAY_NS + _DAY_NS if reset is None else reset
    return Span(datetime.fromtimestamp(at // NANOSECONDS, UTC).date(), ends_at, now < ends_at)


def untold(book: Book, account: str, at: int) -> TradingDay | None:
    """Return the trading day that a calendar knows of where nobody has told it: a process was asleep over a reset."""
    calendar = book.sessions.calendar(account)
    return None if calendar is None or book.sessions.current(account, at) is not None else calendar.day_at(at)


def week_of(book: Book, account: str, at: int, now: int) -> Span:
    """Return the week around an instant: until its last day's reset, as far as a calendar or the sessions tell it."""
    day = day_of(book, account, at, now)
    session, calendar = book.sessions.current(account, at), book.sessions.calendar(account)
    if session is None and calendar is None:
        monday = day.trading_day - timedelta(days=day.trading_day.weekday())
        start = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
        ends_at = int(start.timestamp()) * NANOSECONDS + _WEEK_DAYS * _DAY_NS
        return Span(day.trading_day, ends_at, now < ends_at)
    last = day.ends_at
    if calendar is not None and last is not None:
        # The day's own end is taken as it was told; what follows it is the calendar's to say.
        week = calendar.day_at(last - 1).week
        for following in calendar.days(last, last + _WEEK_DAYS * _DAY_NS):
            if following.week != week:
                break
            last = following.resets_at
    return Span(day.trading_day, last, last is None or now < last)


def when(trigger: Trigger) -> int:
    """Return the instant whose trading day a trigger is about: of a quote it is now, whatever its feed's clock says."""
    return now_of(trigger) if trigger.kind is TriggerKind.QUOTE else trigger.at


def results(
    book: Book, trigger: Trigger, at: int, parameters: OnResult, *, basis: Basis, week: bool = False
) -> Iterator[Result]:
    """Yield what a day or week made in the currency that counts; in each one by itself where none is known."""
    net = parameters.net_of_fees
    with decimal.localcontext(FIXED):
        sums = _Sums(book, trigger.account)
        sums.realize(at, week=week)
        if basis is Basis.EQUITY:
            sums.value(now_of(trigger))
        found = list(sums.results(parameters.currency, basis, net=net))
    yield from found


class _Sums:
    """Money by currency, and what could not be told or is not certain, by name."""

    def __init__(self, book: Book, account: str) -> None:
        own = book.accounts.get(account)
        self.own = None if own is None else own.currency
        self.book, self.account = book, account
        self.rates = Rates(book, self.own)
        self.realized: dict[str | None, Decimal] = {}
        self.fees: dict[str | None, Decimal] = {}
        self.unrealized: dict[str | None, Decimal] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self.odd: dict[str, list[str]] = {"stale": [], "unquoted": [], "unknown": []}

    def realize(self, at: int, *, week: bool) -> None:
        """Add what was realized in the day or week around an instant."""
        state: PositionsState | None = self.book.state("positions", self.account)
        if state is None:
            return
        ledger, planned = state.ledger, untold(self.book, self.account, at)
        if week:
            entries = [each for name in ledger.names_of_week(at) for each in ledger.of_day(name).items()]
        elif planned is not None and planned.began_at >= ledger.steps_from:
            entries = [(step.key, step.entry) for step in ledger.steps_of(planned.began_at, planned.resets_at)]
        else:
            entries = list(ledger.at(at).items())
        known = []
        for key, earned in entries:
            symbol = key.partition("\0")[0]
            contract = self.rates.find(symbol)
            if earned.points and (contract is None or contract.multiplier is None):
                # One symbol that nobody told the worth of must not hide what all others lost.
                self.odd["unknown"].append(symbol)
            else:
                known.append((key, earned))
        for made in to_currency(known, self.rates):
            self.realized[made.currency], self.fees[made.currency] = made.realized, made.fees

    def value(self, at: int) -> None:
        """Add what closing the open positions at the newest quotes would make."""
        for held in self.book.positions.of(self.account):
            if not held.quantity:
                continue
            quote = self.book.quotes.get(held.symbol, at)
            if quote is None or quote.price is None:
                self.odd["unquoted"].append(held.symbol)
                continue
            try:
                amount = held.unrealized(quote.price)
            except UnknownContract:
                self.odd["unknown"].append(held.symbol)
                continue
            currency = self.rates.currency(held.symbol)
            self.unrealized[currency] = self.unrealized.get(currency, ZERO) + amount
            self.quotes[held.symbol] = {"price": str(quote.price), "at": quote.quoted_at}
            if quote.stale:
                self.odd["stale"].append(held.symbol)

    def results(self, wanted: str | None, basis: Basis, *, net: bool) -> Iterator[Result]:
        named = {*self.realized, *self.fees, *self.unrealized}
        chosen = wanted or self.own
        # Without a currency of the account's own there is none to prefer: each is judged by itself.
        for currency in sorted(named or {None}, key=lambda name: name or "") if chosen is None else [chosen]:
            realized, fees = self.realized.get(currency, ZERO), self.fees.get(currency, ZERO)
            amount = realized - fees if net else realized
            told: dict[str, Any] = {"realized": str(realized), "fees": str(fees)}
            if basis is Basis.EQUITY:
                amount += self.unrealized.get(currency, ZERO)
                told["unrealized"] = str(self.unrealized.get(currency, ZERO))
                told["quotes"] = self.quotes
            others = {other or "": str(self._sum(other, net=net)) for other in named - {currency}}
            told |= {"other_currencies": others} if others else {}
            told |= {name: sorted(set(symbols)) for name, symbols in self.odd.items() if symbols}
            yield Result(amount, currency, basis, told)

    def _sum(self, currency: str | None, *, net: bool) -> Decimal:
        made = self.realized.get(currency, ZERO) + self.unrealized.get(currency, ZERO)
        return made - self.fees.get(currency, ZERO) if net else made


def concerned(book: Book, trigger: Trigger) -> Iterator[Trigger]:
    """Yield a trigger for each account that it concerns: what a contract says is of everyone who has limits."""
    if not isinstance(trigger.event, ContractDefined):
        yield trigger
        return
    for account in sorted(book.partitions("limits")):
        yield replace(trigger, account=account)


def is_idle(trigger: Trigger, limit: Limit, basis: Basis) -> bool:
    """Tell whether a trigger can change nothing about a limit: a quote, where what is open does not count.

    Time alone changes what holds only where a limit comes into force later than it was recorded.
    """
    if trigger.kind is TriggerKind.QUOTE:
        return basis is not Basis.EQUITY
    if trigger.kind is TriggerKind.TIME:
        begins_at = limit.in_force_at or 0
        return begins_at <= limit.set_at or trigger.at - begins_at > _JUST_NS
    return False


def sentence(book: Book, trigger: Trigger, parameters: Parameters, what: str, ends_at: int | None) -> str:
    """Return a breach's sentence: what was reached and, where it locks, until when."""
    over = ends_at is not None and ends_at <= now_of(trigger)
    if parameters.severity is Severity.WARNING or over:
        return f"{what} reached"
    return f"{what} reached; {until(book, trigger.account, ends_at)}"


def amounts(figure: Decimal, limit: Decimal, currency: str | None) -> str:
    """Return `-18,500.00 of -20,000.00 USD`."""
    return f"{money(figure)} of {money(limit)} {currency or ''}".rstrip()
