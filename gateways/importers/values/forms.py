"""The forms of texts: how numbers and times are written, apart from the digits themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventstore.clock import GIVEN_MIN, NANOSECONDS

if TYPE_CHECKING:
    from decimal import Decimal

UNITS = {"s": NANOSECONDS, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""The units of a UNIX time, each with its nanoseconds."""
UNIX_MAX = 4_102_444_800 * NANOSECONDS  # 2100-01-01T00:00:00Z
"""A number is a UNIX time only if the result lies from 1990, GIVEN_MIN, to here."""
# Days from 1899-12-30: 1990-01-01 and 2100-01-01.
SERIAL_MIN, SERIAL_MAX = 32_874, 73_051

_BOUNDS = {unit: (GIVEN_MIN // size, UNIX_MAX // size) for unit, size in UNITS.items()}
_BOUNDS["serial"] = (SERIAL_MIN, SERIAL_MAX)

# No-break, narrow no-break and thin blank; the typographic apostrophe; the minus sign.
_SAME = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-"})
# A sign, a bracket and a word, digits with separators, a word and a bracket. An exponent belongs to the digits.
_NUMBER = re.compile(
    r"(?P<head>[^\d.,']*)(?P<core>[.,]?\d(?:[\d.,' -]*\d)?[.,]?)(?P<exponent>[eE][+-]?\d{1,2})?(?P<tail>[^\d.,']*)",
    re.ASCII,
)
DATE_SIZE = 10
_DATE_FIRST = re.compile(r"Y[-./]d[-./]d|d[-./]d[-./][dY]|8(?!\d)")
_RUN = re.compile(r"\d+", re.ASCII)
LETTERS = re.compile(r"[AaPp]\.[Mm]\.?|[^\W\d_]+(?:\.(?!\d))?")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
MONTHS = {short: number for number, name in enumerate(_MONTHS, 1) for short in (name, name[:3])} | {"sept": 9}
"""The months by their English names and the first three letters of these."""
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {
    **dict.fromkeys(MONTHS, "B"),
    **dict.fromkeys((short for name in _DAYS for short in (name, name[:3])), "W"),
    "am": "P",
    "pm": "P",
    "t": "T",
    "z": "Z",
    "utc": "U",
    "gmt": "U",
}
_MARKS = str.maketrans("", "", "+-() ")


def unified(text: str) -> str:
    """Return a text without surrounding space, its blanks, apostrophes and minus signs those of ASCII."""
    text = text.strip()
    return text if text.isascii() else text.translate(_SAME)


def unit_of(number: Decimal | float) -> str:
    """Return the unit in which a number is a UNIX time from 1990 to 2100, else "serial" or "none"."""
    for unit, (least, beyond) in _BOUNDS.items():
        if least <= number < beyond:
            return unit
    return "none"


def number_form(text: str) -> tuple[str, tuple[str, ...], int] | None:
    """Return the form of a number, the words before and after it, and its sign; None if the text is not a number.

    A form is the first run of digits (`0` if it begins with a zero, `s` up to three digits, `l` longer, nothing if
    the text begins with a separator), and after each separator its run: `1`, `2`, `3` digits or `4` for more. After
    an apostrophe or a hyphen, `f` and `g` are two and three digits that may be 32nds, and `e` is one that may be 8ths.
    """
    whole, _, fraction = text.removeprefix("-").partition(".")
    if text.isascii() and whole.isdigit() and fraction.isdigit():
        # Most numbers are plain: this is only faster than what follows.
        is_zero = not whole.strip("0") and not fraction.strip("0")
        return f"{_first(whole)}.{min(len(fraction), 4)}", (), 0 if is_zero else -1 if text[0] == "-" else 1
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    core, head, tail = found["core"], found["head"], found["tail"]
    affixes = tuple(word for part in (head, tail) if (word := part.translate(_MARKS)))
    parts = re.split(r"([.,' -])", core)
    form = [_first(parts[0])]
    for separator, run in zip(parts[1::2], parts[2::2], strict=True):
        form += separator, _later(separator, run)
    is_negative = "-" in head or ("(" in head and ")" in tail)
    sign = 0 if not core.strip("0.,' -") else -1 if is_negative else 1
    if tail.strip().startswith("+"):
        form.append("+")
    return "".join(form), affixes, sign


def _first(run: str) -> str:
    if not run:
        return ""
    if run[0] == "0":
        return "0"
    return "s" if len(run) <= 3 else "l"  # noqa: PLR2004 - a group of digits


def _later(separator: str, run: str) -> str:
    if separator in "'-" and len(run) == 1 and run < "8":
        return "e"
    if separator in "'-" and len(run) in {2, 3} and int(run[:2]) < 32 and run[2:] not in {"4", "9"}:  # noqa: PLR2004
        return "f" if len(run) == 2 else "g"  # noqa: PLR2004 - digits
    return str(min(len(run), 4)) if run else ""


def time_form(text: str) -> tuple[str, list[int]]:
    """Return the form of a text with digits, and the values of its runs of digits.

    A form has `d` for a run of one or two digits, `Y` for four, the number of digits for others; `B` for a month's
    name, `W` for a weekday's, `P` for AM or PM, `T` and `Z` for themselves, `U` for UTC or GMT, and `A` for any other
    run of letters; everything else is as written.
    """
    runs = _RUN.findall(text)
    return _RUN.sub(_run_mark, LETTERS.sub(_word_mark, text)), [int(run) for run in runs]


def begins_with_date(form: str) -> bool:
    """Return whether all runs of digits that name the date are within the first DATE_SIZE characters."""
    return _DATE_FIRST.match(form) is not None


def _word_mark(found: re.Match[str]) -> str:
    return _WORDS.get(found[0].replace(".", "").lower(), "A")


def _run_mark(found: re.Match[str]) -> str:
    size = len(found[0])
    return "d" if size <= 2 else "Y" if size == 4 else str(size) if size < 10 else f"<{size}>"  # noqa: PLR2004 - digits
