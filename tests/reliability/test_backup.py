"""Copies of a growing log: each is a prefix with everything acknowledged before it, or is not a copy at all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent, ReadOnly, TargetExists, Unavailable
from tests.reliability.checking import (
    WAIT_SECONDS,
    WORKER,
    Ack,
    acks_of,
    check,
    environment,
    read_acks,
    submitted,
)

BACKUPS = 8
KILLS = 25


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as store:
        yield store


@pytest.mark.slow
@pytest.mark.untraced
def test_a_copy_taken_among_appends_holds_all_that_was_acknowledged_before(store: EventStore, tmp_path: Path) -> None:
    stop = threading.Event()
    acked: list[Ack] = []

    def append(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            acked.extend(acks_of(store.append(f"order/ACC{number}/1", [submitted()] * (1 + count % 20))))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(3)]
    other = subprocess.Popen(
        [*WORKER, "append", str(tmp_path / "data"), str(tmp_path / "acks"), "w", "1", "1000000"], env=environment()
    )
    try:
        for thread in threads:
            thread.start()
        while not read_acks(tmp_path / "acks"):
            time.sleep(0.01)
        for number in range(BACKUPS):
            before = [*acked, *read_acks(tmp_path / "acks")]
            place = store.backup(tmp_path / f"copy{number}")
            after = store.head()
            assert place.parent == tmp_path / f"copy{number}"
            with eventstore.open(tmp_path / f"copy{number}") as copy:
                assert copy.log_id == store.log_id
                records = check(copy, before)
                assert len(records) <= after
                assert records == list(store.read(until=len(records))), "a copy is not a prefix"
                assert copy.doctor() == []
    finally:
        stop.set()
        for thread in threads:
            thread.join(WAIT_SECONDS)
        other.send_signal(signal.SIGKILL)
        other.wait(WAIT_SECONDS)


def test_a_copy_can_be_appended_to_and_copied_again(store: EventStore, tmp_path: Path) -> None:
    store.append("order/ACC1/1", [submitted()] * 700)
    store.backup(tmp_path / "copy")
    with eventstore.open(tmp_path / "copy") as copy:
        copy.append("order/ACC1/1", submitted(), expected=700)
        copy.backup(tmp_path / "copy of the copy")
    with eventstore.open(tmp_path / "copy of the copy") as copy:
        assert len(check(copy)) == 701
    assert len(check(store)) == 700


def test_a_copy_of_an_empty_log_opens(store: EventStore, tmp_path: Path) -> None:
    store.backup(tmp_path / "copy")
    with eventstore.open(tmp_path / "copy") as copy:
        assert check(copy) == []
        assert copy.log_id == store.log_id


def test_nothing_is_copied_over_what_is_there(store: EventStore, tmp_path: Path) -> None:
    acked = acks_of(store.append("order/ACC1/1", submitted()))
    store.backup(tmp_path / "copy")
    before = tree(tmp_path / "copy")
    store.append("order/ACC1/1", submitted())
    with pytest.raises(TargetExists):
        store.backup(tmp_path / "copy")
    with pytest.raises(TargetExists):
        store.backup(tmp_path / "data")
    assert tree(tmp_path / "copy") == before
    with eventstore.open(tmp_path / "copy") as copy:
        assert acks_of(check(copy)) == acked


def test_a_copy_outside_of_reach_says_what_is_wrong_with_its_place(store: EventStore, tmp_path: Path) -> None:
    store.append("order/ACC1/1", submitted())
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for place in ("file/copy", "x" * 300, "circle/copy", "circle"):
        with pytest.raises(Unavailable, match="name another place for it") as caught:
            store.backup(tmp_path / place)
        assert str(tmp_path / place) in str(caught.value)
        assert str(tmp_path / "data") not in str(caught.value)
    assert check(store) != []


def test_a_copy_on_a_medium_that_takes_no_writes_names_it(store: EventStore, tmp_path: Path) -> None:
    store.append("order/ACC1/1", submitted())
    place = tmp_path / "medium"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=100k", "none", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        assert os.environ.get("CI") != "true", f"CI must be able to mount: {mounted.stderr}"
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(ReadOnly, match="name another place for the copy") as caught:
            store.backup(place / "copy")
        assert str(place / "copy") in str(caught.value)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_copy_inside_the_logs_own_directory_is_refused(store: EventStore, tmp_path: Path) -> None:
    store.append("order/ACC1/1", submitted())
    (tmp_path / "link").symlink_to(tmp_path / "data" / "main")
    before = tree(tmp_path / "data")
    for place in ("data/main", "data/main/copy", "data/main/watermarks/x", "link/copy", "data/../data/main/copy"):
        with pytest.raises(InvalidEvent, match="inside the log's own directory"):
            store.backup(tmp_path / place)
    assert tree(tmp_path / "data").keys() == before.keys()
    store.backup(tmp_path / "data" / "copies")


def test_a_copy_is_not_made_into_the_place_of_another_that_came_meanwhile(store: EventStore, tmp_path: Path) -> None:
    """Several copy to one place at once: one gets an error, and the other's copy remains."""
    store.append("order/ACC1/1", [submitted()] * 2_000)
    barrier = threading.Barrier(4)
    ends: list[object] = []

    def copy() -> None:
        barrier.wait(WAIT_SECONDS)
        try:
            ends.append(store.backup(tmp_path / "copy"))
        except eventstore.StoreError as error:
            ends.append(error)

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert len(ends) == 4, "a copy ended with an error of another kind"
    assert sum(isinstance(end, Path) for end in ends) == 1, ends
    with eventstore.open(tmp_path / "copy") as made:
        assert len(check(made)) == 2_000


@pytest.mark.slow
@pytest.mark.untraced
def test_a_killed_copy_leaves_nothing_that_passes_for_a_finished_one(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        for _ in range(20):
            store.append("order/ACC1/1", [submitted("x" * 500)] * 500)
        head = store.head()
    chance = random.Random(20260721)
    # How long a copy takes differs from machine to machine, and from one to the next.
    longest = max(seconds_of_a_copy(tmp_path / "data", tmp_path / f"whole{number}") for number in range(5))
    unfinished = 0
    for number in range(KILLS):
        target = tmp_path / f"copy{number}"
        process = begun(tmp_path / "data", target)
        time.sleep(chance.uniform(0, 1.5 * longest))
        process.kill()
        process.wait(WAIT_SECONDS)
        if (target / "main" / "journal.db").exists():
            with eventstore.open(target) as copy:
                assert len(check(copy)) == head
        else:
            unfinished += 1
            # The same place can be used again, whatever the killed one has left there.
            with eventstore.open(tmp_path / "data") as store:
                store.backup(target)
            with eventstore.open(target) as copy:
                assert copy.head() == head
    assert 0 < unfinished < KILLS, "all were killed on the same side: the moments show nothing"


def begun(data: Path, target: Path) -> subprocess.Popen[bytes]:
    """Return a process that has just begun to copy."""
    command = [*WORKER, "backup", str(data), str(target)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"begins\n"
    return process


def seconds_of_a_copy(data: Path, target: Path) -> float:
    """Return after how long a copy is in its place."""
    process = begun(data, target)
    began = time.monotonic()
    while not (target / "main" / "journal.db").exists():
        assert time.monotonic() - began < WAIT_SECONDS, "there is no copy"
        time.sleep(0.001)
    taken = time.monotonic() - began
    process.wait(WAIT_SECONDS)
    return taken


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
