"""The write of each state is killed at each of its steps: the restarted book has the old state or the new one."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import ManualClock
from tests.projections.histories import states
from tests.proving import cases
from tests.reliability.checking import WAIT_SECONDS, check, environment
from tests.reliability.questions import REOPENED_AT
from tests.reliability.states import BEFORE, CUT_AFTER, STATES, State, make_base
from tests.reliability.steps import CUT, IN_A_CUT, Ack, Moment, Order

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = [pytest.mark.untraced, pytest.mark.prove]

MOMENTS: tuple[Moment, ...] = ("amid", "after")
BOTH = bool(cases(test=(), prove=(True,)))
STEPS_MAX = 1_000
LASTING = [name for name, state in STATES.items() if state.lasts]
VOLATILE = [name for name, state in STATES.items() if not state.lasts]


class Killer:
    """Has processes forked that write a state, each over a fresh copy of what every state had before, and killed."""

    def __init__(self, server: subprocess.Popen[str], base: Path, place: Path) -> None:
        self._server, self._base, self.data = server, base, place / "data"
        self._acks = place / "acks"

    def kill(self, state: str, moment: Moment, number: int) -> Ack | None:
        """Return what the process wrote down when its write had returned; None: it did not come so far."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(self._base, self.data)
        self._acks.unlink(missing_ok=True)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = Order(state, str(self.data), str(self._acks), moment, number)
        self._server.stdin.write(msgspec.json.encode(order).decode() + "\n")
        self._server.stdin.flush()
        assert self._server.stdout.readline() == f"{signal.SIGKILL:d}\n", "it ended by itself: its error is above"
        return msgspec.json.decode(self._acks.read_bytes(), type=Ack) if self._acks.exists() else None

    def kill_at_every_step(self, state: str) -> Iterator[Ack | None]:
        """Yield once for each kill, the last one after the write had returned."""
        yield self.kill(state, "after", 0)
        for number in range(1, STEPS_MAX):
            # At one of them each, the states take turns: each step of a write is killed at both.
            turn = (number + len(state)) % 2
            for moment in MOMENTS if BOTH else MOMENTS[turn : turn + 1]:
                ack = self.kill(state, moment, number)
                yield ack
                if ack is not None:
                    return


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("states") / "base"
    make_base(directory)
    return directory


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.reliability.steps"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(WAIT_SECONDS)


@pytest.fixture
def killer(server: subprocess.Popen[str], base: Path, memory_path: Path) -> Killer:
    # A kill takes nothing from what was written: where it lies is all the same.
    return Killer(server, base, memory_path)


def answer_after_restart(data: Path, state: State) -> object:
    """Return what a restarted book says, which is what the log says without any cut."""
    with eventstore.open(data, clock=ManualClock(REOPENED_AT)) as store:
        assert check(store)[len(BEFORE)].type == "Marked"
        with projections.open(store) as book:
            assert book.recovery.cut == CUT_AFTER
            answer = state.ask(book)
            whole = projections.open(store, snapshots=False)
            assert state.ask(whole) == answer
            assert states(book._fold) == states(whole._fold)
    return answer


@pytest.mark.parametrize("name", LASTING)
def test_a_restarted_book_says_what_was_or_what_was_written(name: str, killer: Killer) -> None:
    state = STATES[name]
    said = []
    ack = None
    for ack in killer.kill_at_every_step(name):  # noqa: B007 - the last one is looked at
        said.append(answer_after_restart(killer.data, state))
        assert said[-1] in (state.before, state.after)
    assert ack is not None
    assert ack.is_right, ack.answer
    # Nothing is there before the first step, all of it at the latest when the write has returned, and then it stays.
    assert [answer for answer, _ in itertools.groupby(said)] == [state.before, state.after]
    # A page has its header written, then itself, and all of them are synced.
    assert ack.steps >= 3


@pytest.mark.parametrize("name", VOLATILE)
def test_what_was_observed_is_gone_and_the_restarted_book_says_so(name: str, killer: Killer) -> None:
    state = STATES[name]
    ack = None
    for ack in killer.kill_at_every_step(name):  # noqa: B007 - the last one is looked at
        assert answer_after_restart(killer.data, state) == state.before
    assert ack == Ack(0, True, repr(state.after)), "it was known, and nothing of it was written"


@pytest.mark.slow
def test_a_cut_is_there_or_not_and_the_states_are_the_same(killer: Killer) -> None:
    cuts, head, written = [], 0, [STATES[name].after for name in IN_A_CUT[:3]]
    ack = None
    for ack in killer.kill_at_every_step(CUT):  # noqa: B007 - the last one is looked at
        with eventstore.open(killer.data, clock=ManualClock(REOPENED_AT)) as store:
            head = len(check(store))
            with projections.open(store) as book:
                cuts.append(book.recovery.cut)
                assert states(book._fold) == states(projections.open(store, snapshots=False)._fold)
                assert [STATES[name].ask(book) for name in IN_A_CUT[:3]] == written
    assert ack is not None
    assert ack.is_right
    assert [cut for cut, _ in itertools.groupby(cuts)] == [CUT_AFTER, head]
