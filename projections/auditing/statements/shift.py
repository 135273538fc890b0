"""Whether all times of a statement are off by the same quarters of an hour: then its time zone is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS

if TYPE_CHECKING:
    from projections.auditing.statements.logged import LoggedAccount
    from projections.auditing.statements.stated import Stated

QUARTER_NS = 900 * NANOSECONDS
QUARTERS_MAX = 104
"""Up to which difference is tried, in quarters of an hour: 26 hours, from the first zone to the last one."""
ROWS_MAX = 1_000
ROWS_MIN = 2
_FEW, _NEARLY_ALL = 0.5, 0.9


def shift_of(stated: Stated, logged: LoggedAccount) -> int | None:
    """Return by how many ns the times of an account's executions are off; None if they are not, or not all alike.

    Executions are compared by contract, side, quantity, price and second. Most have none at their own time, and nearly
    all have one so much earlier or later.
    """
    rows = stated.executions[:ROWS_MAX]
    if len(rows) < ROWS_MIN or stated.within_ns >= QUARTER_NS:
        return None
    unit = stated.within_ns
    known = {(each.symbol, each.side, each.quantity, each.price, each.at // unit) for each in logged.trades}
    figures = [(logged.symbol(each.symbol), each.side, each.quantity, each.price, each.at) for each in rows]

    def share(shift: int) -> float:
        return sum((*what, (at - shift) // unit) in known for *what, at in figures) / len(figures)

    if share(0) > _FEW:
        return None
    # The nearest zone first.
    for quarters in range(1, QUARTERS_MAX + 1):
        for shift in (quarters * QUARTER_NS, -quarters * QUARTER_NS):
            if share(shift) >= _NEARLY_ALL:
                return shift
    return None
