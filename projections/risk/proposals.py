"""An order about to be sent, and the figures that checks need about it, each looked up once."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, overload

import msgspec

from eventstore import InvalidEvent, StoreError
from eventstore.errors import shown
from eventstore.trading import OrderReplaceRequested, OrderSubmitted, OrderType, PositionSide, Side
from projections.decimals import ZERO
from projections.risk.holdings import QUANTITY_MAX
from projections.views.orders.order import ENDED, Order

if TYPE_CHECKING:
    from typing import Self

    from projections.book import Book


_ORDER_TYPES = tuple(OrderType)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be sent. `caused_by` is the id of the EnforcementRequested that it carries out.

    `reduce_only`: the venue lets it close an open position and nothing else. Orders of one `link_group` end each other:
    an order of the group that closes the position takes the place of those that rest. `parent_order_id` is the order
    whose fills it is for. `replaced` is the working order that it replaces; its quantity is then the total (FIX 38).
    `protective_stop` is the price of the stop that will be sent with it.
    """

    account: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    position_side: PositionSide = PositionSide.NET
    order_id: str | None = None
    caused_by: bytes | uuid.UUID | None = None
    reduce_only: bool = False
    link_group: str | None = None
    parent_order_id: str | None = None
    replaced: Order | None = None
    protective_stop: Decimal | None = None

    @overload
    @classmethod
    def of(
        cls,
        account: str,
        order: OrderSubmitted,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
        protective_stop: Decimal | None = None,
    ) -> Self: ...

    @overload
    @classmethod
    def of(
        cls,
        account: str,
        order: OrderReplaceRequested,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
        protective_stop: Decimal | None = None,
    ) -> Replace: ...

    @classmethod
    def of(
        cls,
        account: str,
        order: OrderSubmitted | OrderReplaceRequested,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
        protective_stop: Decimal | None = None,
    ) -> Self | Replace:
        """Return the proposal of an order to submit, or of a working order's replacement, which needs its id."""
        order = order_of(order)
        if isinstance(order, OrderReplaceRequested):
            return Replace(
                account=account,
                order_id=order_id,
                quantity=order.quantity,
                limit_price=order.limit_price,
                stop_price=order.stop_price,
                caused_by=caused_by,
                protective_stop=protective_stop,
            )
        return cls(
            account=account,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            position_side=order.position_side,
            order_id=order_id,
            caused_by=caused_by,
            reduce_only=order.reduce_only,
            link_group=order.link_group,
            parent_order_id=order.parent_order_id,
            protective_stop=protective_stop,
        )

    def validation_error(self) -> str | None:
        """Return why checks cannot use it (a quantity that is not a number, a side that is not a Side), else None."""
        # msgspec does not validate what is passed to a constructor, and checks compare members of enums by identity:
        # a flag that is text would count for less than what it says.
        given: tuple[tuple[str, object, type, bool], ...] = (
            ("side", self.side, Side, True),
            ("position side", self.position_side, PositionSide, True),
            ("symbol", self.symbol or None, str, True),
            ("reduce_only", self.reduce_only, bool, True),
            ("link group", self.link_group, str, False),
            ("parent order", self.parent_order_id, str, False),
            ("replaced order", self.replaced, Order, False),
        )
        for name, value, expected, is_required in given:
            if not isinstance(value, expected) and (is_required or value is not None):
                return f"its {name} is {shown(value)}, expected {_article(expected)} {expected.__name__}"
        # Its text is as good, which events have it as.
        if self.order_type is not None and self.order_type not in _ORDER_TYPES:
            return f"its order type is {shown(self.order_type)}, expected an OrderType"
        quantity = self.quantity
        if not is_finite_decimal(quantity) or not ZERO < quantity < QUANTITY_MAX:
            return f"its quantity is {quantity}, expected a finite Decimal above 0"
        prices = (("limit price", self.limit_price), ("stop price", self.stop_price), ("stop", self.protective_stop))
        for name, price in prices:
            if price is not None and not is_finite_decimal(price):
                return f"its {name} is {price}, expected a finite Decimal"
        return None


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel about to be sent."""

    account: str
    order_id: str
    symbol: str | None = None
    caused_by: bytes | uuid.UUID | None = None


class Replace(msgspec.Struct, frozen=True, kw_only=True):
    """A replacement of a working order about to be requested; `quantity` is the new total, None leaves it as it is.

    `protective_stop` is the price of the stop that the order has then.
    """

    account: str
    order_id: str | None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    caused_by: bytes | uuid.UUID | None = None
    protective_stop: Decimal | None = None

    def proposal(self, book: Book) -> Proposal:
        """Return what is checked: the order with the larger of its totals; raise MissingInput if it cannot be known."""
        order = None if self.order_id is None else book.orders.get(self.account, self.order_id)
        if order is None:
            msg = f"order {self.order_id} is not known: give the id of a working order, or append its OrderReported"
            raise MissingInput(msg)
        if order.base in ENDED:
            msg = f"order {order.order_id} is {order.status} and cannot be replaced: send a new order"
            raise MissingInput(msg)
        totals = [each for each in (self.quantity, order.quantity) if each is not None]
        if order.symbol is None or order.side is None or not totals:
            msg = f"order {order.order_id} lacks symbol, side or quantity: append an OrderReported that states them"
            raise MissingInput(msg)
        # One that is not a quantity must be found as such, not compared.
        is_quantity = self.quantity is None or (is_finite_decimal(self.quantity) and self.quantity > ZERO)
        quantity = max(totals) if is_quantity else self.quantity
        assert quantity is not None
        return Proposal(
            account=self.account,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            order_type=order.order_type,
            limit_price=order.limit_price if self.limit_price is None else self.limit_price,
            stop_price=order.stop_price if self.stop_price is None else self.stop_price,
            position_side=order.position_side,
            order_id=order.order_id,
            caused_by=self.caused_by,
            reduce_only=order.reduce_only,
            link_group=order.link_group,
            parent_order_id=order.parent_order_id,
            replaced=order,
            protective_stop=self.protective_stop,
        )


class MissingInput(StoreError):
    """A check is impossible: an input of it is missing, stale or not a number."""


def order_of(event: object) -> OrderSubmitted | OrderReplaceRequested:
    """Return an event that can be checked before it is sent; raise InvalidEvent for any other."""
    if not isinstance(event, OrderSubmitted | OrderReplaceRequested):
        msg = f"expected an OrderSubmitted or an OrderReplaceRequested, not {shown(event)}: append other events"
        raise InvalidEvent(msg)
    return event


def _article(cls: type) -> str:
    return "an" if cls.__name__[0] in "AEIO" else "a"


def is_finite_decimal(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()
