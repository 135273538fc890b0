"""What becomes of a decision in shadow mode: lockouts and requests are recorded as what would have been done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from eventstore import InvalidEvent
from eventstore.ids import keyed_id
from eventstore.streams import account_of, stream_of, unescaped
from eventstore.trading import (
    Allows,
    EnforcementRequested,
    LockoutCleared,
    LockoutExtended,
    LockoutSet,
    Protection,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from projections.risk.policies.protocol import TriggerKind, as_of
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, EventStore
    from projections.book import Book
    from projections.risk.policies.protocol import PendingDecision
    from projections.views.lockouts.lockout import Lockout

ACTING = (LockoutSet, LockoutExtended, LockoutCleared, EnforcementRequested)
"""What a policy does to an account."""


def acted_on(pending: PendingDecision) -> tuple[str, ...]:
    """Return the accounts that a decision locks, unlocks, or asks something about."""
    events = pending.decision.events
    return tuple(dict.fromkeys(account_of(stream) for stream, event in events if isinstance(event, ACTING)))


def streams_of(pending: PendingDecision) -> list[str]:
    """Return the streams that a decision may be appended to, whatever the mode of its accounts is."""
    events = pending.decision.events
    shadows = [_shadow_stream(stream, event) for stream, event in events if isinstance(event, ACTING)]
    return list(dict.fromkeys([*(stream for stream, _ in events), *shadows]))


def diverted(book: Book, store: EventStore, pending: PendingDecision) -> PendingDecision:
    """Return a decision as it is appended in the accounts' present modes; without events if nothing is left of it.

    What was decided for a record as of when it happened, in shadow mode, is dropped once the account is armed: all of
    its limits are judged again then.
    """
    if _repeats(pending):
        # What was really asked for is asked again in every mode, even where the mode cannot be read.
        return pending
    accounts, trigger = acted_on(pending), pending.trigger
    in_shadow = {each: _Diversion(book, store, pending, each) for each in accounts if _is_shadow(book, each)}
    was_shadow = trigger.as_of is not None and trigger.account in accounts and trigger.account not in in_shadow
    if not in_shadow and not was_shadow:
        return pending
    found: list[tuple[str, Event, str, int | None]] = []
    for number, ((stream, event), key) in enumerate(zip(pending.decision.events, pending.keys, strict=True)):
        account = account_of(stream)
        if isinstance(event, ACTING) and account in in_shadow:
            found += in_shadow[account].of(stream, event, key, number)
        elif not (isinstance(event, ACTING) and was_shadow and account == trigger.account):
            found.append((stream, event, key, None))
    decision = replace(pending.decision, events=tuple((stream, event) for stream, event, _, _ in found))
    keys, times = tuple(key for _, _, key, _ in found), tuple(at for _, _, _, at in found)
    return pending._replace(decision=decision, keys=keys, times=times)


def _repeats(pending: PendingDecision) -> bool:
    """Return whether all that a decision does to an account is to ask again for what was asked for before."""
    acting = [event for _, event in pending.decision.events if isinstance(event, ACTING)]
    # No generator: an interruption inside one would be reported where the generator is freed.
    return bool(acting) and not [event for event in acting if not _asks_again(event)]


def _asks_again(event: Event) -> bool:
    return isinstance(event, EnforcementRequested) and event.attempt > 1


def _is_shadow(book: Book, account: str) -> bool:
    return account != SHARED and book.covers(account) and book.shadow.mode(account) is Protection.SHADOW


class _Diversion:
    """What one account's events of a decision become in shadow mode."""

    def __init__(self, book: Book, store: EventStore, pending: PendingDecision, account: str) -> None:
        self._store, self._trigger = store, pending.trigger
        is_of_record = self._trigger.kind in {TriggerKind.RECORD, TriggerKind.START}
        self._happened = as_of(book, account, self._trigger.record) if is_of_record else None
        at = book.now_ns() if self._happened is None else self._happened
        self._real = book.lockouts.active(account, at)
        self._would = book.shadow.locks(account, at)
        own = [event for stream, event in pending.decision.events if account_of(stream) == account]
        self._sets = [event for event in own if isinstance(event, LockoutSet)]

    def of(self, stream: str, event: Event, key: str, number: int) -> Iterator[tuple[str, Event, str, int | None]]:
        """Yield what an event becomes: each with its stream, its key, and when it would have happened."""
        if self._trigger.kind is TriggerKind.RECORD and self._store.find(keyed_id(stream, key)) is not None:
            # An earlier life of this process, or another one, decided it while the account was armed.
            return
        for each in self._instead_of(stream, event):
            if each is event:
                yield stream, event, key, None
            else:
                # A lockout and a request of one decision go to one stream.
                scope = f"/{each.scope}" if isinstance(event, LockoutExtended) and isinstance(each, WouldLock) else ""
                yield _shadow_stream(stream, event), each, f"{key}/{number}{scope}", self._happened

    def _instead_of(self, stream: str, event: Event) -> Iterator[Event]:
        match event:
            case LockoutSet():
                if not self._is_held(event):
                    yield WouldLock(**asdict(event))
            case LockoutExtended():
                named = [held for held in (*self._real, *self._would) if _is_named(held, stream, event)]
                yield from (_extended(held, event) for held in named)
            case LockoutCleared():
                yield from self._cleared(stream, event)
            case EnforcementRequested():
                yield from self._asked(event)

    def _cleared(self, stream: str, event: LockoutCleared) -> Iterator[Event]:
        would = any(_is_named(held, stream, event) for held in self._would)
        if would:
            yield WouldClear(**asdict(event))
        if not would or any(_is_named(held, stream, event) for held in self._real):
            yield event

    def _asked(self, event: EnforcementRequested) -> Iterator[Event]:
        sets = [each for each in self._sets if each.rule_id == event.rule_id]
        is_of_real = event.attempt > 1 or any(held.rule_id == event.rule_id for held in self._real)
        if not sets and is_of_real:
            # It is part of a lockout that was set while the account was armed, or repeats a request of then.
            yield event
        elif not sets or not all(map(self._is_held, sets)):
            yield WouldAsk(**asdict(event))

    def _is_held(self, event: LockoutSet) -> bool:
        """Return whether a lockout of the same terms would be in force: a policy may not know that it would be."""
        return any(_covers(held, event) for held in (*self._would, *self._real))


