"""A process with policies is killed at every step of its life: every decision is made, and once."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import EnforcementRequested, LockoutSet, OrderFilled, Side
from projections.risk.policies import Policies
from tests.places import Place, within
from tests.projections.policy_lives import LEAST, MADE, SECOND, START, Loss, Order
from tests.proving import cases
from tests.reliability.checking import WAIT_SECONDS, environment
from tests.reliability.steps import Moment

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = pytest.mark.untraced

KILLED, ALIVE = -9, 0
WHOLE = 1_000_000
STRIDE = 5
"""On PostgreSQL, where each statement is a step, a process is killed at every so many: each life takes longer."""
STEPS_MIN = 50


@contextlib.contextmanager
def serving() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.projections.policy_lives"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(WAIT_SECONDS)


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    with serving() as process:
        yield process


def order(server: subprocess.Popen[str], place: Place, moment: Moment, number: int, name: str = "") -> None:
    assert server.stdin is not None
    server.stdin.write(msgspec.json.encode(Order(str(place), moment, number, name)).decode() + "\n")
    server.stdin.flush()


def ended(server: subprocess.Popen[str]) -> int:
    """Return the negative signal that ended a process, or 0."""
    assert server.stdout is not None
    return int(server.stdout.readline())


def crossing(store: EventStore) -> list[bytes]:
    """Return the ids of the sales after which an account has realized -10 points or less, by their prices alone."""
    made: Counter[str] = Counter()
    found = []
    for record in store.read(types=(OrderFilled,)):
        event = record.event
        assert isinstance(event, OrderFilled)
        if event.side is Side.SELL:
            made[record.account] += int(event.price) - 100
            if made[record.account] <= LEAST:
                found.append(record.id)
    return found


def causes(store: EventStore, kind: type[LockoutSet | EnforcementRequested]) -> list[bytes]:
    return [record.causation_id for record in store.read(types=(kind,)) if record.causation_id is not None]


def restarted(place: Place, *, ticks: int = 0) -> tuple[int, int]:
    """Restart the policies and check that each sale past the limit has its lockout; return how many, and the head."""
    clock = ManualClock(START + 300 * SECOND)
    with eventstore.open(place, clock=clock) as store, projections.open(store) as book:
        policies = Policies(book, [Loss()]).start(ticking=False)
        for _ in range(ticks):
            policies.tick()
        assert policies.is_caught_up
        policies.stop()
        assert store.verify().ok
        crossed = crossing(store)
        assert causes(store, LockoutSet) == causes(store, EnforcementRequested)
        assert sorted(causes(store, LockoutSet)) == sorted(crossed)
        daily = Counter(record.account for record in store.read(types=(LockoutSet,)) if record.causation_id is None)
        assert set(daily.values()) <= {1}, "the day was decided twice"
        return len(crossed), store.head()


@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.in_each_place
@pytest.mark.parametrize("moments", cases(test=[("amid", "after")], prove=[("amid",), ("after",)]), ids=" ".join)
def test_a_kill_at_any_step_loses_no_decision(
    moments: Sequence[Moment], server: subprocess.Popen[str], place: Place
) -> None:
    """Amid one step and after the next, or at each step at one of these moments."""
    decided, late = list[int](), 0
    for number in range(0, 1_000, 1 if isinstance(place, Path) else STRIDE):
        data = within(place, number)
        order(server, data, moments[len(decided) % len(moments)], number)
        signal = ended(server)
        with eventstore.open(data) as store:
            assert causes(store, LockoutSet) == causes(store, EnforcementRequested)
            late += len(causes(store, LockoutSet)) < len(crossing(store))
        decided.append(restarted(data, ticks=len(decided) % 2)[0])
        # Another restart changes nothing.
        assert restarted(data)[0] == decided[-1]
        if isinstance(data, Path):
            shutil.rmtree(data)
        if signal == ALIVE:
            break
        assert signal == KILLED
    whole = sum(sum(made[: n + 1]) <= LEAST for made in MADE.values() for n in range(len(made)))
    assert decided == sorted(decided)
    assert decided[-1] == whole
    assert number > STEPS_MIN
    print(f"{len(decided)} lives, {late} killed between a sale and its lockout")  # noqa: T201 - what it came to
    # Some kills came between a sale and its lockout.
    assert late


@pytest.mark.slow
@pytest.mark.in_each_place
@pytest.mark.parametrize("number", range(4, 76, 8))
def test_a_kill_beside_another_process_loses_no_decision(
    number: int, server: subprocess.Popen[str], place: Place
) -> None:
    with serving() as other:
        order(server, place, "after", WHOLE, "first")
        order(other, place, "after", number, "second")
        assert (ended(server), ended(other)) == (ALIVE, KILLED)
    assert restarted(place)[0]
    order(server, place, "after", WHOLE, "third")
    assert ended(server) == ALIVE
    restarted(place)
