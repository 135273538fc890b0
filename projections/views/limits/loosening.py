"""Which parameters of a rule became looser: by a table of names; a change of any other parameter counts as looser."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from projections.views.contracts.names import root_of

# No infinity, no NaN.
_NUMBER = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?(E[+-]?\d{1,3})?", re.ASCII)


class _Absent(enum.Enum):
    """The value of a parameter that is absent or null."""

    ABSENT = enum.auto()


_ABSENT = _Absent.ABSENT

Comparison = Callable[[Any, Any], bool]


def loosened(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the parameters by which `new` is looser than `old`, sorted; none for a tightening.

    A change counts as looser unless it is known not to be: so does an unknown name, a value of another type, and a
    negative figure, whose sign may mean either.
    """
    return tuple(name for name in sorted({*old, *new}) if _is_looser(name, old, new))


def _is_looser(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, after = _get(old, name), _get(new, name)
    if _same(before, after):
        return False
    if name == "limits":
        # A symbol without a limit of its own has the rule's `limit`.
        defaults = _get(old, "limit"), _get(new, "limit")
        return _each_is_looser(_mapping(before), _mapping(after), _is_looser_cap, defaults)
    comparison = _comparison_of(name)
    return comparison is None or comparison(before, after)


def _get(parameters: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON
    value = parameters.get(name)
    return _ABSENT if value is None else value


def _comparison_of(name: str) -> Comparison | None:
    if name in COMPARISONS:
        return COMPARISONS[name]
    # Parameters of a user's own rules are recognized by how their names begin or end.
    if name.startswith("max_") or name.endswith(("_max", "_limit")):
        return _is_looser_cap
    return _are_looser_warnings if name.startswith("warn") else None


def _same(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether two values mean the same: 5 and "5.00" do, true and 1 do not."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    numbers = _number(old), _number(new)
    if None not in numbers:
        return numbers[0] == numbers[1]
    # In Python True == 1: a flag and a number of the same value are still different.
    return type(old) is type(new) and bool(old == new)


def _number(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(old: Any, new: Any) -> tuple[Decimal, Decimal] | None:  # noqa: ANN401 - any JSON
    """Return both values as numbers, or None if they cannot be compared by size."""
    before, after = _number(old), _number(new)
    return None if before is None or after is None or min(before, after) < 0 else (before, after)


def _mapping(value: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - any JSON
    if isinstance(value, Mapping):
        return value
    return {} if value is _ABSENT else None


def _each_is_looser(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, comparison: Comparison, defaults: tuple[Any, Any]
) -> bool:
    """Compare figures by symbol or root; one that is not named has its root's, or that of `*`, `default` or the rule.

    The root is the one that a future's symbol contains: the contract's definition is not known here.
    """
    if old is None or new is None:
        return True
    # A name that one of the two leaves out is compared by what it falls back to there.
    pairs = [(_figure_of(old, name, defaults[0]), _figure_of(new, name, defaults[1])) for name in {*old, *new}]
    return any(not _same(before, after) and comparison(before, after) for before, after in pairs)


def _figure_of(figures: Mapping[str, Any], name: str, default: Any) -> Any:  # noqa: ANN401 - any JSON
    keys = (name, root_of(name) or name, "*", "default")
    return next((figures[key] for key in keys if figures.get(key) is not None), default)


def _is_looser_cap(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare caps, numbers, lists or by name: a larger cap is looser, and no cap is the loosest."""
    if _ABSENT in (old, new):
        return new is _ABSENT
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _each_is_looser(old, new, _is_looser_cap, (_ABSENT, _ABSENT))
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return any(not _same(*pair) and _is_looser_cap(*pair) for pair in zip(old, new, strict=True))
    numbers = _numbers(old, new)
    return numbers is None or numbers[1] > numbers[0]


def _is_looser_minimum(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare minimums: a smaller one is looser, and none is the loosest."""
    if _ABSENT in (old, new):
        return new is _ABSENT
    numbers = _numbers(old, new)
    return numbers is None or numbers[1] < numbers[0]


def _are_looser_warnings(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare warning thresholds: looser unless each old one has a new one of its own that is reached no later."""
    if _ABSENT in (old, new):
        return new is _ABSENT
    before, after = _thresholds(old), _thresholds(new)
    if before is None or after is None or len(after) < len(before):
        return True
    # Both are sorted: if any assignment of new thresholds to old ones works, the one in order does.
    return any(late > early for early, late in zip(before, after[: len(before)], strict=True))


def _thresholds(value: Any) -> list[Decimal] | None:  # noqa: ANN401 - any JSON
    figures = [_number(each) for each in (value if isinstance(value, list) else [value])]
    known = [figure for figure in figures if figure is not None and figure >= 0]
    return sorted(known) if len(known) == len(figures) else None


def _is_looser_floor(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare where a trailing floor stops rising: higher is tighter, and never is the tightest; it may be negative."""
    if _ABSENT in (old, new):
        return old is _ABSENT
    before, after = _number(old), _number(new)
    return before is None or after is None or after < before


def _is_looser_blocklist(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    before, after = (_names([] if value is _ABSENT else value) for value in (old, new))
    return before is None or after is None or not before <= after


def _is_looser_allowlist(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare lists of what is allowed: without a list everything is."""
    if _ABSENT in (old, new):
        return new is _ABSENT
    before, after = _names(old), _names(new)
    return before is None or after is None or not after <= before


def _names(value: Any) -> set[str] | None:  # noqa: ANN401 - any JSON
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return set(value)
    return None


def _is_looser_action(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare actions: NONE is the loosest, and FLATTEN includes what any reducing action does."""
    return bool(old != "NONE" and (new != "FLATTEN" or old == "CANCEL_ORDERS"))


def _is_looser_duration(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare how long something is forbidden; without a duration that may be forever, or not at all."""
    return _ABSENT in (old, new) or _is_looser_minimum(old, new)


def _choice_of(loose: object, strict: object) -> Comparison:
    """Return the comparison for a choice of two words; absence lies in between: its meaning depends on the rule."""

    def is_looser(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
        return not ((old is _ABSENT or _same(old, loose)) and (new is _ABSENT or _same(new, strict)))

    return is_looser


def _by_name(comparison: Comparison, default: str) -> Comparison:
    """Return the comparison for figures by symbol or root; `default` is the figure of those that are not named."""
    return lambda old, new: _each_is_looser(_mapping(old), _mapping(new), comparison, (default, default))


def _defaulting(comparison: Comparison, default: object) -> Comparison:
    """Return a comparison for which an absent value means `default`."""

    def is_looser(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
        before, after = (default if value is _ABSENT else value for value in (old, new))
        return not _same(before, after) and comparison(before, after)

    return is_looser


_CAPS = (
    "amount", "contracts", "distance", "drawdown", "fills", "limit", "losing_trips", "loss", "max", "maximum",
    "orders", "quantity", "round_trips", "target",
)  # fmt: skip

COMPARISONS: dict[str, Comparison] = {
    **dict.fromkeys(_CAPS, _is_looser_cap),
    **dict.fromkeys(("symbols", "blocked", "blocked_symbols", "blocked_roots"), _is_looser_blocklist),
    **dict.fromkeys(("allowed", "allowed_symbols", "allowed_roots"), _is_looser_allowlist),
    **dict.fromkeys(("cooldown", "minimum"), _is_looser_minimum),
    "action": _is_looser_action,
    "allows": _defaulting(_choice_of("REDUCE_ONLY", "NOTHING"), "REDUCE_ONLY"),
    "duration": _is_looser_duration,
    "enabled": _defaulting(_choice_of(loose=False, strict=True), default=True),
    "locks_at": _is_looser_floor,
    "margins": _by_name(_is_looser_minimum, "0"),
    "net_of_fees": _defaulting(_choice_of(loose=False, strict=True), default=True),
    "revocable": _choice_of(loose=True, strict=False),
    "severity": _choice_of("WARNING", "LOCKOUT"),
    "step": _defaulting(_is_looser_cap, "0"),
    "trailing": _defaulting(_choice_of(loose=False, strict=True), default=False),
    "warn_at": _defaulting(_are_looser_warnings, "0.8"),
    "weights": _by_name(_is_looser_minimum, "1"),
}
"""By a parameter's name, whether its new value is looser than its old one; either may be absent."""
