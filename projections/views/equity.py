"""The equity view: high-water mark and drawdown floor, as marked; and queries, which value positions at quotes."""

import decimal
from datetime import date
from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.clock import Times, asked_ns
from eventstore.readable import Readable
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountReopened,
    Approved,
    CashMoved,
    ClockJumped,
    EquityCorrected,
    EquityMarked,
    QuoteUsed,
    SessionClosed,
)
from projections.decimals import FIXED, ZERO
from projections.valuation import Standing, Status
from projections.view import BookReader, View, check_covered
from projections.views.accounts import own_currency
from projections.views.approvals import ApprovalState, folded_correction
from projections.views.book_value import BookValue
from projections.views.cash import moves_high, set_floor
from projections.views.log_clock import is_set_back
from projections.views.moved_marks import AtClose, Marks, MovedMark, before, highest, moved, raised, remembered
from projections.views.period_sums import day_sums
from projections.views.rates import rates_of

CURRENCIES_MAX = 1_000
CLOSINGS_MAX = 100


class EquityMark(msgspec.Struct, frozen=True, kw_only=True):
    """The newest mark, with the highest high-water mark and the highest floor of all marks in its currency.

    `at` is the mark's time in UNIX ns, `position` its log position.
    """

    balance: Decimal
    equity: Decimal
    high_water: Decimal
    floor: Decimal | None
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    quotes: dict[str, QuoteUsed]
    currency: str | None
    trading_day: date | None
    at: Instant
    position: int


