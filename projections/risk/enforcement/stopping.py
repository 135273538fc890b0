"""Stopping accounts by hand: locked, with requests to cancel and to flatten, in one append; and resuming them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eventstore import Batch, InvalidEvent, Overloaded, Record, VersionConflict
from eventstore.arguments import account_list
from eventstore.clock import wall_ns
from eventstore.errors import shown
from eventstore.readable import Readable
from eventstore.streams import check_name, stream_of
from eventstore.trading import (
    AccountConfigured,
    AccountReopened,
    Allows,
    EnforcementAction,
    EnforcementTaken,
    LockoutCleared,
    LockoutSet,
)
from projections.risk.enforcement.claims import claims_stream
from projections.risk.enforcement.requests import requests_of
from projections.view import GROUP, SHARED
from projections.views.approvals import person_of
from projections.views.lockouts.lockout import Lockout
from projections.views.lockouts.view import LockoutsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventstore import EventStore
    from projections.book import Book

RULE = "stop"
"""The rule id of what a person stops."""
AT_ONCE_MAX = 100
"""How many accounts are stopped by one append."""
ATTEMPTS_MAX = 20


class StoppedAccount(Readable, msgspec.Struct, frozen=True):
    """What became of an account: the records that were appended, none where it was so already, and its lockout.

    `waits`: it stays stopped until a second person approves the newest of the records.
    """

    account: str
    records: tuple[Record, ...]
    lockout: Lockout | None
    waits: bool = False


def stop(store: EventStore, accounts: Sequence[str], reason: str, *, actor: str | None = None) -> list[StoppedAccount]:
    """Lock accounts until they are resumed, and ask for their orders to be cancelled and their positions closed.

    Only orders that a request asks for pass: what is open can be reduced by the enforcement alone. One that is stopped
    already stays as it is. Up to 100 accounts are stopped by one append, all or none. Nothing but the accounts' own
    lockouts is read, so that it takes no longer on a long log, and works for an account whose views have failed.
    """
    found = []
    names = _names(accounts)
    for start in range(0, len(names), AT_ONCE_MAX):
        found += _stop(store, names[start : start + AT_ONCE_MAX], _text("reason", reason), actor)
    return found


def stopped(store: EventStore, account: str) -> Lockout | None:
    """Return the lockout by which an account is stopped, as the log has it; None if it is not."""
    view = LockoutsView()
    state = view.initial()
    records = [
        *store.read(stream=f"lockout/{account}/"),
        *store.read(stream=f"account/{account}/-", types=(AccountConfigured, AccountReopened)),
        *store.read(stream=f"approval/{account}/"),
    ]
    for record in sorted(records, key=lambda each: each.position):
        if record.type in _TYPES:
            view.apply(state, record.event, record)
    now = wall_ns(store.clock)
    return next((each for each in state.active.values() if is_stop(each) and each.is_active(now)), None)


def is_stop(lockout: Lockout) -> bool:
    """Return whether a lockout is one by which an account is stopped."""
    return lockout.rule_id == RULE and lockout.scope == "account"


def resume(book: Book, accounts: Sequence[str], *, actor: str, reason: str) -> list[StoppedAccount]:
    """End the lockouts by which accounts were stopped, and nothing else; what they asked for is withdrawn.

    Returns each account with the records appended; one that was not stopped has none. Other lockouts stay. Raises
    InvalidEvent without the name of an actor and a reason, and what keeps the lockouts from being read. An account with
    a second approver stays stopped, and what was asked for stands, until that person approves it.
    """
    by, why = _text("actor", actor), _text("reason", reason)
    return [_resume(book, account, by, why) for account in _names(accounts)]


_TYPES = frozenset(cls.__name__ for cls in LockoutsView.types or ())


def _stop(store: EventStore, accounts: Sequence[str], reason: str, actor: str | None) -> list[StoppedAccount]:
    for _ in range(ATTEMPTS_MAX):
        # Versions are read first: what another process appends that is not seen below is a conflict.
        versions = {account: store.version(stream_of("lockout", account, RULE)) for account in accounts}
        held = {account: _stopped_for_certain(store, account) for account in accounts}
        batches: list[Batch] = []
        for account in accounts:
            if held[account] is None:
                batches += _batches(account, reason, actor, versions[account])
        try:
            records = store.append_many(batches) if batches else []
        except VersionConflict:
            continue
        return [
            StoppedAccount(
                account,
                tuple(record for record in records if record.account == account),
                held[account] or _stopped_for_certain(store, account),
            )
            for account in accounts
        ]
    msg = f"others wrote to the lockouts of {', '.join(accounts)} each of {ATTEMPTS_MAX} times: nothing was stopped"
    raise Overloaded(msg)


def _stopped_for_certain(store: EventStore, account: str) -> Lockout | None:
    try:
        return stopped(store, account)
    except InvalidEvent:
        # A record that cannot be read may have resumed it: to stop it again does no harm.
        return None


def _batches(account: str, reason: str, actor: str | None, version: int) -> Iterable[Batch]:
    lockout = LockoutSet(rule_id=RULE, allows=Allows.NOTHING, reason=reason, revocable=True)
    yield Batch(stream_of("lockout", account, RULE), lockout, expected=version, actor=actor)
    # The version makes each stop's requests its own.
    name = f"{RULE}-{version + 1}"
    asked = requests_of(account, RULE, EnforcementAction.FLATTEN, name=name, reason=reason, details={})
    for stream, event in asked:
        yield Batch(stream, event, actor=actor)


def _resume(book: Book, account: str, actor: str, reason: str) -> StoppedAccount:
    stream = stream_of("lockout", account, RULE)
    for _ in range(ATTEMPTS_MAX):
        version = book.reader.version(stream)
        book.refresh()
        held = next((each for each in book.lockouts.active(account, book.now_ns()) if is_stop(each)), None)
        if held is None:
            return StoppedAccount(account, (), None)
        cleared = LockoutCleared(by=actor, reason=reason, rule_id=RULE, scope=held.scope)
        waits = book.approvals.is_needed(account)
        if waits and _has_asked(book, account, actor):
            return StoppedAccount(account, (), held, waits=True)
        batches = [Batch(stream, cleared, expected=version, actor=actor)]
        # Until it is approved the account stays stopped, and what the stop asked for stands.
        batches += [] if waits else withdrawals(book, account, actor, reason)
        try:
            return StoppedAccount(account, tuple(book.append_many(batches)), held if waits else None, waits=waits)
        except VersionConflict:
            continue
    msg = f"others wrote to {stream} each of {ATTEMPTS_MAX} times: {account} was not resumed"
    raise Overloaded(msg)


def _has_asked(book: Book, account: str, actor: str) -> bool:
    """Return whether a person has asked for an account to be resumed already, and that waits for approval."""
    stream = stream_of("lockout", account, RULE)
    return any(
        each.record.stream == stream and person_of(actor) in each.asked_by for each in book.approvals.waiting(account)
    )


def withdrawals(book: Book, account: str, actor: str, reason: str) -> list[Batch]:
    """Return the answers by which what a stop asked for is withdrawn, as far as nobody has answered it.

    Who carries one out at this moment sees by the answer that it may not act any more.
    """
    withdrawn = {"withdrawn": f"resumed by {actor}: {reason}"}
    return [
        Batch(
            claims_stream(request),
            EnforcementTaken(request_id=request.request_id, success=False, details=withdrawn),
            actor=actor,
        )
        for request in book.enforcement.of(account, RULE)
        if not request.taken and not request.superseded
    ]


def _names(accounts: object) -> list[str]:
    names = [accounts] if isinstance(accounts, str) else list(account_list(accounts))
    for name in names:
        check_name("account", name)
        if name == SHARED:
            msg = f"{name!r} is not an account: it stands for records without one, such as contracts"
            raise InvalidEvent(msg)
        if name.startswith(GROUP):
            # A lockout under that name would lock nobody.
            msg = f"{name} is a group, and each account is locked by itself: name its members"
            raise InvalidEvent(msg)
    return list(dict.fromkeys(names))


def _text(what: str, given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        msg = f"{what} is text that says {'who' if what == 'actor' else 'why'}, not {shown(given)}"
        raise InvalidEvent(msg)
    return given
