"""Names in limits and blackouts that no contract and no account has: what has a misspelt one applies to nothing."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from projections.view import GROUP, SHARED
from projections.views.accounts import starting_balance
from projections.views.blackouts import BlackoutsView
from projections.views.limits.directions import ABSENT, BLOCKED
from projections.views.limits.loosening import directions_of
from projections.views.limits.parameters import read_enabled
from projections.views.limits.view import LimitsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    return _notes(book, [(f"{each.account}: {each.rule_id}", limited_names(each)) for each in limits])


def unknown_names(book: Book, at: int) -> list[str]:
    """Return such sentences for all limits in force at an instant, and for the blackouts that are not over."""
    limits = [limit for account in book.partitions(LimitsView.name) for limit in book.limits.of(account, at)]
    accounts = sorted({SHARED, *book.partitions(BlackoutsView.name)})
    coming = {
        each.position: (f"{'every account' if each.account == SHARED else each.account}: blackout {each.name}", each)
        for account in accounts
        for each in (*book.blackouts.active(account, at), *book.blackouts.scheduled(account, at))
    }
    named = [(what, each.symbols) for what, each in coming.values()]
    return [*unknown_name_notes(book, limits), *_notes(book, named), *unopened_notes(book, limits)]


def unopened_notes(book: Book, limits: Iterable[Limit]) -> list[str]:
    """Return a sentence for each account that has limits and was never opened: none can be sent orders for."""
    accounts = {limit.account for limit in limits if not limit.account.startswith(GROUP)}
    unopened = sorted(each for each in accounts if starting_balance(book, each) is None)
    opened = [] if not unopened else [each for each in book.accounts.known() if each not in unopened]
    notes = []
    for account in unopened:
        near = difflib.get_close_matches(account, opened, 1)
        cure = f"did you mean {near[0]}? If not, open it" if near else "open it"
        notes.append(f"{account} has limits, and was never opened: {cure}")
    return notes


def _notes(book: Book, named: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    contracts = book.contracts.all()
    if not contracts:
        # Nothing can be traded yet.
        return []
    roots = {contract.root for contract in contracts if contract.root is not None}
    known = sorted(roots.union(contract.symbol for contract in contracts))
    notes = []
    for what, names in named:
        for name in names:
            if name in roots or book.contracts.find(name) is not None:
                continue
            near = difflib.get_close_matches(name, known, 1)
            cure = f"did you mean {near[0]}? If not, define it" if near else "define it, or set it again"
            notes.append(
                f"{what} names {name}, and no contract has this name or root, "
                f"so that part of it applies to nothing: {cure}"
            )
    return notes
