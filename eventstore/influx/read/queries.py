"""Asking about one log: again while InfluxDB does not answer, and how long to wait for what is missing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from eventstore.errors import Refused, Unavailable
from eventstore.extras import missing
from eventstore.influx.client import ANY
from eventstore.influx.points import CHECK

try:
    import tenacity
except ImportError as e:
    raise ImportError(missing("InfluxDB", e.name, "influx")) from e

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventstore.influx.client import Client, Raw, Shape

R = TypeVar("R")
T = TypeVar("T")

# A part of a batch is there within milliseconds. What a killed server loses comes again once its mirror has met it, and
# that looks at least each ten seconds.
GAP_SECONDS = 30.0
OLD_GAP_SECONDS = 0.3


class Asking:
    """Asks a bucket about a log, for as long as the settings' `patience_seconds` say."""

    def __init__(self, client: Client, log: str) -> None:
        self.closed = threading.Event()
        self._client, self.log = client, log
        self._troubled_at = -GAP_SECONDS

    def rows(self, shape: Shape[R], query: str, values: Mapping[str, object] | None = None) -> tuple[list[R], int]:
        """Return an answer's rows and bytes, asked for again with growing pauses while none comes, or half of one."""

        def ask() -> tuple[list[R], int]:
            raw = self.fetch(query, values)
            return shape.rows(raw), len(raw.body)

        return self._patiently(ask)

    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> Raw:
        """Return an answer as it comes, asked for once."""
        return self._client.fetch(query, {**(values or {}), "log": self.log})

    def positions(self, query: str) -> list[list[Any]]:
        """Return rows whose second column is a position or a count, if anything."""
        rows, _ = self.rows(ANY, query)
        return whole(rows)

    def columns(self, query: str) -> dict[str, list[list[Any]]]:
        """Return the rows of statements with one column each, by the columns' names; none for one without rows.

        Of a statement for several columns the server makes five times the work.
        """
        series = self._patiently(lambda: ANY.series(self.fetch(query)))
        return {one.columns[1]: one.values for one in series}

    def _patiently(self, ask: Callable[[], T]) -> T:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, Unavailable) and not isinstance(e, Refused)),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            stop=tenacity.stop_after_delay(self._client.settings.patience_seconds),
            sleep=tenacity.sleep_using_event(self.closed),
            before_sleep=lambda _: self.note_trouble(),
            reraise=True,
        )
        return retrying(ask)

    def note_trouble(self) -> None:
        """Note that InfluxDB did not answer: it may have lost what it had shown."""
        self._troubled_at = time.monotonic()

    def patience(self, *, seen: bool) -> Patience:
        """Return how long to wait for what is missing: long where it was seen, or InfluxDB was just not there.

        A server that is killed may lose what could be seen, which its mirror then sends again.
        """
        fresh = seen or time.monotonic() - self._troubled_at < GAP_SECONDS
        return Patience(GAP_SECONDS if fresh else OLD_GAP_SECONDS, self.closed)


def whole(rows: list[list[Any]]) -> list[list[Any]]:
    """Return rows with a position each; raise Refused for one that is no whole number."""
    for row in rows:
        if row[1] is not None and type(row[1]) is not int:
            msg = f"the point at {row[0]} has a position that is no whole number, {row[1]!r}: {CHECK}"
            raise Refused(msg)
    return rows


class Patience:
    """Pauses that grow, until a time is over."""

    def __init__(self, seconds: float, cancel: threading.Event) -> None:
        self._until = time.monotonic() + seconds
        self._pause, self._cancel = 0.01, cancel

    def wait(self) -> bool:
        """Pause, or not when the cancel is set; tell whether to try once more, which then says what there is."""
        if time.monotonic() >= self._until:
            return False
        self._cancel.wait(self._pause)
        self._pause = min(self._pause * 2, 0.5)
        return True
