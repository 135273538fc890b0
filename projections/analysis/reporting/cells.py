"""Figures and times of a frame as the cells of a page's tables."""

from __future__ import annotations

import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Any

from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.analysis.frame import Frame

MISSING = "–"
CENT = Decimal("0.01")
PRICE_DIGITS = 10
_DIGITS = 60


def rows(frame: Frame) -> list[dict[str, Any]]:
    """Return a frame's rows by column, with instants and durations in ns."""
    table = frame.to_arrow()
    for place, field in enumerate(table.schema):
        if str(field.type).startswith(("timestamp", "duration")):
            table = table.set_column(place, field.name, table.column(place).cast("int64"))
    return table.to_pylist()  # type: ignore[no-any-return]


def number(text: str | None) -> Decimal | None:
    """Return a figure of a frame with exact="text"; None where it is missing."""
    return None if text is None else Decimal(text)


def money(value: Decimal | str | None) -> str:
    """Return an amount rounded to hundredths, with thousands separated."""
    if value is None:
        return MISSING
    with localcontext(prec=_DIGITS):
        try:
            return f"{Decimal(value).quantize(CENT, ROUND_HALF_EVEN) + 0:,}".replace("-", "−")
        except InvalidOperation:
            return str(value)


def quantity(value: Decimal | str | None) -> str:
    """Return a quantity or a price with the digits it has, of a mean the first ten."""
    if value is None:
        return MISSING
    figure = Decimal(value)
    with localcontext(prec=PRICE_DIGITS):
        figure = figure if len(figure.as_tuple().digits) <= PRICE_DIGITS else +figure
    text = f"{figure:,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def percent(value: Decimal | float | str | None) -> str:
    """Return a share in percent."""
    return MISSING if value is None else f"{Decimal(value) * 100:,.1f} %".replace("-", "−")


def time(instant: int | None, zone: datetime.tzinfo) -> str:
    """Return an instant, in UNIX ns, to the second."""
    if instant is None:
        return MISSING
    return f"{datetime.datetime.fromtimestamp(instant // NANOSECONDS, zone):%Y-%m-%d %H:%M:%S}"


def span(duration: int | None) -> str:
    """Return a duration in ns to the second."""
    return MISSING if duration is None else str(datetime.timedelta(seconds=duration // NANOSECONDS))


def total(values: Iterable[Decimal | None]) -> Decimal | None:
    """Return a sum; None if one of the values is missing, since a part of it is unknown then."""
    result = Decimal(0)
    with localcontext(prec=_DIGITS):
        for value in values:
            if value is None:
                return None
            result += value
    return result
