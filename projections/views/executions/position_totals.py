"""The arithmetic of a position: lots first in, first out, beside the average-cost method; pure functions of values.

Quantities are signed: negative is short. Costs are sums of price × quantity, in points; they are kept as sums and
divided only when an average is asked for. Callers have set the context projections.decimals.FIXED.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from projections.decimals import ZERO

LOTS_MAX = 10_000
_DECIMALS = Decimal("1e-20")
_WHOLE_DIGITS_MAX = 13
RESIDUE_DIGITS = -15
"""What is smaller than this power of ten may be what rounding has left."""
_RESIDUE, _RESIDUE_EXPONENT = Decimal("1e-15"), -19


class Lot(msgspec.Struct, frozen=True, gc=False):
    """What is left of one opening. `price` is None if none was stated, `trade_id` if no single trade opened it.

    `position` is the log position of the record that opened it.
    """

    quantity: Decimal
    price: Decimal | None
    trade_id: str | None
    position: int


class PositionTotals(msgspec.Struct, frozen=True, gc=False):
    """A position's sums by both methods. `unpriced` is the part of the quantity that has no known price.

    `cost` is what the open lots cost, `average_cost_total` the same by average cost; unpriced lots are in neither and
    realize nothing when they are closed.
    """

    quantity: Decimal = ZERO
    lots: tuple[Lot, ...] = ()
    cost: Decimal = ZERO
    realized_points: Decimal = ZERO
    average_cost_total: Decimal = ZERO
    realized_points_average_cost: Decimal = ZERO
    unpriced: Decimal = ZERO


FLAT = PositionTotals()


def traded(
    held: PositionTotals, quantity: Decimal, price: Decimal, trade_id: str | None, log_position: int
) -> PositionTotals:
    """Return the totals after a fill of a signed quantity, which opens, closes, or closes and reverses."""
    return traded_to(held, quantity, held.quantity + quantity, price, trade_id, log_position)


def traded_to(  # noqa: PLR0917 - by name it takes longer, and this runs for every fill
    held: PositionTotals, quantity: Decimal, after: Decimal, price: Decimal, trade_id: str | None, log_position: int
) -> PositionTotals:
    """Return the totals after a fill, as `traded` does; `after` is the sum of both quantities."""
    before = held.quantity
    if not before:
        value = quantity * price
        one = (Lot(quantity, price, trade_id, log_position),)
        return PositionTotals(quantity, one, value, held.realized_points, value, held.realized_points_average_cost)
    # Members are passed in order here and below: keyword arguments cost more, and this runs for every fill.
    long = before > ZERO
    if long is (quantity > ZERO):
        value = quantity * price
        lots = held.lots if len(held.lots) < LOTS_MAX else merged(held.lots)
        return PositionTotals(
            after,
            lots + (Lot(quantity, price, trade_id, log_position),),  # noqa: RUF005 - half the time of unpacking
            held.cost + value,
            held.realized_points,
            held.average_cost_total + value,
            held.realized_points_average_cost,
            held.unpriced,
        )
    if not after:
        return closed(held, price)
    if (after > ZERO) is long:
        return reduced(held, quantity, after, price)
    # Through zero: everything is closed at this price, and the rest opens the other side.
    return traded(closed(held, price), after, price, trade_id, log_position)


def moved(held: PositionTotals, quantity: Decimal, log_position: int) -> PositionTotals:
    """Return the totals after a change without a price: an addition costs the average, a reduction realizes nothing."""
    before, after = held.quantity, held.quantity + quantity
    if not before or (before > ZERO) is (quantity > ZERO):
        return _grown(held, quantity, log_position)
    if not after:
        return closed(held, None)
    if (after > ZERO) is (before > ZERO):
        return reduced(held, quantity, after, None)
    return _grown(closed(held, None), after, log_position)


def closed(held: PositionTotals, price: Decimal | None) -> PositionTotals:
    """Return the totals after closing the position; without a price nothing is realized."""
    first, average = held.realized_points, held.realized_points_average_cost
    if price is not None:
        proceeds = (held.quantity - held.unpriced) * price
        first += proceeds - held.cost
        average += proceeds - held.average_cost_total
    return PositionTotals(ZERO, (), ZERO, first, ZERO, average)


def reduced(held: PositionTotals, quantity: Decimal, after: Decimal, price: Decimal | None) -> PositionTotals:
    """Return the totals after closing a part, which leaves `after`; without a price nothing is realized."""
    lots, pool, priced, unpriced = held.lots, held.quantity, -quantity, held.unpriced
    lot = lots[0]
    if len(lots) == 1 and lot.price is not None:
        # Scaling out of one entry is the usual case; take_from_lots() would cost three times as much.
        cost = priced * lot.price
        lots = (Lot(after, lot.price, lot.trade_id, lot.position),)
    else:
        lots, cost, gone = take_from_lots(lots, priced)
        # Unpriced lots have no cost: what is closed of them takes no part in the average.
        pool -= unpriced
        priced -= gone
        unpriced -= gone
    # The average-cost method takes the same share of the cost as of the priced quantity.
    average_cost = quotient(held.average_cost_total * priced, pool) if pool else ZERO
    first, average = held.realized_points, held.realized_points_average_cost
    if price is not None:
        proceeds = priced * price
        first += proceeds - cost
        average += proceeds - average_cost
    cost, average_cost = held.cost - cost, held.average_cost_total - average_cost
    return PositionTotals(after, lots, cost, first, average_cost, average, unpriced)


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Return a quotient, rounded to 20 decimals where it has no end.

    So the sums that it enters stay exact, and do not depend on the order in which they are made.
    """
    exact = dividend / divisor
    if exact * divisor == dividend or exact.adjusted() >= _WHOLE_DIGITS_MAX:
        return exact
    return exact.quantize(_DECIMALS) or exact


