"""The entries of the ledger of profit and loss: what one execution realized, in points, its fees, and counts."""

from __future__ import annotations

import functools
from decimal import Decimal

import msgspec

from eventstore.streams import SEPARATOR
from projections.decimals import EXACTLY, ZERO
from projections.views.executions.fees import Fees, negated, with_fees

_add = EXACTLY.add


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """Realized points before fees, by FIFO and by average cost; fees by currency; counts.

    `cash` is what was received less what was paid without a trade, by currency, and not in `fees`.
    `fills` and their `volume` leave out busted trades, `executions` counts them too, as venues do. `unpriced` counts
    changes without a price: as long as there are any, the points are not certain. `uncertain_fees` counts trades that
    were reported with several fees.
    """

    points: Decimal = ZERO
    points_average_cost: Decimal = ZERO
    fees: Fees = ()
    fills: int = 0
    volume: Decimal = ZERO
    executions: int = 0
    round_trips: int = 0
    unpriced: int = 0
    uncertain_fees: int = 0
    cash: Fees = ()

    def plus(self, other: LedgerEntry) -> LedgerEntry:
        # This runs for every fill, and most fills realize nothing and are charged in one currency.
        points, average, fees, more = self.points, self.points_average_cost, self.fees, other.fees
        realized, realized_average = other.points, other.points_average_cost
        if realized is not ZERO and realized:
            points = _add(points, realized)
        if realized_average is not ZERO and realized_average:
            average = _add(average, realized_average)
        if more:
            fees = with_fees(fees, more)
        return LedgerEntry(
            points,
            average,
            fees,
            self.fills + other.fills,
            self.volume + other.volume,
            self.executions + other.executions,
            self.round_trips + other.round_trips,
            self.unpriced + other.unpriced,
            self.uncertain_fees + other.uncertain_fees,
            with_fees(self.cash, other.cash) if other.cash else self.cash,
        )


NO_ENTRY = LedgerEntry()


def negative(entry: LedgerEntry) -> LedgerEntry:
    """Return what takes an entry back."""
    return LedgerEntry(
        -entry.points,
        -entry.points_average_cost,
        negated(entry.fees),
        -entry.fills,
        -entry.volume,
        -entry.executions,
        -entry.round_trips,
        -entry.unpriced,
        -entry.uncertain_fees,
        negated(entry.cash),
    )


def ledger_key(key: str, terms: int) -> str:
    """Return the ledger's key of a holding's key (symbol, NUL, side) under a contract's terms."""
    return f"{key}{SEPARATOR}{terms}" if terms else key


@functools.lru_cache(maxsize=100_000)
def split_key(key: str) -> tuple[str, str, int]:
    """Return symbol, side and terms of a ledger's key; symbol and side are empty for cash, and fees of no symbol."""
    symbol, _, rest = key.partition(SEPARATOR)
    side, _, terms = rest.partition(SEPARATOR)
    return symbol, side, int(terms or 0)
