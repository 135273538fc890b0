"""A kill, or a power cut, at any moment of a rotation: nothing acknowledged is lost, and nothing is there twice."""

import random
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, StorageWarning
from eventstore.trading import OrderCanceled
from projections.rotation import rotate
from tests.memory import directory_in_memory
from tests.powercut.images import Disk, choices
from tests.powercut.recording import Acknowledged, Finished, Operation, Rename, read
from tests.proving import rounds
from tests.reliability.checking import WAIT_SECONDS, environment
from tests.rotation.rotating import ORDERS

# The recorded process ends by a kill, and tells of no line.
pytestmark = pytest.mark.untraced

KILLED = -9


def run(root: Path, log: Path, die_at_sync: int = 0) -> int:
    command = [sys.executable, "-m", "tests.rotation.rotating", str(root), str(log), str(die_at_sync)]
    return subprocess.run(command, env=environment(), check=False, timeout=WAIT_SECONDS).returncode


def acknowledged(operations: list[Operation]) -> list[tuple[int, bytes]]:
    return [
        (position, id_) for each in operations if isinstance(each, Acknowledged) for position, id_, _ in each.records
    ]


def check(data: Path, taken: list[tuple[int, bytes]]) -> None:
    """Whatever was left: it opens, has all that was acknowledged once, takes more, and can be rotated to the end."""
    with opened(data) as store:
        check_records(store, taken)
        is_rotated = store.log != "main"
        store.append("order/A/after", OrderCanceled(), key="after", expected=0)
        if not is_rotated:
            rotate(store)
    with opened(data) as store:
        assert store.log == "main.2"
        check_records(store, taken)
        assert store.append("order/A/after", OrderCanceled(), key="after")[0].version == 1
        found = store.verify()
        assert found.ok, found.reason
        book = projections.open(store, snapshots=False)
        ids = {record.stream.split("/")[2] for record in store.read(stream="order/A/")} - {"after"}
        assert {name: getattr(book.orders.get("A", name), "cumulative", None) for name in ids} == dict.fromkeys(ids, 1)
        assert book.positions.get("A", "ES").quantity == len(ids) >= len(taken) / 2
        book.close()
    left = [path.name for path in data.iterdir() if path.name.startswith(".main.2.")]
    assert not left, "what an interrupted attempt left is not removed"


def opened(data: Path) -> EventStore:
    with warnings.catch_warnings():
        # A power cut may leave an older watermark, or an empty one.
        warnings.simplefilter("ignore", StorageWarning)
        return eventstore.open(data)


def check_records(store: EventStore, taken: list[tuple[int, bytes]]) -> None:
    found = list(store.read())
    assert [record.position for record in found] == list(range(1, len(found) + 1))
    assert max(Counter(record.id for record in found).values()) == 1
    by_position = {record.position: record.id for record in found}
    assert all(by_position.get(position) == id_ for position, id_ in taken)
    assert [record.type for record in found].count("LogEnded") == (store.log != "main")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    root = tmp_path_factory.mktemp("recorded")
    (root / "here").mkdir()
    assert run(root / "here", root / "log") == 0
    return [operation for _, operation in read(root / "log")]


def syncs(recording: list[Operation]) -> tuple[int, int, int]:
    """Return how many syncs precede the rotation, how many end it, and how many there are."""
    count, marks = 0, []
    for operation in recording:
        count += type(operation).__name__ in {"Sync", "SyncDirectory"}
        if isinstance(operation, Finished) and operation.what.startswith("rotation"):
            marks.append(count)
    return marks[0], marks[1], count


PARTS = 3


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_at_any_sync_of_a_rotation_loses_and_doubles_nothing(
    part: int, recording: list[Operation], tmp_path: Path
) -> None:
    first, last, _ = syncs(recording)
    assert last - first > PARTS * 3
    for sync in range(first + 1 + part, last + 2, PARTS):
        place = tmp_path / str(sync)
        (place / "here").mkdir(parents=True)
        assert run(place / "here", place / "log", sync) == KILLED
        check(place / "here" / "data", acknowledged([operation for _, operation in read(place / "log")]))


def test_a_power_cut_at_any_moment_of_a_rotation_loses_and_doubles_nothing(recording: list[Operation]) -> None:
    marks = [at for at, each in enumerate(recording) if isinstance(each, Finished) and each.what.startswith("rotation")]
    moments = range(marks[0], min(marks[1] + 40, len(recording)))
    renamed = [at + after for at in moments if isinstance(recording[at], Rename) for after in (0, 1)]
    with directory_in_memory() as place:
        for seed in rounds("power cut in a rotation", test=25, prove=1_000):
            chance = random.Random(seed)
            # Half of them just before or after something is renamed.
            moment = chance.choice(moments if seed % 2 else renamed)
            disk = Disk()
            for at, operation in enumerate(recording[:moment]):
                disk.apply(at, operation)
            image = Path(place) / f"image{seed}"
            _, keep, torn = choices(chance)
            disk.write(image, keep, torn)
            check(image / "data", acknowledged(recording[:moment]))


def test_the_recorded_rotation_went_through(recording: list[Operation]) -> None:
    assert len(acknowledged(recording)) == 2 * 2 * ORDERS
