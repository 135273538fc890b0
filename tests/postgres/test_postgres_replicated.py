"""A REPLICATED log: nothing is acknowledged that a fail-over would take back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import eventstore
from eventstore.errors import InvalidEvent, NotReplicated, OutcomeUnknown, Overloaded, Unavailable
from eventstore.events import REPLICATED
from eventstore.journal import append
from eventstore.journals.postgres import Location, PostgresJournal, writing
from eventstore.record import PreparedBatch
from eventstore.testing import batch
from tests.http.serving import running
from tests.postgres.pairs import PostgresPair
from tests.postgres.programs import SUPERUSER
from tests.postgres.scenes import (
    COMMIT_SECONDS,
    LOST_SECONDS,
    ONE,
    STREAM,
    WAIT_SECONDS,
    appended,
    await_waiting,
    cut,
    ids_of,
    on_the_standby,
    sizes,
    wait_for_nobody,
)
from tests.reliability.checking import submitted


@sizes
def test_without_its_standby_nothing_is_acknowledged(
    group: list[PreparedBatch],
    replicated: PostgresJournal,
    opened_replicated: Callable[[], PostgresJournal],
    pair: PostgresPair,
) -> None:
    other = opened_replicated()
    with pair.stalled():
        started = time.monotonic()
        with pytest.raises(NotReplicated) as caught:
            append(replicated, group)
        assert COMMIT_SECONDS <= time.monotonic() - started < COMMIT_SECONDS + LOST_SECONDS + 3
        assert caught.value.ids == ids_of(group)
        # Nor to others that are asked for the same meanwhile, nor to itself.
        for again in (replicated, other):
            with pytest.raises((OutcomeUnknown, Overloaded)):
                append(again, group)
    pair.await_standby()
    found = append(replicated, group)
    assert [record.position for record in found] == list(range(2, 2 + len(found)))
    assert list(append(other, group)) == list(found)
    assert on_the_standby(pair, found)


@sizes
@pytest.mark.parametrize("end", ["pg_cancel_backend", pytest.param("pg_terminate_backend", marks=pytest.mark.slow)])
def test_a_wait_that_is_ended_acknowledges_nothing(
    end: str,
    group: list[PreparedBatch],
    replicated: PostgresJournal,
    opened_replicated: Callable[[], PostgresJournal],
    pair: PostgresPair,
) -> None:
    """The server commits with a warning then: the records are there, on the primary alone."""
    other = opened_replicated()
    with pair.stalled(), ThreadPoolExecutor(1) as pool:
        outcome = appended(pool, replicated, group)
        pair.primary.execute(f"SELECT {end}(%s)", await_waiting(pair))
        with pytest.raises(OutcomeUnknown) as caught:
            outcome.result(WAIT_SECONDS)
        assert caught.value.ids == ids_of(group)
        assert len(pair.primary.execute("SELECT 1 FROM eventstore_main.event")) == 1 + len(ids_of(group))
        for again in (replicated, other):
            with pytest.raises(OutcomeUnknown):
                append(again, group)
    pair.await_standby()
    found = append(other, group)
    assert list(append(replicated, group)) == list(found)
    assert on_the_standby(pair, found)


@pytest.mark.parametrize("asked", ["again", "by another"])
def test_what_is_known_is_acknowledged_as_what_is_new(
    asked: str, replicated: PostgresJournal, opened_replicated: Callable[[], PostgresJournal], pair: PostgresPair
) -> None:
    """The wait of the transaction that only looks it up may be ended as well."""
    asking = replicated if asked == "again" else opened_replicated()
    with pair.stalled(), ThreadPoolExecutor(1) as pool:
        outcome = appended(pool, replicated, ONE)
        pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
        with pytest.raises(OutcomeUnknown):
            outcome.result(WAIT_SECONDS)
        outcome = appended(pool, asking, ONE)
        pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
        with pytest.raises(OutcomeUnknown):
            outcome.result(WAIT_SECONDS)


@sizes
def test_a_connection_that_is_cut_in_its_commit_leaves_the_outcome_open(
    group: list[PreparedBatch], pair: PostgresPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server process waits on, with the head locked, so what became of the commit cannot be asked for."""
    monkeypatch.setitem(writing._SETTINGS, "lock_timeout", "200ms")
    location = Location.of(pair.url(log="main", durability="replicated"))
    with contextlib.closing(PostgresJournal(location, lost_seconds=COMMIT_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        with ThreadPoolExecutor(1) as pool, pair.stalled():
            outcome = appended(pool, journal, group)
            await_waiting(pair)
            cut(journal)
            with pytest.raises(OutcomeUnknown) as caught:
                outcome.result(WAIT_SECONDS)
            assert caught.value.ids == ids_of(group)
        pair.await_standby()
        found = append(journal, group)
        assert [record.version for record in found] == list(range(2, 2 + len(found)))
        assert journal.head() == 1 + len(found)


def test_a_log_is_replicated_from_its_creation_on(pair: PostgresPair) -> None:
    with eventstore.open(pair.url(log="main", durability="replicated")) as store:
        (record,) = store.append(STREAM, submitted(), durability=REPLICATED)
        assert record.position == 1
    with eventstore.open(pair.url(log="main")) as store:
        store.append(STREAM, submitted(), durability=REPLICATED)
        with ThreadPoolExecutor(1) as pool:
            with pair.stalled():
                outcome = pool.submit(store.append, STREAM, submitted())
                await_waiting(pair)
                assert not outcome.done(), "no less where it is not asked for"
            assert [record.position for record in outcome.result(WAIT_SECONDS)] == [3]
    with pytest.raises(InvalidEvent, match="REPLICATED"):
        eventstore.open(pair.url(log="main", durability="synced"))
    with eventstore.open(pair.url(log="other")) as store, pytest.raises(Unavailable, match="standby"):
        store.append(STREAM, submitted(), durability=REPLICATED)


def test_a_service_of_such_a_log_takes_what_is_to_be_replicated(pair: PostgresPair) -> None:
    url = pair.url(log="main", durability="replicated")
    with running(url) as service, eventstore.connect(service.url, key="") as store:
        assert store.is_replicated
        (record,) = store.append(STREAM, submitted(), durability=REPLICATED)
        assert on_the_standby(pair, [record])


@pytest.mark.parametrize("where", ["role", "URL"])
def test_a_warning_is_seen_whatever_is_set(where: str, pair: PostgresPair) -> None:
    url = pair.url(log="main", durability="replicated")
    if where == "role":
        pair.primary.execute(f"ALTER ROLE {SUPERUSER} SET client_min_messages = 'error'")
    else:
        url += "&options=-c%20client_min_messages%3Derror"
    with contextlib.closing(PostgresJournal(Location.of(url), commit_seconds=WAIT_SECONDS)) as journal:
        append(journal, [batch(STREAM, "first")])
        with pair.stalled(), ThreadPoolExecutor(1) as pool:
            outcome = appended(pool, journal, ONE)
            pair.primary.execute("SELECT pg_cancel_backend(%s)", await_waiting(pair))
            with pytest.raises(OutcomeUnknown):
                outcome.result(WAIT_SECONDS)


@sizes
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_server_that_gives_up_its_standby_acknowledges_nothing(
    when: str, group: list[PreparedBatch], replicated: PostgresJournal, pair: PostgresPair
) -> None:
    """As a cluster's manager lets it do when the standby is gone: commits that wait then succeed, without a warning."""
    with pair.stalled(cut=True), ThreadPoolExecutor(1) as pool:
        if when == "before":
            wait_for_nobody(pair)
            outcome = appended(pool, replicated, group)
        else:
            outcome = appended(pool, replicated, group)
            await_waiting(pair)
            wait_for_nobody(pair)
        with pytest.raises((Unavailable, OutcomeUnknown)):
            outcome.result(WAIT_SECONDS)


def test_a_primary_that_waits_for_nobody_is_refused(replicated: PostgresJournal, pair: PostgresPair) -> None:
    """As a promoted server is without `synchronous_standby_names`: also by a journal that is open."""
    wait_for_nobody(pair)
    with pytest.raises(Unavailable, match="synchronous_standby_names"):
        eventstore.open(pair.url(log="main"))
    cut(replicated)
    with pytest.raises((Unavailable, OutcomeUnknown), match="synchronous_standby_names"):
        append(replicated, ONE)
