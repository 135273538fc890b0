"""First in, first out, without a loop: the n-th unit bought of a holding is matched with the n-th unit sold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.libraries import library
from projections.analysis.whole_numbers import Whole, summable

if TYPE_CHECKING:
    from projections.analysis.fill_columns import FillColumns


def realized_points(columns: FillColumns, points: Whole) -> Whole:
    """Return what each fill realized, in points, in the holdings' order.

    Lots are open on one side only, so the units bought and sold pair up in their order, whichever came first; a pair is
    realized by the later of its two fills. `points` are quantity × price of each fill: where they are exact in int64,
    so is each part of them.
    """
    np = library("numpy")
    quantity = summable(columns.quantity).values
    price = columns.price.values
    if points.values.dtype == object:
        price = price.astype(object)
    bought, sold, length = _pairs(quantity, columns.holdings.codes, len(columns.holdings.starts))
    made = length * (price[sold] - price[bought])
    # The pairs are in the order of their later fills, holding by holding.
    later = np.maximum(bought, sold)
    found = np.zeros(len(quantity), dtype=made.dtype)
    if len(later):
        first = np.concatenate([[0], np.flatnonzero(later[1:] != later[:-1]) + 1])
        found[later[first]] = np.add.reduceat(made, first)
    return Whole(found, points.digits)


def _pairs(quantity: Any, holding: Any, holdings: int) -> tuple[Any, Any, Any]:  # noqa: ANN401 - arrays of numpy's
    """Return the matches of units: the rows of the purchase and of the sale, and how many units.

    Each holding has a stretch of its own on one line, as long as the larger of its two volumes: its purchases lie side
    by side from the beginning of it, and so do its sales. What lies in the same place matches.
    """
    np = library("numpy")
    buys, sells = np.flatnonzero(quantity > 0), np.flatnonzero(quantity < 0)
    sides = [(rows, np.abs(quantity[rows])) for rows in (buys, sells)]
    sums = [np.concatenate([quantity[:1] * 0, np.cumsum(size)]) for _, size in sides]
    counts = [np.searchsorted(holding[rows], np.arange(holdings + 1)) for rows, _ in sides]
    volumes = [total[count[1:]] - total[count[:-1]] for total, count in zip(sums, counts, strict=True)]
    base = np.concatenate([quantity[:1] * 0, np.cumsum(np.maximum(*volumes))])
    ends = []
    for (rows, _), total, count in zip(sides, sums, counts, strict=True):
        shift = base[:-1] - total[count[:-1]]
        ends.append(total[1:] + shift[holding[rows]])
    return _overlaps((buys, sells), ends, [size for _, size in sides], base)


def _overlaps(rows: Any, ends: Any, sizes: Any, base: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - the same
    np = library("numpy")
    places = np.concatenate([*ends, base[1:]])
    order = np.argsort(places, kind="stable")
    upto = places[order]
    since = np.concatenate([base[:1], upto[:-1]]) if len(upto) else upto
    length = upto - since
    kind = np.concatenate([np.full(len(each), number, dtype=np.int8) for number, each in enumerate((*ends, base[1:]))])
    kind = kind[order]
    found, fits = [], length > 0
    for number in (0, 1):
        # As many of this side have ended before: the next one lies here, unless it begins later.
        next_one = np.cumsum(kind == number) - (kind == number)
        is_there = next_one < len(ends[number])
        next_one = np.where(is_there, next_one, 0)
        if len(ends[number]):
            fits = fits & is_there & ((ends[number] - sizes[number])[next_one] <= since)
        else:
            fits = fits & False
        found.append(next_one)
    fits = fits.astype(bool)
    if not fits.any():
        return rows[0][:0], rows[0][:0], length[:0]
    return rows[0][found[0][fits]], rows[1][found[1][fits]], length[fits]
