"""The high-water marks view: the highest result of a trading day and the highest marks of an account; its queries."""

import decimal
from datetime import date
from decimal import Decimal
from typing import ClassVar, Self

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountReopened,
    Approved,
    CashMoved,
    ClockJumped,
    EquityCorrected,
    EquityMarked,
    SessionClosed,
)
from projections.decimals import FIXED, ZERO
from projections.sessions import TradingDay
from projections.view import BookReader, View
from projections.views.accounts import account_rates, own_currency
from projections.views.approvals import ApprovalState, folded_correction
from projections.views.cash import moves_high
from projections.views.executions.day_totals import utc_name
from projections.views.executions.pnl_path import PnlLedger, PnlStep
from projections.views.executions.pnl_totals import Rates
from projections.views.executions.state import VIEW, ExecutionsState
from projections.views.log_clock import is_set_back
from projections.views.moved_marks import (
    AtClose,
    Marks,
    MovedMark,
    before,
    depends_on_rates,
    highest,
    lowered,
    moved,
    raised,
    remembered,
)
from projections.views.rates import ExchangeRates, rates_of

DAYS_MAX = 10
CLOSINGS_MAX = 100
DAY_MARKS_MAX = 20


class DayHigh(msgspec.Struct, frozen=True):
    """The highest mark of one trading day's realized plus unrealized result, before fees and net of fees."""

    gross: Decimal
    net: Decimal


class DayMark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A mark that raised a trading day's highest result, by the id of its record."""

    record: bytes
    gross: Decimal
    net: Decimal


class Highs(msgspec.Struct, frozen=True):
    """An account's highest marks: of balance, equity, and balance at a trading day's close; None without a mark."""

    balance: Decimal | None = None
    equity: Decimal | None = None
    close: Decimal | None = None


class HighMarks(msgspec.Struct, frozen=True):
    """The same, with what moves them."""

    balance: Marks = ()
    equity: Marks = ()
    close: Marks = ()

    def moved(self, currency: str, amount: Decimal, own: str | None) -> Self:
        return type(self)(*(moved(marks, currency, amount, own) for marks in (self.balance, self.equity, self.close)))

    def highest(self, rates: ExchangeRates, own: str | None, at: int) -> Highs:
        return Highs(*(highest(marks, rates, own, at) for marks in (self.balance, self.equity, self.close)))

    @property
    def depends_on_rates(self) -> bool:
        """Whether they may change with a rate."""
        return any(map(depends_on_rates, (self.balance, self.equity, self.close)))


class HighWaterMarksState(msgspec.Struct):
    """One account. `days` by name; `closings` are the ids of the newest closings, to recognize marks they caused.

    `day_marks` are the newest marks that raised each day's highest result, for a correction of one. `own` is the
    currency that it was opened in, `approvals` have its settings, and the corrections that wait. `closes` are the
    newest closes that raised the highs.
    """

    highs: HighMarks = HighMarks()
    days: dict[str, DayHigh] = {}
    day_marks: dict[str, tuple[DayMark, ...]] = {}
    closings: tuple[bytes, ...] = ()
    own: str | None = None
    approvals: ApprovalState = ApprovalState()
    closes: tuple[AtClose, ...] = ()
    opening: bytes = b""


class HighWaterMarksView(View[HighWaterMarksState]):
    """The highs that EquityMarked states. A mark caused by a SessionClosed counts for the close only.

    It is made when the closing is recorded, possibly long after it, with the quotes of that time: it does not say how
    high the equity was. Cash that comes from outside moves the highs that are recorded before it; a day's are results.
    A correction of the high water leaves none above it, and the wrong mark no longer counts in its day. One that the
    account's opening caused says what the account was before this log: it is its high on every basis.
    A reopening forgets all. Marks in another currency than the account's do not count; nor does a close, once the clock
    is set back before it.
    """

    # Its name in snapshots and on the book.
    name: ClassVar[str] = "bests"
    revision: ClassVar[int] = 8
    types: ClassVar[tuple[type[Event], ...] | None] = (
        EquityMarked,
        EquityCorrected,
        SessionClosed,
        ClockJumped,
        CashMoved,
        AccountOpened,
        AccountReopened,
        AccountConfigured,
        Approved,
    )

    @override
    def initial(self) -> HighWaterMarksState:
        return HighWaterMarksState()

    @override
    def apply(self, state: HighWaterMarksState, event: Event, record: Record) -> None:
        match event:
            case SessionClosed():
                state.closings = (*state.closings[1 - CLOSINGS_MAX :], record.id)
            case EquityMarked():
                _mark(state, event, record)
            case EquityCorrected() | AccountConfigured() | Approved():
                state.approvals, effect = folded_correction(state.approvals, event, record)
                if effect is not None and isinstance(effect.event, EquityCorrected):
                    _correct(state, effect.event, effect.record)
            case CashMoved():
                _move(state, event)
            case ClockJumped():
                _jump(state, event)
            case AccountOpened() | AccountReopened():
                _open(state, event, record)
            case _:
                return


