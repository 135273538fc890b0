"""A full disk, and a file that may not grow: a clear error, nothing acknowledged lost, and appending resumes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, StorageFull, StoreError
from eventstore.journals.sqlite import checkpointing
from tests.reliability.checking import (
    WAIT_SECONDS,
    WORKER,
    Ack,
    acks_of,
    check,
    environment,
    read_acks,
    reported,
    submitted,
)

DISK_BYTES = 2_097_152
APPENDS_MAX = 5_000
STREAM = "order/ACC1/1"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        assert os.environ.get("CI") != "true", f"CI must be able to mount a small disk: {mounted.stderr}"
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, *, leaving: int) -> Path:
    """Write a file that leaves so many bytes of room."""
    filler = disk / "filler"
    stat = os.statvfs(disk)
    size = stat.f_bavail * stat.f_frsize - leaving
    with filler.open("wb") as file:
        file.write(b"\0" * size)
    return filler


def append_until_full(store: EventStore, number: int = 1) -> tuple[list[Ack], StorageFull]:
    """Append single events and batches until there is no room."""
    acked: list[Ack] = []

    def append() -> None:
        for turn in range(APPENDS_MAX):
            events = [submitted(f"{number}.{turn}.{n}") for n in range(1 + turn % 3)]
            keys = [f"{number}.{turn}.{n}" for n in range(len(events))]
            acked.extend(acks_of(store.append(STREAM, events, key=keys)))

    with pytest.raises(StorageFull) as caught:
        append()
    return acked, caught.value


@pytest.mark.parametrize("checkpoint_pages", [checkpointing.CHECKPOINT_PAGES, 50])
@pytest.mark.parametrize("room", [0, 4_096, 16_384, 40_960, 73_728, 200_704, 501_760])
def test_a_full_disk_refuses_loses_nothing_and_continues_after(
    room: int, checkpoint_pages: int, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "CHECKPOINT_PAGES", checkpoint_pages)
    with eventstore.open(disk / "data") as store:
        acked = acks_of(store.append(STREAM, [submitted()] * 20))
        filler = fill(disk, leaving=room)
        more, error = append_until_full(store)
        acked += more
        assert "no room for" in str(error)
        assert "make room and try again" in str(error)
        assert acks_of(check(store, acked)) == acked, "StorageFull says that nothing was written"
        # Moving the log over meanwhile may have made room for this one: refused, or acknowledged and there.
        with contextlib.suppress(StorageFull):
            acked += acks_of(store.enqueue(STREAM, reported("")).result())
        filler.unlink()
        acked += acks_of(store.append(STREAM, [submitted()] * 300))
        assert acks_of(check(store, acked)) == acked
    with eventstore.open(disk / "data") as store:
        assert acks_of(check(store, acked)) == acked
        store.append(STREAM, submitted())


@pytest.mark.parametrize("room", [0, 4_096, 40_960])
def test_a_store_closes_and_opens_on_a_full_disk(room: int, disk: Path) -> None:
    store = eventstore.open(disk / "data")
    acked = acks_of(store.append(STREAM, [submitted()] * 300))
    filler = fill(disk, leaving=room)
    acked += append_until_full(store)[0]
    store.close()
    try:
        with eventstore.open(disk / "data") as reader:
            assert acks_of(check(reader, acked)) == acked
    except StorageFull as error:
        assert "make room" in str(error)  # noqa: PT017 - one of two good ends
    filler.unlink()
    with eventstore.open(disk / "data") as store:
        assert acks_of(check(store, acked)) == acked
        store.append(STREAM, submitted())


@pytest.mark.parametrize("room", range(0, 90_000, 4_096))
def test_a_store_that_a_full_disk_kept_from_being_created_is_created_later(room: int, disk: Path) -> None:
    filler = fill(disk, leaving=room)
    try:
        with eventstore.open(disk / "data") as store:
            check(store)
    except StoreError as error:
        assert isinstance(error, StorageFull)  # noqa: PT017 - one of two good ends
        assert "make room" in str(error)  # noqa: PT017 - the same
    filler.unlink()
    with eventstore.open(disk / "data") as store:
        store.append(STREAM, submitted())
        check(store)


@pytest.mark.parametrize("limit", [60_000, 150_000, 400_000])
@pytest.mark.parametrize("checkpoint_pages", [checkpointing.CHECKPOINT_PAGES, 30])
def test_a_file_that_may_not_grow_is_a_full_disk(limit: int, checkpoint_pages: int, tmp_path: Path) -> None:
    command = [*WORKER, "limit", str(tmp_path / "data"), str(tmp_path / "acks"), str(limit), str(checkpoint_pages)]
    done = subprocess.run(command, env=environment(), timeout=WAIT_SECONDS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["error"] == "StorageFull", answer
    assert "make room" in answer["message"]
    acked = read_acks(tmp_path / "acks")
    assert len(acked) > 3
    with eventstore.open(tmp_path / "data") as store:
        assert acks_of(check(store, acked)) == acked


@pytest.mark.parametrize("room", [0, 4_096, 40_960, 81_920])
def test_a_copy_that_finds_no_room_names_its_own_place(room: int, disk: Path, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        acked = acks_of(store.append(STREAM, [submitted()] * 300))
        filler = fill(disk, leaving=room)
        with pytest.raises(StorageFull, match="no room for the copy in ") as caught:
            store.backup(disk / "copy")
        assert str(disk / "copy") in str(caught.value)
        assert str(tmp_path / "data") not in str(caught.value)
        assert not (disk / "copy" / "main" / "journal.db").exists()
        acked += acks_of(store.append(STREAM, submitted()))
        filler.unlink()
        store.backup(disk / "copy")
        with eventstore.open(disk / "copy") as copy:
            assert acks_of(check(copy)) == acked


@pytest.mark.parametrize("room", [0, 40_960, 102_400])
@pytest.mark.parametrize("options", [(), ("--keep-days", "3")])
def test_the_command_names_the_place_that_it_was_given(
    room: int, options: tuple[str, ...], disk: Path, tmp_path: Path
) -> None:
    with eventstore.open(tmp_path / "data") as store:
        store.append(STREAM, [submitted()] * 300)
    fill(disk, leaving=room)
    given = ["backup", str(disk / "copy"), *options, "--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "eventstore", *given]
    done = subprocess.run(command, env=environment(), timeout=WAIT_SECONDS, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("eventstore: no room for ")
    assert str(disk / "copy") in done.stderr
    assert "not an error" not in done.stderr
    assert "disk full" in done.stderr or "No space left on device" in done.stderr
    assert ".part" not in done.stderr
    assert str(tmp_path / "data") not in done.stderr
    assert [path.name for path in disk.iterdir()] == ["filler"]
