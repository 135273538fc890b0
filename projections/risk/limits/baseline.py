"""Which accounts have a limit on equity and no stated baseline: they are judged by the strictest one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import Baseline
from projections.risk.limits.results import ResultParameters
from projections.view import GROUP
from projections.views.limits.parameters import read_enabled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from projections.book import Book
    from projections.views.limits.limit import Limit


def needs_baseline(limit: Limit) -> bool:
    """Return whether an enabled limit is measured from a baseline."""
    parameters = read_enabled(limit)
    return isinstance(parameters, ResultParameters) and parameters.is_on_equity


def accounts_of(book: Book, limit: Limit) -> tuple[str, ...]:
    """Return the accounts that a limit is judged for: of a group, its members."""
    account = limit.account
    return book.groups.members(account.removeprefix(GROUP)) if account.startswith(GROUP) else (account,)


def lacks_baseline(book: Book, account: str) -> bool:
    return "baseline" not in book.accounts.configuration(account).stated


def baseline_notes(book: Book, limits: Iterable[Limit]) -> list[str]:
    """Return a sentence for each account that lacks a baseline which its limits need."""
    accounts = sorted({account for limit in limits if needs_baseline(limit) for account in accounts_of(book, limit)})
    return [
        f"{account}: no baseline is stated, so results on basis equity are judged by {Baseline.MAXIMUM}, "
        "the strictest: state one in the account's settings"
        for account in accounts
        if lacks_baseline(book, account)
    ]
