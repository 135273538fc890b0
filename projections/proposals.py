"""An order that is about to be sent, and all that checks ask about it, each looked up once."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import StoreError, UnknownContract
from eventstore.clock import NANOSECONDS
from eventstore.trading import OrderSubmitted, OrderType, PositionSide, Side
from projections.standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from projections.book import Book
    from projections.views.contracts import Contract

ZERO = Decimal(0)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is about to be sent. `caused_by` is the id of the EnforcementRequested that wants it."""

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
        )


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel that is about to be sent."""

    account: str
    order_id: str
    symbol: str | None = None
    caused_by: bytes | uuid.UUID | None = None


class MissingInput(StoreError):
    """A check cannot be made: what it needs is missing, stale, or no number."""


class Situation:
    """An order and what checks ask about it. `quantity` is signed: below zero sells."""

    def __init__(self, book: Book, order: Proposal, at: int) -> None:
        self.book, self.account, self.at = book, order.account, at
        self.standing = standing_of(book, order.account, at)
        self.contract: Contract | None = book.contracts.find(order.symbol)
        self.symbol = order.symbol if self.contract is None else self.contract.symbol
        self.quantity = order.quantity if order.side is Side.BUY else -order.quantity
        self.side, self.position_side, self.limit_price = order.side, order.position_side, order.limit_price
        self._prices: dict[str, Decimal] = {}
        self._unrealized: dict[str | None, Decimal] | None = None

    @property
    def is_reduction(self) -> bool:
        """Whether the order, with those that work already on its side, can do no more than close what is held."""
        held = self.standing.held(self.symbol, self.position_side)
        if not held or (held > ZERO) is (self.quantity > ZERO):
            return False
        closing = self.standing.closing.get((self.symbol, self.position_side, self.side), ZERO)
        return abs(self.quantity) + closing <= abs(held)

    def exposure(self, symbol: str) -> Decimal:
        """Return how large a position may become: what is held with all buys, or all sells, that work, and this one."""
        held, buys, sells = self.standing.sums
        long = short = held.get(symbol, ZERO)
        long += buys.get(symbol, ZERO)
        short -= sells.get(symbol, ZERO)
        if symbol == self.symbol:
            if self.quantity > ZERO:
                long += self.quantity
            else:
                short += self.quantity
        return max(abs(long), abs(short))

    def symbols(self) -> Iterable[str]:
        """Return what is held, what is being bought or sold, and what the order is in."""
        held, buys, sells = self.standing.sums
        return {**held, **buys, **sells, self.symbol: ZERO}

    def unrealized(self) -> dict[str | None, Decimal]:
        """Return what is open would make, by currency; raises MissingInput for a position without a fresh quote."""
        if self._unrealized is None:
            sums: dict[str | None, Decimal] = {}
            for position in self.standing.positions:
                amount = position.unrealized(self.quoted(position.symbol))
                currency = position.currency or self.standing.currency
                sums[currency] = sums.get(currency, ZERO) + amount
            self._unrealized = sums
        return self._unrealized

    def equity(self) -> Decimal:
        """Return the balance with what is open at fresh quotes, in the account's own currency."""
        return self.standing.balance + self.unrealized().get(self.standing.currency, ZERO)

    def price(self) -> Decimal:
        """Return what one unit costs: the order's own limit, else a fresh quote; raises MissingInput."""
        return self.quoted(self.symbol) if self.limit_price is None else self.limit_price

    def quoted(self, symbol: str) -> Decimal:
        """Return a symbol's price; raise MissingInput where none is told, or where it is stale."""
        known = self._prices.get(symbol)
        if known is not None:
            return known
        price, age = self.book.quotes.priced(symbol, self.at)
        if price is None:
            raise MissingInput(unquoted(symbol, None))
        if abs(age) > self.book.quotes.stale_after_ns:
            raise MissingInput(unquoted(symbol, age))
        self._prices[symbol] = price
        return price

    def multiplier(self) -> Decimal:
        if self.contract is None or self.contract.multiplier is None:
            raise UnknownContract(self.symbol)
        return self.contract.multiplier

    def of_symbol(self, table: dict[str, Decimal], default: Decimal | None) -> Decimal | None:
        """Return what a table says of the order's symbol or root, else the default."""
        if not table:
            return default
        for name in self.standing.names(self.symbol):
            if name in table:
                return table[name]
        return default


def unquoted(symbol: str, age: int | None) -> str:
    """Return the sentence about a quote that is missing, or as old as this (ns)."""
    return f"{symbol} has no quote" if age is None else f"the quote of {symbol} is stale, {age / NANOSECONDS:.1f} s old"
