"""Which change of a parameter is looser: the directions that a kind of limit names in its parameters' annotations."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

# No infinity, no NaN.
_NUMBER = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?(E[+-]?\d{1,3})?", re.ASCII)


class Absent(enum.Enum):
    """The value of a parameter that is absent or null, and has no default."""

    ABSENT = enum.auto()


ABSENT = Absent.ABSENT

Comparison = Callable[[Any, Any], bool]


class Direction(NamedTuple):
    """Whether a new value of a parameter is looser than the old one; either may be ABSENT.

    With `by_name` the values are tables by symbol or root; `fallback` names the parameter whose value a symbol without
    an entry has, or is that value. Without `waits` a looser value holds at once: it may need approval, and no session.
    """

    is_looser: Comparison
    by_name: bool = False
    fallback: str | Decimal | None = None
    waits: bool = True


class Measured(enum.StrEnum):
    """The unit of a parameter and of the figure that is compared with it."""

    MONEY = "money"
    """An amount in the limit's currency, by default the account's."""
    CONTRACTS = "contracts"
    SHARE = "share"
    """A part of a whole, 0 to 1."""
    COUNT = "count"
    DURATION = "ns"
    TICKS = "ticks"
    INSTANT = "UNIX ns"


def is_same(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether two values mean the same: 5 and "5.00" do, true and 1 do not."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(is_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_same, old, new))
    numbers = _number(old), _number(new)
    if None not in numbers:
        return numbers[0] == numbers[1]
    # In Python True == 1: a flag and a number of the same value are still different.
    return type(old) is type(new) and bool(old == new)


def is_looser_table(old: Any, new: Any, direction: Direction, fallbacks: tuple[Any, Any]) -> bool:  # noqa: ANN401 - any JSON
    """Compare figures by symbol or root.

    A name that one of the tables leaves out has its root's figure there, or the fallback. Which name is whose root is
    not known here: each figure that it may have had, and may have, is compared.
    """
    before, after = _table(old), _table(new)
    if before is None or after is None:
        return True
    for name in {*before, *after}:
        olds = _figures_of(before, name, fallbacks[0])
        news = _figures_of(after, name, fallbacks[1])
        if any(not is_same(one, other) and direction.is_looser(one, other) for one in olds for other in news):
            return True
    return False


def _figures_of(table: Mapping[str, Any], name: str, fallback: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if table.get(name) is not None:
        return [table[name]]
    return [fallback, *(figure for figure in table.values() if figure is not None)]


def _number(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(old: Any, new: Any) -> tuple[Decimal, Decimal] | None:  # noqa: ANN401 - any JSON
    """Return both values as numbers, or None if they cannot be compared by size."""
    before, after = _number(old), _number(new)
    # The sign of a negative figure may mean either.
    return None if before is None or after is None or min(before, after) < 0 else (before, after)


def _table(value: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - any JSON
    if isinstance(value, Mapping):
        return value
    return {} if value is ABSENT else None


def _is_higher(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    if ABSENT in (old, new):
        return new is ABSENT
    numbers = _numbers(old, new)
    return numbers is None or numbers[1] > numbers[0]


def _is_lower(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    if ABSENT in (old, new):
        return new is ABSENT
    numbers = _numbers(old, new)
    return numbers is None or numbers[1] < numbers[0]


def _is_lower_stop(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    if ABSENT in (old, new):
        return old is ABSENT
    before, after = _number(old), _number(new)
    return before is None or after is None or after < before


def _is_shorter(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    return ABSENT in (old, new) or _is_lower(old, new)


def _blocks_less(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    before, after = (_names([] if value is ABSENT else value) for value in (old, new))
    return before is None or after is None or not before <= after


def _names(value: Any) -> set[str] | None:  # noqa: ANN401 - any JSON
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return set(value)
    return None


def _acts_less(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    # FLATTEN includes what any reducing action does, and leaves orders that could open a position.
    return bool(old != "NONE" and (new != "FLATTEN" or old == "CANCEL_ORDERS"))


def _always(_old: Any, _new: Any) -> bool:  # noqa: ANN401 - any JSON
    return True


def _never(_old: Any, _new: Any) -> bool:  # noqa: ANN401 - any JSON
    return False


HIGHER = Direction(_is_higher)
"""A higher value is looser, and none is the loosest: a limit."""
LOWER = Direction(_is_lower)
"""A lower value is looser, and none is the loosest: a minimum, or what a warning needs."""
LOWER_STOP = Direction(_is_lower_stop)
"""Where a floor stops rising: lower is looser, never the tightest; it may be negative."""
SHORTER = Direction(_is_shorter)
"""How long something is forbidden: without a duration that may be forever, or not at all."""
BLOCKED = Direction(_blocks_less)
"""The names that are forbidden: one fewer is looser."""
ACTION = Direction(_acts_less)
"""What is asked of the trading process: NONE is the loosest."""
EITHER = Direction(_always)
"""Any change may be looser."""
NEITHER = Direction(_never)
"""No change is looser: it holds at once."""


def from_loose_to_strict(*values: object) -> Direction:
    """Return the direction of a choice, whose values are named from the loosest to the strictest."""

    def is_looser(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
        places = [next((n for n, value in enumerate(values) if is_same(each, value)), None) for each in (old, new)]
        before, after = places
        return before is None or after is None or after < before

    return Direction(is_looser)


def by_name(direction: Direction, fallback: str | Decimal | None = None) -> Direction:
    """Return the direction of a table by symbol or root; without a fallback, a name that is left out has no limit."""
    return Direction(direction.is_looser, by_name=True, fallback=fallback)


def at_once(direction: Direction) -> Direction:
    """Return a direction whose looser values wait for no session."""
    return direction._replace(waits=False)
