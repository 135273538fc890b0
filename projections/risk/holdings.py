"""Open positions, what working orders may still execute, and the worst-case exposure of both together."""

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
"""Stands for an unknown quantity, in sums that decide whether an order only reduces; no event has as large a one."""
_BUY, _LONG, _SHORT = Side.BUY, PositionSide.LONG, PositionSide.SHORT


class OpenPosition(NamedTuple):
    """An open position, under its contract's symbol where the contract is known."""

    symbol: str
    side: PositionSide
    quantity: Decimal
    position: Position


class OpenOrder(NamedTuple):
    """What a working order may still execute; None for what no report has stated."""

    order_id: str
    symbol: str | None
    position_side: PositionSide
    side: Side | None
    leaves: Decimal | None
    reduce_only: bool


class SideExposure(NamedTuple):
    """The quantity held of one symbol and position side, and what working orders would buy and sell of it."""

    held: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO

    def worst_case(self, side: PositionSide) -> Decimal:
        """Return the largest quantity possible; a side that the venue keeps separate cannot turn into the other."""
        if side is _LONG:
            return abs(self.held) + self.buys
        if side is _SHORT:
            return abs(self.held) + self.sells
        return max(self.held + self.buys, self.sells - self.held)


FLAT = SideExposure()


class AccountExposure(NamedTuple):
    """Quantities by symbol and side, and the worst case of each symbol, its sides together."""

    sides: dict[tuple[str, PositionSide], SideExposure]
    worst_case: dict[str, Decimal]


def open_positions_of(book: Book, account: str) -> tuple[OpenPosition, ...]:
    """Return the open positions."""
    return tuple(
        OpenPosition(_contract_symbol(book, each.symbol), each.side, each.quantity, each)
        for each in book.positions.of(account)
        if each.quantity
    )


def working_orders_of(book: Book, account: str) -> tuple[OpenOrder, ...]:
    """Return the orders that may still be executed."""
    return tuple(
        OpenOrder(
            order.order_id,
            None if order.symbol is None else _contract_symbol(book, order.symbol),
            order.position_side,
            order.side,
            order.leaves,
            order.reduce_only,
        )
        for order in book.orders.open(account)
        if order.leaves is None or order.leaves
    )


def _contract_symbol(book: Book, symbol: str) -> str:
    """Return the contract's symbol: an order or a fill may carry a broker's name of it."""
    contract = book.contracts.find(symbol)
    return symbol if contract is None else contract.symbol


def exposure_of(positions: Iterable[OpenPosition], orders: Iterable[OpenOrder]) -> AccountExposure:
    """Return the exposure of positions and working orders; orders of unknown effect are left out.

    Checks that use it reject while there is such an order (`CheckContext`).
    """
    sides: dict[tuple[str, PositionSide], SideExposure] = {}
    for held in positions:
        known = sides.get((held.symbol, held.side), FLAT)
        sides[held.symbol, held.side] = SideExposure(known.held + held.quantity, known.buys, known.sells)
    for order in orders:
        # A reduce-only order cannot enlarge a position.
        if order.symbol is None or order.side is None or order.leaves is None or order.reduce_only:
            continue
        key = order.symbol, order.position_side
        sides[key] = with_order(sides.get(key, FLAT), order.side, order.leaves)
    worst_case: dict[str, Decimal] = {}
    # Long and short positions that the venue keeps separate do not offset each other.
    for (symbol, side), known in sides.items():
        worst_case[symbol] = worst_case.get(symbol, ZERO) + known.worst_case(side)
    return AccountExposure(sides, worst_case)


def closing_quantities_of(orders: Iterable[OpenOrder]) -> dict[tuple[str, PositionSide, Side], Decimal]:
    """Return the quantity that working orders may still execute, by symbol, position side and order side.

    An order of unknown side counts on both, one of unknown quantity may close everything.
    """
    sums: dict[tuple[str, PositionSide, Side], Decimal] = {}
    for order in orders:
        if order.symbol is None:
            continue
        # What is unknown counts as closing everything: an order that only might reduce must not pass as a reduction.
        leaves = QUANTITY_MAX if order.leaves is None else order.leaves
        for side in Side if order.side is None else (order.side,):
            key = (order.symbol, order.position_side, side)
            sums[key] = sums.get(key, ZERO) + leaves
    return sums


def with_order(exposure: SideExposure, side: Side, quantity: Decimal) -> SideExposure:
    """Return an exposure with one more working order."""
    held, buys, sells = exposure
    return SideExposure(held, buys + quantity, sells) if side is _BUY else SideExposure(held, buys, sells + quantity)
