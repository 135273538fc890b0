"""The arithmetic of a position: lots first in, first out, beside the average-cost method; pure functions of values.

Quantities are signed: negative is short. Costs are sums of quantity × what the price counts for (`prices.value_of`), in
points; they are kept as sums and divided only when an average is asked for. Callers have set the context
projections.decimals.FIXED, and pass no price that has no value.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from projections.decimals import ZERO
from projections.views.executions.prices import has_value, price_of, quotient, value_of

LOTS_MAX = 10_000
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
    realize nothing when they are closed. `inverse`: prices count as those of an inverse contract.
    """

    quantity: Decimal = ZERO
    lots: tuple[Lot, ...] = ()
    cost: Decimal = ZERO
    realized_points: Decimal = ZERO
    average_cost_total: Decimal = ZERO
    realized_points_average_cost: Decimal = ZERO
    unpriced: Decimal = ZERO
    inverse: bool = False


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
    before, inverse = held.quantity, held.inverse
    value = value_of(price, inverse=True) if inverse else price
    if not before:
        cost = quantity * value
        one = (Lot(quantity, price, trade_id, log_position),)
        first, average = held.realized_points, held.realized_points_average_cost
        return PositionTotals(quantity, one, cost, first, cost, average, ZERO, inverse)
    # Members are passed in order here and below: keyword arguments cost more, and this runs for every fill.
    long = before > ZERO
    if long is (quantity > ZERO):
        cost = quantity * value
        lots = held.lots if len(held.lots) < LOTS_MAX else merged(held.lots, inverse=inverse)
        return PositionTotals(
            after,
            lots + (Lot(quantity, price, trade_id, log_position),),  # noqa: RUF005 - half the time of unpacking
            held.cost + cost,
            held.realized_points,
            held.average_cost_total + cost,
            held.realized_points_average_cost,
            held.unpriced,
            inverse,
        )
    if not after:
        return closed(held, value)
    if (after > ZERO) is long:
        return reduced(held, quantity, after, value)
    # Through zero: everything is closed at this price, and the rest opens the other side.
    return traded(closed(held, value), after, price, trade_id, log_position)


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


def closed(held: PositionTotals, value: Decimal | None) -> PositionTotals:
    """Return the totals after closing the position at a price of this value; without one nothing is realized."""
    first, average = held.realized_points, held.realized_points_average_cost
    if value is not None:
        proceeds = (held.quantity - held.unpriced) * value
        first += proceeds - held.cost
        average += proceeds - held.average_cost_total
    return PositionTotals(ZERO, (), ZERO, first, ZERO, average, ZERO, held.inverse)


def reduced(held: PositionTotals, quantity: Decimal, after: Decimal, value: Decimal | None) -> PositionTotals:
    """Return the totals after closing a part, which leaves `after`; without a price's value nothing is realized."""
    lots, pool, priced, unpriced, inverse = held.lots, held.quantity, -quantity, held.unpriced, held.inverse
    lot = lots[0]
    if len(lots) == 1 and lot.price is not None:
        # Scaling out of one entry is the usual case; take_from_lots() would cost three times as much.
        cost = priced * (value_of(lot.price, inverse=True) if inverse else lot.price)
        lots = (Lot(after, lot.price, lot.trade_id, lot.position),)
    else:
        lots, cost, gone = take_from_lots(lots, priced, inverse=inverse)
        # Unpriced lots have no cost: what is closed of them takes no part in the average.
        pool -= unpriced
        priced -= gone
        unpriced -= gone
    # The average-cost method takes the same share of the cost as of the priced quantity.
    average_cost = quotient(held.average_cost_total * priced, pool) if pool else ZERO
    first, average = held.realized_points, held.realized_points_average_cost
    if value is not None:
        proceeds = priced * value
        first += proceeds - cost
        average += proceeds - average_cost
    cost, average_cost = held.cost - cost, held.average_cost_total - average_cost
    return PositionTotals(after, lots, cost, first, average_cost, average, unpriced, inverse)


