"""Four processes append to one log and are killed at a random moment, again and again: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from tests.places import DIRECTORY, POSTGRES, Place, within
from tests.reliability.checking import WAIT_SECONDS, WORKER, Ack, check, environment, read_acks, submitted
from tests.reliability.worker import WRITERS

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = pytest.mark.untraced

ROUNDS = int(os.environ.get("RELIABILITY_ROUNDS", "50"))
SEED = int(os.environ.get("RELIABILITY_SEED", "20260721"))
LIFE_SECONDS_MAX = {DIRECTORY: 0.15, POSTGRES: 0.6}
"""A connection to a server is not made at once."""
CREATION_SECONDS_MAX = 0.02


class Killer:
    """Forks the four writers from a process that has no store open, and kills them."""

    def __init__(self, server: subprocess.Popen[str], acks: Path) -> None:
        self._server, self._acks = server, acks
        acks.mkdir()

    def round(self, place: Place, name: str, seed: int, delays: list[float]) -> list[Ack]:
        """Let four writers live for a while, and return what was acknowledged to them."""
        order = {"directory": str(place), "acks": str(self._acks), "name": name, "seed": seed, "delays": delays}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline() or '{"killed": "the server died"}')
        assert answer == {"killed": WRITERS}, "a writer ended before it was killed: its error is above"
        return [ack for number in range(WRITERS) for ack in read_acks(self._acks / f"{name}.{number}")]


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[Killer]:
    command = [*WORKER, "serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as server:
        yield Killer(server, tmp_path / "acks")
        assert server.stdin is not None
        server.stdin.close()
        server.wait(WAIT_SECONDS)


def delays(chance: random.Random, longest: float) -> list[float]:
    """Return when each is killed: all at one moment, or one after another, while the others continue."""
    if chance.randint(0, 1):
        return [chance.uniform(0, longest)] * WRITERS
    return [chance.uniform(0, longest) for _ in range(WRITERS)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "part"), [*((DIRECTORY, part) for part in range(4)), (POSTGRES, 4)], indirect=["place"]
)
def test_no_kill_loses_what_was_acknowledged(part: int, killer: Killer, place: Place, tmp_path: Path) -> None:
    longest = LIFE_SECONDS_MAX[DIRECTORY if isinstance(place, Path) else POSTGRES]
    print(f"RELIABILITY_SEED={SEED}, part {part}")  # noqa: T201 - to repeat a failure
    chance = random.Random(SEED + part)
    acked: list[Ack] = []
    records = 0
    for number in range(ROUNDS):
        acked += killer.round(place, f"r{number}", chance.getrandbits(32), delays(chance, longest))
        # On a copy, so that the next writers find what the killed ones left; or in its place, which tidies up.
        is_copied = isinstance(place, Path) and chance.randint(0, 1)
        with eventstore.open(_copy(place, tmp_path / "copy") if is_copied else place) as store:
            found = len(check(store, acked))
        assert found >= records, "the log has become shorter"
        records = found
    print(f"{ROUNDS} rounds, {ROUNDS * WRITERS} kills, {len(acked)} acknowledgements, {records} records")  # noqa: T201
    # On a busy machine a writer may be killed before its first one: nearly all of them are not.
    assert len(acked) > ROUNDS


@pytest.mark.slow
@pytest.mark.in_each_place
def test_no_kill_while_a_log_is_created_keeps_it_from_opening(killer: Killer, place: Place) -> None:
    print(f"RELIABILITY_SEED={SEED}")  # noqa: T201 - to repeat a failure
    chance = random.Random(SEED)
    for number in range(ROUNDS):
        data = within(place, number)
        acked = killer.round(data, f"r{number}", chance.getrandbits(32), delays(chance, CREATION_SECONDS_MAX))
        with eventstore.open(data) as store:
            check(store, acked)
            store.append("order/ACC1/after", submitted())
        if isinstance(data, Path):
            shutil.rmtree(data)


def _copy(data: Place, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(data, place))
