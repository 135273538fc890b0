"""Reference: what each kind of limit may state, and which parameters nobody can judge by."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

Parameters = dict[str, Any]
HIGHER, LOWER_STOP, SHORTER, EITHER = "higher is looser", "lower is looser", "shorter is looser", "any change is looser"
ABOVE_ZERO, NOT_BELOW_ZERO = "above zero", "not below zero"
COMMON: dict[str, tuple[Any, Any]] = {
    "enabled": ([False, True], True),
    "severity": (["WARNING", "LOCKOUT"], "LOCKOUT"),
    "warn_at": (HIGHER, "0.8"),
    "revocable": ([True, False], True),
}
RESULT = COMMON | {"basis": (EITHER, "realized"), "net_of_fees": ([False, True], True)}
KINDS: dict[str, dict[str, tuple[Any, Any]]] = {
    "daily-loss": RESULT | {"limit": (HIGHER, None), "trailing": ([False, True], False)},
    "weekly-loss": RESULT | {"limit": (HIGHER, None)},
    "daily-profit": RESULT | {"target": (HIGHER, None)},
    "trailing-drawdown": COMMON
    | {
        "distance": (HIGHER, None),
        "basis": (EITHER, "end_of_day"),
        "locks_at": (LOWER_STOP, None),
        "step": (HIGHER, "0"),
        "revocable": ([True, False], False),
    },
    "trade-limit": COMMON | {"limit": (HIGHER, None), "unit": (EITHER, "round_trips")},
    "cooldown": COMMON | {"duration": (SHORTER, 3_600 * 10**9), "losing_trips": (HIGHER, None), "loss": (HIGHER, None)},
    "consistency": COMMON
    | {"limit": (HIGHER, None), "net_of_fees": ([False, True], True), "severity": (["WARNING", "LOCKOUT"], "WARNING")},
    "maximum-contracts": COMMON | {"limit": (HIGHER, None), "weights": (EITHER, {}), "scaling": (EITHER, [])},
    "hours": COMMON
    | {
        "flatten_before": (SHORTER, 120 * 10**9),
        "flat_by": (EITHER, None),
        "symbols": (EITHER, []),
        "halts": (EITHER, []),
        "outside": ([False, True], True),
    },
}
"""By kind and parameter: its direction, choices from loose to strict, and its default."""
FIGURES = {"limit", "target", "distance", "loss", "losing_trips", "duration", "step", "flatten_before"}
REQUIRED = {"daily-loss": "limit", "weekly-loss": "limit", "daily-profit": "target", "trailing-drawdown": "distance"}
REQUIRED |= {"trade-limit": "limit", "consistency": "limit", "maximum-contracts": "limit"}


def number(value: object) -> Decimal | None:
    """Return a figure; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def is_readable(rule: str, parameters: Parameters) -> bool:
    """Return whether somebody can judge by these parameters: nothing misspelt, nothing missing, sane figures."""
    kind = rule.partition(":")[0]
    known = KINDS.get(kind)
    if known is None or set(parameters) - set(known):
        return False
    if kind in REQUIRED and parameters.get(REQUIRED[kind]) is None:
        return False
    if kind == "cooldown" and not {"losing_trips", "loss"} & {name for name in parameters if parameters[name]}:
        return False
    zero = {"trade-limit", "maximum-contracts", "hours"}
    for name in FIGURES & set(parameters):
        found = number(parameters[name])
        if found is None or found < 0 or (found == 0 and kind not in zero and name != "step"):
            return False
    if not is_time(parameters.get("flat_by")):
        return False
    return all(
        direction is EITHER or not isinstance(direction, list) or parameters.get(name, default) in direction
        for name, (direction, default) in known.items()
    )


def is_time(value: object) -> bool:
    """Return whether a value is a time of day, or is missing."""
    return value is None or (isinstance(value, str) and value < "24:00")