def is_residue(left: Decimal, before: Decimal) -> bool:
    """Return whether only the rounding of splits has left a quantity of what there was before."""
    if not left or left.adjusted() >= RESIDUE_DIGITS:
        return False
    # No venue states as many decimals as a quotient has.
    return int(left.as_tuple().exponent) <= _RESIDUE_EXPONENT and abs(left) < abs(before) * _RESIDUE


def take_from_lots(
    lots: tuple[Lot, ...], leaving: Decimal, *, inverse: bool
) -> tuple[tuple[Lot, ...], Decimal, Decimal]:
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
            cost += gone * (value_of(price, inverse=True) if inverse else price)
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
            price = scaled_price(lot.price, after, before, inverse=held.inverse)
            lots.append(Lot(scaled, price, lot.trade_id, lot.position))
    return replace(held, quantity=total, lots=tuple(lots), unpriced=unpriced)


def scaled_price(price: Decimal, after: Decimal, before: Decimal, *, inverse: bool) -> Decimal:
    """Return a price after a split: what the same money buys of a quantity that is now after ÷ before as large."""
    return quotient(price * after, before) if inverse else quotient(price * before, after)


def revalued(held: PositionTotals, *, inverse: bool) -> PositionTotals:
    """Return the totals of a contract whose payoff has changed: lots keep their prices, which now count otherwise.

    What was realized stays. A lot whose price has no value any more has none.
    """
    if held.inverse is inverse:
        return held
    pool, was = held.quantity - held.unpriced, held.inverse
    lots = tuple([
        lot if lot.price is None or has_value(lot.price, inverse=inverse) else replace(lot, price=None)
        for lot in held.lots
    ])  # fmt: skip
    left = [(lot.quantity, lot.price) for lot in lots if lot.price is not None]
    priced = sum((quantity for quantity, _ in left), ZERO)
    cost = sum((quantity * value_of(price, inverse=inverse) for quantity, price in left), ZERO)
    average_cost = cost
    if priced and priced == pool:
        average = price_of(quotient(held.average_cost_total, pool), inverse=was)
        if has_value(average, inverse=inverse):
            average_cost = priced * value_of(average, inverse=inverse)
    return replace(
        held, lots=lots, cost=cost, average_cost_total=average_cost, unpriced=held.quantity - priced, inverse=inverse
    )


def merged(lots: tuple[Lot, ...], *, inverse: bool) -> tuple[Lot, ...]:
    """Return the lots with the older half merged into one at its average price, and one of those without a price."""
    half = len(lots) // 2
    priced = unpriced = cost = ZERO
    for lot in lots[:half]:
        if lot.price is None:
            unpriced += lot.quantity
        else:
            priced += lot.quantity
            cost += lot.quantity * value_of(lot.price, inverse=inverse)
    log_position = lots[half - 1].position
    average = price_of(quotient(cost, priced), inverse=inverse) if priced else None
    one = (Lot(priced, average, None, log_position),) if priced else ()
    other = (Lot(unpriced, None, None, log_position),) if unpriced else ()
    return (*other, *one, *lots[half:])


def _grown(held: PositionTotals, quantity: Decimal, log_position: int) -> PositionTotals:
    """Return the totals after adding a quantity at the average cost, or without a price where no lot has one."""
    pool = held.quantity - held.unpriced
    if not pool:
        lots = (*held.lots, Lot(quantity, None, None, log_position))
        return replace(held, quantity=held.quantity + quantity, lots=lots, unpriced=held.unpriced + quantity)
    price = price_of(quotient(held.cost, pool), inverse=held.inverse)
    return replace(
        held,
        quantity=held.quantity + quantity,
        lots=(*held.lots, Lot(quantity, price, None, log_position)),
        cost=held.cost + quantity * value_of(price, inverse=held.inverse),
        average_cost_total=held.average_cost_total + quotient(held.average_cost_total * quantity, pool),
    )
