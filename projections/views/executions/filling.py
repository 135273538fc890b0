"""Fills that come last in their position, one after the other: the usual case, published once for several of them."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.trading import PositionSide, Side
from projections.decimals import EXACTLY, ZERO
from projections.views.executions import position_totals
from projections.views.executions import window as window_limits
from projections.views.executions.appending import begin_window, end_trip
from projections.views.executions.items import Item, ItemKind
from projections.views.executions.ledger_entry import NO_ENTRY, LedgerEntry
from projections.views.executions.pnl_path import PnlStep
from projections.views.executions.position_totals import FLAT, RESIDUE_DIGITS, traded_to
from projections.views.executions.recent_trades import NONE
from projections.views.executions.reported import is_past
from projections.views.executions.state import Holding, Traded
from projections.views.executions.window import Window, add_exactly

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore import Record
    from eventstore.trading import OrderFilled
    from projections.views.executions.fees import Fees
    from projections.views.executions.position_totals import PositionTotals
    from projections.views.executions.state import ExecutionsState

_BUY, _TRADE, _NET = Side.BUY, ItemKind.TRADE, PositionSide.NET
_add = EXACTLY.add
_NO_FEE = "no fee fits"


class Fills:
    """Consecutive fills of one contract, within one minute and day of the ledger.

    Each is placed and counted at once. The holding and the day's sums, which readers see, are replaced once for all of
    them, by `publish`, before anything else of the account is folded. The sums are made in the same order as if each
    fill were folded by itself, so they are the same to the last digit.
    """

    __slots__ = (
        "_bought", "_bought_value", "_day", "_fee_currency", "_fees", "_holding", "_key", "_last", "_minute",
        "_quantities", "_realized", "_since", "_sold", "_sold_value", "_state", "_symbol", "_totals", "_turns",
        "_until", "_window",
    )  # fmt: skip

    def __init__(self, state: ExecutionsState) -> None:
        self._state = state
        self._symbol: str | None = None
        self._window, self._totals = Window(), FLAT
        self._since = self._until = self._last = self._turns = 0
        self._quantities: list[Decimal] = []
        self._fees: list[Decimal] = []
        self._realized: list[tuple[Decimal, Decimal]] = []

    def fold(self, event: OrderFilled, record: Record) -> bool:
        """Fold a fill; return False, with nothing changed and nothing left to publish, for an unusual one."""
        at, trade_id, state = record.occurred_at, event.trade_id, self._state
        recent = state.recent
        is_usual = (
            at <= record.recorded_at
            and event.position_side is _NET
            and trade_id not in recent.newer
            and trade_id not in recent.older
            and trade_id not in state.waiting
        )
        if is_usual and event.symbol == self._symbol and self._since <= at < self._until:
            if self._add(event, record):
                return True
            is_usual = False
        self.publish()
        if is_usual and self._begin(event.symbol, event.fee_currency, at):
            if self._add(event, record):
                return True
            self._symbol = None
        return False

    def publish(self) -> None:
        """Replace the holding and the sums of day and minute by those with these fills; the next fill begins a row."""
        if self._symbol is None:
            return
        state, key, holding, sums = self._state, self._key, self._holding, self._holding.traded
        # In the order of the members: by name it takes longer.
        state.holdings[key] = Holding(
            holding.symbol,
            _NET,
            self._totals,
            self._with_fees(holding.fees),
            holding.report,
            holding.anomalies,
            holding.marks,
            Traded(
                sums.count + len(self._quantities),
                self._bought,
                self._sold,
                self._bought_value,
                self._sold_value,
                sums.busted,
            ),
            holding.first_record,
            max(self._last, holding.last_record),
            holding.conflicts,
            holding.by_terms,
            holding.uncertain_fees,
        )
        # From here on nothing is published twice, however this ends.
        self._symbol, day, minute = None, self._day, self._minute
        known = day.get(key)
        before = None if minute is None else minute.get(key)
        after = day[key] = self._summed(known)
        if minute is not None:
            # As long as a day has a single minute both sums are the same, and are not computed twice.
            minute[key] = after if before is known else self._summed(before)

    def _begin(self, symbol: str, currency: str | None, at: int) -> bool:
        """Begin with a usual fill of a contract; return False where the position takes more than these steps."""
        state, key = self._state, symbol + SEPARATOR + _NET
        window = state.windows.get(key)
        if window is None or state.unsettled or not (window.plain and window.in_place):
            return False
        holding = state.holdings[key]
        is_other = window.terms or window.inverse or window.coin or window.marks or holding.totals.inverse
        # What a report says of the position may change with any fill, until one has superseded and explained it.
        if is_other or not is_past(holding.report) or at < window.last_at or at <= window.gap_at:
            return False
        # The fill is counted at this time, here or without these steps.
        day, minute, since, until = state.ledger.sums_at(at)
        entries = (day.get(key), None if minute is None else minute.get(key))
        for fees in (holding.fees, *[entry.fees for entry in entries if entry is not None]):
            if fees and not (len(fees) == 1 and fees[0][0] == (currency or "") and fees[0][1] > ZERO):
                currency = _NO_FEE
        self._symbol, self._key, self._window, self._holding = symbol, key, window, holding
        self._day, self._minute, self._fee_currency = day, minute, currency
        self._since, self._until = since, until
        sums = holding.traded
        self._totals, self._bought, self._sold = holding.totals, sums.bought, sums.sold
        self._bought_value, self._sold_value = sums.bought_value, sums.sold_value
        self._quantities, self._realized, self._fees, self._turns = [], [], [], 0
        return True

    def _add(self, event: OrderFilled, record: Record) -> bool:  # noqa: C901 - calls cost, and this runs for every fill
        before, price, log_position, fee = self._totals, event.price, record.position, event.fee
        held, long = before.quantity, event.side is _BUY
        quantity = event.quantity if long else -event.quantity
        fees: Fees = ()
        if fee:
            if fee < ZERO or event.fee_currency != self._fee_currency:
                return False
            fees = ((event.fee_currency or "", fee),)
        try:
            left = add_exactly(held, quantity)
        except decimal.Inexact:
            return False
        if len(self._window.items) >= window_limits.WINDOW_MAX or len(before.lots) >= position_totals.LOTS_MAX:
            return False
        if left and left.adjusted() < RESIDUE_DIGITS:
            return False
        after = traded_to(before, quantity, left, price, event.trade_id, log_position)
        points = average = ZERO
        was, now = before.realized_points, after.realized_points
        if now is not was:
            points = now - was
            if now - points != was:
                return False
            average = after.realized_points_average_cost - before.realized_points_average_cost
        self._place(event, record, quantity, fees)
        state, self._last, self._totals = self._state, log_position, after
        if points is not ZERO or not self._realized:
            self._realized.append((points, average))
        if state.ledger.keeps_steps and (points or average or fees):
            entry = LedgerEntry(points, average, fees)
            state.ledger.add_step(PnlStep(record.occurred_at, log_position, self._key, entry))
        if not held or (held > ZERO) is not long:
            self._turn(before, left, record.recorded_at)
        return True

    def _place(self, event: OrderFilled, record: Record, quantity: Decimal, fees: Fees) -> None:
        """Put a fill at the end of its window, and count it."""
        state, at, recorded_at, size, price = (
            self._state, record.occurred_at, record.recorded_at, event.quantity, event.price
        )  # fmt: skip
        recent = state.recent
        item = Item(
            _TRADE, record.position, at, quantity, price, event.symbol, _NET, event.trade_id, (record.stream,), fees, 0,
            recent.count + 1, recorded_at - at >= NANOSECONDS, fees, event.trading_day,
        )  # fmt: skip
        self._window.items.append(item)
        self._window.last_at = self._since = at
        if recent.count < recent.full_count:
            recent.count += 1
            recent.newer[event.trade_id] = (item,)
        else:
            recent.add(event.trade_id, item, NONE)
        state.seconds.add(at, recorded_at)
        self._quantities.append(size)
        if fees:
            self._fees.append(event.fee)
        if event.side is _BUY:
            self._bought += size
            self._bought_value += size * price
        else:
            self._sold += size
            self._sold_value += size * price

    def _turn(self, before: PositionTotals, left: Decimal, recorded_at: int) -> None:
        """End the round trip of what was closed or reversed; begin a window where a position was opened or reversed."""
        held, base_trip = before.quantity, None
        if held:
            if left and (left > ZERO) is (held > ZERO):
                return
            self._turns += 1
            base_trip = end_trip(self._state, self._key, held, recorded_at)
        if left and len(self._window.items) > 1:
            begin_window(self._state, self._key, before, base_trip)

    def _summed(self, known: LedgerEntry | None) -> LedgerEntry:
        """Return a sum of the ledger with these fills."""
        quantities, realized = self._quantities, self._realized
        if known is None:
            # Nothing is added to zero, which might add digits.
            known, volume = NO_ENTRY, sum(quantities[1:], quantities[0])
            (points, average), *realized = realized
        else:
            points, average, volume = known.points, known.points_average_cost, sum(quantities, known.volume)
        for one, other in realized:
            if one:
                points = _add(points, one)
            if other:
                average = _add(average, other)
        count = len(quantities)
        return LedgerEntry(
            points,
            average,
            self._with_fees(known.fees),
            known.fills + count,
            volume,
            known.executions + count,
            known.round_trips + self._turns,
            known.unpriced,
            known.uncertain_fees,
            known.cash,
        )

    def _with_fees(self, before: Fees) -> Fees:
        fees = self._fees
        if not fees:
            return before
        total = sum(fees, before[0][1]) if before else sum(fees[1:], fees[0])
        return ((self._fee_currency or "", total),)
