"""An account's positions, working orders and exposure, cached for as long as records and the clock leave them valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from projections.risk.dependencies import Cached, cached
from projections.risk.holdings import confirmed, exposure_of, legs_of, open_positions_of, sizes_of
from projections.risk.working import Counted, Ends, contract_end, day_end, standing_orders_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from decimal import Decimal

    from eventstore.trading import PositionSide, Side
    from projections.risk.holdings import AccountExposure, Leg, LegKey, OpenOrder, OpenPosition

_FOREVER = 2**63 - 1

T = TypeVar("T")


class Exposures(Cached):
    """What positions and orders may come to at an instant; a subclass caches and says when that is over."""

    @cached("positions")
    def positions(self) -> tuple[OpenPosition, ...]:
        """The open positions."""
        return open_positions_of(self.book, self._name)

    @cached("orders")
    def standing_orders(self) -> tuple[OpenOrder, ...]:
        """The orders that may still change a position, and those whose time is over."""
        book, name = self.book, self._name
        ends = Ends(
            lambda at: self.memoize("sessions", ("day", at), lambda: day_end(book, name, at)), self.contract_end
        )
        counted: dict[str, Counted] = self.memoize("terms", "orders", dict)
        found, self.groups["terms"]["orders"] = standing_orders_of(book, name, self._at, ends, counted)
        return found

    @cached("orders")
    def working_orders(self) -> tuple[OpenOrder, ...]:
        """The orders that may still change a position."""
        return tuple(each for each in self.standing_orders if each.leaves is None or each.leaves)

    def contract_end(self, expiry: date) -> int:
        """Return when the trading day of a contract's expiry ends."""
        book, name = self.book, self._name
        return self.memoize("sessions", ("expiry", expiry), lambda: contract_end(book, name, expiry))

    @cached("orders")
    def incomplete_orders(self) -> tuple[OpenOrder, ...]:
        """The working orders without a known symbol, side or quantity: their effect is unknown."""
        return tuple(each for each in self.working_orders if None in (each.symbol, each.side, each.leaves))

    @cached("orders")
    def closing_legs(self) -> dict[LegKey, Leg]:
        """What working orders, reduce-only ones included, may still execute, by link group."""
        return legs_of(self.working_orders)

    @cached("orders")
    def closing_quantities(self) -> dict[tuple[str, PositionSide, Side], Decimal]:
        """The quantity that working orders may still execute, by symbol, position side and order side."""
        return sizes_of(self.closing_legs)

    @cached("exposure")
    def exposure(self) -> AccountExposure:
        """The worst case of all open positions and working orders."""
        return exposure_of(self.positions, self.working_orders)

    @cached("exposure")
    def contradictions(self) -> tuple[OpenPosition | OpenOrder, ...]:
        """The positions and orders of which the broker's report contradicts the records."""
        found: list[OpenPosition | OpenOrder] = [*self.positions, *self.standing_orders]
        return tuple(each for each in found if each.contradicts_from is not None and each.contradicts_from <= self._at)

    @cached("exposure")
    def confirmed_exposure(self) -> AccountExposure:
        """The same without reports that do not contradict the fills yet: what may lock, or stop a reduction."""
        if not [each for each in self.positions if each.contradicts_from is not None]:
            return self.exposure
        return exposure_of(confirmed(self.positions, self._at), self.working_orders)

    def exposure_span(self) -> tuple[int, int]:
        """Return between which instants no order stops working, and no report begins to contradict the fills."""
        instants = [each.contradicts_from for each in self.positions]
        for order in self.standing_orders:
            instants += (order.ends_at, order.contradicts_from)
        return around(self._at, [instant for instant in instants if instant is not None])


def around(at: int, instants: Iterable[int]) -> tuple[int, int]:
    """Return the last of some instants that is not after `at`, and the first that is after it."""
    since, until = 0, _FOREVER
    for instant in instants:
        if instant <= at:
            since = max(since, instant)
        else:
            until = min(until, instant)
    return since, until
