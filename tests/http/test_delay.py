"""How soon a service answers on a connection that is kept: not after the client's delayed acknowledgement."""

from __future__ import annotations

import time
from pathlib import Path

from tests.http.desk import done
from tests.http.serving import running

REQUESTS = 20
DELAYED = 0.035
"""With Nagle's algorithm each answer, in two parts, waits at least 40 ms for the acknowledgement of the first."""


def test_a_kept_connection_is_answered_at_once(tmp_path: Path) -> None:
    took = []
    with running(tmp_path) as service:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            done(service.client.get("/health/live"))
            took.append(time.perf_counter() - began)
    # The fastest: a busy machine may be late for any, but not early.
    assert min(took[1:]) < DELAYED
