"""How a column writes its times, found in the whole of it or asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from eventstore.clock import GIVEN_MIN, NANOSECONDS
from gateways.importers.texts import CellError
from gateways.importers.values.forms import UNITS, UNIX_MAX
from gateways.importers.values.questions import Question, counted
from gateways.importers.values.time_formats import TimeFormat
from gateways.importers.values.times import Time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateways.importers.values.survey import ColumnSummary

# In the forms of `time_form`, B is a month's name, W a weekday's, P AM or PM, U UTC or GMT, A another word.
_CLOCK = r"(?P<clock>d:d(?::d(?:[.,](?:d|Y|[35-9]))?)?(?: ?P)?|6|Y)"
_ZONE = r"(?P<zone> ?Z| ?[+-]d(?::?d)?| ?[+-]Y| ?U| A|)"
_LINK = r"(?:,? +|T|;|,| - | @ )"
_DATE = (
    r"(?P<date>(?P<year_first>Y(?P<s1>[-./])d(?P=s1)d)|(?P<year_last>d(?P<s2>[-./])d(?P=s2)Y)"
    r"|(?P<short>d(?P<s3>[-./])d(?P=s3)d)|(?P<named>(?:W,? )?(?:B d,? Y|d(?P<s4>[ .-])B(?P=s4)(?:Y|d)))|(?P<digits>8))"
)
_FORM = re.compile(rf"{_DATE}(?:(?P<link>{_LINK}){_CLOCK})?{_ZONE}")
_CLOCK_FIRST = re.compile(rf"{_CLOCK}(?P<link> ){_DATE}{_ZONE}")
_HAS_ZONE = re.compile(r"(?:[ZU]|(?::d(?:[.,]\w)?(?: ?P)?|T6) ?[+-](?:d(?::?d)?|Y))\Z")
_RUN = re.compile(r"d|Y|\d|<\d+>")
_UNIX_UNITS = frozenset({"s", "ms", "us", "ns", "mixed"})
_ORDERS = {
    "year_first": ("Ymd",),
    "year_last": ("mdY", "dmY"),
    "short": ("mdy", "dmy", "ymd"),
    "named": ("",),
    "digits": ("Ymd", "dmY", "mdY"),
}
_COMPACT = ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%y%m%d%H%M%S")
_PARTS = {"Y": (1, 9999), "y": (0, 99), "m": (1, 12), "d": (1, 31)}
_SECONDS_MIN, _SECONDS_MAX = GIVEN_MIN // NANOSECONDS, UNIX_MAX // NANOSECONDS


class _Way(NamedTuple):
    """A form as its parts: the kind of date, the bounds of each run in it, and the format before and after it."""

    kind: str
    bounds: Sequence[Sequence[int]]
    date: str
    before: str
    after: str

    def format(self, order: str) -> str:
        return f"{self.before}{_date_format(self.kind, self.date, order)}{self.after}"


def infer_time(column: ColumnSummary, given: Time | None = None) -> tuple[Time, tuple[Question, ...]]:
    """Return how a column writes its times, and a question for each thing that it leaves open.

    The column is that of the time's columns, joined by a blank. `given` is what the mapping says; what it leaves out
    is found if the whole column allows one reading of its times only.
    """
    found, questions = given or Time(), []
    if found.format is None and found.unit is None:
        plain = sum(column.units.values())
        inferred = _unit(column) if plain and plain == column.filled else _formats(column)
        if isinstance(inferred, Question):
            questions.append(inferred)
        elif isinstance(inferred, str):
            found = replace(found, unit=inferred)
        else:
            found = replace(found, format=inferred[0] if len(inferred) == 1 else inferred)
    if found.zone is None and (without := _without_zone(column, found)):
        text = f"column {column.name}: the times have no zone: name the one they are in, for example America/Chicago"
        questions.append(Question("time.zone", text, without))
    return found, tuple(questions)


def about_fold(column: str, text: str, zone: str) -> Question:
    """Return the question for a time that the clocks of a zone show twice."""
    why = f"column {column}: {text} is twice on the clocks of {zone}, which were set back: which one is it?"
    return Question("time.fold", why, (text,), ("earlier", "later"))


def _unit(column: ColumnSummary) -> str | Question:
    """Return the unit of a column of numbers: one in which all of them are UNIX times."""
    kinds = set(column.units)
    name = f"column {column.name}"
    shown = tuple(column.examples)
    if len(kinds) == 1 and kinds <= set(UNITS):
        return kinds.pop()
    if kinds <= set(UNITS):
        text = f"{name}: the numbers are UNIX times in several units: is each one in the unit of its size?"
        return Question("time.unit", text, counted(column.units), ("mixed",))
    if kinds == {"serial"}:
        text = f"{name}: the numbers are not UNIX times from 1990 to 2100, but may be a spreadsheet's days"
        return Question("time.unit", text, shown, ("serial",))
    if kinds == {"none"} and (options := _compact(column)):
        text = f"{name}: the numbers are not UNIX times from 1990 to 2100, but may be dates written in digits"
        return Question("time.format", text, shown, options)
    text = f"{name}: the numbers are not UNIX times from 1990 to 2100 in one unit: state time.format or time.unit"
    return Question("time.format", text, shown)


def _compact(column: ColumnSummary) -> tuple[str, ...]:
    """Return the formats by which the least and the greatest number are dates from 1990 to 2100."""
    ends = (column.minimum or "", column.maximum or "")
    return tuple(text for text in _COMPACT if all(_is_date(end, text) for end in ends))


def _is_date(text: str, format: str) -> bool:
    known = TimeFormat(format)
    found = known.match(text)
    try:
        return found is not None and _SECONDS_MIN <= known.read(found).seconds < _SECONDS_MAX
    except CellError:
        return False


def _formats(column: ColumnSummary) -> tuple[str, ...] | Question:
    """Return the formats of a column of texts: one date's order for all of them."""
    ways = [_way(form, bounds) for form, bounds in column.time_forms.items()]
    shown = tuple(column.examples)
    known = [way for way in ways if way is not None] if not column.units else []
    halves = {("%p" in way.after + way.before) for way in known if "%M" in way.after + way.before}
    if not known or len(known) < len(ways) or len({way.kind for way in known}) > 1 or "time_forms" in column.more:
        text = f"column {column.name}: the times are written in no known way, or in several: state time.format"
        return Question("time.format", text, shown)
    if len(halves) > 1:
        text = f"column {column.name}: some times say AM or PM and others do not: state time.format"
        return Question("time.format", text, shown)
    orders = _orders(known)
    if len(orders) == 1:
        return tuple(dict.fromkeys(way.format(orders[0]) for way in known))
    why = "no order of day, month and year fits all" if not orders else "no value decides which part is the month"
    options = tuple(dict.fromkeys(way.format(order) for order in orders for way in known[:1]))
    return Question("time.format", f"column {column.name}: {why}: state time.format", shown, options)


