"""Bests: the highest a trading day's result has been, by the fills or as marked; and the highs that were marked."""

import decimal
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record, UnknownContract
from eventstore.clock import NANOSECONDS
from eventstore.trading import EquityMarked, SessionClosed
from projections.decimals import FIXED, ZERO
from projections.view import Lens, View
from projections.views.accounts import own_currency
from projections.views.executions.pnl_path import PnlLedger, PnlStep
from projections.views.executions.pnl_totals import Rates
from projections.views.executions.position_state import VIEW, PositionsState

DAYS_MAX = 10
CLOSINGS_MAX = 100


class DayHigh(msgspec.Struct, frozen=True):
    """The highest that one trading day's realized and unrealized result was marked at, before fees and net of them."""

    gross: Decimal
    net: Decimal


class Highs(msgspec.Struct, frozen=True):
    """The highest marks of an account: its balance, its equity, its balance at a trading day's close. None: no mark."""

    balance: Decimal | None = None
    equity: Decimal | None = None
    close: Decimal | None = None


class HighWaterMarksState(msgspec.Struct):
    """One account. `days` by name; `closings` are the ids of the newest closings, to know the marks they led to."""

    highs: Highs = Highs()
    days: dict[str, DayHigh] = {}
    closings: tuple[bytes, ...] = ()


class HighWaterMarksView(View[HighWaterMarksState]):
    """What EquityMarked says was reached. A mark that a SessionClosed caused is one of the close.

    It is made when the closing is told, maybe long after, and with the quotes of then: it is no high of the equity.
    """

    name: ClassVar[str] = "bests"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (EquityMarked, SessionClosed)

    @override
    def initial(self) -> HighWaterMarksState:
        return HighWaterMarksState()

    @override
    def apply(self, state: HighWaterMarksState, event: Event, record: Record) -> None:
        if isinstance(event, SessionClosed):
            state.closings = (*state.closings[1 - CLOSINGS_MAX :], record.id)
        elif isinstance(event, EquityMarked):
            held = state.highs
            balance = _higher(held.balance, event.balance)
            if record.causation_id is not None and record.causation_id in state.closings:
                state.highs = Highs(balance, held.equity, _higher(held.close, event.balance))
                return
            state.highs = Highs(balance, _higher(held.equity, event.equity), held.close)
            state.days = _marked(state.days, day_name(event.trading_day, record.occurred_at), event)


