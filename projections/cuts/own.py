"""Cuts of single accounts: a busy one is cut between those of all accounts, and keeps its states when these go."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from projections.shares import share_of
from projections.view import SHARED, is_by_account, is_for_all

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from eventstore.record import Fence
    from projections.shares import AccountShares
    from projections.view import View

OWN_EVENTS_MAX = 5_000
"""A worker leaves at most so many events of an account between two cuts that have it."""
_DUE, _KEPT = OWN_EVENTS_MAX * 4 // 5, OWN_EVENTS_MAX * 3 // 5
SEPARATOR = "\x1f"
"""Between a view and an account in the name of a part: no view's name has it."""
SHARE = "#"
"""Begins the name of a share where an account's would be: none begins so."""


class Extent(NamedTuple):
    """Which accounts a cut is of: all, or single ones, or those of shares, each with what a cut of it rests on."""

    accounts: Collection[str] | None
    shares: Mapping[int, Fence]

    @property
    def is_whole(self) -> bool:
        return self.accounts is None and not self.shares

    def has(self, partition: str) -> bool:
        """Return whether a cut has a state: also those that belong to every book."""
        if self.is_whole or is_for_all(partition):
            return True
        return self.has_account(partition) if self.accounts is None else partition in self.accounts

    def has_account(self, account: str) -> bool:
        """Return whether an account is of one of the shares."""
        return not is_for_all(account) and share_of(account) in self.shares


class OwnEvents:
    """How many records of each account were folded since it was last cut by itself."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.most = 0
        """The largest of them, without that of SHARED: to look for it takes long where there are many accounts."""

    def due(self) -> list[str]:
        """Return the accounts that need a cut of their own."""
        return self._with_events(_DUE) if self.most >= _DUE else []

    @property
    def left(self) -> int:
        """How many records may be folded at once so that no account has more than OWN_EVENTS_MAX."""
        return OWN_EVENTS_MAX - min(self.most, _DUE)

    def counted(self, extent: Extent) -> dict[str, int]:
        """Return the accounts that a cut is also one of by itself, with their counts.

        One of all accounts is of those that would be due before the next one; in one of shares, it is every account.
        """
        if extent.shares:
            names: Collection[str] = [name for name in self.counts if extent.has_account(name)]
        else:
            names = self._with_events(_KEPT) if extent.accounts is None else extent.accounts
        return {name: self.counts.get(name, 0) for name in names}

    def subtract(self, counts: Mapping[str, int]) -> None:
        """Count from a cut on; others may have folded since it was begun."""
        for name, count in counts.items():
            self.counts[name] -= count
        self.most = max([count for name, count in self.counts.items() if name != SHARED], default=0)

    def _with_events(self, least: int) -> list[str]:
        return sorted(name for name, count in self.counts.items() if count >= least and name != SHARED)


def takes_part(view: View[Any]) -> bool:
    """Return whether a cut of one account has this view: its states are folded from some accounts' records alone."""
    return is_by_account(view) or view.shared


def part_of(view: str, account: str) -> str:
    """Return the name of a view's part of an account's cut, which no view has."""
    return f"{view}{SEPARATOR}{account}"


def name_of_share(share: int) -> str:
    """Return how a share is named where an account would be."""
    return f"{SHARE}{share:02}"


def is_share(name: str) -> bool:
    """Return whether a cut's name is that of a share, and not an account's."""
    return name.startswith(SHARE)


def shares_with(accounts: AccountShares) -> list[int]:
    """Return the shares in which these accounts are, all of theirs or some."""
    return sorted(accounts.numbers | {share_of(account) for account in accounts.also})


def states_of(states: Mapping[str, Any], accounts: Collection[str]) -> dict[str, Any]:
    """Return the states that a cut of accounts has: theirs, and those that belong to every book."""
    return {name: state for name, state in states.items() if name in accounts or is_for_all(name)}


def only_account(partitions: Collection[str] | None) -> str | None:
    """Return the account if a view's states of a single one are asked for."""
    names = set(partitions or ()) - {SHARED}
    return names.pop() if len(names) == 1 else None
