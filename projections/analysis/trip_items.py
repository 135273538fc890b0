"""Which items each round trip is made of: what was opened and closed, when, and at what prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from projections.decimals import ZERO
from projections.views.executions.items import Item, ItemKind, in_position, place_of
from projections.views.executions.position_totals import is_residue
from projections.views.executions.prices import price_of, quotient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from projections.views.executions.trip import RoundTrip
    from projections.views.executions.window import Ratio, Window

_SPLIT, _REPRICE, _CARRIED = ItemKind.SPLIT, ItemKind.REPRICE, ItemKind.CARRIED


class TripItems(NamedTuple):
    """The items of one round trip, in the order of its position, from what opened it to what ended it.

    `begun` is the signed quantity with which the first item begins it, if that item ended another trip; `ratios` are
    those of splits, by index.
    """

    items: tuple[Item, ...]
    begun: Decimal | None
    ratios: dict[int, Ratio]


class Step(NamedTuple):
    """One change of the position within a round trip.

    `quantity` is signed and opens the trip further or closes a part of it; `value` is what its price counts for, None
    without one. A split has a `ratio` and no quantity.
    """

    item: Item
    quantity: Decimal
    value: Decimal | None
    ratio: Ratio | None = None


class TripFigures(NamedTuple):
    """What a round trip opened and closed. Prices are means, None where an item had none.

    `quantity` is all that was opened, on the base of the trip's end if there was a split; `points` what the items made,
    None if one had no price.
    """

    is_long: bool
    entry_at: int
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    points: Decimal | None


class OpenItems:
    """The items of the round trip in progress of one holding."""

    __slots__ = ("begun", "items", "ratios")

    def __init__(self, items: Sequence[Item] = (), begun: Decimal | None = None) -> None:
        self.items, self.begun = list(items), begun
        self.ratios: dict[int, Ratio] = {}

    def copy(self) -> OpenItems:
        """Return the same items, to which others can be added."""
        fresh = OpenItems(self.items, self.begun)
        fresh.ratios.update(self.ratios)
        return fresh

    def merged(self, other: OpenItems) -> OpenItems:
        """Return the items of both in the order of their places, as if they had been of one position."""
        joined = OpenItems(sorted((*self.items, *other.items), key=place_of))
        ratios = {
            each.items[index].number: ratio for each in (self, other) for index, ratio in each.ratios.items()
        }  # fmt: skip
        joined.ratios = {n: ratios[each.number] for n, each in enumerate(joined.items) if each.number in ratios}
        return joined

    def ended(self) -> TripItems:
        return TripItems(tuple(self.items), self.begun, self.ratios)


def split_trips(
    window: Window, items: Sequence[Item], trips: Sequence[RoundTrip], pending: OpenItems
) -> tuple[list[TripItems], OpenItems]:
    """Return the items of each of the round trips that end among a window's first items, and those in progress then.

    `pending` are the items before the window of the trip in progress at its base.
    """
    found: list[TripItems] = []
    ratios = window.ratios(items) if any(item.kind is _SPLIT for item in items) else {}
    held, left = window.base.quantity, list(reversed(trips))
    for index, item in enumerate(items):
        pending.items.append(item)
        if item.kind is _SPLIT:
            ratio = ratios[index]
            if ratio is not None:
                pending.ratios[len(pending.items) - 1] = ratio
                held = quotient(held * ratio[0], ratio[1])
            continue
        if item.kind is _REPRICE or not item.quantity:
            continue
        before, held = held, _after(held, in_position(item).quantity)
        if left and left[-1].position == item.log_position:
            is_last = index + 1 == len(items) or items[index + 1].log_position != item.log_position
            if is_last or _turns(before, held):
                left.pop()
                found.append(pending.ended())
                pending = OpenItems([item], held) if held else OpenItems()
    return found, pending


def _after(held: Decimal, quantity: Decimal) -> Decimal:
    after = held + quantity
    return ZERO if is_residue(after, held) else after


def _turns(held: Decimal, after: Decimal) -> bool:
    return bool(held) and (not after or (after > ZERO) is not (held > ZERO))


def steps_of(trip: TripItems, now: Mapping[int, Item] | None = None) -> Iterator[Step]:
    """Yield the changes of a trip's position, the last of which leaves nothing.

    `now` are trades as they stand now, by log position: their prices count instead, where they still have one.
    """
    held = ZERO
    for index, item in enumerate(trip.items):
        if index in trip.ratios:
            ratio = trip.ratios[index]
            held = quotient(held * ratio[0], ratio[1])
            yield Step(item, ZERO, None, ratio)
            continue
        # What a merged position carried over is there as what it was made of.
        if item.kind in {_SPLIT, _REPRICE, _CARRIED} or not item.quantity:
            continue
        net = in_position(_priced(item, now))
        quantity = trip.begun if index == 0 and trip.begun is not None else net.quantity
        if index + 1 == len(trip.items) and held:
            quantity = -held
        held = _after(held, quantity)
        yield Step(item, quantity, net.value)


def _priced(item: Item, now: Mapping[int, Item] | None) -> Item:
    found = None if now is None or not item.is_trade else now.get(item.log_position)
    if found is None or found.price is None or not found.quantity:
        return item
    return replace(item, price=found.price)


def figures_of(trip: TripItems, now: Mapping[int, Item] | None = None) -> TripFigures:
    """Return what a trip opened and closed; `now` as for `steps_of`."""
    held = opened = closed = ZERO
    paid: Decimal | None = ZERO
    received: Decimal | None = ZERO
    is_long, entry_at, inverse = True, None, any(item.inverse for item in trip.items)
    for step in steps_of(trip, now):
        if step.ratio is not None:
            after, before = step.ratio
            held, opened, closed = (quotient(each * after, before) for each in (held, opened, closed))
            continue
        quantity, value = step.quantity, step.value
        if entry_at is None:
            is_long, entry_at = quantity > ZERO, step.item.at
        size = abs(quantity)
        if not held or (held > ZERO) is (quantity > ZERO):
            opened += size
            paid = None if paid is None or value is None else paid + size * value
        else:
            closed += size
            received = None if received is None or value is None else received + size * value
        held = _after(held, quantity)
    points = None if paid is None or received is None else received - paid
    return TripFigures(
        is_long,
        trip.items[0].at if entry_at is None else entry_at,
        opened,
        _mean(paid, opened, inverse=inverse),
        _mean(received, closed, inverse=inverse),
        points if points is None or is_long else -points,
    )


def _mean(total: Decimal | None, quantity: Decimal, *, inverse: bool) -> Decimal | None:
    if total is None or not quantity:
        return None
    mean = total / quantity
    if inverse and not mean:
        return None
    return price_of(mean, inverse=inverse)
