"""Rotating a log that others append to all the time: it gets its turn, and they wait for seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import eventstore
import projections.rotation
from eventstore import Overloaded, Unavailable, rotation
from eventstore.journals import holding
from eventstore.trading import LogEnded
from projections.rotation import rotate
from tests.places import Place, named, within
from tests.postgres.appending import appending
from tests.reliability import checking
from tests.reliability.checking import WAIT_SECONDS
from tests.rotation.logs import begun, check, pressing
from tests.waiting import until

pytestmark = pytest.mark.in_each_place


@pytest.mark.untraced
@pytest.mark.slow
def test_processes_that_never_pause_let_a_rotation_have_its_turn(place: Place, tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    acks.mkdir()
    with appending(str(within(place, "data")), acks, 4) as appenders:
        for number in (2, 3):
            appenders.await_more(200)
            with eventstore.open(within(place, "data")) as store:
                began = time.monotonic()
                assert rotate(store).next == f"main.{number}"
                assert time.monotonic() - began < WAIT_SECONDS / 4
        appenders.await_more(200)
    with eventstore.open(within(place, "data")) as store:
        assert store.log == "main.3"
        records = checking.check(store, appenders.acked())
        assert {record.log for record in records} == {"main", "main.2", "main.3"}
        # None of those who wait for so long is refused.
        for record in store.read(types=LogEnded):
            waited_ns = record.recorded_at - records[record.position - 2].recorded_at
            assert waited_ns < (holding.HELD_SECONDS + 1) * 1_000_000_000


def test_threads_of_this_process_and_of_others_let_it_have_its_turn(place: Place) -> None:
    begun(place)
    with (
        eventstore.open(place) as store,
        eventstore.open(place) as other,
        pressing(store, store, other) as acknowledged,
    ):
        assert rotate(store).next == "main.2"
    with eventstore.open(place) as store:
        check(store, acknowledged)


def test_who_appends_waits_and_is_not_refused_where_the_state_takes_too_long(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "HELD_SECONDS", 0.2)
    carried = projections.rotation._carried
    attempts: list[int] = []

    def carried_slowly(*arguments: object) -> object:
        attempts.append(len(attempts))
        time.sleep(0.3)
        return carried(*arguments)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(projections.rotation, "_carried", carried_slowly)
    begun(place)
    with eventstore.open(place) as store, eventstore.open(place) as other:
        with pressing(other) as acknowledged:
            with pytest.raises(Overloaded, match=r"takes more than the 0\.2 s .*: nothing was changed"):
                rotate(store)
            assert len(attempts) == rotation.UNHELD + 1
            so_far = len(acknowledged)
            until(lambda: len(acknowledged) > so_far)
        with pytest.raises(Unavailable):
            eventstore.open(named(place, "main.2"), log="main.2", read_only=True)
        monkeypatch.undo()
        assert rotate(store).next == "main.2"
    with eventstore.open(place) as store:
        check(store, acknowledged)
