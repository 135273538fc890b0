"""Round trips without a loop: the fills of a holding cut where it is flat or turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from projections.analysis.libraries import library
from projections.analysis.whole_numbers import Whole, product, summable

if TYPE_CHECKING:
    from projections.analysis.fill_columns import FillColumns


class Trips(NamedTuple):
    """Round trips that have ended. `first` and `last` are the rows, in the holdings' order, of their fills."""

    first: Any
    last: Any
    is_long: Any
    quantity: Whole
    entry_price: Any
    exit_price: Any
    gross: Whole
    fees: Whole
    has_foreign: Any


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
    return _figures(columns, _Cut(row, part, begins, ends), quantity.digits, fees, foreign)


class _Cut(NamedTuple):
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


def _figures(columns: FillColumns, cut: _Cut, digits: int, fees: Whole, foreign: Any) -> Trips:  # noqa: ANN401 - the same
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
    # As much is sold as is bought.
    size = np.where(bought == 0, 1, bought)
    scale = 10.0 ** (digits - paid.digits)
    prices = [each.astype(np.float64) / size.astype(np.float64) * scale for each in (spent, received)]
    gross = product(Whole(received - spent, paid.digits), Whole(columns.unit.values[row[ends]], columns.unit.digits))
    return Trips(
        first=row[begins],
        last=row[ends],
        is_long=is_long,
        quantity=Whole(bought, digits),
        entry_price=np.where(is_long, prices[0], prices[1]),
        exit_price=np.where(is_long, prices[1], prices[0]),
        gross=gross,
        fees=Whole(cut.sums(summable(Whole(fee, fees.digits)).values), fees.digits),
        has_foreign=cut.sums(np.where(is_first, foreign[row], False).astype(np.int64)) > 0,  # noqa: FBT003 - numpy's
    )
