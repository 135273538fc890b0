"""An order that is about to be sent, and all that checks ask about it, each looked up once."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import msgspec

from eventstore import StoreError, UnknownContract
from eventstore.clock import NANOSECONDS
from eventstore.trading import OrderSubmitted, OrderType, PositionSide, Side
from projections.decimals import ZERO
from projections.risk.limits.holdings import FLAT, QUANTITY_MAX, with_order
from projections.risk.standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from projections.book import Book
    from projections.views.contracts.view import Contract

D = TypeVar("D", Decimal, Decimal | None)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is about to be sent. `caused_by` is the id of the EnforcementRequested that wants it.

    `reduce_only`: the venue lets it close what is held, and nothing else.
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
        """Return the proposal of what would be submitted."""
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

    def wrong(self) -> str | None:
        """Return what of it no check can work with: a number that is none, a side that is no Side."""
        # A Struct takes whatever it is made with, and the text "BUY" is not what the checks compare with.
        given: tuple[tuple[str, object, type], ...] = (
            ("side", self.side, Side),
            ("position side", self.position_side, PositionSide),
            ("symbol", self.symbol or None, str),
        )
        for name, value, wanted in given:
            if not isinstance(value, wanted):
                return f"its {name} is {value!r}, and a {wanted.__name__} is wanted"
        quantity = self.quantity
        if not is_number(quantity) or not ZERO < quantity < QUANTITY_MAX:
            return f"its quantity is {quantity}, and a finite Decimal above 0 is wanted"
        for name, price in (("limit price", self.limit_price), ("stop price", self.stop_price)):
            if price is not None and not is_number(price):
                return f"its {name} is {price}, and a finite Decimal is wanted"
        return None


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel that is about to be sent."""

    account: str
    order_id: str
    symbol: str | None = None
    caused_by: bytes | uuid.UUID | None = None


class MissingInput(StoreError):
    """A check cannot be made: what it needs is missing, stale, or no number."""


class Situation:
    """What the checks of one order ask; figures are in the context of projections.decimals.FIXED."""

    def __init__(self, book: Book, order: Proposal, at: int) -> None:
        self.book, self.account, self.at = book, order.account, at
        self.standing = standing_of(book, order.account, at)
        self.contract: Contract | None = book.contracts.find(order.symbol)
        self.symbol = order.symbol if self.contract is None else self.contract.symbol
        self.side, self.position_side, self.quantity = order.side, order.position_side, order.quantity
        self.reduce_only = order.reduce_only
        self._prices: dict[str, Decimal] = {}
        self._unrealized: dict[str | None, Decimal] | None = None
        self._exposure: Decimal | None = None
        self._named: tuple[str | None] | None = None

    @property
    def currency(self) -> str | None:
        """The account's own."""
        if self._named is None:
            self._named = (self.standing.currency,)
        return self._named[0]

    @property
    def is_reduction(self) -> bool:
        """Whether the order, with those that work already on its side, can do no more than close what is held.

        The venue lets a reduce-only one do no more, whatever else works; by itself, it is to fit what is held.
        """
        leg = self.standing.sums.legs.get((self.symbol, self.position_side), FLAT)
        if not leg.held or (leg.held > ZERO) is (self.side is Side.BUY) or self.quantity > abs(leg.held):
            return False
        closing = self.standing.closing.get((self.symbol, self.position_side, self.side), ZERO)
        return self.reduce_only or self.quantity + closing <= abs(leg.held)

    def exposure(self) -> Decimal:
        """Return the most that the order's symbol could come to, if this order and those that work were filled.

        All buys and no sell, or all sells and no buy, whichever is more; where the venue keeps long and short
        positions apart, both together. Raises MissingInput for a working order of unknown quantity.
        """
        if self._exposure is None:
            sums, key = self.standing.sums, (self.symbol, self.position_side)
            self._refuse_unknown(self.symbol)
            leg = sums.legs.get(key, FLAT)
            after = with_order(leg, self.side, self.quantity).most(self.position_side)
            self._exposure = sums.most.get(self.symbol, ZERO) - leg.most(self.position_side) + after
        return self._exposure

    def others(self) -> Iterable[tuple[str, Decimal]]:
        """Return the most that every other symbol could come to."""
        self._refuse_unknown(None)
        return [(symbol, most) for symbol, most in self.standing.sums.most.items() if symbol != self.symbol]

    def _refuse_unknown(self, symbol: str | None) -> None:
        for order in self.standing.unknown:
            if symbol is None or order.symbol in {None, symbol}:
                msg = f"nobody has told all of working order {order.order_id}: its symbol, side and quantity are wanted"
                raise MissingInput(msg)

    def unrealized(self) -> dict[str | None, Decimal]:
        """Return what is open would make, by currency; raises MissingInput for a position without a fresh quote."""
        if self._unrealized is None:
            standing, own = self.standing, self.currency
            sums: dict[str | None, Decimal] = {}
            prices = self._prices
            for held in standing.positions:
                price = prices[held.symbol] if held.symbol in prices else self.quoted(held.symbol)
                amount = standing.unrealized(held, price)
                currency = held.position.currency or own
                sums[currency] = sums.get(currency, ZERO) + amount
            self._unrealized = sums
        return self._unrealized

    def equity(self) -> Decimal:
        """Return the balance with what is open at fresh quotes, in the account's own currency."""
        return self.standing.balance() + self.unrealized().get(self.currency, ZERO)

    def quoted(self, symbol: str) -> Decimal:
        """Return a symbol's price; raise MissingInput where none is told, or where it is stale."""
        known = self._prices.get(symbol)
        if known is not None:
            return known
        quotes = self.book.quotes
        price, age = quotes.priced(symbol, self.at)
        if price is None:
            msg = f"{symbol} has no quote"
            raise MissingInput(msg)
        if abs(age) > quotes.stale_after_ns:
            ahead = ", its time lies ahead" if age < 0 else ""
            msg = f"the quote of {symbol} is stale, {age / NANOSECONDS:.1f} s old{ahead}"
            raise MissingInput(msg)
        self._prices[symbol] = price
        return price

    def value(self) -> Decimal:
        """Return what the exposure in the order's symbol is worth at a fresh quote, in the account's own currency."""
        contract, own = self.contract, self.currency
        if contract is None or contract.multiplier is None:
            raise UnknownContract(self.symbol)
        if contract.currency not in {None, own}:
            msg = f"{self.symbol} is worth {contract.currency}, and nothing tells how much that is in {own}"
            raise MissingInput(msg)
        return self.exposure() * abs(self.quoted(self.symbol)) * contract.multiplier

    def of_any(self, symbol: str, table: dict[str, Decimal], default: D) -> Decimal | D:
        """Return what a table says of a symbol or its root, else the default."""
        if table:
            for name in self.standing.names(symbol):
                if name in table:
                    return table[name]
        return default


def is_number(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()
