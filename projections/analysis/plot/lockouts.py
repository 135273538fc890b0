"""Lockouts as bands behind what is drawn over time."""

from __future__ import annotations

from typing import Any

from projections.analysis.libraries import library
from projections.analysis.plot import canvas, lines
from projections.analysis.plot.given import Rows, rows_in

COLUMNS = ("set_at", "ended_at", "until")


def lockouts_of(lockouts: object, account: str | None) -> Rows | None:
    """Return the lockouts of an account from a frame; None without a frame."""
    return None if lockouts is None else rows_in(lockouts, "lockouts", COLUMNS).only("account", account)


def lockout_bands(ax: Any, rows: Rows | None) -> list[tuple[Any, str]]:  # noqa: ANN401 - axes of matplotlib's
    """Draw lockouts as bands from their beginning to their end; return entries for the legend.

    One without an end, or whose end lies ahead, reaches to the edge.
    """
    if not rows:
        return []
    np = library("numpy")
    missing = np.iinfo("int64").min
    begins, ends, until = (rows.instants(name) for name in ("set_at", "ended_at", "until"))
    ends = np.where(ends == missing, until, ends)
    # Without a beginning a lockout has no place; without an end it holds.
    spans = [
        (float(canvas.day_numbers(begin)), np.inf if end == missing else float(canvas.day_numbers(end)))
        for begin, end in zip(begins, ends, strict=True)
        if begin != missing
    ]
    found = lines.bands(ax, spans)
    if found is None:
        return []
    rules = rows.values("rule_id")
    name = canvas.name_text(rules[0]) if len(rules) == 1 else f"{len(spans)} lockouts"
    return [(found, f"locked out: {name}")]
