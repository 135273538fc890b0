"""An order about to be sent, and the figures that checks need about it, each looked up once."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar, overload

import msgspec

from eventstore import StoreError, UnknownContract
from eventstore.trading import OrderReplaceRequested, OrderSubmitted, OrderType, PositionSide, Side
from projections.decimals import ZERO
from projections.risk.account_figures import figures_of
from projections.risk.holdings import FLAT, NO_LEG, QUANTITY_MAX, UNGROUPED, OpenOrder
from projections.risk.working import filled_of, is_opposite
from projections.valuation import Status
from projections.views.executions.payoffs import exposure_value
from projections.views.orders.order import ENDED, Order
from projections.views.valuing import currency_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from projections.book import Book
    from projections.risk.holdings import SideExposure
    from projections.views.contracts.view import Contract
    from projections.views.valuing import Total

_MARKET = OrderType.MARKET

D = TypeVar("D", Decimal, Decimal | None)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be sent. `caused_by` is the id of the EnforcementRequested that it carries out.

    `reduce_only`: the venue lets it close an open position and nothing else. Orders of one `link_group` end each other:
    an order of the group that closes the position takes the place of those that rest. `parent_order_id` is the order
    whose fills it is for. `replaced` is the working order that it replaces; its quantity is then the total (FIX 38).
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

    @overload
    @classmethod
    def of(
        cls,
        account: str,
        order: OrderSubmitted,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
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
    ) -> Replace: ...

    @classmethod
    def of(
        cls,
        account: str,
        order: OrderSubmitted | OrderReplaceRequested,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
    ) -> Self | Replace:
        """Return the proposal of an order to submit, or of a working order's replacement, which needs its id."""
        if isinstance(order, OrderReplaceRequested):
            return Replace(
                account=account,
                order_id=order_id,
                quantity=order.quantity,
                limit_price=order.limit_price,
                stop_price=order.stop_price,
                caused_by=caused_by,
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
        )

    def validation_error(self) -> str | None:
        """Return why checks cannot use it (a quantity that is not a number, a side that is not a Side), else None."""
        # msgspec does not validate what is passed to a constructor, and checks compare sides by identity.
        given: tuple[tuple[str, object, type], ...] = (
            ("side", self.side, Side),
            ("position side", self.position_side, PositionSide),
            ("symbol", self.symbol or None, str),
        )
        for name, value, expected in given:
            if not isinstance(value, expected):
                return f"its {name} is {value!r}, expected a {expected.__name__}"
        quantity = self.quantity
        if not is_finite_decimal(quantity) or not ZERO < quantity < QUANTITY_MAX:
            return f"its quantity is {quantity}, expected a finite Decimal above 0"
        for name, price in (("limit price", self.limit_price), ("stop price", self.stop_price)):
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
    """A replacement of a working order about to be requested; `quantity` is the new total, None leaves it as it is."""

    account: str
    order_id: str | None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    caused_by: bytes | uuid.UUID | None = None

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
        )


class MissingInput(StoreError):
    """A check is impossible: an input of it is missing, stale or not a number."""


def known(total: Total) -> Decimal:
    """Return an amount; raise MissingInput, with the reason, while it is not KNOWN."""
    if total.standing.status is not Status.KNOWN:
        raise MissingInput(total.standing.why)
    return total.amount


