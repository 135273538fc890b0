"""The entries of the ledger of profit and loss: what one execution realized, in points, and its fees."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from projections.decimals import ZERO
from projections.views.executions.fees import Fees, with_fee


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """Realized points before fees, by FIFO and by average cost; fees by currency; the number of fills, their volume."""

    points: Decimal = ZERO
    points_average_cost: Decimal = ZERO
    fees: Fees = ()
    fills: int = 0
    volume: Decimal = ZERO

    def plus(self, other: LedgerEntry) -> LedgerEntry:
        # This runs for every fill, and most fills realize nothing and are charged in one currency.
        points, average, fees, more = self.points, self.points_average_cost, self.fees, other.fees
        if other.points:
            points += other.points
        if other.points_average_cost:
            average += other.points_average_cost
        if not fees:
            fees = more
        elif len(more) == len(fees) == 1 and more[0][0] == fees[0][0]:
            total = fees[0][1] + more[0][1]
            fees = ((more[0][0], total),) if total else ()
        else:
            for currency, amount in more:
                fees = with_fee(fees, currency, amount)
        return LedgerEntry(points, average, fees, self.fills + other.fills, self.volume + other.volume)

    def minus(self, other: LedgerEntry) -> LedgerEntry:
        fees = tuple((currency, -amount) for currency, amount in other.fees)
        return self.plus(LedgerEntry(-other.points, -other.points_average_cost, fees, -other.fills, -other.volume))


NO_ENTRY = LedgerEntry()
