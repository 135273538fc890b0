"""Rows that are drawn by chance: what numbers, times and words of exports look like."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.importers.facts import Fact, Row, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - as an export writes it, without a zone


@dataclass(frozen=True)
class Export:
    """A preset's export: how a row is drawn, what rows mean, and what its import asks for.

    `ids` are the columns that tell a row from any other, together; where the file has none, rows with the same figures
    are executions of their own. `name` is that of the file, `before` the lines above its header.
    """

    preset: str
    draw: Callable[[Random, int], Row]
    truth: Callable[[Rows], Iterator[Fact]]
    ids: tuple[str, ...] = ()
    name: str = "export.csv"
    before: str = ""
    has_header: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def clock_of(chance: Random, number: int, format: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time on one of the days from 2 to 28 March 2026."""
    at = START + timedelta(days=chance.randrange(27), minutes=number, seconds=chance.randrange(20_000))
    text = at.strftime(format)
    return text if "%B" in format or "%I" not in format else text.lstrip("0").replace("/0", "/").replace(" 0", " ")


def decimal_of(chance: Random, low: float, high: float, places: int) -> str:
    """Return a number with at most so many decimals, sometimes without those that are zero."""
    text = f"{chance.uniform(low, high):.{places}f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text and chance.random() < 0.5 else text


def ticks(chance: Random, low: int = 21_000) -> str:
    """Return a price of a future, in quarters."""
    return f"{low + chance.randrange(400) / 4:.2f}"


def grouped(text: str) -> str:
    """Return a number with commas between its thousands."""
    whole, _, part = text.partition(".")
    return f"{int(whole):,}{'.' if part else ''}{part}"
