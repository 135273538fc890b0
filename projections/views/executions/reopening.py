"""What a reopened account keeps of its executions: which reports it knows, and nothing that it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.decimals import ZERO
from projections.views.executions.appending import fix
from projections.views.executions.state import NOTHING_TRADED, ExecutionsState
from projections.views.executions.trip import NO_TRIP
from projections.views.executions.window import Window

if TYPE_CHECKING:
    from eventstore import Record

REOPENED_MAX = 100


def begin_again(state: ExecutionsState, record: Record) -> None:
    """Forget results, fees, round trips and the sums of every day; what a report repeats is still recognized.

    Whatever concerns an older trade from now on is booked at the end, in the new life. A position that is open, which
    book.append refuses, stays at its cost; the account is marked.
    """
    if any(each.totals.quantity for each in state.holdings.values()):
        state.reopened_open = (*state.reopened_open[1 - REOPENED_MAX :], record.position)
    for key in list(state.holdings):
        _begin_holding(state, key)
    state.fees, state.trips, state.anomalies = (), (), ()
    state.ledger.begin_again()


def _begin_holding(state: ExecutionsState, key: str) -> None:
    fix(state, key, len(state.windows[key].items))
    window, holding = state.windows[key], state.holdings[key]
    totals = replace(holding.totals, realized_points=ZERO, realized_points_average_cost=ZERO)
    trip = window.base_trip if totals.quantity else NO_TRIP
    state.windows[key] = Window(
        base=totals,
        fixed=window.fixed,
        last_at=window.last_at,
        base_trip=trip,
        trip=trip,
        terms=window.terms,
        splits=window.splits,
        inverse=window.inverse,
        coin=window.coin,
    )
    state.holdings[key] = replace(
        holding,
        totals=totals,
        fees=(),
        traded=NOTHING_TRADED,
        anomalies=(),
        marks=(),
        conflicts=(),
        by_terms=(),
        uncertain_fees=0,
    )
