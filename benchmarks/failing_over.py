"""A fail-over of a log in PostgreSQL, as one program that appends sees it: the first append that is acknowledged."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import eventstore
from benchmarks.rows import Row, row
from benchmarks.timing import spread
from benchmarks.workload import submitted
from tests.postgres.pairs import running_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from benchmarks.setting import Setting
    from tests.postgres.pairs import PostgresPair

PROMOTED_SECONDS_MAX, SILENT_SECONDS_MAX = 1.0, 6.0
WAIT_SECONDS_MAX = 60.0


def measure(setting: Setting) -> list[Row]:
    rounds = setting.scaled(5, 1)
    promoted, silent = _figures(setting, rounds, _promoted), _figures(setting, rounds, _silent)
    note = "one program appends one event at a time; its URL names both hosts"
    return [
        row(
            "postgres-promoted",
            "PostgreSQL: from a promotion to an append",
            unit="s",
            figures=promoted,
            target=f"≤ {PROMOTED_SECONDS_MAX:g} s",
            met=spread(promoted).median <= PROMOTED_SECONDS_MAX,
            note=f"the old primary was killed; {note}",
        ),
        row(
            "postgres-silent",
            "PostgreSQL: an append whose host is silent",
            unit="s",
            figures=silent,
            target=f"≤ {SILENT_SECONDS_MAX:g} s",
            met=spread(silent).median <= SILENT_SECONDS_MAX,
            note=f"another host leads by then; {note}",
        ),
    ]


def _figures(setting: Setting, rounds: int, way: Callable[[PostgresPair], float]) -> list[float]:
    """Measure with a new pair of servers for each round."""
    done, figures = setting.rounds("failing_over", rounds), []
    for number in range(rounds):
        with running_pair(18) as pair:
            figures.append(way(pair))
        done(number + 1)
    return figures


class _Appender:
    """Appends until it is ended, also while no server answers; it notes when each append was acknowledged."""

    def __init__(self, store: eventstore.EventStore) -> None:
        self.acknowledged_at = 0.0
        self._error: eventstore.StoreError | None = None
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                self._store.append(f"order/ACC1/O-{number}", submitted(number))
            except (eventstore.Unavailable, eventstore.OutcomeUnknown):
                continue
            except eventstore.StoreError as e:
                self._error = e
                return
            self.acknowledged_at = time.monotonic()

    def wait(self, since: float) -> float:
        """Return when the first append was acknowledged that was so after an instant; raise what ended the appends."""
        end = time.monotonic() + WAIT_SECONDS_MAX
        while self.acknowledged_at < since:
            if self._error is not None:
                raise self._error
            assert time.monotonic() < end, f"nothing was acknowledged in {WAIT_SECONDS_MAX:g} s"
            time.sleep(0.001)
        return self.acknowledged_at


def _promoted(pair: PostgresPair) -> float:
    """Return the seconds from a promotion to the first append that the new primary acknowledges."""
    with eventstore.open(pair.url(log="main")) as store:
        _append_first(pair, store)
        pair.primary.kill()
        with _Appender(store) as appender:
            _promote(pair)
            promoted_at = time.monotonic()
            return appender.wait(promoted_at) - promoted_at


def _silent(pair: PostgresPair) -> float:
    """Return the seconds of one append that asks a host that has fallen silent, while another one leads."""
    with eventstore.open(pair.url(log="main")) as store:
        _append_first(pair, store)
        pair.primary.pause()
        _promote(pair)
        began = time.monotonic()
        store.append("order/ACC1/O-1", submitted(1))
        return time.monotonic() - began


def _append_first(pair: PostgresPair, store: eventstore.EventStore) -> None:
    """Append one event, and wait for the standby: what a SYNCED log commits without it is lost with the primary."""
    store.append("order/ACC1/O-0", submitted(0))
    pair.await_confirmed()


def _promote(pair: PostgresPair) -> None:
    """Promote the standby, which then commits alone."""
    pair.promote()
    pair.primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
    pair.primary.execute("SELECT pg_reload_conf()")
