"""Open positions, the orders that may still change them, and the worst-case exposure of both together."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import PositionSide, Side
from projections.decimals import ZERO
from projections.view import SHARED
from projections.views.contracts.view import ContractsView
from projections.views.executions.reported import NO_REPORT
from projections.views.executions.state import VIEW as EXECUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from projections.book import Book
    from projections.views.contracts.view import ContractsState
    from projections.views.executions.state import ExecutionsState, Holding

QUANTITY_MAX = Decimal("1e100")
"""Stands for an unknown quantity, in sums that decide whether an order only reduces; no event has as large a one."""
UNGROUPED = ""
"""Stands for the link group of an order without one."""
_BUY, _LONG, _SHORT, _NET = Side.BUY, PositionSide.LONG, PositionSide.SHORT, PositionSide.NET


class OpenPosition(NamedTuple):
    """A position by the fills, under its contract's symbol where the contract is known, and what it may be in truth.

    `lowest` and `highest` differ from `quantity` where the broker's report `reported` does; `contradicts_from` is the
    instant from which that report contradicts the fills.
    """

    symbol: str
    side: PositionSide
    quantity: Decimal
    lowest: Decimal
    highest: Decimal
    contradicts_from: int | None = None
    reported: Decimal | None = None


class OpenOrder(NamedTuple):
    """What an order may still change of a position; None for what no report has stated.

    `at_once`: it does not rest, so that no other order of its link group can take its place. From `ends_at` on it works
    no longer; from `contradicts_from` on the broker's report of it contradicts its own events.
    """

    order_id: str
    symbol: str | None
    position_side: PositionSide
    side: Side | None
    leaves: Decimal | None
    reduce_only: bool
    link_group: str = UNGROUPED
    at_once: bool = False
    ends_at: int | None = None
    contradicts_from: int | None = None


class Leg(NamedTuple):
    """One side of a link group's orders: the largest that rests, and the sum of those that execute at once."""

    resting: Decimal = ZERO
    at_once: Decimal = ZERO

    @property
    def size(self) -> Decimal:
        """The most that can be executed: of the resting orders one only, because a fill of it ends the others."""
        return max(self.resting, self.at_once)

    def plus(self, quantity: Decimal, *, at_once: bool) -> Leg:
        """Return the leg with one more order."""
        return Leg(self.resting, self.at_once + quantity) if at_once else Leg(max(self.resting, quantity), self.at_once)


LegKey = tuple[str, PositionSide, Side, str]
"""Symbol, position side, order side and link group."""
NO_LEG = Leg()


class SideExposure(NamedTuple):
    """The quantity held of one symbol and position side, and what orders may still buy and sell of it.

    Where the broker's report differs from the fills, `lowest` and `highest` bound what may be held.
    """

    held: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    lowest: Decimal = ZERO
    highest: Decimal = ZERO

    def worst_case(self, side: PositionSide) -> Decimal:
        """Return the largest quantity possible; a side that the venue keeps separate cannot turn into the other."""
        if side is _NET:
            return max(self.highest + self.buys, self.sells - self.lowest)
        return max(abs(self.lowest), abs(self.highest)) + (self.buys if side is _LONG else self.sells)

    def with_held(self, position: OpenPosition) -> SideExposure:
        held, buys, sells, lowest, highest = self
        return SideExposure(
            held + position.quantity, buys, sells, lowest + position.lowest, highest + position.highest
        )  # fmt: skip

    def with_order(self, side: Side, quantity: Decimal) -> SideExposure:
        """Return an exposure to which an order adds a quantity."""
        held, buys, sells, lowest, highest = self
        if side is _BUY:
            return SideExposure(held, buys + quantity, sells, lowest, highest)
        return SideExposure(held, buys, sells + quantity, lowest, highest)

    def reducible(self, side: Side, position_side: PositionSide) -> Decimal:
        """Return how much of it an order on a side can close at most, whichever bound is true.

        Of a LONG side of which more was closed than the records opened nothing: to buy opens at the venue.
        """
        if opens(position_side, side):
            return ZERO
        if side is _BUY:
            return max(-max(self.held, self.highest), ZERO)
        return max(min(self.held, self.lowest), ZERO)


FLAT = SideExposure()


def opens(position_side: PositionSide, side: Side) -> bool:
    """Return whether orders on a side can only open a position: where the venue keeps LONG and SHORT separate."""
    return position_side is not _NET and (side is _BUY) is (position_side is _LONG)


class AccountExposure(NamedTuple):
    """Quantities by symbol and side, the worst case of each symbol, its sides together, and the legs of the orders."""

    sides: dict[tuple[str, PositionSide], SideExposure]
    worst_case: dict[str, Decimal]
    legs: dict[LegKey, Leg]


