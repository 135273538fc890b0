"""The table: a row for each figure, its baselines below one another, notes at the end."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.rows import Row

HEADINGS = ("what", "figure", "", "min – max", "baseline", "figure", "ratio", "target", "")
RIGHT = frozenset({1, 5, 6})
WIDTH_MAX = 140


def table(rows: Sequence[Row]) -> str:
    """Return the table as text, each note under the names of the rows that it belongs to."""
    lines = [HEADINGS, *(line for each in rows for line in _lines(each))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [_joined(line, widths) for line in lines]
    text.insert(1, "─" * len(_joined(HEADINGS, widths)))
    notes = [f"{each.name}: median of {each.rounds}; {each.note}." for each in rows if each.note]
    width = min(max(len(line) for line in text), max(shutil.get_terminal_size((WIDTH_MAX, 24)).columns, 80))
    wrapped = [textwrap.fill(note, width, subsequent_indent="  ") for note in notes]
    return "\n".join([*text, "", *wrapped])


def _lines(row: Row) -> Iterator[tuple[str, ...]]:
    """Yield a row's first line, then one for each further comparison."""
    own = (row.what, _number(row.figure), row.unit, f"{_number(row.min)} – {_number(row.max)}")
    besides = [(each.what, _number(each.figure), f"{each.ratio:.2f}") for each in row.beside]
    first, *others = besides or [("", "", "")]
    yield (*own, *first, row.target, row.verdict)
    for other in others:
        yield ("", "", "", "", *other, "", "")


def _joined(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.rjust(width) if column in RIGHT else text.ljust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _number(value: float) -> str:
    """Return a number with three digits that count, or all those before the point."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
