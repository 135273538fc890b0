"""The arithmetic of a position: lots first in, first out, beside the average-cost method; pure functions of values.

Quantities are signed: negative is short. Costs are sums of price × quantity, in points; they are kept as sums and
divided only when an average is asked for. Callers have set the context projections.decimals.FIXED.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from projections.decimals import ZERO

LOTS_MAX = 10_000


class Lot(msgspec.Struct, frozen=True, gc=False):
    """What is left of one opening. `price` is None if none was stated, `trade_id` if no single trade opened it.

    `position` is the log position of the record that opened it.
    """

    quantity: Decimal
    price: Decimal | None
    trade_id: str | None
    position: int


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One change of a position: a trade, or an adjustment, which is folded the same way.

    An adjustment without a price is booked at the position's own average cost, or is a `split`. `fills` is 1 for a
    trade, -1 for the opposite of a trade that is taken back, 0 for an adjustment.
    """

    quantity: Decimal
    price: Decimal | None
    trade_id: str | None
    log_position: int
    occurred_at: Instant
    fills: int = 0
    fee: Decimal = ZERO
    currency: str = ""
    split: bool = False


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


def applied(held: PositionTotals, execution: Execution) -> PositionTotals:
    """Return the totals after one more execution or adjustment."""
    if execution.split:
        return split(held, execution.quantity)
    if execution.price is None:
        return moved(held, execution.quantity, execution.log_position)
    return traded(held, execution.quantity, execution.price, execution.trade_id, execution.log_position)


def traded(
    held: PositionTotals, quantity: Decimal, price: Decimal, trade_id: str | None, log_position: int
) -> PositionTotals:
    """Return the totals after a fill of a signed quantity, which opens, closes, or closes and reverses."""
    before = held.quantity
    if not before:
        value = quantity * price
        one = (Lot(quantity, price, trade_id, log_position),)
        return PositionTotals(quantity, one, value, held.realized_points, value, held.realized_points_average_cost)
    after = before + quantity
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
    average_cost = held.average_cost_total * priced / pool if pool else ZERO
    first, average = held.realized_points, held.realized_points_average_cost
    if price is not None:
        proceeds = priced * price
        first += proceeds - cost
        average += proceeds - average_cost
    cost, average_cost = held.cost - cost, held.average_cost_total - average_cost
    return PositionTotals(after, lots, cost, first, average_cost, average, unpriced)


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
        if partial:
            return (Lot(rest, price, lot.trade_id, lot.position), *lots[index:]), cost, unpriced
        if not rest:
            return lots[index:], cost, unpriced
        leaving = -rest
    # Only the rounding of a split can lead here, by one part in 10**33.
    return (), cost, unpriced


def can_split(held: PositionTotals, quantity: Decimal) -> bool:
    """Return whether a split by this additional quantity leaves a position on the same side."""
    total = held.quantity + quantity
    return bool(held.quantity) and bool(total) and (total > ZERO) is (held.quantity > ZERO)


def split(held: PositionTotals, quantity: Decimal) -> PositionTotals:
    """Return the totals with each lot scaled to the new quantity at an unchanged cost."""
    if not can_split(held, quantity):
        return held
    total = held.quantity + quantity
    left, unpriced = total, ZERO
    lots = []
    for index, lot in enumerate(held.lots, 1):
        # The last lot takes the rounding error, so that the lots still add up to the quantity.
        scaled = left if index == len(held.lots) else lot.quantity * total / held.quantity
        left -= scaled
        if lot.price is None:
            unpriced += scaled
            lots.append(Lot(scaled, None, lot.trade_id, lot.position))
        else:
            lots.append(Lot(scaled, lot.quantity * lot.price / scaled, lot.trade_id, lot.position))
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
    one = (Lot(priced, cost / priced, None, log_position),) if priced else ()
    other = (Lot(unpriced, None, None, log_position),) if unpriced else ()
    return (*other, *one, *lots[half:])


def _grown(held: PositionTotals, quantity: Decimal, log_position: int) -> PositionTotals:
    """Return the totals after adding a quantity at the average cost, or without a price where no lot has one."""
    pool = held.quantity - held.unpriced
    if not pool:
        lots = (*held.lots, Lot(quantity, None, None, log_position))
        return replace(held, quantity=held.quantity + quantity, lots=lots, unpriced=held.unpriced + quantity)
    price = held.cost / pool
    return replace(
        held,
        quantity=held.quantity + quantity,
        lots=(*held.lots, Lot(quantity, price, None, log_position)),
        cost=held.cost + quantity * price,
        average_cost_total=held.average_cost_total + held.average_cost_total * quantity / pool,
    )
