"""How programs write the name of a futures contract: root, month and year, in one of several spellings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

MONTH_LETTERS = "FGHJKMNQUVXZ"
"""F for January to Z for December (CME Group, "Futures month codes")."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CODE = rf"(?P<root>[A-Z0-9]{{1,5}})(?P<letter>[{MONTH_LETTERS}])(?P<year>\d{{4}}|\d{{1,2}})"
# CME Group's exchanges as vendors write them: by name, by ISO 10383 (XCME, XCBT, XNYM, XCEC), by three letters.
_EXCHANGE = r"(?:CME|CBOT|NYMEX|COMEX|GLOBEX|CBT|NYM|CMX|XCME|XCBT|XNYM|XCEC)"
_PATTERNS = {
    # MNQH6, MNQH26, MNQH2026.
    "code": _CODE,
    # /MNQH6, /MNQH26:XCME.
    "slash": rf"/{_CODE}(?::{_EXCHANGE})?",
    # MNQH6.CME, MNQH26-CME, MNQH26_FUT_CME.
    "suffix": rf"{_CODE}(?:[.-]|_FUT_){_EXCHANGE}",
    # CME_MINI:MNQH2026.
    "prefix": rf"{_EXCHANGE}(?:_MINI)?:{_CODE}",
    # MNQ MAR26, ES DEC 11, MNQ 03-26, ES 12.11.
    "words": rf"(?P<root>[A-Z0-9]{{1,5}}) (?:(?P<name>{'|'.join(_MONTHS)}) ?|(?P<number>0[1-9]|1[0-2])[-.])"
    r"(?P<year>\d\d)",
    # CON.F.US.MNQ.H26, of ProjectX: the root is CQG's.
    "projectx": rf"CON\.F\.[A-Z]{{2}}\.(?P<root>[A-Z0-9]+)\.(?P<letter>[{MONTH_LETTERS}])(?P<year>\d\d)",
}
_COMPILED = {kind: re.compile(pattern, re.ASCII) for kind, pattern in _PATTERNS.items()}
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "exchange": ("code",),
    "ninjatrader": ("words",),
    "projectx": ("projectx", "code"),
    "sierra": ("suffix",),
    "thinkorswim": ("slash",),
    "tradervue": ("code", "words"),
    "tradingview": ("prefix", "code"),
    "as-written": (),
}
"""The spellings of each program; with "as-written", no name is taken for that of a futures contract."""
_CENTURY_PIVOT = 90
"""Two digits of a year from here on are of the twentieth century."""


class SpelledFuture(NamedTuple):
    """A name that is spelled like that of a futures contract. `year` is as written, with one, two or four digits."""

    root: str
    month: int
    year: str
    is_projectx: bool

    def code(self, root: str) -> str:
        """Return root, month letter and the last digit of the year."""
        return f"{root}{MONTH_LETTERS[self.month - 1]}{self.year[-1]}"

    @property
    def full_year(self) -> int | None:
        """The year, None if only its last digit is written."""
        number = int(self.year)
        match len(self.year):
            case 1:
                return None
            case 2:
                return number + (1900 if number >= _CENTURY_PIVOT else 2000)
            case _:
                return number


def spelled(name: str, spelling: str | None = None) -> SpelledFuture | None:
    """Return what a name says in the spellings of a program, by default of all; None if it is spelled otherwise.

    Upper and lower case mean the same, but not both in one name: only a month's name may be in any case. Raises
    InvalidEvent for an unknown program.
    """
    kinds = _PATTERNS if spelling is None else _kinds(spelling)
    upper = name.upper()
    for kind in kinds:
        found = _COMPILED[kind].fullmatch(upper)
        if found is not None and name.isascii() and _is_one_case(name, found):
            return _future(kind, found.groupdict())
    return None


def _kinds(spelling: str) -> tuple[str, ...]:
    try:
        return SPELLINGS[spelling]
    except KeyError:
        msg = f"contract.spelling {spelling!r} is unknown: choose one of {', '.join(SPELLINGS)}"
        raise InvalidEvent(msg) from None


def _is_one_case(name: str, found: re.Match[str]) -> bool:
    start, stop = found.span("name") if "name" in found.re.groupindex else (-1, -1)
    rest = name if start < 0 else name[:start] + name[stop:]
    return rest in {rest.upper(), rest.lower()}


def _future(kind: str, part: Mapping[str, str | None]) -> SpelledFuture:
    return SpelledFuture(part["root"] or "", _month(part), part["year"] or "", kind == "projectx")


def _month(part: Mapping[str, str | None]) -> int:
    if letter := part.get("letter"):
        return MONTH_LETTERS.index(letter) + 1
    if name := part.get("name"):
        return _MONTHS.index(name) + 1
    return int(part["number"] or 0)