def _orders(ways: Iterable[_Way]) -> list[str]:
    """Return the orders of day, month and year in which every date of the column exists."""
    ways = list(ways)
    kind = ways[0].kind
    if kind == "named":
        return [""]
    runs = zip(*(way.bounds for way in ways), strict=True)
    bounds = [(min(low for low, _ in each), max(high for _, high in each)) for each in runs]
    if kind == "digits":
        texts = [f"{value:08}" for pair in bounds for value in pair]
        return [each for each in _ORDERS[kind] if all(_is_date(text, _date_format(kind, "", each)) for text in texts)]
    fitting = [order for order in _ORDERS[kind] if _fits(order, bounds)]
    # One and the same number is day and month in every row: each order means the same.
    is_same = len({value for pair in bounds[:2] for value in pair}) == 1
    return fitting[:1] if is_same and kind == "year_last" else fitting


def _fits(order: str, bounds: Sequence[tuple[int, int]]) -> bool:
    for part, (low, high) in zip(order, bounds, strict=True):
        least, greatest = _PARTS[part]
        if low < least or high > greatest:
            return False
    return True


def _way(form: str, bounds: Sequence[Sequence[int]]) -> _Way | None:
    """Return a form as its parts; None if it is not that of a date with or without a time of day."""
    found = _FORM.fullmatch(form) or _CLOCK_FIRST.fullmatch(form)
    if found is None:
        return None
    part = found.groupdict(default="")
    kind = next(name for name in _ORDERS if part[name])
    clock, zone = _clock_format(part["clock"]), _zone_format(part["zone"])
    runs = len(_RUN.findall(form[: found.start("date")]))
    count = len(_RUN.findall(part["date"]))
    if found.re is _FORM:
        before, after = "", f"{part['link']}{clock}{zone}"
    else:
        before, after = f"{clock}{part['link']}", zone
    return _Way(kind, bounds[runs : runs + count], part["date"], before, after)


def _date_format(kind: str, form: str, order: str) -> str:
    if kind == "digits":
        return "".join(f"%{part}" for part in order)
    if kind == "named":
        directives = {"W": iter(("%a",)), "B": iter(("%b",)), "Y": iter(("%Y",)), "d": iter(("%d", "%y"))}
        return "".join(next(directives[sign]) if sign in directives else sign for sign in form)
    parts = iter(order)
    return _RUN.sub(lambda _: f"%{next(parts)}", form)


def _clock_format(form: str) -> str:
    if form in {"6", "Y"}:
        return "%H%M%S" if form == "6" else "%H%M"
    whole, half = (form[:-1], form[-1]) if form.endswith("P") else (form, "")
    is_blank = whole.endswith(" ")
    parts = re.split("[.,]", whole.strip())[0].count("d")
    clock = ":".join(("%I" if half else "%H", "%M", "%S")[:parts])
    return f"{clock}{' ' if is_blank else ''}{'%p' if half else ''}"


def _zone_format(form: str) -> str:
    blank = " " if form.startswith(" ") else ""
    return f"{blank}{'%Z' if form.endswith(('U', 'A')) else '%z'}" if form else ""


def _without_zone(column: ColumnSummary, time: Time) -> tuple[str, ...]:
    """Return examples of times that a zone is needed for."""
    if time.unit is not None:
        needs_zone = time.unit == "serial"
    elif time.formats and all("%z" in format for format in time.formats):
        needs_zone = False
    else:
        needs_zone = not set(column.units) <= set(UNITS) or not all(map(_HAS_ZONE.search, column.time_forms))
    return tuple(column.examples) if needs_zone else ()


def is_complete(time: Time) -> bool:
    """Return whether times can be read without looking at the whole column."""
    if time.unit in _UNIX_UNITS:
        return True
    formats = time.formats
    has_offset = bool(formats) and all("%z" in each for each in formats)
    return has_offset or (bool(formats or time.unit) and time.zone is not None)