def open_positions_of(book: Book, account: str) -> tuple[OpenPosition, ...]:
    """Return the open positions, and those that the broker alone reports as open."""
    found = []
    contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
    for each in _holdings(book, account):
        held, report = each.totals.quantity, each.report
        differs = report is not NO_REPORT and report.difference(held)
        if not (held or differs):
            continue
        contract = None if contracts is None else contracts.find(each.symbol)
        symbol = each.symbol if contract is None else contract.symbol
        if differs:
            low, high = report.bounds(held)
            found.append(
                OpenPosition(symbol, each.side, held, low, high, report.contradicts_from(held), report.quantity)
            )
        else:
            found.append(OpenPosition(symbol, each.side, held, held, held))
    return tuple(found)


def agreeing_reports(book: Book, account: str) -> dict[tuple[str, PositionSide], int]:
    """Return when the broker's newest report of each position was made, where it agrees with the fills."""
    return {
        (contract_symbol(book, each.symbol), each.side): each.report.at
        for each in _holdings(book, account)
        if each.report.at is not None and not each.report.difference(each.totals.quantity)
    }


def _holdings(book: Book, account: str) -> Iterator[Holding]:
    state: ExecutionsState | None = book.state(EXECUTIONS, account)
    return iter(()) if state is None else iter(list(state.holdings.values()))


def contract_symbol(book: Book, symbol: str) -> str:
    """Return the contract's symbol: an order or a fill may carry a broker's name of it."""
    contract = book.contracts.find(symbol)
    return symbol if contract is None else contract.symbol


def confirmed(positions: Iterable[OpenPosition], at: int) -> tuple[OpenPosition, ...]:
    """Return the positions without the reports that do not contradict the fills yet."""
    return tuple(
        each
        if each.contradicts_from is None or each.contradicts_from <= at
        else each._replace(lowest=each.quantity, highest=each.quantity)
        for each in positions
    )


def exposure_of(positions: Iterable[OpenPosition], orders: Iterable[OpenOrder]) -> AccountExposure:
    """Return the exposure of positions and working orders; orders of unknown effect are left out.

    Checks that use it reject while there is such an order (`CheckContext`).
    """
    sides: dict[tuple[str, PositionSide], SideExposure] = {}
    for held in positions:
        key = held.symbol, held.side
        known = sides.get(key)
        sides[key] = _side_of(held) if known is None else known.with_held(held)
    # A reduce-only order cannot enlarge a position.
    enlarging = [each for each in orders if not each.reduce_only and each.leaves is not None and each.side is not None]
    legs = legs_of(enlarging)
    for (symbol, position_side, side, _), leg in legs.items():
        before = sides.get((symbol, position_side), FLAT)
        sides[symbol, position_side] = before.with_order(side, leg.size)
    worst_case: dict[str, Decimal] = {}
    # Long and short positions that the venue keeps separate do not offset each other.
    for (symbol, position_side), exposure in sides.items():
        worst_case[symbol] = worst_case.get(symbol, ZERO) + exposure.worst_case(position_side)
    return AccountExposure(sides, worst_case, legs)


def _side_of(held: OpenPosition) -> SideExposure:
    return SideExposure(held.quantity, ZERO, ZERO, held.lowest, held.highest)


def legs_of(orders: Iterable[OpenOrder]) -> dict[LegKey, Leg]:
    """Return what orders may still execute, by link group; without one, orders are summed.

    An order of unknown side counts on both, one of unknown quantity may execute any.
    """
    legs: dict[LegKey, Leg] = {}
    for order in orders:
        if order.symbol is None:
            continue
        # What is unknown counts as closing everything: an order that only might reduce must not pass as a reduction.
        leaves = QUANTITY_MAX if order.leaves is None else order.leaves
        at_once = order.at_once or order.link_group == UNGROUPED
        for side in Side if order.side is None else (order.side,):
            key = (order.symbol, order.position_side, side, order.link_group)
            legs[key] = legs.get(key, NO_LEG).plus(leaves, at_once=at_once)
    return legs


def sizes_of(legs: dict[LegKey, Leg]) -> dict[tuple[str, PositionSide, Side], Decimal]:
    """Return the quantities that orders may still execute, by symbol, position side and order side."""
    sums: dict[tuple[str, PositionSide, Side], Decimal] = {}
    for (symbol, position_side, side, _), leg in legs.items():
        key = (symbol, position_side, side)
        sums[key] = sums.get(key, ZERO) + leg.size
    return sums