class HighWaterMarks:
    """Queries about the highs so far, in the account's own currency unless another is named."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def highs(self, account: str) -> Highs:
        """Return the highest marks of an account, with the cash that has moved since each."""
        own = own_currency(self._book, account)
        return self.high_marks(account).highest(rates_of(self._book), own, self._book.now_ns())

    def high_marks(self, account: str) -> HighMarks:
        """Return the same before cash in other currencies is converted: what only the log can change."""
        state: HighWaterMarksState | None = self._book.state(HighWaterMarksView.name, account)
        return HighMarks() if state is None else state.highs

    def marked(self, account: str, trading_day: date | None, at: int, *, net: bool = True) -> Decimal | None:
        """Return the highest mark of a day, by its date or else the date in UTC; None without one."""
        state: HighWaterMarksState | None = self._book.state(HighWaterMarksView.name, account)
        high = None if state is None else state.days.get(day_name(trading_day, at))
        return None if high is None else high.net if net else high.gross

    def mark_record(self, account: str, trading_day: date | None, at: int, *, net: bool = True) -> bytes | None:
        """Return the id of the record that marked a day's highest result, None without one."""
        state: HighWaterMarksState | None = self._book.state(HighWaterMarksView.name, account)
        marks = () if state is None else state.day_marks.get(day_name(trading_day, at), ())
        best = max(marks, key=lambda each: each.net if net else each.gross, default=None)
        return None if best is None else best.record

    def realized(
        self,
        account: str,
        at: int,
        currency: str | None = None,
        *,
        net: bool = True,
        planned: TradingDay | None = None,
    ) -> Decimal:
        """Return the highest realized result so far of the trading day around an instant, never below zero.

        It follows the fills in the order they happened, as known now: a profit that a bust took back never counts.
        Symbols without a known multiplier count as zero. `planned`: that day by the calendar, if no event states it.
        """
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            return ZERO
        own = own_currency(self._book, account)
        in_currency, rates = currency or own, account_rates(self._book, account)
        since, until = _bounds(state.ledger, at) if planned is None else (planned.began_at, planned.resets_at)
        begins_with_cash = planned is not None and planned.begins_with_cash
        kept_since = max(since, state.ledger.steps_from)
        steps = state.ledger.steps_of(kept_since, until, begins_with_cash=begins_with_cash)
        with decimal.localcontext(FIXED):
            sums = [_amount(step, rates, in_currency, net=net) for step in steps]
            total = ZERO
            if since < state.ledger.steps_from:
                # Of what came before the kept steps, only the sum is known.
                total = _total(state.ledger, at, rates, in_currency, net=net) - sum(sums, ZERO)
            high = max(ZERO, total)
            for index, (step, amount) in enumerate(zip(steps, sums, strict=True), 1):
                total += amount
                following = steps[index] if index < len(steps) else None
                # A fill and its later fees and corrections are steps of one place, and count together.
                if following is None or (following.at, following.log_position) != (step.at, step.log_position):
                    high = max(high, total)
        return high

    def realized_since(self, account: str, at: int, currency: str | None = None) -> Decimal | None:
        """Return what was realized, net of fees, at an instant and later; None if nothing was.

        Known as far back as the account's ledger keeps steps: for the newest days.
        """
        state: ExecutionsState | None = self._book.state(VIEW, account)
        steps = [] if state is None else state.ledger.steps_of(at, None)
        own = own_currency(self._book, account)
        rates = account_rates(self._book, account)
        with decimal.localcontext(FIXED):
            return sum((_amount(step, rates, currency or own, net=True) for step in steps), ZERO) if steps else None


def day_name(trading_day: date | None, at: int) -> str:
    """Return a trading day's name; without one, that of its date in UTC."""
    return utc_name(at) if trading_day is None else trading_day.isoformat()


def _bounds(ledger: PnlLedger, at: int) -> tuple[int, int | None]:
    """Return when the day around an instant begins and ends; the day in UTC if no session event states it."""
    day = ledger.day_at(at)
    if day is None:
        length = 24 * 3_600 * NANOSECONDS
        start = at - at % length
        days = [each for each in ledger.published.days if each.began_at < start + length]
        since = max((each.resets_at for each in days if each.resets_at is not None and each.resets_at <= at), default=0)
        until = min((each.began_at for each in ledger.published.days if each.began_at > at), default=start + length)
        return max(start, since), min(until, start + length)
    following = next((each.began_at for each in ledger.published.days if each.began_at > day.began_at), None)
    ends = [instant for instant in (day.resets_at, following) if instant is not None]
    return day.began_at, min(ends, default=None)


