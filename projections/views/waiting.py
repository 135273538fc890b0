"""Queries about approvals: what waits for a second person, and which approvals counted for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.view import GROUP, SHARED, BookReader
from projections.views.accounts import AccountsView
from projections.views.approvals import ApprovalState, WaitingRequest, approvers_of, why_ineffective
from projections.views.equity import EquityView
from projections.views.group_approvals import approver_of
from projections.views.groups import GroupsState, GroupsView
from projections.views.limits.view import LimitsView
from projections.views.lockouts.view import LockoutsView

if TYPE_CHECKING:
    from projections.views.approvals import IneffectiveApproval

# Each keeps what it would fold itself; settings are in all of them.
_VIEWS = (AccountsView.name, LimitsView.name, LockoutsView.name, EquityView.name)


class Approvals:
    """Queries about what needs a second person. A group of accounts is asked for as the account `@NAME`.

    Each folds first what other processes have committed.
    """

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def approvers(self, account: str) -> tuple[str, ...]:
        """Return the persons of whom one must approve, `*` for anybody but who asked; none if nobody has to."""
        self._book.keep_up()
        return tuple(filter(None, approvers_of(self._approver(account))))

    def is_needed(self, account: str) -> bool:
        """Return whether a second person must approve what unlocks an account, or loosens its limits and settings."""
        self._book.keep_up()
        return bool(self._approver(account))

    def waiting(self, account: str) -> tuple[WaitingRequest, ...]:
        """Return what waits for a second person, in the order of the log."""
        self._book.keep_up()
        found = {each.record.position: each for state in self._states(account) for each in state.waiting}
        return tuple(found[position] for position in sorted(found))

    def ineffective(self, account: str) -> tuple[IneffectiveApproval, ...]:
        """Return the newest approvals, of those of what waited, that counted for nothing, in the order of the log."""
        found = {each.position: each for state in self._states(account) for each in state.ineffective}
        return tuple(found[position] for position in sorted(found))

    def why_ineffective(self, account: str, request: bytes, actor: str) -> str | None:
        """Return why an approval of a record (its id) by an actor would count for nothing; None if it counts."""
        found = next((each for each in self.waiting(account) if each.record.id == request), None)
        if found is None:
            return "it does not wait for approval: it never did, is over, or was asked for again since"
        return why_ineffective(self._approver(account), found, actor)

    def _approver(self, account: str) -> str:
        if not account.startswith(GROUP):
            state = self._book.state(AccountsView.name, account)
            return "" if state is None else str(state.approvals.approver)
        groups = self._groups()
        group = groups.groups.get(account.removeprefix(GROUP))
        return "" if group is None else approver_of(groups.settings, group.accounts)

    def _states(self, account: str) -> list[ApprovalState]:
        if account.startswith(GROUP):
            group = self._groups().groups.get(account.removeprefix(GROUP))
            return [] if group is None else [group.approvals]
        states = [self._book.state(view, account) for view in _VIEWS]
        return [state.approvals for state in states if state is not None]

    def _groups(self) -> GroupsState:
        state: GroupsState | None = self._book.state(GroupsView.name, SHARED)
        return GroupsState() if state is None else state
