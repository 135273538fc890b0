"""Which accounts a process of a group decides for, and what each of its appends rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from eventstore.errors import Fenced
from eventstore.streams import account_of
from projections.shares import share_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.record import Fence
    from projections.risk.policies.protocol import PendingDecision
    from projections.shares import AccountShares


class ShareOwner(Protocol):
    """A member of a group, which holds a lock for each share that it works on."""

    def fences(self) -> Mapping[int, Fence]:
        """Return the fence of each share that is held now."""


class Ownership:
    """The shares that a book was opened for, of which its owner may have lost some since."""

    def __init__(self, owner: ShareOwner, shares: AccountShares) -> None:
        self._owner, self.shares = owner, shares

    def has(self, account: str) -> bool:
        """Return whether an account's triggers are decided on here; what concerns every account is, by each member."""
        return is_for_all(account) or share_of(account) in self.shares.numbers

    def leads(self, account: str) -> bool:
        """Return whether this process records of an account what only one should say."""
        return share_of(account) in self._owner.fences()

    def fences(self) -> list[Fence]:
        """Return those of all shares of the book; raise Fenced where one was lost."""
        return [self._fence(share) for share in sorted(self.shares.numbers)]

    def fence_of(self, account: str) -> Fence:
        """Return what an append for an account rests on; raise Fenced where its share was lost."""
        return self._fence(share_of(account))

    def fence_for(self, pending: PendingDecision) -> Fence | None:
        """Return what a decision's append rests on: the first of its accounts that is this member's.

        None where it has none: the decision is another member's. One that concerns no single account rests on any
        share. Raises Fenced where the share was lost.
        """
        accounts = [pending.trigger.account, *(account_of(stream) for stream, _ in pending.decision.events)]
        own = [account for account in accounts if not is_for_all(account) and self.has(account)]
        if own:
            return self.fence_of(own[0])
        return self._fence(min(self.shares.numbers)) if all(map(is_for_all, accounts)) else None

    def _fence(self, share: int) -> Fence:
        found = self._owner.fences().get(share)
        if found is None:
            msg = f"share {share:02}"
            raise Fenced(msg, 0)
        return found