def _amount(step: PnlStep, rates: Rates, in_currency: str | None, *, net: bool) -> Decimal:
    _, _, named, multiplier = rates.of_key(step.key)
    amount = ZERO if multiplier is None or named != in_currency else rates.points(step.entry) * multiplier
    amount += sum((cash for currency, cash in step.entry.cash if currency == in_currency), ZERO)
    if net:
        for currency, fee in step.entry.fees:
            amount -= fee if (currency or named) == in_currency else ZERO
    return amount


def _total(ledger: PnlLedger, at: int, rates: Rates, in_currency: str | None, *, net: bool) -> Decimal:
    entries = ledger.at(at).items()
    return sum((_amount(PnlStep(at, 0, key, entry), rates, in_currency, net=net) for key, entry in entries), ZERO)


def _mark(state: HighWaterMarksState, event: EquityMarked, record: Record) -> None:
    if event.currency is not None and state.own not in {None, event.currency}:
        # A figure in another currency says nothing about the account's own.
        return
    held = state.highs
    balance = raised(held.balance, event.balance, record.id)
    if record.causation_id is not None and record.causation_id in state.closings:
        close = raised(held.close, event.balance, record.id)
        if close != held.close:
            at = min(record.occurred_at, record.recorded_at)
            state.closes = remembered(state.closes, AtClose(at, "", held.close))
        state.highs = HighMarks(balance, held.equity, close)
        return
    state.highs = HighMarks(balance, raised(held.equity, event.equity, record.id), held.close)
    name, gross = day_name(event.trading_day, record.occurred_at), event.realized + event.unrealized
    fresh, marks = DayMark(record.id, gross, gross - event.fees), state.day_marks.get(name, ())
    if any(each.gross >= fresh.gross for each in marks) and any(each.net >= fresh.net for each in marks):
        return
    _set_day(state, name, (*marks, fresh)[-DAY_MARKS_MAX:])


def _open(state: HighWaterMarksState, event: AccountOpened | AccountReopened, record: Record) -> None:
    if isinstance(event, AccountOpened):
        # The first one states it: reported again, it changes nothing.
        state.own, state.opening = state.own or event.currency, state.opening or record.id
        return
    state.opening = record.id
    state.own = event.currency or state.own
    # What is marked for a closing of the old life says nothing about the new one.
    state.highs, state.days, state.day_marks = HighMarks(), {}, {}
    state.closings, state.closes = (), ()


def _move(state: HighWaterMarksState, event: CashMoved) -> None:
    amount = moves_high(event, state.approvals.configuration.payout)
    state.highs = state.highs.moved(event.currency, amount, state.own)
    state.closes = tuple(
        replace(each, marks=moved(each.marks, event.currency, amount, state.own)) for each in state.closes
    )


def _jump(state: HighWaterMarksState, event: ClockJumped) -> None:
    """Once the clock is set back, take back the closes that have not come yet."""
    if not is_set_back(event):
        return
    for close in before(state.closes, event.after).values():
        state.highs = HighMarks(state.highs.balance, state.highs.equity, close)
    state.closes = tuple(each for each in state.closes if each.at <= event.after)


def _correct(state: HighWaterMarksState, event: EquityCorrected, record: Record) -> None:
    if event.high_water is not None and state.opening and record.causation_id == state.opening:
        stated = (MovedMark(event.high_water, (), record.id),)
        state.highs, state.closes = HighMarks(stated, stated, stated), ()
    elif event.high_water is not None:
        held, most = state.highs, event.high_water
        state.highs = HighMarks(
            lowered(held.balance, most, record.id),
            (MovedMark(most, (), record.id),),
            lowered(held.close, most, record.id),
        )
        state.closes = tuple(replace(each, marks=lowered(each.marks, most, record.id)) for each in state.closes)
    if event.wrong is not None:
        for name, marks in list(state.day_marks.items()):
            left = tuple(each for each in marks if each.record != event.wrong.bytes)
            if left != marks:
                _set_day(state, name, left)


def _set_day(state: HighWaterMarksState, name: str, marks: tuple[DayMark, ...]) -> None:
    """Set the marks of a day, and its highest result by them; a day without any is forgotten."""
    days, kept = dict(state.days), {**state.day_marks, name: marks}
    if marks:
        days[name] = DayHigh(max(each.gross for each in marks), max(each.net for each in marks))
    else:
        del days[name], kept[name]
    while len(days) > DAYS_MAX:
        oldest = min(days, key=lambda each: each.removeprefix("~"))
        del days[oldest], kept[oldest]
    state.days, state.day_marks = days, kept
