"""Queries about one log, retried while InfluxDB is unavailable, and how long to wait for missing points."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from eventstore.errors import Refused, Unavailable
from eventstore.influx.backoff import Backoff
from eventstore.influx.client import UNTYPED_ROWS
from eventstore.influx.points import CHECK_HINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventstore.influx.client import Client, RawResponse, ResponseDecoder

R = TypeVar("R")
T = TypeVar("T")

RETRY_SECONDS, RETRY_SECONDS_MAX = 0.1, 2.0
POLL_SECONDS, POLL_SECONDS_MAX = 0.01, 0.5
# A batch that is being written is complete within milliseconds. Points that a killed server lost are shipped again once
# the mirror notices, which it does within ten seconds.
GAP_SECONDS = 30.0
OLD_GAP_SECONDS = 0.3


class QueryClient:
    """Queries a bucket about one log, and retries for `patience_seconds` of the settings."""

    def __init__(self, client: Client, log: str) -> None:
        self.closed = threading.Event()
        self._client, self.log = client, log
        self._failed_at = -GAP_SECONDS
        self._jitter = random.Random()

    def rows(
        self, decoder: ResponseDecoder[R], query: str, values: Mapping[str, object] | None = None
    ) -> tuple[list[R], int]:
        """Return the rows of a response and its size in bytes; retry while there is none, or only a part of one."""

        def attempt() -> tuple[list[R], int]:
            raw = self.fetch(query, values)
            return decoder.rows(raw), len(raw.body)

        return self._retry(attempt)

    def fetch(self, query: str, values: Mapping[str, object] | None = None) -> RawResponse:
        """Return a response undecoded; one attempt."""
        return self._client.fetch(query, {**(values or {}), "log": self.log})

    def positions(self, query: str) -> list[list[Any]]:
        """Return rows whose second column is a position or a count, or None."""
        rows, _ = self.rows(UNTYPED_ROWS, query)
        return validate_positions(rows)

    def columns(self, query: str) -> dict[str, list[list[Any]]]:
        """Return the rows of several one-column statements by column name; a statement without rows has no entry.

        One statement with several columns takes the server five times as long.
        """
        series = self._retry(lambda: UNTYPED_ROWS.series(self.fetch(query)))
        return {one.columns[1]: one.values for one in series}

    def _retry(self, attempt: Callable[[], T]) -> T:
        give_up_at = time.monotonic() + self._client.settings.patience_seconds
        pauses = Backoff(RETRY_SECONDS, RETRY_SECONDS_MAX, jitter=self._jitter)
        while True:
            try:
                return attempt()
            except Refused:  # an Unavailable that no retry cures
                raise
            except Unavailable:
                if time.monotonic() >= give_up_at:
                    raise
            self.note_failure()
            self.closed.wait(pauses.next())

    def note_failure(self) -> None:
        """Note that InfluxDB was unavailable: points that it had shown may be gone for a while."""
        self._failed_at = time.monotonic()

    def deadline(self, *, seen: bool) -> Deadline:
        """Return how long to wait for missing points: long if they were seen before, or InfluxDB just failed.

        A killed server may lose points that it had shown, and its mirror then ships them again. Points that were never
        seen and that no failure explains are simply missing: waiting would only delay the error.
        """
        expected = seen or time.monotonic() - self._failed_at < GAP_SECONDS
        return Deadline(GAP_SECONDS if expected else OLD_GAP_SECONDS, self.closed)


def validate_positions(rows: list[list[Any]]) -> list[list[Any]]:
    """Return rows whose second column is a position; raise Refused if one is not an integer."""
    for row in rows:
        if row[1] is not None and type(row[1]) is not int:
            msg = f"the point at {row[0]} has a position that is not an integer, {row[1]!r}: {CHECK_HINT}"
            raise Refused(msg)
    return rows


class Deadline:
    """Polls with growing pauses until a time limit."""

    def __init__(self, seconds: float, cancel: threading.Event) -> None:
        self._ends_at, self._cancel = time.monotonic() + seconds, cancel
        self._pauses = Backoff(POLL_SECONDS, POLL_SECONDS_MAX)

    def wait(self) -> bool:
        """Pause before the next attempt; return False, without a pause, once the time is up.

        The pause ends early when the cancel event is set: the next attempt then raises what closed it.
        """
        if time.monotonic() >= self._ends_at:
            return False
        self._cancel.wait(self._pauses.next())
        return True
