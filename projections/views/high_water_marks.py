"""The high-water marks view: the highest result of a trading day and the highest marks of an account; its queries."""

import decimal
from datetime import date
from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import EquityMarked, SessionClosed
from projections.decimals import FIXED, ZERO
from projections.view import BookReader, View
from projections.views.accounts import own_currency
from projections.views.executions.ledger import utc_name
from projections.views.executions.pnl_path import PnlLedger, PnlStep
from projections.views.executions.pnl_totals import Rates
from projections.views.executions.state import VIEW, ExecutionsState

DAYS_MAX = 10
CLOSINGS_MAX = 100


class DayHigh(msgspec.Struct, frozen=True):
    """The highest mark of one trading day's realized plus unrealized result, before fees and net of fees."""

    gross: Decimal
    net: Decimal


class Highs(msgspec.Struct, frozen=True):
    """An account's highest marks: of balance, equity, and balance at a trading day's close; None without a mark."""

    balance: Decimal | None = None
    equity: Decimal | None = None
    close: Decimal | None = None


class HighWaterMarksState(msgspec.Struct):
    """One account. `days` by name; `closings` are the ids of the newest closings, to recognize marks they caused."""

    highs: Highs = Highs()
    days: dict[str, DayHigh] = {}
    closings: tuple[bytes, ...] = ()


class HighWaterMarksView(View[HighWaterMarksState]):
    """The highs that EquityMarked states. A mark caused by a SessionClosed counts for the close only.

    It is made when the closing is recorded, possibly long after it, with the quotes of that time: it does not say how
    high the equity was.
    """

    # Its name in snapshots and on the book.
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
    """Queries about the highs so far, in the account's own currency unless another is named."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def highs(self, account: str) -> Highs:
        """Return the highest marks of an account."""
        state: HighWaterMarksState | None = self._book.state(HighWaterMarksView.name, account)
        return Highs() if state is None else state.highs

    def marked(self, account: str, trading_day: date | None, at: int, *, net: bool = True) -> Decimal:
        """Return the highest mark of a day, by its date or else the date in UTC; ZERO without one.

        A day begins at zero: its high is never below that.
        """
        state: HighWaterMarksState | None = self._book.state(HighWaterMarksView.name, account)
        high = None if state is None else state.days.get(day_name(trading_day, at))
        return ZERO if high is None else max(ZERO, high.net if net else high.gross)

    def realized(
        self,
        account: str,
        at: int,
        currency: str | None = None,
        *,
        net: bool = True,
        bounds: tuple[int, int] | None = None,
    ) -> Decimal:
        """Return the highest realized result so far of the trading day around an instant, never below zero.

        It follows the fills in the order they happened, as known now: a profit that a bust took back never counts.
        Symbols without a known multiplier count as zero. `bounds`: when that day begins and ends, if no event states
        the day.
        """
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            return ZERO
        own = own_currency(self._book, account)
        in_currency, rates = currency or own, Rates(self._book, own)
        since, until = _bounds(state.ledger, at) if bounds is None else bounds
        steps = state.ledger.steps_of(max(since, state.ledger.steps_from), until)
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
        rates = Rates(self._book, own)
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
    amount = ZERO if multiplier is None or named != in_currency else step.entry.points * multiplier
    if net:
        for currency, fee in step.entry.fees:
            amount -= fee if (currency or named) == in_currency else ZERO
    return amount


def _total(ledger: PnlLedger, at: int, rates: Rates, in_currency: str | None, *, net: bool) -> Decimal:
    entries = ledger.at(at).items()
    return sum((_amount(PnlStep(at, 0, key, entry), rates, in_currency, net=net) for key, entry in entries), ZERO)


def _higher(one: Decimal | None, other: Decimal) -> Decimal:
    return other if one is None else max(one, other)


def _marked(days: dict[str, DayHigh], name: str, event: EquityMarked) -> dict[str, DayHigh]:
    gross = event.realized + event.unrealized
    net, known = gross - event.fees, days.get(name)
    high = DayHigh(gross, net) if known is None else DayHigh(max(known.gross, gross), max(known.net, net))
    kept = {**days, name: high}
    while len(kept) > DAYS_MAX:
        del kept[min(kept, key=lambda each: each.removeprefix("~"))]
    return kept
