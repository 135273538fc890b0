"""What tests of logs in PostgreSQL append, and what they do with a pair of servers."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from eventstore.journal import append
from eventstore.journals.postgres import PostgresJournal
from eventstore.record import PreparedBatch, Record
from eventstore.testing import batch
from tests.postgres.pairs import PostgresPair

STREAM = "order/ACC1/1"
COMMIT_SECONDS = 0.6
LOST_SECONDS = 1.5
WAIT_SECONDS = 20.0
ONE = [batch(STREAM, "one")]
"""What one statement appends."""
FEW = [batch(STREAM, "one", "two")]
"""What is inserted."""
MANY = [batch(STREAM, *(f"number {number}" for number in range(20)))]
"""What is copied."""
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

sizes = pytest.mark.parametrize(
    "group",
    [
        pytest.param(ONE, id="one statement"),
        pytest.param(FEW, id="inserted", marks=pytest.mark.slow),
        pytest.param(MANY, id="copied", marks=pytest.mark.slow),
    ],
)


def ids_of(group: Sequence[PreparedBatch]) -> tuple[bytes, ...]:
    return tuple(draft.id for each in group for draft in each.drafts)


def on_the_standby(pair: PostgresPair, records: Sequence[Record]) -> bool:
    """Return whether the standby would have these records after a fail-over: it is asked alone."""
    pair.primary.kill()
    pair.promote()
    stored = {bytes(id_) for (id_,) in pair.primary.execute("SELECT id FROM eventstore_main.event")}
    return {record.id for record in records} <= stored


def await_waiting(pair: PostgresPair) -> int:
    """Wait until a commit waits for the standby; return its process."""
    end = time.monotonic() + WAIT_SECONDS
    while not (found := pair.primary.execute(WAITING)):
        assert time.monotonic() < end, "nothing waits for the standby"
        time.sleep(0.005)
    return int(found[0][0])


def appended(
    pool: ThreadPoolExecutor, journal: PostgresJournal, group: Sequence[PreparedBatch]
) -> Future[list[Record]]:
    return pool.submit(lambda: list(append(journal, group)))


def cut(journal: PostgresJournal) -> None:
    """Cut the connection that writes, as a network does: the server does not notice it while it waits."""
    assert journal._writer is not None
    with contextlib.closing(socket.socket(fileno=os.dup(journal._writer.fileno()))) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def wait_for_nobody(pair: PostgresPair) -> None:
    pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
    pair.primary.execute("SELECT pg_reload_conf()")
