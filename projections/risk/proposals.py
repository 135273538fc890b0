"""An order about to be sent, and the figures that checks need about it, each looked up once."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import msgspec

from eventstore import StoreError, UnknownContract
from eventstore.trading import OrderSubmitted, OrderType, PositionSide, Side
from projections.decimals import ZERO
from projections.risk.account_figures import figures_of
from projections.risk.holdings import FLAT, QUANTITY_MAX, with_order
from projections.valuation import Status
from projections.views.executions.payoffs import exposure_value
from projections.views.valuing import currency_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from projections.book import Book
    from projections.views.contracts.view import Contract
    from projections.views.valuing import Total

D = TypeVar("D", Decimal, Decimal | None)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be sent. `caused_by` is the id of the EnforcementRequested that it carries out.

    `reduce_only`: the venue lets it close an open position and nothing else.
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

    @classmethod
    def of(
        cls,
        account: str,
        order: OrderSubmitted,
        *,
        order_id: str | None = None,
        caused_by: bytes | uuid.UUID | None = None,
    ) -> Self:
        """Return the proposal of an order to submit."""
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
        self.book, self.account, self.at = book, order.account, at
        self.figures = figures_of(book, order.account, at)
        self.cache = self.figures.cache
        self.contract: Contract | None = book.contracts.find(order.symbol)
        self.symbol = order.symbol if self.contract is None else self.contract.symbol
        self.side, self.position_side, self.quantity = order.side, order.position_side, order.quantity
        self.reduce_only = order.reduce_only
        self._exposure: Decimal | None = None

    @property
    def currency(self) -> str | None:
        """The account's own currency."""
        return self.figures.own

    @property
    def is_reduction(self) -> bool:
        """Whether the order, together with working orders on its side, can only close what is held.

        For a reduce-only order the venue guarantees that, whatever else is working: its own quantity must fit.
        """
        held = self.cache.exposure.sides.get((self.symbol, self.position_side), FLAT).held
        if not held or (held > ZERO) is (self.side is Side.BUY) or self.quantity > abs(held):
            return False
        # A fill of those could flatten the position first, and this order would then open one.
        closing = self.cache.closing_quantities.get((self.symbol, self.position_side, self.side), ZERO)
        return self.reduce_only or self.quantity + closing <= abs(held)

    def exposure(self) -> Decimal:
        """Return the worst-case position in the order's symbol, with this order and the working ones filled.

        All buys and no sell, or all sells and no buy, whichever is more; where the venue keeps long and short
        positions separate, both together. Raises MissingInput for a working order of unknown quantity.
        """
        if self._exposure is None:
            total, key = self.cache.exposure, (self.symbol, self.position_side)
            self._require_complete_orders(self.symbol)
            before = total.sides.get(key, FLAT)
            after = with_order(before, self.side, self.quantity)
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
                msg = f"working order {order.order_id} lacks symbol, side or quantity"
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
        """Return a table's value for a symbol, any other name of it or its root, else the default.

        Raises UnknownContract where the table may have one for a root that no definition states.
        """
        if table:
            for name in self.cache.names(symbol):
                if name in table:
                    return table[name]
            if self.cache.named_in(symbol, table):
                raise UnknownContract(symbol)
        return default


def is_finite_decimal(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()
