"""What of a group a second person must approve: each member's setting counts, as far as the book has the member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import Approved, GroupDefined, LimitsSet
from eventstore.trading.accounts import ANYBODY
from projections.view import SHARED
from projections.views.approvals import ApprovalState, EffectiveEvent, approvers_of, folded_approvals, released
from projections.views.limits.approving import is_looser, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore import Event, Record
    from projections.views.limits.settings import RuleSettings

_MEMBERS = "members"
NOBODY = "/"
"""The approver of a group whose members have none in common: the name of no person."""


def fold_member(members: dict[str, ApprovalState], event: Event, record: Record) -> None:
    """Fold who must approve for an account, changing what is known of accounts in place: no query returns it."""
    known = members.get(record.account, ApprovalState())
    after, _ = folded_approvals(known, event, record)
    if after != known:
        members[record.account] = after


def approver_of(members: Mapping[str, ApprovalState], accounts: Iterable[str]) -> str:
    """Return who must approve what concerns several accounts: the persons whom each of them accepts, or nobody."""
    named = [approvers_of(members[each].approver) for each in accounts if each in members and members[each].approver]
    persons = [names for names in named if names != (ANYBODY,)]
    if not named:
        return ""
    if not persons:
        return ANYBODY
    shared = [name for name in persons[0] if all(name in names for names in persons)]
    return ",".join(shared) or NOBODY


def subject(event: LimitsSet | GroupDefined) -> str:
    """Return what a record about a group changes: a newer one takes the place of one that waits."""
    return subject_of(event) if isinstance(event, LimitsSet) else _MEMBERS


def must_wait(
    event: LimitsSet | GroupDefined, rules: Mapping[str, RuleSettings], accounts: tuple[str, ...], now: int
) -> bool:
    """Return whether an event may loosen what a group's members are limited to.

    Any change of its members may: one that leaves is limited no more, and the results of one that joins may make up for
    the others' losses.
    """
    if isinstance(event, LimitsSet):
        return is_looser(rules.get(event.rule_id), event, now)
    return bool(rules) and {*event.accounts} != {*accounts}


def approved(
    state: ApprovalState, approver: str, event: Event, record: Record
) -> tuple[ApprovalState, EffectiveEvent | None]:
    """Return what waits of a group after an event, and what takes effect: approvals of groups belong to no account."""
    if not isinstance(event, Approved) or record.account != SHARED:
        return state, None
    return released(state, approver, event, record)
