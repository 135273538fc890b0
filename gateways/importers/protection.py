"""Shadow mode for accounts that nobody has limited yet: what is imported must not lock anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.streams import stream_of
from eventstore.trading import GroupDefined, LimitsSet, Protection, ProtectionMode
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.store import EventStore

_KEY = "import/shadow"
_REASON = "imported before any limit was set"


def put_in_shadow(store: EventStore, began_at: Mapping[str, int], note: str) -> tuple[str, ...]:
    """Put the accounts in shadow mode that have neither limits, their own or a group's, nor a mode; return them.

    `began_at` has the time of each account's first event: an account's history does not last longer because it was
    imported.
    """
    accounts = sorted(began_at, key=lambda account: began_at[account])
    in_groups = _members(store)
    found = tuple(
        account
        for account in accounts
        if account != SHARED
        and account not in in_groups
        and next(store.read(account=account, types=(LimitsSet, ProtectionMode), limit=1), None) is None
    )
    event = ProtectionMode(mode=Protection.SHADOW, reason=_REASON)
    for account in found:
        stream, at = stream_of("account", account, "-"), began_at[account]
        # Once, of two imports at the same time too.
        store.append(stream, event, key=_KEY, occurred_at=at, actor=store.actor, note=note)
    return found


def _members(store: EventStore) -> set[str]:
    """Return the accounts that are in a group, whose limits are limits of each of them."""
    members = {}
    for record in store.read(stream="group/", types=(GroupDefined,)):
        event = record.event
        if isinstance(event, GroupDefined):
            members[record.stream] = event.accounts
    return {account for accounts in members.values() for account in accounts}
