"""Round trips without a loop: the fills of a holding cut where it is flat or turns."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from projections.analysis.libraries import library
from projections.analysis.whole_numbers import INTEGERS_EXACT, Whole, aligned, largest, product, summable
from projections.decimals import FIXED

if TYPE_CHECKING:
    from projections.analysis.fill_columns import FillColumns


class Trips(NamedTuple):
    """Round trips that have ended. `first` and `last` are the rows, in the holdings' order, of their fills."""

    first: Any
    last: Any
    is_long: Any
    quantity: Whole
    entry: Whole
    exit: Whole
    gross: Whole
    fees: Whole
    has_foreign: Any
    cut: Cut

    def mean(self, total: Whole) -> Any:  # noqa: ANN401 - an array of numpy's
        """Return the floats nearest to the mean prices of what was opened, or closed, for so much in all."""
        np = library("numpy")
        above, below = aligned(total, self.quantity)
        if max(largest(above.values), largest(below.values)) < INTEGERS_EXACT:
            # Both are floats as they are, so their quotient is rounded once.
            return above.values.astype(np.float64) / below.values.astype(np.float64)
        return np.array([float(each) for each in self.quotients(total)], dtype=np.float64)

    def quotients(self, total: Whole) -> list[Decimal]:
        """Return the same as the fold computes them."""
        with localcontext(FIXED):
            return [
                Decimal(int(above)).scaleb(-total.digits) / Decimal(int(below)).scaleb(-self.quantity.digits)
                for above, below in zip(total.values, self.quantity.values, strict=True)
            ]


def trips_of(columns: FillColumns, fees: Whole, foreign: Any) -> Trips:  # noqa: ANN401 - an array of numpy's
    """Return the round trips of fills; `fees` are in the contract's currency, `foreign` marks fills with others."""
    np = library("numpy")
    quantity = summable(columns.quantity)
    row, part, held = _steps(columns, quantity.values)
    # Trips end where nothing is held; what is open at a holding's end has not ended.
    ends = np.flatnonzero(held == 0)
    begins = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    holding = columns.holdings.codes[row]
    # A holding that is open at its end leaves steps before the next one's first trip.
    first_of_holding = np.searchsorted(holding, holding[ends])
    begins = np.maximum(begins, first_of_holding)
    return _figures(columns, Cut(row, part, begins, ends), quantity.digits, fees, foreign)


class Cut(NamedTuple):
    """Fills as steps, a fill through zero as two, and where the trips begin and end among them."""

    row: Any
    part: Any
    begins: Any
    ends: Any

    def sums(self, values: Any) -> Any:  # noqa: ANN401 - arrays of numpy's
        """Return the sums of each trip's steps."""
        np = library("numpy")
        total = np.concatenate([values[:1] * 0, np.cumsum(values)])
        return total[self.ends + 1] - total[self.begins]

    def is_same(self, codes: Any) -> Any:  # noqa: ANN401 - the same
        """Return which trips have one code in all their fills; `codes` are those of the rows."""
        np = library("numpy")
        of_steps = codes[self.row]
        changes = np.zeros(len(of_steps) + 1, dtype=np.int64)
        changes[2:] = np.cumsum(of_steps[1:] != of_steps[:-1])
        return changes[self.ends + 1] == changes[self.begins + 1]


def _steps(columns: FillColumns, quantity: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - the same
    """Return the row and the signed quantity of each step, and what is held after it."""
    np = library("numpy")
    held = columns.holdings.since_start(np.cumsum(quantity))
    before = held - quantity
    turns = (before > 0) & (held < 0) | (before < 0) & (held > 0)
    turns = turns.astype(bool)
    row = np.repeat(np.arange(len(quantity)), 1 + turns)
    part, after = quantity[row], held[row]
    closing = np.flatnonzero(turns) + np.arange(np.count_nonzero(turns))
    part[closing], after[closing] = -before[turns], 0
    part[closing + 1] = held[turns]
    return row, part, after


def _figures(columns: FillColumns, cut: Cut, digits: int, fees: Whole, foreign: Any) -> Trips:  # noqa: ANN401 - the same
    np = library("numpy")
    row, part, begins, ends = cut
    is_long = (part[begins] > 0).astype(bool)
    value = product(Whole(part, digits), Whole(columns.price.values[row], columns.price.digits))
    # The fee of a fill through zero is that of the trip that it ends.
    is_first = np.ones(len(row), dtype=bool)
    is_first[1:] = row[1:] != row[:-1]
    fee = np.where(is_first, fees.values[row], 0)
    paid = summable(value)
    bought = cut.sums(np.where(part > 0, part, 0))
    spent, received = cut.sums(np.where(part > 0, paid.values, 0)), -cut.sums(np.where(part < 0, paid.values, 0))
    gross = product(Whole(received - spent, paid.digits), Whole(columns.unit.values[row[ends]], columns.unit.digits))
    return Trips(
        first=row[begins],
        last=row[ends],
        is_long=is_long,
        quantity=Whole(bought, digits),
        # As much is sold as is bought.
        entry=Whole(np.where(is_long, spent, received), paid.digits),
        exit=Whole(np.where(is_long, received, spent), paid.digits),
        gross=gross,
        fees=Whole(cut.sums(summable(Whole(fee, fees.digits)).values), fees.digits),
        has_foreign=cut.sums(np.where(is_first, foreign[row], False).astype(np.int64)) > 0,  # noqa: FBT003 - numpy's
        cut=cut,
    )
