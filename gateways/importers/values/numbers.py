"""Numbers as a file writes them: decimal separator, groups of thousands, currency signs, brackets, 32nds, 8ths."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from eventstore.errors import InvalidEvent
from gateways.importers.texts import CellError
from gateways.importers.values.forms import unified

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_SIGN = r"([+-]?) ?"
_UNIT = r"(?P<unit>[A-Za-z]\w*)?"
_FRACTIONS = {
    "32nds": r"['-](?P<part>\d\d)(?:(?P<more>\d{1,3})|(?P<exact>\.\d{1,6})|(?P<half>\+))?",
    "8ths": r"['-](?P<eighths>[0-7])",
}
_EXAMPLES = {"32nds": "110'165", "8ths": "450'4"}
_EIGHTHS = {digit: Decimal(eighths) / 8 for eighths, digit in enumerate("01235678")}
"""What a third digit says: eighths of a 32nd, of which CME writes the first decimal only."""


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a file writes numbers: the table [numbers] of a mapping.

    `strip` are texts beside a number that mean nothing, such as "$". With `brackets = "negative"`, (41.00) is below
    zero. With `fractions = "32nds"`, 110'165 is 110 and 16.5 32nds, with "8ths" 450'4 is 450 and a half, and a price
    with a decimal point is as written.
    `empty` are texts that stand for no number, such as "-". With `units`, a word after the number is its unit. None
    means that the mapping does not say it: then it is found in the file or asked for, and a parser takes a decimal
    point, no thousands, no brackets and no fractions.
    """

    decimal: Literal[".", ","] | None = None
    thousands: Literal["", ",", ".", " ", "'"] | None = None
    strip: str | tuple[str, ...] = ()
    brackets: Literal["", "negative"] | None = None
    fractions: Literal["none", "32nds", "8ths"] | None = None
    empty: tuple[str, ...] = ()
    units: bool = False

    def __post_init__(self) -> None:
        if self.thousands and self.thousands == (self.decimal or "."):
            msg = (
                f"numbers: {self.thousands!r} cannot separate both thousands and decimals: set both numbers.decimal "
                "and .thousands"
            )
            raise InvalidEvent(msg)
        if self.fractions in _FRACTIONS and self.thousands == "'":
            msg = f"numbers: an apostrophe cannot separate both thousands and {self.fractions}"
            raise InvalidEvent(msg)
        for word in self.words:
            if not word or any(sign.isdigit() or sign in ".,'+-()" for sign in word):
                msg = f"numbers: {word!r} cannot be stripped: it could be part of a number"
                raise InvalidEvent(msg)

    @property
    def words(self) -> tuple[str, ...]:
        """The texts that are stripped."""
        return (self.strip,) if isinstance(self.strip, str) else self.strip

    def is_empty(self, text: str) -> bool:
        """Return whether a cell has no number."""
        return not text.strip() or text.strip() in self.empty

    def parser(self) -> Callable[[str], Decimal]:
        """Return the function that reads a cell's number, and raises CellError for any other text."""
        measured = self.measured()

        def parse(text: str) -> Decimal:
            return measured(text)[0]

        return parse

    def measured(self) -> Callable[[str], tuple[Decimal, str]]:
        """Return the function that reads a cell's number and its unit, which is empty where there is none."""
        pattern, is_plain, point = self._pattern(), self.decimal != ",", self.decimal or "."
        grouping, expected = self.thousands or "", self._expected()

        def parse(text: str) -> tuple[Decimal, str]:
            if is_plain and _PLAIN.fullmatch(text):
                return Decimal(text), ""
            found = pattern.fullmatch(unified(text))
            if found is None:
                raise CellError(expected)
            part = found.groupdict()
            number = Decimal(part["whole"].replace(grouping, "").replace(point, "."))
            if part.get("part"):
                number += _fraction(part)
            elif part.get("eighths"):
                number += Decimal(part["eighths"]) / 8
            return (-number if _is_negative(found) else number), part.get("unit") or ""

        return parse

    def _pattern(self) -> re.Pattern[str]:
        point, group = re.escape(self.decimal or "."), re.escape(self.thousands or "")
        grouped = rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+|" if group else ""
        whole = rf"(?P<whole>(?:{grouped}\d+)(?:{point}\d*)?(?:[eE][+-]?\d{{1,2}})?|{point}\d+(?:[eE][+-]?\d{{1,2}})?)"
        if self.fractions in _FRACTIONS:
            whole = rf"{whole}(?:(?<=\d){_FRACTIONS[self.fractions]})?"
        word = "|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True))
        word = rf"(?:(?:{word}) ?)?" if word else ""
        opened, closed = (r"(?P<opened>\()? ?", r" ?(?P<closed>\))?") if self.brackets == "negative" else ("", "")
        unit = rf" ?{_UNIT}" if self.units else ""
        text = rf"{_SIGN}{word}{_SIGN}{opened}{_SIGN}{word}{_SIGN}{whole} ?{word}{unit}{closed} ?{word}"
        return re.compile(text, re.ASCII)

    def _expected(self) -> str:
        example = f"-1{self.thousands or ''}234{self.decimal or '.'}50"
        if self.fractions in _EXAMPLES:
            example += f" or {_EXAMPLES[self.fractions]}"
        return (
            f"is not a number as this file writes them, for example {example}: if it writes them otherwise, set "
            "numbers.decimal and numbers.thousands"
        )


def _is_negative(found: re.Match[str]) -> bool:
    """Return whether a number is below zero; raise CellError for two signs, a sign in brackets, or half a bracket."""
    part = found.groupdict()
    signs = [sign for sign in found.groups()[:4] if sign in {"+", "-"}]
    opened, closed = bool(part.get("opened")), bool(part.get("closed"))
    if opened != closed or len(signs) + opened > 1:
        msg = "has more than one sign, or half a bracket"
        raise CellError(msg)
    return opened or signs == ["-"]


def _fraction(part: dict[str, str]) -> Decimal:
    """Return what stands after a price's apostrophe or hyphen, in points."""
    thirtyseconds, more = Decimal(part["part"]), part["more"] or ""
    if part["half"]:
        thirtyseconds += Decimal("0.5")
    elif part["exact"]:
        thirtyseconds += Decimal(part["exact"])
    elif len(more) == 1:
        if more not in _EIGHTHS:
            msg = "has a last digit that does not mean eighths of a 32nd: 0, 1, 2, 3, 5, 6, 7 and 8 do"
            raise CellError(msg)
        thirtyseconds += _EIGHTHS[more]
    else:
        thirtyseconds += Decimal(f"0.{more or 0}")
    if thirtyseconds >= 32 or thirtyseconds * 8 % 1:  # noqa: PLR2004 - 32nds
        msg = "is not a whole number of eighths of 32nds below 32"
        raise CellError(msg)
    return thirtyseconds / 32
