"""Round trips of a position: from flat to flat or through it, with what they made in points, and their fees."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.readable import Readable
from projections.decimals import ZERO
from projections.views.executions.fees import Fees, with_fees
from projections.views.executions.items import Item, ItemKind, Place, in_position, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPLIT, _REPRICE = ItemKind.SPLIT, ItemKind.REPRICE


class RoundTrip(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One round trip that ended at `ended_at` (UNIX ns) with the record at log position `position`.

    `points` are before fees, None if any part of it had no price; `fees` by currency, "" for those that named none. A
    fill through zero ends a round trip, which takes its fee, and begins the next. `number` is the log position of the
    record that began it; `first` and `last` are the places of its first and last trade in the position's order, zero
    if the position has merged since, and `terms` those of the contract at its end (`Directory.terms_of`).
    """

    symbol: str
    side: str
    points: Decimal | None
    fees: Fees = ()
    ended_at: Instant
    position: int
    number: int
    first: Place = (0, 0)
    last: Place = (0, 0)
    terms: int = 0


class OpenTrip(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A round trip in progress: what was received less what was paid, None if a part has no price, and its fees.

    The window's items from `index` on, which may belong to it, are not counted yet. `inverse`: prices count as those of
    an inverse contract; if the payoff changes while it lasts, what it makes is not known.
    """

    number: int = 0
    first: Place = (0, 0)
    received: Decimal | None = ZERO
    fees: Fees = ()
    index: int = 0
    inverse: bool = False


NO_TRIP = OpenTrip()
NO_NUMBER = -1
"""The number of the round trip of a trade that is in none that is remembered."""
NOWHERE: Place = (0, 0)
"""Where the trades of a round trip lie that are found by its number."""


def points_of(item: Item) -> Decimal:
    """Return the difference in points that a REPRICE makes."""
    return item.quantity * (item.price or ZERO)


def repriced(trips: Sequence[RoundTrip], item: Item) -> list[RoundTrip]:
    """Return round trips that have ended, with what a REPRICE changes of the one that it counts for.

    Where a position has merged, two may have one number: it counts for the later one alone.
    """
    found, index = list(trips), last_of_number(trips, item.trip)
    if index is not None and (points := found[index].points) is not None:
        found[index] = replace(found[index], points=points + points_of(item))
    return found


def last_of_number(trips: Sequence[RoundTrip], number: int) -> int | None:
    """Return the index of the last round trip of a number, None without one."""
    return next((index for index in range(len(trips) - 1, -1, -1) if trips[index].number == number), None)


def counted(trip: OpenTrip, items: Iterable[Item], index: int) -> OpenTrip:
    """Return a trip with these items, none of which ends it; `index` is that of what comes next."""
    number, first, received, fees, inverse = trip.number, trip.first, trip.received, trip.fees, trip.inverse
    for each in items:
        item = each if each.scale is None and not each.coin else in_position(each)
        kind = item.kind
        # A split changes the quantity, and what was paid for it stays.
        if kind is _SPLIT:
            continue
        if not number and not received:
            # Nothing has been counted yet.
            inverse = item.inverse
        if kind is _REPRICE:
            if item.trip in {0, number} and received is not None:
                received = received + points_of(item) if item.inverse is inverse else None
            continue
        if not item.quantity:
            continue
        if not number:
            number, first = item.log_position, place_of(item)
        value = item.price if not (item.inverse or inverse) else item.value if item.inverse is inverse else None
        received = None if received is None or value is None else received - item.quantity * value
        fees = with_fees(fees, item.fees)
    return OpenTrip(number, first, received, fees, index, inverse)


def ended(key: tuple[str, str], trip: OpenTrip, item: Item, held: Decimal, index: int) -> tuple[RoundTrip, OpenTrip]:
    """Return the round trip that an item ends, which held a quantity before it, and the trip that begins.

    `trip` counts all items before this one, which is the window's at `index`, as it counts in its position.
    """
    through, value = held + item.quantity, item.value if item.inverse else item.price
    is_other = item.inverse is not trip.inverse
    received = None if trip.received is None or value is None or is_other else trip.received + held * value
    place = place_of(item)
    done = RoundTrip(
        symbol=key[0],
        side=key[1],
        points=received,
        # The whole fee of a fill through zero counts for the round trip that it ends.
        fees=with_fees(trip.fees, item.fees),
        ended_at=item.at,
        position=item.log_position,
        number=trip.number,
        first=trip.first,
        last=place,
        terms=item.terms,
    )
    if not through:
        return done, OpenTrip(index=index + 1)
    begun = None if value is None else -through * value
    return done, OpenTrip(item.log_position, place, begun, (), index + 1, item.inverse)
