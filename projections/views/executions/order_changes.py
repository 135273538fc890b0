"""What the executions view says of an order's trades that the order's own stream does not say."""

from decimal import Decimal

import msgspec


class OrderChange(msgspec.Struct, frozen=True, gc=False):
    """From one record on, a trade of an order has these figures: unsigned, and quantity 0 for one that does not count.

    A trade does not count for an order because it is busted, or because it was first reported for another order. Only
    what is recorded in another stream, or follows from it, is said here.
    """

    log_position: int
    trade_id: str
    quantity: Decimal
    price: Decimal
