"""What the rotated logs of the tests have."""

from collections.abc import Callable
from decimal import Decimal

from eventstore import (
    EventStore,
)
from eventstore.trading import (
    CashKind,
    CashMoved,
    OrderFilled,
    OrderSubmitted,
    Side,
)

SUBMITTED = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(3))
CASH = CashMoved(amount=Decimal(5), currency="USD", kind=CashKind.DEPOSIT)
Opened = Callable[..., EventStore]


def filled(trade_id: str) -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))
