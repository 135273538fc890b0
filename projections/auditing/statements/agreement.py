"""Whether two figures agree, as far as the digits say it in which each is written."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from projections.execution_matching import is_average

if TYPE_CHECKING:
    from collections.abc import Sequence

HALF_CENT = Decimal("0.005")


def is_same_amount(here: Decimal, there: Decimal, count: int = 1) -> bool:
    """Return whether two amounts of money agree, each of `count` parts being rounded in one of them.

    What is written with fewer digits may be the other one rounded, to cents at most: 0.74 may be 0.744, and 0 is 0.
    """
    if here == there:
        return True
    if not here or not there:
        # That nothing was paid is not a rounded amount, unless it is written with the digits for it.
        zero, other = (here, there) if not here else (there, here)
        return _exponent(zero) < 0 and abs(other) <= min(_half(zero), HALF_CENT) * count
    coarser = max(_half(here), _half(there))
    return abs(here - there) <= min(coarser, HALF_CENT) * count


def is_same_price(there: Decimal, parts: Sequence[tuple[Decimal, Decimal]], tick: Decimal | None) -> bool:
    """Return whether a stated price is that of trades, given as quantities and prices.

    Of several it is their average. One price that is less than half a tick off is the same, written with fewer digits.
    """
    if len(parts) > 1:
        return is_average(there, parts)
    [(_, price)] = parts
    return price == there or (bool(tick) and tick is not None and abs(price - there) * 2 < tick)


def _exponent(figure: Decimal) -> int:
    exponent = figure.as_tuple().exponent
    assert isinstance(exponent, int), figure  # it is finite
    return exponent


def _half(figure: Decimal) -> Decimal:
    """Return half a unit of the last digit that a figure is written with."""
    return Decimal((0, (5,), _exponent(figure) - 1))