def is_residue(left: Decimal, before: Decimal) -> bool:
    """Return whether only the rounding of splits has left a quantity of what there was before."""
    if not left or left.adjusted() >= RESIDUE_DIGITS:
        return False
    # No venue states as many decimals as a quotient has.
    return int(left.as_tuple().exponent) <= _RESIDUE_EXPONENT and abs(left) < abs(before) * _RESIDUE


def take_from_lots(lots: tuple[Lot, ...], leaving: Decimal) -> tuple[tuple[Lot, ...], Decimal, Decimal]:
    """Take a quantity from the oldest lots; return the lots left, the cost of what was taken, and its unpriced part."""
    cost = unpriced = ZERO
    for index, lot in enumerate(lots, 1):
        quantity, price = lot.quantity, lot.price
        rest = quantity - leaving
        # A rest on the lot's own side: this lot covers all that is left to take.
        partial = rest and (rest > ZERO) is (quantity > ZERO)
        gone = leaving if partial else quantity
        if price is None:
            unpriced += gone
        else:
            cost += gone * price
        if (
            partial
            and index < len(lots)
            and is_residue(rest, quantity)
            and (lots[index].price is None) is (price is None)
        ):
            # No lot is left of what only rounding keeps: the next one takes it.
            following = lots[index]
            return (replace(following, quantity=following.quantity + rest), *lots[index + 1 :]), cost, unpriced
        if partial:
            return (Lot(rest, price, lot.trade_id, lot.position), *lots[index:]), cost, unpriced
        if not rest:
            return lots[index:], cost, unpriced
        leaving = -rest
    # Only the rounding of a split can lead here, by one part in 10**33.
    return (), cost, unpriced


def split(held: PositionTotals, after: Decimal, before: Decimal) -> PositionTotals:
    """Return the totals with each lot scaled by after ÷ before, at an unchanged cost."""
    total = after if held.quantity == before else quotient(held.quantity * after, before)
    left, unpriced = total, ZERO
    lots = []
    for index, lot in enumerate(held.lots, 1):
        # The last lot takes the rounding error, so that the lots still add up to the quantity.
        scaled = left if index == len(held.lots) else quotient(lot.quantity * after, before)
        left -= scaled
        if lot.price is None:
            unpriced += scaled
            lots.append(Lot(scaled, None, lot.trade_id, lot.position))
        else:
            lots.append(Lot(scaled, quotient(lot.price * before, after), lot.trade_id, lot.position))
    return replace(held, quantity=total, lots=tuple(lots), unpriced=unpriced)


def merged(lots: tuple[Lot, ...]) -> tuple[Lot, ...]:
    """Return the lots with the older half merged into one at its average price, and one of those without a price."""
    half = len(lots) // 2
    priced = unpriced = cost = ZERO
    for lot in lots[:half]:
        if lot.price is None:
            unpriced += lot.quantity
        else:
            priced += lot.quantity
            cost += lot.quantity * lot.price
    log_position = lots[half - 1].position
    one = (Lot(priced, quotient(cost, priced), None, log_position),) if priced else ()
    other = (Lot(unpriced, None, None, log_position),) if unpriced else ()
    return (*other, *one, *lots[half:])


def _grown(held: PositionTotals, quantity: Decimal, log_position: int) -> PositionTotals:
    """Return the totals after adding a quantity at the average cost, or without a price where no lot has one."""
    pool = held.quantity - held.unpriced
    if not pool:
        lots = (*held.lots, Lot(quantity, None, None, log_position))
        return replace(held, quantity=held.quantity + quantity, lots=lots, unpriced=held.unpriced + quantity)
    price = quotient(held.cost, pool)
    return replace(
        held,
        quantity=held.quantity + quantity,
        lots=(*held.lots, Lot(quantity, price, None, log_position)),
        cost=held.cost + quantity * price,
        average_cost_total=held.average_cost_total + quotient(held.average_cost_total * quantity, pool),
    )
