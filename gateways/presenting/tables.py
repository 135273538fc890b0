"""Tables as lines of text: columns if they fit, else a line for each member; nothing is cut."""

from __future__ import annotations

import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING

from gateways.presenting.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GAP = "  "
# Narrower than this, a column of prose is harder to read than a line of its own.
PROSE_MIN = 20


def width(text: str) -> int:
    """Return the number of terminal columns of a text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) in {"Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(sign) in {"F", "W"} else 1


def table(columns: Sequence[str], rows: Iterable[Iterable[str]], available: int, *, rule: str = "─") -> list[str]:
    """Return the lines of a table that is at most `available` columns wide.

    A column whose name begins with `>` is right-aligned, for figures; one with `~` is prose, which may be wrapped. If
    the columns do not fit, each row becomes a block with a line for each member, `name: value`.
    """
    names = [name.lstrip(">~") for name in columns]
    marks = [name[:1] for name in columns]
    cells = [[escaped(cell) for cell in row] for row in rows]
    widths = _widths(names, marks, cells, available)
    if widths is None:
        return [line for number, row in enumerate(cells) for line in _block(names, row, available, first=not number)]
    heading = _row(names, marks, widths)
    return [
        *heading,
        "  ".join(rule * each for each in widths),
        *(line for row in cells for line in _row(row, marks, widths)),
    ]


def _widths(
    names: Sequence[str], marks: Sequence[str], cells: Sequence[Sequence[str]], available: int
) -> list[int] | None:
    """Return the width of each column; None if they do not fit."""
    widths = [max(map(width, column)) for column in zip(names, *cells, strict=True)]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - available
    for index in [index for index, mark in enumerate(marks) if mark == "~"]:
        words = max(width(word) for row in (names, *cells) for word in row[index].split(" "))
        spared = min(max(excess, 0), max(widths[index] - max(words, PROSE_MIN), 0))
        widths[index] -= spared
        excess -= spared
    return widths if excess <= 0 else None


def _row(row: Sequence[str], marks: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    parts = [
        wrapped(cell, most) if mark == "~" else [cell] for cell, mark, most in zip(row, marks, widths, strict=True)
    ]
    for line in zip_longest(*parts, fillvalue=""):
        aligned = [
            " " * (most - width(cell)) + cell if mark == ">" else cell + " " * (most - width(cell))
            for cell, mark, most in zip(line, marks, widths, strict=True)
        ]
        yield GAP.join(aligned).rstrip()


def _block(names: Sequence[str], row: Sequence[str], available: int, *, first: bool) -> Iterator[str]:
    if not first:
        yield ""
    name_width = max(map(width, names)) + 2
    for name, cell in zip(names, row, strict=True):
        label = f"{name}:".ljust(name_width)
        lines = wrapped(cell, max(available - name_width, PROSE_MIN))
        yield (label + lines[0]).rstrip()
        yield from (" " * name_width + line for line in lines[1:])


def wrapped(text: str, most: int) -> list[str]:
    """Return text wrapped to a maximum width, between words, and within a word that is longer."""
    if width(text) <= most:
        return [text]
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width(lines[-1]) + 1 + width(word) <= most:
            lines[-1] += f" {word}"
        else:
            lines += _pieces(word, most)
    return lines


def cut(text: str, most: int) -> str:
    """Return text of a maximum width; longer text ends in an ellipsis."""
    if width(text) <= most:
        return text
    return next(_pieces(text, max(most - 1, 1))) + "…"


def _pieces(word: str, most: int) -> Iterator[str]:
    piece = ""
    for sign in word:
        if piece and width(piece) + _columns(sign) > most:
            yield piece
            piece = ""
        piece += sign
    yield piece
