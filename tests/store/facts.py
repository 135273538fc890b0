"""A few short events to append."""

from decimal import Decimal

import eventstore
from eventstore import VOLATILE, Event, EventStore, Record, trading

ORDER = "order/ACC1/O-1"
OTHER = "order/ACC2/O-2"
POSITION = "position/ACC1/ESZ5"
CONTRACT = "contract/-/ESZ5"
AT = 1_753_113_600_000_000_000
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


@eventstore.event(durability=VOLATILE, name="tested.Ticked")
class Ticked(Event, frozen=True, kw_only=True):
    """A fact that may be lost."""

    number: int = 0


def rejected(reason: object = "") -> trading.OrderRejected:
    """An event of an order, distinguished by its reason."""
    return trading.OrderRejected(reason=str(reason))


def filled(quantity: object = "1", price: object = "4500.25") -> trading.OrderFilled:
    return trading.OrderFilled(
        trade_id="T-1",
        symbol="ESZ5",
        side=trading.Side.BUY,
        quantity=Decimal(str(quantity)),
        price=Decimal(str(price)),
    )


def contract(name: object = "") -> trading.ContractDefined:
    """An event that may wait for its sync, distinguished by its name."""
    return trading.ContractDefined(symbol="ESZ5", name=str(name))


def adjusted(note: object = "") -> trading.PositionAdjusted:
    """An event of a position, distinguished by its note."""
    reason = trading.AdjustmentReason.TRANSFER
    return trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason=reason, note=str(note))


def texts(store: EventStore) -> list[object]:
    """Return what tells the facts of a log from one another."""
    return [text_of(record) for record in store.read()]


def text_of(record: Record) -> object:
    match record.event:
        case (
            trading.OrderRejected(reason=text)
            | trading.ContractDefined(name=text)
            | trading.PositionAdjusted(note=text)
        ):
            return text
        case Ticked(number=number):
            return number
        case other:
            return type(other).__name__
