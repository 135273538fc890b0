"""The executions view: what an account's trades are, when they happened, and what later events make of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    CashMoved,
    ClockJumped,
    ContractDefined,
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    SessionOpened,
    SessionReset,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.view import View
from projections.views.cash import is_result, received
from projections.views.executions.adjustments import adjust, set_report
from projections.views.executions.amendments import amend
from projections.views.executions.filling import Fills
from projections.views.executions.merging import concerned, define
from projections.views.executions.recent_trades import RECENT_MAX, RecentTrades
from projections.views.executions.reopening import begin_again
from projections.views.executions.reports import report
from projections.views.executions.seconds import SECONDS_MAX, SecondCounts
from projections.views.executions.settling import settle
from projections.views.executions.state import VIEW, ExecutionsState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore import Event, Record

EXECUTION_EVENTS: tuple[type[Event], ...] = (
    OrderFilled,
    TradeExecuted,
    FeeCharged,
    TradeBusted,
    TradeCorrected,
    PositionAdjusted,
)
"""What decides which executions an account has."""


class ExecutionsView(View[ExecutionsState]):
    """Executions of one account, folded into positions, results by day, round trips and counts.

    Two reports are of one execution if trade id, contract (under any of its names), side, quantity and price agree,
    whatever the order, the stream or the day of the report, among the account's last 2,000 executions. They count in
    the order in which they happened since the position was last flat; what happened before that and is reported later
    counts at its place in the log, on its own day. A reopening begins all results, round trips and days' counts again.
    What lies later than a clock that was set back, and is recorded before that, counts for the day that it is then.

    `trades_max`: among how many executions reports are compared; `bounded`: whether to drop counts by second that no
    window of the present needs.
    """

    name: ClassVar[str] = VIEW
    revision: ClassVar[int] = 19
    types: ClassVar[tuple[type[Event], ...] | None] = (
        *EXECUTION_EVENTS,
        PositionReported,
        ContractDefined,
        SessionOpened,
        SessionReset,
        AccountOpened,
        AccountReopened,
        LimitsSet,
        CashMoved,
        ClockJumped,
    )
    broadcast: ClassVar[tuple[type[Event], ...]] = (ContractDefined,)
    can_wait: ClassVar[bool] = True

    def __init__(self, *, trades_max: int = RECENT_MAX, bounded: bool = True) -> None:
        self._trades_max = trades_max
        self._room = SECONDS_MAX if bounded else 2**62
        self._nobody = ExecutionsState()

    @override
    def initial(self) -> ExecutionsState:
        return ExecutionsState(
            recent=RecentTrades(limit=self._trades_max, full_count=self._trades_max),
            seconds=SecondCounts(room=self._room),
            trip_seconds=SecondCounts(room=self._room),
        )

    @override
    def apply(self, state: ExecutionsState, event: Event, record: Record) -> None:
        """Fold one record apart from any other partition: every name is a contract of its own."""
        self.apply_beside(self._nobody, state, event, record)
        self.finish(state)

    @override
    def apply_beside(self, shared: ExecutionsState, state: ExecutionsState, event: Event, record: Record) -> None:
        """Fold one record, with the state that has the directory of contracts; `finish` completes it."""
        # The most frequent class first, and by identity: each class matched in vain costs as much as a lookup.
        if event.__class__ is OrderFilled:
            report(state, shared, event, record)
            return
        match event:
            case OrderFilled() | TradeExecuted():
                report(state, shared, event, record)
            case PositionReported():
                set_report(state, shared, event, record)
            case FeeCharged() | TradeBusted() | TradeCorrected():
                amend(state, shared, event, record)
            case PositionAdjusted():
                adjust(state, shared, event, record)
            case ContractDefined():
                _define(state, shared, event, record)
            case CashMoved():
                _move_cash(state, event, record)
            case _:
                # What is postponed belongs to the days, and to the steps, as they were before this event.
                self.finish(state)
                _follow(state, event, record)

    @override
    def apply_page(
        self, state: ExecutionsState, pairs: Iterator[tuple[Any, Record]], apply: Callable[[Any, Record], None]
    ) -> None:
        fills = Fills(state)
        fold, publish = fills.fold, fills.publish
        try:
            for event, record in pairs:
                if event.__class__ is not OrderFilled:
                    publish()
                    apply(event, record)
                elif not fold(event, record):
                    apply(event, record)
            publish()
        except BaseException:
            # What an account held when it was parked decides what may still be closed.
            with contextlib.suppress(Exception):
                publish()
            raise

    @override
    def concerns(self, state: ExecutionsState, event: Event) -> bool:
        """Return whether an account has traded under any name of a contract that is defined."""
        return isinstance(event, ContractDefined) and concerned(state, event)

    @override
    def finish(self, state: ExecutionsState) -> None:
        """Fold the windows again that late reports have changed."""
        if state.unsettled:
            settle(state)


def _follow(state: ExecutionsState, event: Event, record: Record) -> None:
    if isinstance(event, AccountReopened):
        begin_again(state, record)
    else:
        state.ledger.follow(event, record)


def _define(state: ExecutionsState, shared: ExecutionsState, event: ContractDefined, record: Record) -> None:
    if state is shared:
        state.directory.define(event, record.position)
    else:
        define(state, shared, event, record)


def _move_cash(state: ExecutionsState, event: CashMoved, record: Record) -> None:
    """Add what counts in a day's result; its time cannot be later than its recording, whatever it says."""
    amount = received(event)
    if amount and is_result(event):
        at = min(record.occurred_at, record.recorded_at)
        state.ledger.add_cash(at, record.position, ((event.currency, amount),))
