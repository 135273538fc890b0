"""Limits by symbol or root that name what no contract has: a misspelt one applies to nothing."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from projections.views.limits.directions import ABSENT, BLOCKED
from projections.views.limits.loosening import directions_of
from projections.views.limits.parameters import read_enabled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from projections.book import Book
    from projections.views.limits.limit import Limit


def limited_names(limit: Limit) -> tuple[str, ...]:
    """Return the symbols and roots, sorted, without which an enabled limit would be looser.

    A weight below one is not among them: what has none counts as a whole contract.
    """
    parameters = read_enabled(limit)
    if parameters is None:
        return ()
    found: set[str] = set()
    for name, direction in directions_of(type(parameters)).items():
        if direction is BLOCKED:
            found.update(getattr(parameters, name))
        elif direction.by_name:
            fallback = direction.fallback
            other = _stated(getattr(parameters, fallback) if isinstance(fallback, str) else fallback)
            table: Mapping[str, object] = getattr(parameters, name)
            found.update(each for each, figure in table.items() if direction.is_looser(_stated(figure), other))
    return tuple(sorted(found))


def _stated(figure: object) -> object:
    """Return a figure as an event has it."""
    return ABSENT if figure is None else str(figure)


def unknown_name_notes(book: Book, limits: Iterable[Limit]) -> list[str]:
    """Return a sentence for each name in a limit that is neither a name nor the root of a contract."""
    contracts = book.contracts.all()
    if not contracts:
        # Nothing can be traded yet.
        return []
    roots = {contract.root for contract in contracts if contract.root is not None}
    known = sorted(roots.union(contract.symbol for contract in contracts))
    notes = []
    for limit in limits:
        for name in limited_names(limit):
            if name in roots or book.contracts.find(name) is not None:
                continue
            near = difflib.get_close_matches(name, known, 1)
            cure = f"did you mean {near[0]}? If not, define it" if near else "define it, or set the limit again"
            notes.append(
                f"{limit.account}: {limit.rule_id} names {name}, and no contract has this name or root, "
                f"so that part of it applies to nothing: {cure}"
            )
    return notes