class Equity(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """Equity in the account's own currency at the newest prices and rates: `balance` + `unrealized`.

    `status` is that of the equity, with `why` where it is not KNOWN, and `stale_seconds` if it is STALE. `realized`,
    `fees` and `cash` are the trading day's; the balance is of all days. `high_water` is the highest of the marks, the
    capital and, once two observations show it, this equity; `floor` is as marked. `quotes` are the prices used, by
    symbol, including those of the symbols in `stale`; positions in `unquoted` are left out. `last_good` are the last
    good prices of positions without a usable one: shown, never used. `converted` is the sum of the absolute amounts
    that were converted from other currencies.
    """

    account: str
    at: Instant
    currency: str | None
    balance: Decimal
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    cash: Decimal
    equity: Decimal
    high_water: Decimal
    floor: Decimal | None
    quotes: dict[str, QuoteUsed]
    last_good: dict[str, QuoteUsed]
    stale: tuple[str, ...]
    unquoted: tuple[str, ...]
    standing: Standing
    converted: Decimal = ZERO

    @property
    def status(self) -> Status:
        return self.standing.status

    @property
    def why(self) -> str:
        return self.standing.why

    @property
    def stale_seconds(self) -> float | None:
        """The age in seconds of the oldest stale input; None unless STALE."""
        return self.standing.stale_seconds


class EquityState(msgspec.Struct):
    """One account: by currency, "" for marks that named none, the newest mark, the highs and the floors.

    `own` is the currency that it was opened in, `approvals` have its settings, and the corrections that wait.
    `corrected_record` is the log position of the newest correction or reopening, `moved_record` that of the newest cash
    that moved the marks; 0 without one. `closings` are the ids of the newest closings, `closes` what the floors were
    before those that raised them.
    """

    marks: dict[str, EquityMark] = {}
    highs: dict[str, Marks] = {}
    floors: dict[str, Marks] = {}
    own: str | None = None
    approvals: ApprovalState = ApprovalState()
    corrected_record: int = 0
    moved_record: int = 0
    closings: tuple[bytes, ...] = ()
    closes: tuple[AtClose, ...] = ()


class EquityView(View[EquityState]):
    """The marks of an account. The high-water mark is the highest ever marked; the floor never falls.

    Cash that comes from outside moves those that are recorded before it, a payout by the account's rule. A correction
    replaces them, in the account's own currency, for an account with a second approver once it is approved; a reopening
    forgets them. Once the clock is set back, a close that is later has raised no floor.
    """

    name: ClassVar[str] = "equity"
    revision: ClassVar[int] = 7
    types: ClassVar[tuple[type[Event], ...] | None] = (
        EquityMarked,
        SessionClosed,
        ClockJumped,
        EquityCorrected,
        CashMoved,
        AccountOpened,
        AccountReopened,
        AccountConfigured,
        Approved,
    )

    @override
    def initial(self) -> EquityState:
        return EquityState()

    @override
    def apply(self, state: EquityState, event: Event, record: Record) -> None:
        match event:
            case EquityMarked():
                _mark(state, event, record)
            case SessionClosed():
                state.closings = (*state.closings[1 - CLOSINGS_MAX :], record.id)
            case ClockJumped():
                _jump(state, event)
            case EquityCorrected() | AccountConfigured() | Approved():
                state.approvals, effect = folded_correction(state.approvals, event, record)
                if effect is not None and isinstance(effect.event, EquityCorrected):
                    _correct(state, effect.event, effect.record)
            case CashMoved():
                _move(state, event, record)
            case AccountOpened() | AccountReopened():
                _open(state, event, record)
            case _:
                return


class Equities:
    """Queries about equity."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def get(self, account: str, currency: str | None = None) -> EquityMark | None:
        """Return the mark in a currency, by default the account's own; None without one.

        A mark that names no currency is in the account's own.
        """
        check_covered(self._book, account)
        own = own_currency(self._book, account)
        return self._marked(account, currency or own, own)

    def now(self, account: str, at: Times | None = None) -> Equity:
        """Return the equity at the newest prices, with its status, as of an instant, by default now."""
        book = self._book
        check_covered(book, account)
        at_ns = asked_ns(at, book.now_ns)
        value = BookValue(book, account, at_ns)
        own, rates = value.own, value.rates
        with decimal.localcontext(FIXED):
            balance, total, positions = value.balance.amount, value.equity, value.positions
            day = day_sums(book, account, at_ns)
            realized, fees, cash = (value.total(part, target=own).amount for part in (day.realized, day.fees, day.cash))
            lowest = None if value.equity_bounds is None else value.equity_bounds[0]
            start = value.capital
        # Of the marks, the capital and what is confirmed now, each may be missing.
        floor = highest(self.floor_marks(account), rates, own, at_ns)
        known = (start, highest(self.high_marks(account), rates, own, at_ns), lowest)
        uncertain = positions.uncertain
        return Equity(
            account=account,
            at=at_ns,
            currency=own,
            balance=balance,
            realized=realized,
            unrealized=FIXED.subtract(total.amount, balance),
            fees=fees,
            cash=cash,
            equity=total.amount,
            high_water=max((each for each in known if each is not None), default=total.amount),
            floor=floor,
            quotes=positions.quotes,
            last_good=positions.last_good,
            stale=tuple(uncertain["stale"]),
            unquoted=tuple(uncertain["unquoted"]),
            standing=total.standing,
            converted=total.converted,
        )

    def last_corrected(self, account: str) -> int:
        """Return the log position of the newest EquityCorrected or AccountReopened, 0 without one."""
        state: EquityState | None = self._book.state(EquityView.name, account)
        return 0 if state is None else state.corrected_record

    def last_moved(self, account: str) -> int:
        """Return the log position of the newest record that changed the marks without being one, 0 without one."""
        state: EquityState | None = self._book.state(EquityView.name, account)
        return 0 if state is None else max(state.corrected_record, state.moved_record)

    def high_marks(self, account: str) -> Marks:
        """Return the marks of the high water in the account's own currency: what only the log can change."""
        state: EquityState | None = self._book.state(EquityView.name, account)
        own = own_currency(self._book, account)
        return () if state is None else _of(state.highs, own, own)

    def floor_marks(self, account: str) -> Marks:
        """Return the marks of the floor in the account's own currency: what only the log can change."""
        state: EquityState | None = self._book.state(EquityView.name, account)
        own = own_currency(self._book, account)
        return () if state is None else _of(state.floors, own, own)

    def _marked(self, account: str, currency: str | None, own: str | None) -> EquityMark | None:
        state: EquityState | None = self._book.state(EquityView.name, account)
        newest = None if state is None else _newest(state, currency, own)
        if state is None or newest is None:
            return None
        high_water, floor = (
            self._highest(_of(marks, currency, own), currency) for marks in (state.highs, state.floors)
        )
        return replace(newest, high_water=newest.high_water if high_water is None else high_water, floor=floor)

    def _highest(self, marks: Marks, currency: str | None) -> Decimal | None:
        return highest(marks, rates_of(self._book), currency, self._book.now_ns())


def _newest(state: EquityState, currency: str | None, own: str | None) -> EquityMark | None:
    found = [mark for name in _names(currency, own) if (mark := state.marks.get(name)) is not None]
    return max(found, key=lambda mark: (mark.at, mark.position), default=None)


def _of(marks: dict[str, Marks], currency: str | None, own: str | None) -> Marks:
    return tuple(mark for name in _names(currency, own) for mark in marks.get(name, ()))


def _names(currency: str | None, own: str | None) -> tuple[str, ...]:
    """Return the names of a currency's marks: the account's may have become known after the first, which named none."""
    return (currency, "") if currency and currency == own else (currency or "",)


def _mark(state: EquityState, event: EquityMarked, record: Record) -> None:
    name = event.currency or ""
    fresh = EquityMark(
        balance=event.balance,
        equity=event.equity,
        high_water=max(event.high_water, event.equity),
        floor=event.floor,
        realized=event.realized,
        unrealized=event.unrealized,
        fees=event.fees,
        quotes=event.quotes,
        currency=event.currency,
        trading_day=event.trading_day,
        at=record.occurred_at,
        position=record.position,
    )
    marks, highs, floors = dict(state.marks), dict(state.highs), dict(state.floors)
    known = marks.pop(name, None)
    # Moved to the end: the currencies without a mark for the longest time are dropped first.
    marks[name] = fresh if known is None or known.at <= fresh.at else known
    highs[name] = raised(highs.get(name, ()), fresh.high_water, record.id)
    if event.floor is not None:
        known_floors = floors.get(name, ())
        floors[name] = raised(known_floors, event.floor, record.id)
        if record.causation_id not in state.closings:
            # A high of the day holds whatever becomes of an earlier close.
            state.closes = tuple(_also_raised(each, name, event.floor, record) for each in state.closes)
        elif floors[name] != known_floors:
            at = min(record.occurred_at, record.recorded_at)
            state.closes = remembered(state.closes, AtClose(at, name, known_floors))
    if len(marks) > CURRENCIES_MAX:
        dropped = next(iter(marks))
        del marks[dropped]
        highs.pop(dropped, None)
        floors.pop(dropped, None)
    state.marks, state.highs, state.floors = marks, highs, floors


def _also_raised(close: AtClose, name: str, floor: Decimal, record: Record) -> AtClose:
    return replace(close, marks=raised(close.marks, floor, record.id)) if close.currency == name else close


def _jump(state: EquityState, event: ClockJumped) -> None:
    """Once the clock is set back, take back the floors of closes that have not come yet."""
    if is_set_back(event):
        floors = {**state.floors, **before(state.closes, event.after)}
        state.floors = {name: marks for name, marks in floors.items() if marks}
        state.closes = tuple(each for each in state.closes if each.at <= event.after)


def _open(state: EquityState, event: AccountOpened | AccountReopened, record: Record) -> None:
    if isinstance(event, AccountOpened):
        # The first one states it: reported again, it changes nothing.
        state.own = state.own or event.currency
        return
    state.own = event.currency or state.own
    state.marks, state.highs, state.floors = {}, {}, {}
    # What a close of the old life raised is forgotten, and does not come back with a clock that is put right.
    state.closes, state.corrected_record = (), record.position


def _correct(state: EquityState, event: EquityCorrected, record: Record) -> None:
    """Replace the high water and the floor of the account's own currency by what a correction states."""
    state.corrected_record = record.position
    if event.high_water is not None:
        state.highs = _stated(state, state.highs, event.high_water, record)
    if event.floor is not None:
        state.floors = _stated(state, state.floors, event.floor, record)
        # A person has said what the floor is: no close before that is taken back.
        state.closes = ()


def _stated(state: EquityState, marks: dict[str, Marks], amount: Decimal, record: Record) -> dict[str, Marks]:
    # An account that was never opened has the currency of its newest mark.
    own = state.own or next(reversed(state.marks), "")
    names = {own, *(name for name in marks if not name)}
    return {**marks, **dict.fromkeys(names, (MovedMark(amount, (), record.id),))}


def _move(state: EquityState, event: CashMoved, record: Record) -> None:
    amount = moves_high(event, state.approvals.configuration.payout)
    floor = set_floor(event, state.approvals.configuration.payout)
    if amount or floor is not None:
        state.moved_record = record.position
    if amount:
        state.highs = _moved(state, state.highs, event.currency, amount)
        state.floors = _moved(state, state.floors, event.currency, amount)
        state.closes = tuple(
            replace(each, marks=_moved(state, {each.currency: each.marks}, event.currency, amount)[each.currency])
            for each in state.closes
        )
    if floor is not None:
        state.closes = ()
        # It is in the account's own currency, whatever the payout's.
        names = {state.own or event.currency, *(name for name in state.floors if not name)}
        state.floors = {**state.floors, **dict.fromkeys(names, (MovedMark(floor),))}


def _moved(state: EquityState, marks: dict[str, Marks], currency: str, amount: Decimal) -> dict[str, Marks]:
    """Return the marks after cash has moved: those of the account's own currency, and of the cash's."""
    own = state.own
    return {
        name: moved(each, currency, amount, name or own) if name in {"", own, currency} else each
        for name, each in marks.items()
    }