class HighWaterMarks:
    """Questions about the best so far, in the account's own currency unless another is named."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def highs(self, account: str) -> Highs:
        """Return the highest marks of an account."""
        state: HighWaterMarksState | None = self._lens.state(HighWaterMarksView.name, account)
        return Highs() if state is None else state.highs

    def marked(self, account: str, trading_day: date | None, at: int, *, net: bool = True) -> Decimal:
        """Return the highest that a day was marked at, by its date or else the one in UTC; ZERO where it never was.

        A day begins with nothing made: its best is never below that.
        """
        state: HighWaterMarksState | None = self._lens.state(HighWaterMarksView.name, account)
        best = None if state is None else state.days.get(day_name(trading_day, at))
        return ZERO if best is None else max(ZERO, best.net if net else best.gross)

    def realized(
        self,
        account: str,
        at: int,
        currency: str | None = None,
        *,
        net: bool = True,
        bounds: tuple[int, int] | None = None,
    ) -> Decimal:
        """Return the highest that the realized result of the trading day around an instant has been, never below zero.

        It follows the fills in the order they happened, up to all that is told by now. What a bust took back was
        never made. Symbols without a known multiplier count nothing. `bounds`: when that day begins and ends, where
        nobody has told it.
        """
        state: PositionsState | None = self._lens.state(VIEW, account)
        if state is None:
            return ZERO
        own = own_currency(self._lens, account)
        wanted, rates = currency or own, Rates(self._lens, own)
        since, until = _bounds(state.ledger, at) if bounds is None else bounds
        steps = state.ledger.steps_of(max(since, state.ledger.steps_from), until)
        with decimal.localcontext(FIXED):
            sums = [_amount(step, rates, wanted, net=net) for step in steps]
            total = ZERO
            if since < state.ledger.steps_from:
                # What came before the steps that are kept is known as a sum alone.
                total = _total(state.ledger, at, rates, wanted, net=net) - sum(sums, ZERO)
            best = max(ZERO, total)
            for index, (step, amount) in enumerate(zip(steps, sums, strict=True), 1):
                total += amount
                following = steps[index] if index < len(steps) else None
                # What one fill led to counts together, whatever it was told by.
                if following is None or (following.at, following.position) != (step.at, step.position):
                    best = max(best, total)
        return best

    def made_since(self, account: str, at: int, currency: str | None = None) -> Decimal | None:
        """Return what was realized, net of fees, by all that happened at an instant or later; None where nothing did.

        It is known of as many steps as an account's ledger keeps: those of the newest days.
        """
        state: PositionsState | None = self._lens.state(VIEW, account)
        steps = [] if state is None else state.ledger.steps_of(at, None)
        own = own_currency(self._lens, account)
        rates = Rates(self._lens, own)
        with decimal.localcontext(FIXED):
            return sum((_amount(step, rates, currency or own, net=True) for step in steps), ZERO) if steps else None


def day_name(trading_day: date | None, at: int) -> str:
    """Return a trading day's name; without one, that of its date in UTC."""
    return _utc_name(at) if trading_day is None else trading_day.isoformat()


def _utc_name(at: int) -> str:
    return "~" + datetime.fromtimestamp(at // NANOSECONDS, UTC).date().isoformat()


def _bounds(ledger: PnlLedger, at: int) -> tuple[int, int | None]:
    """Return when the day around an instant begins and ends, that in UTC where none is told."""
    day = ledger.day_at(at)
    if day is None:
        length = 24 * 3_600 * NANOSECONDS
        start = at - at % length
        told = [each for each in ledger.published.days if each.began_at < start + length]
        since = max((each.resets_at for each in told if each.resets_at is not None and each.resets_at <= at), default=0)
        until = min((each.began_at for each in ledger.published.days if each.began_at > at), default=start + length)
        return max(start, since), min(until, start + length)
    following = next((each.began_at for each in ledger.published.days if each.began_at > day.began_at), None)
    ends = [instant for instant in (day.resets_at, following) if instant is not None]
    return day.began_at, min(ends, default=None)


def _amount(step: PnlStep, rates: Rates, wanted: str | None, *, net: bool) -> Decimal:
    symbol = step.key.partition("\0")[0]
    named = rates.currency(symbol)
    try:
        amount = rates.money(symbol, step.entry.points) if named == wanted else ZERO
    except UnknownContract:
        amount = ZERO
    if net:
        for currency, fee in step.entry.fees:
            amount -= fee if (currency or named) == wanted else ZERO
    return amount


def _total(ledger: PnlLedger, at: int, rates: Rates, wanted: str | None, *, net: bool) -> Decimal:
    entries = ledger.at(at).items()
    return sum((_amount(PnlStep(at, 0, key, earned), rates, wanted, net=net) for key, earned in entries), ZERO)


def _higher(one: Decimal | None, other: Decimal) -> Decimal:
    return other if one is None else max(one, other)


def _marked(days: dict[str, DayHigh], name: str, event: EquityMarked) -> dict[str, DayHigh]:
    gross = event.realized + event.unrealized
    net, known = gross - event.fees, days.get(name)
    best = DayHigh(gross, net) if known is None else DayHigh(max(known.gross, gross), max(known.net, net))
    kept = {**days, name: best}
    while len(kept) > DAYS_MAX:
        del kept[min(kept, key=lambda each: each.removeprefix("~"))]
    return kept
