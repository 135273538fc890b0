"""Costs in a list within a row, as JSON has them: refused where the mapping's own columns do not have all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateways.importers.cells import fee_columns
from gateways.importers.fields import used_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateways.importers.base import TableRow
    from gateways.importers.mapping import Mapping as FileMapping

_NAMES = frozenset({"fees", "commissions", "costs"})


class ListedCosts:
    """Checks the columns of costs that a mapping does not name, and that have lists."""

    def __init__(self, mapping: FileMapping, columns: Mapping[str, int]) -> None:
        used = used_columns(mapping)
        self._named = fee_columns(mapping, columns)
        self._lists = tuple(name for name in columns if name.casefold() in _NAMES and name not in used)

    def check(self, row: TableRow) -> None:
        """Raise BadRow for a row with more costs than the mapping takes from it."""
        for name in self._lists:
            count = _count(row.optional(name))
            taken = any(row.optional(column) is not None for column in self._named)
            if count > taken:
                why = (
                    f"has {count} costs, of which the mapping takes {'one' if taken else 'none'}: split the file, or "
                    f"name {name} in rows.ignore if the others are in it already"
                )
                row.refuse(name, why)


def _count(text: str | None) -> int:
    """Return how many costs other than 0 a list has."""
    if text is None or not text.startswith("["):
        return 0
    found = json.loads(text)
    return sum(bool(each) and not (isinstance(each, dict) and _is_zero(each.get("cost"))) for each in found)


def _is_zero(cost: object) -> bool:
    return cost is None or not str(cost).strip("0.-")
