"""What waits for a second person, as a sentence and as plain values: what, asked for by whom, and who may approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import asdict

from eventstore import Instant
from eventstore.streams import unescaped
from eventstore.trading import (
    AccountConfigured,
    AccountReopened,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    Protection,
    ProtectionMode,
)
from eventstore.trading.accounts import ANYBODY
from projections import PartitionParked
from projections.view import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event, Record
    from gateways.presenting.presenter import Presenter
    from projections import Book
    from projections.views.approvals import WaitingRequest


APPROVABLE = (
    AccountConfigured, AccountReopened, EquityCorrected, GroupDefined, LimitsSet, LockoutCleared, ProtectionMode,
)  # fmt: skip
"""What may wait for a second person."""


class AwaitedApproval(msgspec.Struct, frozen=True):
    """A record that has no effect until a second person approves it: of which account or group, and what it would do.

    `approvers` are the persons who may, `*` for anybody but who asked; none where the members of a group name nobody in
    common. `ineffective` says why earlier approvals of it counted for nothing.
    """

    account: str
    position: int
    what: str
    asked_by: str
    asked_at: Instant
    approvers: tuple[str, ...]
    ineffective: tuple[str, ...] = ()


def awaited_approvals(book: Book, accounts: Iterable[str]) -> tuple[AwaitedApproval, ...]:
    """Return what waits of accounts, or groups `@NAME`; what a parked partition cannot answer is left out."""
    found: list[AwaitedApproval] = []
    for account in accounts:
        try:
            found += [_awaited(book, account, each) for each in book.approvals.waiting(account)]
        except PartitionParked:
            continue
    return tuple(found)


def with_groups(book: Book, accounts: Iterable[str]) -> list[str]:
    """Return accounts and, as `@NAME`, the groups that they are in."""
    names = list(accounts)
    return [*names, *sorted({GROUP + group for name in names for group in book.groups.of(name)} - {*names})]


def _awaited(book: Book, account: str, request: WaitingRequest) -> AwaitedApproval:
    record = request.record
    ineffective = [each.why for each in book.approvals.ineffective(account) if each.request == record.id]
    return AwaitedApproval(
        account=account,
        position=record.position,
        what=_what(record.event, record),
        asked_by=record.actor,
        asked_at=record.recorded_at,
        approvers=book.approvals.approvers(account),
        ineffective=tuple(dict.fromkeys(ineffective)),
    )


def awaited_sentence(awaited: AwaitedApproval, shown: Presenter) -> str:
    """Return what waits, for whom, and how it is approved."""
    sentence = (
        f"{awaited.account}: {awaited.what}, asked for by {awaited.asked_by or 'nobody'} at "
        f"{shown.time(awaited.asked_at)}, has no effect until {_who(awaited)} approves it: "
        f"eventstore approve {awaited.position}"
    )
    return "; ".join([sentence, *(f"an approval counted for nothing, because {why}" for why in awaited.ineffective)])


def _who(awaited: AwaitedApproval) -> str:
    if not awaited.approvers:
        return "a person whom all of its members name as second approver"
    return "a second person" if awaited.approvers == (ANYBODY,) else " or ".join(awaited.approvers)


def _what(event: Event, record: Record) -> str:
    match event:
        case LockoutCleared():
            rule = unescaped(record.entity) if event.rule_id is None else event.rule_id
            return f"the end of the lockout by {rule}" + ("" if event.scope is None else f" ({event.scope})")
        case LimitsSet():
            return f"the limit {event.rule_id} with {_members(event.parameters)}"
        case ProtectionMode():
            return "shadow mode" if event.mode is Protection.SHADOW else "arming"
        case AccountConfigured():
            return f"the settings {_members(asdict(event))}"
        case AccountReopened():
            return "the end of its lockouts by its reopening"
        case EquityCorrected():
            return "the correction of its high-water mark and floor"
        case GroupDefined():
            return f"the members {', '.join(event.accounts) or 'none'}"
        case _:
            return record.type


def _members(given: dict[str, Any]) -> str:
    stated = {name: value for name, value in given.items() if value is not None}
    return ", ".join(f"{name} {value}" if str(value) else f"no {name}" for name, value in stated.items()) or "nothing"
