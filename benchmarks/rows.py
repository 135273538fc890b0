"""The rows of the table: a figure, its baselines from the same run, and its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from benchmarks.timing import ratio, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Beside(msgspec.Struct, frozen=True):
    """A comparison, in the row's unit. `ratio` is the row's figure divided by this one."""

    what: str
    figure: float
    ratio: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `met` is None where nothing is to be reached; `figure` is the median of the rounds."""

    name: str
    what: str
    figure: float
    unit: str
    beside: tuple[Beside, ...]
    ratio: float | None
    target: str
    met: bool | None
    rounds: int
    min: float
    median: float
    max: float
    note: str = ""

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "missed"


def compared(ours: Sequence[float], others: Mapping[str, Sequence[float]]) -> tuple[Beside, ...]:
    """Return the comparisons that were measured in the same rounds."""
    return tuple(Beside(what, spread(figures).median, ratio(ours, figures)) for what, figures in others.items())


def row(
    name: str,
    what: str,
    *,
    unit: str,
    figures: Sequence[float],
    beside: tuple[Beside, ...] = (),
    target: str = "",
    met: bool | None = None,
    note: str = "",
) -> Row:
    """Return a line; its ratio is that to the first of the comparisons."""
    found = spread(figures)
    return Row(
        name=name,
        what=what,
        figure=found.median,
        unit=unit,
        beside=beside,
        ratio=beside[0].ratio if beside else None,
        target=target,
        met=met,
        rounds=found.rounds,
        min=found.min,
        median=found.median,
        max=found.max,
        note=note,
    )
