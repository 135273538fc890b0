"""Queries about round trips: what each position realized from flat to flat, in points, and its fees."""

from projections.view import SHARED, BookReader, check_covered
from projections.views.contracts.names import same_contract
from projections.views.contracts.view import ContractsView
from projections.views.executions.state import TRIPS_MAX, VIEW, ExecutionsState
from projections.views.executions.trip import RoundTrip


class RoundTrips:
    """Queries about round trips."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, symbol: str | None = None) -> tuple[RoundTrip, ...]:
        """Return the account's last 100 round trips in the order they ended; of one contract, by any of its names."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            check_covered(self._book, account)
            return ()
        ended = [*state.trips, *[trip for window in list(state.windows.values()) for trip in window.trips]]
        ended.sort(key=lambda trip: (trip.ended_at, trip.position))
        newest = ended[-TRIPS_MAX:]
        if symbol is None:
            return tuple(newest)
        names = state.symbols
        contract = names.get(symbol, symbol)
        is_same = same_contract(self._book.state(ContractsView.name, SHARED), symbol)
        return tuple(trip for trip in newest if names.get(trip.symbol, trip.symbol) == contract or is_same(trip.symbol))
