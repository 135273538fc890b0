"""The state of the orders view: one account's orders, and the fills that busts and corrections are looked up in."""

from decimal import Decimal
from typing import Annotated

import msgspec

from projections.on_demand import ON_DEMAND
from projections.views.orders.order import Order


class Fill(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one trade filled of an order (FIX 32, 31), as it counts now.

    A trade that is busted, or that counts for another order, keeps quantity zero: its id still counts once. `earlier`
    has the figures before busts and corrections, the last 100 of them.
    """

    quantity: Decimal
    price: Decimal
    has_fee: bool = False
    recorded: bool = True
    """False while only a bust or a correction of the trade is recorded."""
    earlier: tuple[tuple[Decimal, Decimal], ...] = ()


class OrdersState(msgspec.Struct, dict=True):
    """One account's orders by order id. Resident are the open, the unknown and the most recently closed orders.

    `fills` and `broker_ids` are dropped with their order when it is evicted; `anomaly_counts`, by OrderAnomalyKind,
    keep counting. `late` holds evicted orders that received another event, each with the log position of its latest
    record. The cache of evicted orders is an attribute outside the members: it lives and dies with its state and is
    never snapshotted.
    """

    open: dict[str, Order] = {}
    """Residents neither closed nor UNKNOWN, longest resident first."""
    unknown: dict[str, Order] = {}
    """Residents of status UNKNOWN, kept apart so that the oldest is found when there are too many."""
    doubtful: dict[str, Order] = {}
    """Orders outside `open` that may still change a position, by what was reported of them; evicted ones included."""
    closed: Annotated[dict[str, Order], ON_DEMAND] = {}
    """The most recently closed, first closed first."""
    fills: Annotated[dict[str, dict[str, Fill]], ON_DEMAND] = {}
    broker_ids: dict[str, str] = {}
    anomaly_counts: dict[str, int] = {}
    late: dict[str, int] = {}
    reopened_working: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """The log positions of the newest reopenings that found orders open, each with up to 100 of their ids."""
    log_position: int = 0
    """The last folded record's: a record at or before it is a repeated delivery."""