def _covers(held: Lockout, event: LockoutSet) -> bool:
    return (
        (held.rule_id, held.scope) == (event.rule_id, event.scope)
        and held.allows in {event.allows, Allows.NOTHING}
        and (held.until is None or (event.until is not None and held.until >= event.until))
        and (event.revocable or not held.revocable)
        and _setting(held.details) == _setting(event.details)
    )


def _setting(details: object) -> object:
    return details.get("limit_position") if isinstance(details, dict) else None


def _is_named(held: Lockout, stream: str, event: LockoutExtended | LockoutCleared) -> bool:
    rule_id = unescaped(stream.rpartition("/")[2]) if event.rule_id is None else event.rule_id
    return held.rule_id == rule_id and event.scope in {None, held.scope}


def _extended(held: Lockout, event: LockoutExtended) -> WouldLock:
    return WouldLock(
        rule_id=held.rule_id,
        scope=held.scope,
        allows=held.allows,
        reason=event.reason or held.reason,
        until=event.until,
        revocable=held.revocable,
        details=held.details,
    )


def _shadow_stream(stream: str, event: Event) -> str:
    """Return the stream of what would have been done: `shadow/ACCOUNT/RULE_ID`."""
    own = stream_of("shadow", account_of(stream), stream.rpartition("/")[2])
    if not isinstance(event, EnforcementRequested):
        return own
    of_rule = stream_of("shadow", account_of(stream), event.rule_id)
    try:
        account_of(of_rule)
    except InvalidEvent:
        # A rule's id may be no name of a stream.
        return own
    return of_rule
