"""Several processes on one state, and processes that are killed: a save is there wholly or not at all."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import eventstore
from gateways.legacy import StateManager, contents
from tests.cli.command import ROOT, plain_environment
from tests.legacy.states import named

pytestmark = pytest.mark.untraced


def begin(directory: Path, name: str, saves: int, what: str = "states") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.legacy.saver", what, str(directory), name, str(saves)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=plain_environment())


def start(*children: subprocess.Popen[str]) -> None:
    """Let processes that are ready begin at the same time."""
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("begin\n")
        child.stdin.flush()


def marks(state: dict[str, Any]) -> list[Any]:
    return [state["active_positions"]["mark"], state["pair_states"]["mark"], state["mark"]]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    chance = random.Random(5)
    for round_ in range(2):
        name = f"round {round_}"
        with begin(tmp_path, name, 100_000) as child:
            assert child.stdout is not None
            start(child)
            acknowledged = -1
            for _ in range(chance.randrange(3, 25)):
                acknowledged = int(child.stdout.readline())
            child.kill()
            # What it printed before it died counts as well.
            acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
        with StateManager(tmp_path) as manager:
            state = manager.load_trading_state()
            assert manager.store.verify().ok
        assert state is not None
        one, two, three = marks(state)
        assert one == two == three
        assert (one["by"], one["number"] >= acknowledged) == (name, True)
        assert state == replayed(name, one["number"])


def replayed(name: str, number: int) -> dict[str, Any]:
    """Return the state that a saver saved as this number."""
    chance = random.Random(name)
    for _ in range(number):
        named(chance), named(chance)
    mark = {"by": name, "number": number}
    positions = named(chance) | {"mark": mark}
    return {"active_positions": positions, "pair_states": named(chance) | {"mark": mark}, "mark": mark}


def test_two_processes_save_whole_states_in_turn(tmp_path: Path) -> None:
    saves = 15
    with begin(tmp_path, "one", saves) as one, begin(tmp_path, "two", saves) as two:
        assert one.stdout is not None
        assert two.stdout is not None
        start(one, two)
        assert [one.stdout.read().split()[-1], two.stdout.read().split()[-1]] == [str(saves - 1)] * 2
    assert (one.returncode, two.returncode) == (0, 0)
    by: Counter[str] = Counter()
    with eventstore.open(tmp_path) as store, StateManager(store) as manager:
        log = manager.log
        for record in store.read(stream=contents.stream("default")):
            saved = contents.read(store, record).contents
            assert saved is not None
            found = {item.id: log.value(item.position) for item in (*saved.positions, *saved.pair_states)}
            mark = found["position_mark"]
            assert found["pair_mark"] == mark
            assert log.value(saved.portfolio) == {"mark": mark}
            assert mark["number"] == by[mark["by"]]
            by[mark["by"]] += 1
    assert by == {"one": saves, "two": saves}


def test_two_processes_lose_no_position_of_the_other(tmp_path: Path) -> None:
    saves = 25
    with begin(tmp_path, "one", saves, "positions") as one, begin(tmp_path, "two", saves, "positions") as two:
        start(one, two)
        assert (one.wait(), two.wait()) == (0, 0)
    with StateManager(tmp_path) as manager:
        state = manager.load_trading_state()
    assert state is not None
    assert state["active_positions"] == {f"{name} {n}": n for name in ("one", "two") for n in range(saves)}
