"""Random states as programs have them: usual members, odd names, large series."""

from __future__ import annotations

import random
from typing import Any

PAIRS = ("AAA-BBB", "EURUSD", "X/Y", "X%2FY", "a~1", "a", "", "ü" * 60, "\0", "\ud800", "20250101", "position_AAA-BBB")


def value(chance: random.Random, depth: int = 3) -> Any:  # noqa: ANN401 - any JSON, and more
    """Return a value of a state."""
    kind = chance.randrange(12 if depth else 8)
    match kind:
        case 0 | 1:
            return chance.choice([None, True, False])
        case 2:
            return chance.choice([0, 1, -1, 2**70, chance.randrange(10**6)])
        case 3:
            return chance.choice([0.1, 1e22, float("inf"), chance.uniform(-1e6, 1e6)])
        case 4 | 5:
            return chance.choice(["", "20250101", "2025-01-02T03:04:05", "long", "a\0b", "\ud800", "ü\u2028", "$type"])
        case 6:
            return {chance.choice("abc") for _ in range(2)}
        case 7:
            return (chance.randrange(5), "x")
        case 8 | 9:
            return [value(chance, depth - 1) for _ in range(chance.randrange(4))]
        case _:
            names = ("direction", "$type", "value", "", "items", 7)
            return {chance.choice(names): value(chance, depth - 1) for _ in range(chance.randrange(5))}


def named(chance: random.Random) -> dict[str, Any]:
    """Return values by pair; now and then one larger than an event, or than several."""
    found = {pair: value(chance) for pair in chance.sample(PAIRS, chance.randrange(4))}
    if chance.random() < 0.03:
        found["large"] = [chance.random() for _ in range(chance.choice([3_000, 12_000]))]
    return found
