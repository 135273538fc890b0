"""Queries about round trips: what each position realized from flat to flat, in points, and its fees."""

from projections.view import BookReader
from projections.views.executions.state import TRIPS_MAX, VIEW, ExecutionsState
from projections.views.executions.trip import RoundTrip


class RoundTrips:
    """Queries about round trips."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def of(self, account: str, symbol: str | None = None) -> tuple[RoundTrip, ...]:
        """Return the account's last 100 round trips, or those in a contract among them, in the order they ended."""
        state: ExecutionsState | None = self._book.state(VIEW, account)
        if state is None:
            return ()
        ended = [*state.trips, *[trip for window in list(state.windows.values()) for trip in window.trips]]
        ended.sort(key=lambda trip: (trip.ended_at, trip.position))
        names = state.symbols
        contract = None if symbol is None else names.get(symbol, symbol)
        return tuple(
            [trip for trip in ended[-TRIPS_MAX:] if symbol is None or names.get(trip.symbol, trip.symbol) == contract]
        )
