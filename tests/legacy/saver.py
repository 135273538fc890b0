"""A program that saves states, or positions of its own, until it is killed: each acknowledged one is printed."""

from __future__ import annotations

import random
import sys

from gateways.legacy import StateManager
from tests.legacy.states import named


def wait() -> None:
    """Say that this process is ready, and wait for the word to begin."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def save_positions(directory: str, name: str, saves: int) -> None:
    """Save a position of its own after the other."""
    with StateManager(directory) as manager:
        wait()
        for number in range(saves):
            assert manager.save_position(f"{name} {number}", number)


def save_states(directory: str, name: str, saves: int) -> None:
    """Save states that say who saved them and the number of the save, in each of their parts."""
    chance = random.Random(name)
    with StateManager(directory) as manager:
        wait()
        for number in range(saves):
            mark = {"by": name, "number": number}
            positions = named(chance) | {"mark": mark}
            assert manager.save_trading_state(positions, named(chance) | {"mark": mark}, {"mark": mark})
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    {"states": save_states, "positions": save_positions}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