class CheckContext:
    """The inputs of one order's checks. Use it within the decimal context projections.decimals.FIXED."""

    def __init__(self, book: Book, order: Proposal, at: int) -> None:
        self.book, self.account, self.at, self.order = book, order.account, at, order
        self.figures = figures_of(book, order.account, at)
        self.cache = self.figures.cache
        self.contract: Contract | None = book.contracts.find(order.symbol)
        self.symbol = order.symbol if self.contract is None else self.contract.symbol
        self.side, self.position_side, self.quantity = order.side, order.position_side, order.quantity
        self._group = order.link_group or UNGROUPED
        self._exposure: Decimal | None = None

    @property
    def currency(self) -> str | None:
        """The account's own currency."""
        return self.figures.own

    @property
    def is_reduction(self) -> bool:
        """Whether the order can only close what is held, whatever else works against it outside its link group."""
        most = self.reducible
        return most > ZERO and self.leaves <= most

    @property
    def reducible(self) -> Decimal:
        """The most that the order may close: what is held less what already works against it outside its link group.

        Zero if the order would add to what is held. A reduce-only order counts like any other: one that is not may
        open a position after a fill of it.
        """
        held = self.closable
        return max(held - self.others_against, ZERO) if held else ZERO

    @property
    def closable(self) -> Decimal:
        """What is held against the order's side, as far as reports that contradict it leave it certain."""
        return self.side_exposure.reducible(self.side)

    @property
    def side_exposure(self) -> SideExposure:
        """What is held of the symbol and side, bounded by the reports that contradict it."""
        return self.cache.confirmed_exposure.sides.get((self.symbol, self.position_side), FLAT)

    @property
    def others_against(self) -> Decimal:
        """The quantity that working orders on the order's side may execute, apart from those whose place it takes."""
        cache, own = self.cache, self._own
        total = cache.closing_quantities.get((self.symbol, self.position_side, self.side), ZERO)
        if not total:
            return ZERO
        if self._group == UNGROUPED:
            return total if own is None or own.leaves is None else total - own.leaves
        leg = cache.closing_legs.get((self.symbol, self.position_side, self.side, self._group), NO_LEG)
        at_once = leg.at_once
        if own is not None and own.at_once and own.leaves is not None:
            at_once -= own.leaves
        return total - leg.size + at_once

    @property
    def _own(self) -> OpenOrder | None:
        """The working order that the proposal replaces, as it counts now; None if it submits one."""
        replaced = self.order.replaced
        if replaced is None:
            return None
        return next((each for each in self.cache.working_orders if each.order_id == replaced.order_id), None)

    @property
    def leaves(self) -> Decimal:
        """What the order may execute: of a replaced one, the most that is left of either of its totals."""
        replaced = self.order.replaced
        if replaced is None:
            return self.quantity
        left, own = max(self.quantity - replaced.cumulative, ZERO), self._own
        return left if own is None or own.leaves is None else max(left, own.leaves)

    def _added(self) -> Decimal:
        """Return what the order adds to what working orders may execute on its side.

        Of a link group only the largest order counts; a bracket's child as far as its parent has filled.
        """
        order, leaves = self.order, self.leaves
        if order.reduce_only:
            return ZERO
        if order.parent_order_id is not None:
            parent = self.book.orders.resident(self.account, order.parent_order_id)
            if is_opposite(parent, order.symbol, order.side):
                done = ZERO if order.replaced is None else order.replaced.cumulative
                leaves = max(min(leaves, filled_of(parent) - done), ZERO)
        own = self._own
        more = leaves if own is None or own.leaves is None else max(leaves - own.leaves, ZERO)
        if self._group == UNGROUPED:
            return more
        leg = self.cache.exposure.legs.get((self.symbol, self.position_side, self.side, self._group), NO_LEG)
        at_once = order.order_type is _MARKET
        return leg.plus(more if at_once else leaves, at_once=at_once).size - leg.size

    def exposure(self) -> Decimal:
        """Return the worst-case position in the order's symbol, with this order and the working ones filled.

        All buys and no sell, or all sells and no buy, whichever is more; where the venue keeps long and short
        positions separate, both together. Raises MissingInput for a working order of unknown quantity.
        """
        if self._exposure is None:
            total, key = self.cache.exposure, (self.symbol, self.position_side)
            self._require_complete_orders(self.symbol)
            before = total.sides.get(key, FLAT)
            after = before.with_order(self.side, self._added())
            worst_case = total.worst_case.get(self.symbol, ZERO)
            # Only this side of the position changes, so only its part of the symbol's worst case is replaced.
            self._exposure = worst_case - before.worst_case(self.position_side) + after.worst_case(self.position_side)
        return self._exposure

    def other_exposures(self) -> Iterable[tuple[str, Decimal]]:
        """Return the worst-case position in every other symbol."""
        self._require_complete_orders(None)
        return [each for each in self.cache.exposure.worst_case.items() if each[0] != self.symbol]

    def _require_complete_orders(self, symbol: str | None) -> None:
        for order in self.cache.incomplete_orders:
            if symbol is None or order.symbol in {None, symbol}:
                msg = f"working order {order.order_id} lacks symbol, side or quantity: report them, or cancel it"
                raise MissingInput(msg)

    def equity(self) -> Decimal:
        """Return the equity in the account's own currency; raise MissingInput while it is not KNOWN."""
        return known(self.figures.equity)

    def balance(self) -> Decimal:
        """Return the balance in the account's own currency; raise MissingInput while it is not KNOWN."""
        return known(self.figures.balance)

    def exposure_value(self) -> Decimal:
        """Return the value of the exposure in the order's symbol at a known price, in the account's own currency."""
        contract, own = self.contract, self.currency
        if contract is None or contract.multiplier is None:
            raise UnknownContract(self.symbol)
        exposure = self.exposure()
        price = self.book.quotes.price(
            self.symbol, self.at, self.cache.configuration.valuation, long=self.side is Side.BUY
        )
        if price.price is None or price.standing.status is not Status.KNOWN:
            raise MissingInput(price.standing.why)
        value = exposure_value(exposure, price.price, contract)
        return known(self.figures.total({currency_of(contract, own): value}, target=own))

    def value_for(self, symbol: str, table: dict[str, Decimal], default: D) -> Decimal | D:
        """Return a table's value for a symbol, any other name of it or its root, else the default."""
        if table:
            for name in self.cache.names(symbol):
                if name in table:
                    return table[name]
        return default


def is_finite_decimal(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()
