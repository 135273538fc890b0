"""Reference: what is marked on a position, and which of it leaves its figures uncertain."""

from __future__ import annotations

from tests.reference.items import ratio
from tests.reference.lots import fold
from tests.reference.sequence import Position

UNCERTAIN = {"UNPRICED", "INEXACT", "IMPOSSIBLE_SPLIT", "UNKNOWN_BUST", "UNKNOWN_CORRECTION", "AT_RECONCILIATION"}


def marks_of(position: Position) -> set[str]:
    """Return what happened to a position, and what its items are as they stand, fixed ones included."""
    wrong_way = {"NET": 0, "LONG": -1, "SHORT": 1}[position.side]
    found = {
        "UNPRICED": any(fold(items).unpriced for items in position.lists),
        "IMPOSSIBLE_SPLIT": any(
            item.kind == "SPLIT" and ratio(items, index) == 1
            for items in position.lists
            for index, item in enumerate(items)
        ),
        "INEXACT": any(fold(items).inexact for items in position.lists),
        "OVERCLOSED": any(wrong_way in fold(items).went for items in position.lists),
    }
    return {kind for kind, _ in position.marked} | {kind for kind, is_so in found.items() if is_so}
