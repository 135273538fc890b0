"""Appends a policy's decision: with the versions that were seen, once, and not against what the log says already."""

from __future__ import annotations

import enum
import functools
from datetime import date
from typing import TYPE_CHECKING, cast

from eventstore import DuplicateEvent, Overloaded, Unchanged, VersionConflict
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.trading import LockoutSet
from projections.risk.policies.diverting import acted_on, diverted, streams_of
from projections.risk.policies.protocol import ACTOR, TriggerKind, batches_of
from projections.views.limits.parameters import OF_GROUPS

if TYPE_CHECKING:
    from eventstore import Event, EventStore
    from projections.book import Book
    from projections.risk.policies.ownership import Ownership
    from projections.risk.policies.protocol import PendingDecision

ATTEMPTS_MAX = 100
UNCHANGED_ATTEMPTS = 20
"""How often a decision is reconsidered because any record of its account is new, not only one of its streams."""
_WORDING = frozenset({"reason", "source", "why"})
"""Members that say how, not what: they may differ where two processes decide the same with other quotes."""


def append_decision(
    book: Book,
    store: EventStore,
    decided: PendingDecision,
    owned: Ownership | None = None,
    *,
    begun_at: int = 0,
) -> None:
    """Append a decision unless it is obsolete, or recorded under its keys by an earlier life or another process.

    In a group it is `owned`: what is another member's is left to it, and raises Fenced where it has become so. Raises
    DuplicateEvent if what is recorded there means something else: the first decision counts only where it is
    the same decision, or that of an earlier life on a record up to `begun_at`, where this one began: it may have been
    of another version, whose decision no restart would ever agree with.
    """
    decision = decided.decision
    for attempt in range(ATTEMPTS_MAX):
        # Versions are read before the book is refreshed: an append by others that `obsolete_if` did not see then
        # makes ours fail with VersionConflict, and the decision is reconsidered.
        versions = {stream: store.version(stream) for stream in streams_of(decided)}
        book.refresh()
        position = book.position
        fence = None if owned is None else owned.fence_for(decided)
        if owned is not None and fence is None:
            return
        pending = diverted(book, store, decided)
        if _is_needless(book, store, pending, begun_at):
            return
        # The mode that counts is the one at the log's head. But a lockout must not wait for an account that others keep
        # appending to.
        accounts = acted_on(decided) if attempt < UNCHANGED_ATTEMPTS else ()
        unchanged = None
        if accounts or fence is not None:
            unchanged = Unchanged(accounts=accounts, since=position if accounts else None, fence=fence)
        try:
            book.append_many(batches_of(store, pending, versions), unchanged=unchanged)
        except DuplicateEvent:
            # Ids come before versions: another process may have been first since the book was refreshed.
            book.refresh()
            if _is_decided(book, store, pending, begun_at):
                return
            raise
        except VersionConflict:
            continue
        return
    streams = ", ".join(stream for stream, _ in decision.events)
    what = f"{ATTEMPTS_MAX} attempts conflicted with other writers of {streams}"
    msg = f"policy {decided.policy.name} could not append: {what}"
    raise Overloaded(msg)


def _is_needless(book: Book, store: EventStore, pending: PendingDecision, begun_at: int) -> bool:
    """Return whether a decision says nothing, is obsolete by now, or would lock once more what was locked since."""
    decision = pending.decision
    if not decision.events or (decision.obsolete_if is not None and decision.obsolete_if(book)):
        return True
    return _was_locked_since(store, pending, begun_at)


def _is_decided(book: Book, store: EventStore, pending: PendingDecision, begun_at: int) -> bool:
    """Return whether what others have recorded under the keys of a decision makes it unnecessary."""
    decision = pending.decision
    if decision.obsolete_if is not None and decision.obsolete_if(book):
        return True
    if all(map(functools.partial(_is_recorded, store), decision.events, pending.keys)):
        return True
    return _is_again(pending, begun_at) and _is_any_recorded(store, pending)


def _is_again(pending: PendingDecision, begun_at: int) -> bool:
    """Return whether an earlier life may have decided on the same record, under keys that are that record's alone."""
    kind, record = pending.trigger.kind, pending.trigger.record
    is_of_record = kind is TriggerKind.RECORD and pending.decision.key is None
    return is_of_record and record is not None and record.position <= begun_at


def _was_locked_since(store: EventStore, pending: PendingDecision, begun_at: int) -> bool:
    """Return whether this policy has set each lockout of a group since the record that an earlier life saw, too.

    A life that lacked an account of the group is followed by one that decides on the same records; what was set
    meanwhile, by another trigger and under other keys, may have been released since. A lockout of an account's own
    limit is set for each trigger that asks for it.
    """
    record = pending.trigger.record
    if pending.trigger.kind is not TriggerKind.RECORD or record is None or record.position > begun_at:
        return False
    locks = [(stream, event) for stream, event in pending.decision.events if isinstance(event, LockoutSet)]
    if not all(event.rule_id.startswith(f"{OF_GROUPS}:") for _, event in locks):
        return False
    return bool(locks) and all(_is_locked_since(store, pending, *each) for each in locks)


def _is_locked_since(store: EventStore, pending: PendingDecision, stream: str, wanted: LockoutSet) -> bool:
    """Return whether a lockout that is as strict was set after the record of a decision."""
    record, actor = pending.trigger.record, ACTOR + pending.policy.name
    assert record is not None
    later = store.read(stream=stream, types=LockoutSet, after=record.position)
    found = [cast("LockoutSet", each.event) for each in later if each.actor == actor]
    return any(
        (each.allows, each.scope, each.revocable) == (wanted.allows, wanted.scope, wanted.revocable)
        and (each.until is None or (wanted.until is not None and each.until >= wanted.until))
        for each in found
    )


def _is_any_recorded(store: EventStore, pending: PendingDecision) -> bool:
    """Return whether this policy has recorded any event under the keys of a decision."""
    ids = (keyed_id(stream, key) for (stream, _), key in zip(pending.decision.events, pending.keys, strict=True))
    found = (store.find(id_) for id_ in ids)
    return any(each is not None and each.actor == ACTOR + pending.policy.name for each in found)


def _is_recorded(store: EventStore, decided: tuple[str, Event], key: str) -> bool:
    """Return whether the event recorded under a key means what is decided now, whatever its figures and its words."""
    stream, event = decided
    record = store.find(keyed_id(stream, key))
    if record is None:
        return False
    kind, data = encode(event)
    # As it is read back: a policy may give an enum as text.
    return record.type == kind.name and _meaning(record.event) == _meaning(kind.decoder.decode(data))


def _meaning(event: Event) -> dict[str, object]:
    """Return the members of an event that say what it does: names, choices and days."""
    members = {name: getattr(event, name) for name in event.__struct_fields__ if name not in _WORDING}
    return {name: value for name, value in members.items() if isinstance(value, str | bool | enum.Enum | date)}
