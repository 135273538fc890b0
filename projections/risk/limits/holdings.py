"""What an account holds, what its working orders may still do, and the most that both can come to."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import PositionSide, Side
from projections.decimals import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.book import Book
    from projections.views.executions.positions import Position

QUANTITY_MAX = Decimal("1e100")
"""What stands for a quantity that nobody told; no event holds as much."""
_BUY, _LONG, _SHORT = Side.BUY, PositionSide.LONG, PositionSide.SHORT


class Held(NamedTuple):
    """An open position, under its contract's own symbol where that is known."""

    symbol: str
    side: PositionSide
    quantity: Decimal
    position: Position


class Working(NamedTuple):
    """What a working order may still execute; None is what nobody told."""

    order_id: str
    symbol: str | None
    position_side: PositionSide
    side: Side | None
    leaves: Decimal | None
    reduce_only: bool


class Leg(NamedTuple):
    """What is held of one symbol and side, and what working orders would buy and sell of it."""

    held: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO

    def most(self, side: PositionSide) -> Decimal:
        """Return the most it could come to; a side that the venue keeps by itself is not turned around."""
        if side is _LONG:
            return abs(self.held) + self.buys
        if side is _SHORT:
            return abs(self.held) + self.sells
        return max(self.held + self.buys, self.sells - self.held)


FLAT = Leg()


class Sums(NamedTuple):
    """Quantities by symbol and side; and the most that each symbol could come to, its sides together."""

    legs: dict[tuple[str, PositionSide], Leg]
    most: dict[str, Decimal]


def held_by(book: Book, account: str) -> tuple[Held, ...]:
    """Return the open positions."""
    return tuple(
        Held(_own_name(book, each.symbol), each.side, each.quantity, each)
        for each in book.positions.of(account)
        if each.quantity
    )


def working_for(book: Book, account: str) -> tuple[Working, ...]:
    """Return the orders of which more may still be executed."""
    return tuple(
        Working(
            order.order_id,
            None if order.symbol is None else _own_name(book, order.symbol),
            order.position_side,
            order.side,
            order.leaves,
            order.reduce_only,
        )
        for order in book.orders.open(account)
        if order.leaves is None or order.leaves
    )


def _own_name(book: Book, symbol: str) -> str:
    """Return the contract's symbol: an order, or a fill, may have what a broker calls it."""
    contract = book.contracts.find(symbol)
    return symbol if contract is None else contract.symbol


def summed(positions: Iterable[Held], orders: Iterable[Working]) -> Sums:
    """Return what all that is held and working comes to; orders of unknown effect are left out."""
    legs: dict[tuple[str, PositionSide], Leg] = {}
    for held in positions:
        leg = legs.get((held.symbol, held.side), FLAT)
        legs[held.symbol, held.side] = Leg(leg.held + held.quantity, leg.buys, leg.sells)
    for order in orders:
        # What only reduces makes no more of anything.
        if order.symbol is None or order.side is None or order.leaves is None or order.reduce_only:
            continue
        key = order.symbol, order.position_side
        legs[key] = with_order(legs.get(key, FLAT), order.side, order.leaves)
    most: dict[str, Decimal] = {}
    for (symbol, side), leg in legs.items():
        most[symbol] = most.get(symbol, ZERO) + leg.most(side)
    return Sums(legs, most)


def closing_of(orders: Iterable[Working]) -> dict[tuple[str, PositionSide, Side], Decimal]:
    """Return what working orders may still execute, by symbol, the side of the position and their own.

    One whose side nobody told may be on either, one of unknown quantity may close everything.
    """
    sums: dict[tuple[str, PositionSide, Side], Decimal] = {}
    for order in orders:
        if order.symbol is None:
            continue
        leaves = QUANTITY_MAX if order.leaves is None else order.leaves
        for side in Side if order.side is None else (order.side,):
            key = (order.symbol, order.position_side, side)
            sums[key] = sums.get(key, ZERO) + leaves
    return sums


def with_order(leg: Leg, side: Side, quantity: Decimal) -> Leg:
    """Return a leg with one more working order."""
    held, buys, sells = leg
    return Leg(held, buys + quantity, sells) if side is _BUY else Leg(held, buys, sells + quantity)
