"""Several processes of one host on one log: one order, one record for one fact, no lost update."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import Record, VersionConflict
from eventstore.trading import OrderFilled, Side
from tests.places import Place, within
from tests.reliability.checking import (
    WAIT_SECONDS,
    WORKER,
    Ack,
    acks_of,
    check,
    environment,
    label_of,
    read_acks,
    submitted,
)
from tests.together import PROCESSES, run_together

pytestmark = pytest.mark.in_each_place(slow=True)

INCREMENTS = 60
KEYS = 200
REPORTS = 200
CREATIONS = 25


def test_processes_append_side_by_side(place: Place, tmp_path: Path) -> None:
    steps = 250
    commands = [
        [
            *WORKER,
            "append",
            str(place),
            str(tmp_path / f"acks{number}"),
            f"w{number}",
            str(number),
            str(steps),
        ]
        for number in range(PROCESSES)
    ]
    with eventstore.open(place):
        pass
    running = [subprocess.Popen(command, env=environment()) for command in commands]
    assert [process.wait(WAIT_SECONDS) for process in running] == [0] * PROCESSES
    acked = [read_acks(tmp_path / f"acks{number}") for number in range(PROCESSES)]
    with eventstore.open(place) as store:
        records = check(store, [ack for acks in acked for ack in acks])
    assert min(map(len, acked)) >= steps / 2
    assert {label_of(record).partition(":")[0] for record in records} >= {f"w{number}" for number in range(PROCESSES)}


def test_a_process_finds_its_own_records_in_its_own_order(place: Place) -> None:
    answers = on_one_log(place, append_one_by_one)
    with eventstore.open(place) as store:
        records = check(store, [ack for acks in answers for ack in acks])
    assert len(records) == PROCESSES * INCREMENTS
    for acks in answers:
        positions = [ack.position for ack in acks]
        assert positions == sorted(positions)


def append_one_by_one(place: Place, number: int, barrier: Any) -> list[Ack]:  # noqa: ANN401 - its class is private
    acks: list[Ack] = []
    with eventstore.open(place) as store:
        barrier.wait(WAIT_SECONDS)
        for count in range(1, INCREMENTS + 1):
            acks += acks_of(store.append(f"order/ACC{number}/1", submitted(f"p{number}:{count}"), expected=count - 1))
    return acks


def test_no_increment_is_lost_where_each_expects_the_version_it_read(place: Place) -> None:
    conflicts = on_one_log(place, increment)
    with eventstore.open(place) as store:
        records = check(store)
        assert store.version("order/ACC1/counter") == PROCESSES * INCREMENTS
    assert [label_of(record) for record in records] == [f"count:{n}" for n in range(1, len(records) + 1)]
    assert sum(conflicts) > 0, "there was no conflict: the test shows nothing"


def increment(place: Place, number: int, barrier: Any) -> int:  # noqa: ANN401 - its class is private
    stream, conflicts, done = "order/ACC1/counter", 0, 0
    with eventstore.open(place) as store:
        barrier.wait(WAIT_SECONDS)
        while done < INCREMENTS:
            version = store.version(stream)
            try:
                store.append(stream, submitted(f"count:{version + 1}"), expected=version)
                done += 1
            except VersionConflict:
                conflicts += 1
    return conflicts


def test_the_same_facts_from_several_processes_are_recorded_once(place: Place) -> None:
    answers = on_one_log(place, append_keyed)
    assert all(answer == answers[0] for answer in answers), "two processes received two records for one fact"
    with eventstore.open(place) as store:
        records = check(store, answers[0].values())
    assert len(records) == KEYS


def append_keyed(place: Place, number: int, barrier: Any) -> dict[str, Ack]:  # noqa: ANN401 - its class is private
    with eventstore.open(place) as store:
        barrier.wait(WAIT_SECONDS)
        keys = [f"execution-{count}" for count in range(KEYS)]
        return {key: acks_of(store.append("order/ACC1/1", submitted(), key=key))[0] for key in keys}


def test_the_same_reports_from_several_processes_are_recorded_once(place: Place) -> None:
    answers = on_one_log(place, append_reports)
    assert all(answer == answers[0] for answer in answers), "two processes received two records for one report"
    with eventstore.open(place) as store:
        assert [record.version for record in store.read()] == list(range(1, REPORTS + 1))
        assert store.verify().ok


def append_reports(place: Place, number: int, barrier: Any) -> dict[str, int]:  # noqa: ANN401 - its class is private
    positions: dict[str, int] = {}
    with eventstore.open(place) as store:
        barrier.wait(WAIT_SECONDS)
        for count in range(0, REPORTS, 2):
            # Half of the processes have another order.
            fills = [filled(f"T-{trade}") for trade in (count, count + 1)][:: (-1) ** number]
            for record in store.append("order/ACC1/1", fills):
                event = record.event
                assert isinstance(event, OrderFilled)
                assert positions.setdefault(event.trade_id, record.position) == record.position
    return positions


def filled(trade_id: str) -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))


def test_a_follower_in_another_process_sees_each_position_once_in_order(place: Place) -> None:
    last = PROCESSES * INCREMENTS
    seen: list[Record] = []
    cancel = threading.Event()

    def follow() -> None:
        with eventstore.open(place) as reader:
            for record in reader.follow(cancel=cancel):
                seen.append(record)
                if record.position == last:
                    return

    with eventstore.open(place):
        follower = threading.Thread(target=follow)
        follower.start()
        on_one_log(place, append_one_by_one)
        follower.join(WAIT_SECONDS)
        cancel.set()
        follower.join()
    assert [record.position for record in seen] == list(range(1, last + 1))


def test_processes_that_create_one_log_at_once_share_it(place: Place) -> None:
    for answers in zip(*on_one_log(place, create), strict=True):
        assert len(set(answers)) == 1, f"one log, and these answers: {set(answers)}"


def create(place: Place, number: int, barrier: Any) -> list[str]:  # noqa: ANN401 - its class is private
    """Open new logs at the same moments as the others; return their ids, or what was raised."""
    answers = []
    for count in range(CREATIONS):
        barrier.wait(WAIT_SECONDS)
        try:
            with eventstore.open(within(place, count)) as store:
                answers.append(store.log_id.hex())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            answers.append(repr(error))
    return answers


@pytest.mark.slow
def test_a_log_opens_while_others_append_to_it(place: Place) -> None:
    opened = on_one_log(place, open_again_and_again)
    assert sum(opened) == PROCESSES * INCREMENTS


def open_again_and_again(place: Place, number: int, barrier: Any) -> int:  # noqa: ANN401 - its class is private
    barrier.wait(WAIT_SECONDS)
    for count in range(INCREMENTS):
        with eventstore.open(place) as store:
            store.append(f"order/ACC{number}/1", [submitted()] * 20, expected=count * 20)
    return INCREMENTS


def on_one_log(place: Place, work: Callable[[Any, int, Any], Any]) -> list[Any]:
    """Run the same work in several processes on one log, which is there already, and return their answers."""
    with eventstore.open(place):
        pass
    return run_together(work, place)
