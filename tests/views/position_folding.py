"""Records made by hand, and a small book of the views of executions, contracts and lockouts."""

import decimal
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from typing_extensions import override

from eventstore import Event, Record, trading
from projections.decimals import FIXED
from projections.view import SHARED, View
from projections.views.contracts.view import Contracts, ContractsView
from projections.views.executions.anomalies import TradeAnomalyKind
from projections.views.executions.positions import Position, Positions
from projections.views.executions.state import ExecutionsState
from projections.views.executions.trades import Trades
from projections.views.executions.view import ExecutionsView
from projections.views.lockouts.view import Lockouts, LockoutsView
from tests.views.record_log import RecordLog

BUY, SELL = trading.Side.BUY, trading.Side.SELL
NET, LONG, SHORT = trading.PositionSide.NET, trading.PositionSide.LONG, trading.PositionSide.SHORT

VIEWS: tuple[View[Any], ...] = (ExecutionsView(), ContractsView(), LockoutsView())


def fill(trade_id: str, quantity: int | str, price: int | str, symbol: str = "ESZ5", **more: Any) -> Event:  # noqa: ANN401 - any member
    """Return a fill of a signed quantity: above zero bought, below zero sold."""
    signed = Decimal(quantity)
    side = BUY if signed > 0 else SELL
    return trading.OrderFilled(
        trade_id=trade_id, symbol=symbol, side=side, quantity=abs(signed), price=Decimal(price), **more
    )


def decimals(*values: int | str) -> tuple[Decimal, ...]:
    return tuple(Decimal(value) for value in values)


def figures(position: Position) -> tuple[Decimal | None, ...]:
    """Return quantity, then realized points and the open average, first in first out and by average cost."""
    return (
        position.quantity,
        position.realized_points,
        position.average_price,
        position.realized_points_average_cost,
        position.average_cost,
    )


def kinds(position: Position) -> list[TradeAnomalyKind]:
    return [mark.kind for mark in position.anomalies]


def round_tripped(state: Any, kind: Any) -> Any:  # noqa: ANN401 - each view has a state of its own
    """Return a state as a snapshot would give it back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=kind)


def adjusted(quantity: int | str, reason: str, price: int | str | None = None, **more: Any) -> trading.PositionAdjusted:  # noqa: ANN401 - any member
    return trading.PositionAdjusted(
        symbol="ESZ5",
        quantity=Decimal(quantity),
        reason=trading.AdjustmentReason(reason),
        price=None if price is None else Decimal(price),
        **more,
    )


def folded(records: Iterable[Record], state: ExecutionsState | None = None) -> ExecutionsState:
    """Return the state of the executions view after these records, from its initial state or from a given one."""
    view = ExecutionsView()
    state = view.initial() if state is None else state
    with decimal.localcontext(FIXED):
        for record in records:
            view.apply(state, record.event, record)
    return state


class Folding(RecordLog):
    """A log folded by the views of executions, contracts and lockouts: the BookReader that their queries ask.

    Each record is a page of its own. `views` are those that fold it.
    """

    def __init__(self, views: Sequence[View[Any]] = VIEWS) -> None:
        super().__init__()
        self.views = views
        self.states: dict[tuple[str, str], Any] = {}
        self.positions = Positions(self)
        self.trades = Trades(self)
        self.contracts = Contracts(self)
        self.lockouts = Lockouts(self)

    def add(self, stream: str, *events: Event, **times: int) -> None:
        """Append events to a stream and fold them."""
        for event in events:
            self.deliver(self.record(stream, event, **times))

    def fills(self, *events: Event, account: str = "A") -> Position:
        """Append fills to one order's stream, fold them, and return the position of the last one's symbol and side."""
        self.add(f"order/{account}/O-1", *events)
        last: Any = events[-1]
        return self.positions.get(account, last.symbol, last.position_side)

    @override
    def deliver(self, record: Record) -> None:
        event = record.event
        with decimal.localcontext(FIXED):
            for view in self.views:
                if view.types is not None and type(event) not in view.types:
                    continue
                partitions = [view.partition(record)]
                if isinstance(event, view.broadcast):
                    concerned = view.concerns
                    others = [name for name in self.partitions(view.name) if name != SHARED]
                    partitions = [SHARED, *(name for name in others if concerned(self.state(view.name, name), event))]
                shared = self.state(view.name, SHARED) or view.initial()
                for name in partitions:
                    state = self.states.setdefault((view.name, name), shared if name == SHARED else view.initial())
                    view.apply_beside(shared, state, event, record)
                    view.finish(state)

    def state(self, view: str, partition: str) -> Any:  # noqa: ANN401 - as the BookReader has it
        return self.states.get((view, partition))

    def partitions(self, view: str) -> Sequence[str]:
        return tuple(partition for name, partition in self.states if name == view)

    def observe(self, stream: str, event: Event, *, occurred_at: int | None = None) -> Record:
        """Fold an event of which nothing stays in the log."""
        record = self.record(stream, event, occurred_at=occurred_at)
        self.deliver(record)
        self.records.remove(record)
        return record
