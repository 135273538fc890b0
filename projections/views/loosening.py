"""Which parameters of a rule became looser: a table by name, and whatever it does not know counts as looser."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# No infinity, no NaN.
_NUMBER = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?(E[+-]?\d{1,3})?", re.ASCII)


class _Absent(enum.Enum):
    """What stands for a parameter that is not there, or is null."""

    ABSENT = enum.auto()


_ABSENT = _Absent.ABSENT


class Kind(NamedTuple):
    """How one kind of parameter is compared: each asks whether the new value is looser than the old one."""

    changed: Callable[[Any, Any], bool]
    added: Callable[[Any], bool]
    removed: Callable[[Any], bool]


def loosened(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the parameters by which `new` is looser than `old`, sorted; none: a tightening or the same.

    A change that cannot be proved to be no loosening counts as one: a name that no kind is known for, a value of
    another form, a figure below zero, whose sign may mean either.
    """
    names = sorted({*old, *new})
    return tuple(name for name in names if _is_looser(name, _get(old, name), _get(new, name)))


def _get(parameters: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON
    value = parameters.get(name)
    return _ABSENT if value is None else value


def _is_looser(name: str, old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    if _same(old, new):
        return False
    kind = _kind_of(name)
    if kind is None:
        return True
    if old is _ABSENT:
        return kind.added(new)
    return kind.removed(old) if new is _ABSENT else kind.changed(old, new)


def _kind_of(name: str) -> Kind | None:
    if name in KINDS:
        return KINDS[name]
    if name.startswith("max_") or name.endswith(("_max", "_limit")):
        return CAP
    return WARNINGS if name.startswith("warn") else None


def _same(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether two values mean the same: 5 and "5.00" do, true and 1 do not."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    numbers = _number(old), _number(new)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return type(old) is type(new) and bool(old == new)


def _number(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(old: Any, new: Any) -> tuple[Decimal, Decimal] | None:  # noqa: ANN401 - any JSON
    """Return two figures that may be compared by size."""
    before, after = _number(old), _number(new)
    return None if before is None or after is None or min(before, after) < 0 else (before, after)


def _always(*_values: object) -> bool:
    return True


def _never(*_values: object) -> bool:
    return False


def _cap_changed(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare caps, of which the larger is the looser: figures, lists of the same length, or one for each name.

    A name without a cap of its own has that of `*` or `default`, if there is one.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        pairs = [(_cap_of(old, name), _cap_of(new, name)) for name in {*old, *new}]
        return any(
            not _same(before, after) and before is not _ABSENT and (after is _ABSENT or _cap_changed(before, after))
            for before, after in pairs
        )
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return any(
            not _same(before, after) and _cap_changed(before, after) for before, after in zip(old, new, strict=True)
        )
    numbers = _numbers(old, new)
    return numbers is None or numbers[1] > numbers[0]


def _cap_of(caps: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON
    return next((caps[key] for key in (name, "*", "default") if caps.get(key) is not None), _ABSENT)


def _least_changed(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare what is looser the smaller it is: figures, or one for each name where the names are the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() != new.keys() or any(
            not _same(old[name], new[name]) and _least_changed(old[name], new[name]) for name in old
        )
    numbers = _numbers(old, new)
    return numbers is None or numbers[1] < numbers[0]


def _warnings_changed(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare thresholds: each old one wants one of its own among the new ones that is reached no later."""
    before, after = _thresholds(old), _thresholds(new)
    if before is None or after is None or len(after) < len(before):
        return True
    return any(late > early for early, late in zip(before, after[: len(before)], strict=True))


def _thresholds(value: Any) -> list[Decimal] | None:  # noqa: ANN401 - any JSON
    figures = [_number(each) for each in (value if isinstance(value, list) else [value])]
    known = [figure for figure in figures if figure is not None and figure >= 0]
    return sorted(known) if len(known) == len(figures) else None


def _floor_changed(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    """Compare where a trailing floor stops: the higher that is, the tighter; a level may be below zero."""
    before, after = _number(old), _number(new)
    return before is None or after is None or after < before


def _names(value: Any) -> set[str] | None:  # noqa: ANN401 - any JSON
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return set(value)
    return None


def _blocked_changed(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    before, after = _names(old), _names(new)
    return before is None or after is None or not before <= after


def _allowed_changed(old: Any, new: Any) -> bool:  # noqa: ANN401 - any JSON
    before, after = _names(old), _names(new)
    return before is None or after is None or not after <= before


def _word(loose: object, strict: object) -> Kind:
    """Return the kind of what is one of two words. What its absence means is not known: it lies between them."""
    return Kind(
        changed=lambda old, new: not (old == loose and new == strict and type(new) is type(strict)),
        added=lambda new: not _same(new, strict),
        removed=lambda old: not _same(old, loose),
    )


CAP = Kind(_cap_changed, _never, _always)
"""The larger the looser: a limit, or a target that locks when it is reached. Without it there is no cap."""
WARNINGS = Kind(_warnings_changed, _never, _always)
LEAST = Kind(_least_changed, _never, _always)
"""The smaller the looser: how long something is forbidden. Without it, nothing is."""

_CAPS = (
    "amount", "contracts", "distance", "drawdown", "fills", "limit", "limits", "loss", "max", "maximum", "orders",
    "quantity", "round_trips", "target",
)  # fmt: skip

KINDS: dict[str, Kind] = {
    **dict.fromkeys(_CAPS, CAP),
    "cooldown": LEAST,
    # Without a duration a lockout may have no end, or none at all.
    "duration": Kind(_least_changed, _always, _always),
    # What counts of a name that has no weight is for the rule to say.
    "weights": Kind(_least_changed, _always, _always),
    "locks_at": Kind(_floor_changed, _always, _never),
    "symbols": Kind(_blocked_changed, _never, bool),
    "allowed": Kind(_allowed_changed, _never, _always),
    "enabled": _word(loose=False, strict=True),
    "net_of_fees": _word(loose=False, strict=True),
    "revocable": _word(loose=True, strict=False),
    "severity": _word(loose="WARNING", strict="LOCKOUT"),
}
for _list in ("blocked", "blocked_symbols", "blocked_roots"):
    KINDS[_list] = KINDS["symbols"]
for _list in ("allowed_symbols", "allowed_roots"):
    KINDS[_list] = KINDS["allowed"]
