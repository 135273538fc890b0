"""A program that saves states until it is killed: each acknowledged one is printed. Run with a directory and a name."""

from __future__ import annotations

import random
import sys

from gateways.legacy import StateManager
from tests.legacy.states import named


def main(directory: str, name: str, saves: int) -> None:
    """Save states that say who saved them and the number of the save, in each of their parts."""
    chance = random.Random(name)
    with StateManager(directory) as manager:
        for number in range(saves):
            mark = {"by": name, "number": number}
            positions = named(chance) | {"mark": mark}
            assert manager.save_trading_state(positions, named(chance) | {"mark": mark}, {"mark": mark})
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
