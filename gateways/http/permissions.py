"""What each type of event needs of the key that appends it, and for which accounts: one table, and the exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import InvalidEvent
from eventstore.events.registry import by_name
from eventstore.remote.wire import event_of, malformed
from eventstore.streams import account_of
from eventstore.trading import (
    AdjustmentReason,
    Allows,
    Approved,
    LockoutCleared,
    LockoutSet,
    NoteAdded,
    PositionAdjusted,
)
from gateways.http.access import Caller, NotAllowed, Scope
from projections.view import GROUP, SHARED
from projections.views.lockouts.transitions import scope_read

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.remote.wire import SentBatch, SentGroup
    from projections.views.lockouts.lockout import Lockout

_APPEND, _TRADE, _ADMIN = (Scope.APPEND,), (Scope.TRADE,), ()
"""The scopes of which an appending key needs one; `admin` has them all."""
_READER = (Scope.READ, Scope.APPEND, Scope.TRADE, Scope.AUDIT)

NEEDS: dict[str, tuple[Scope, ...]] = {
    # What a broker or a venue reports, and what a program does at them. Recording an order sends none, so that a
    # recorder needs no right to trade; `submit`, which checks first, does.
    "AccountOpened": _APPEND, "AccountUpdated": _APPEND, "CashMoved": _APPEND, "FeeCharged": _APPEND,
    "OrderAccepted": _APPEND, "OrderCancelRejected": _APPEND, "OrderCancelRequested": _APPEND,
    "OrderCanceled": _APPEND, "OrderExpired": _APPEND, "OrderFilled": _APPEND, "OrderReduced": _APPEND,
    "OrderRejected": _APPEND, "OrderReplaceRejected": _APPEND, "OrderReplaceRequested": _APPEND,
    "OrderReplaced": _APPEND, "OrderReported": _APPEND, "OrderSubmitted": _APPEND, "OrderTriggered": _APPEND,
    "PnlReported": _APPEND, "PositionAdjusted": _APPEND, "PositionReported": _APPEND, "TradeBusted": _APPEND,
    "TradeCorrected": _APPEND, "TradeExecuted": _APPEND, "LimitReported": _APPEND,
    # What a feed reports, and what programs remember.
    "ClockChecked": _APPEND, "ContractDefined": _APPEND, "FeedAlive": _APPEND, "QuoteReceived": _APPEND,
    "RateQuoted": _APPEND, "Marked": _APPEND, "PairStateSaved": _APPEND, "PortfolioSaved": _APPEND,
    "TimerCanceled": _APPEND, "TimerStarted": _APPEND,
    "NoteAdded": (Scope.APPEND, Scope.AUDIT), "RecordsRead": _READER,
    # Any key that appends may set a lockout that weakens none: see `check_no_weaker`. That its time is over ends one
    # only where it is.
    "LockoutSet": (Scope.APPEND, Scope.TRADE), "LockoutExpired": (Scope.APPEND, Scope.TRADE),
    # What a trading program decides and answers.
    "RiskChecked": _TRADE, "EnforcementClaimed": _TRADE, "EnforcementEscalated": _TRADE, "EnforcementTaken": _TRADE,
    # What people decide.
    "AccountConfigured": _ADMIN, "AccountReopened": _ADMIN, "Approved": _ADMIN, "BlackoutCanceled": _ADMIN,
    "BlackoutScheduled": _ADMIN, "DaySigned": _ADMIN, "EquityCorrected": _ADMIN, "GroupDefined": _ADMIN,
    "LimitsSet": _ADMIN, "LockoutCleared": _ADMIN, "LockoutExtended": _ADMIN, "ProtectionMode": _ADMIN,
    # What the policies conclude, beside the log: said by anybody else it would stand in the way of what they conclude.
    "AlertSent": _ADMIN, "ClockJumped": _ADMIN, "EnforcementRequested": _ADMIN, "EquityMarked": _ADMIN,
    "LimitBreached": _ADMIN, "LimitJudged": _ADMIN, "LimitUnjudged": _ADMIN, "LogContinued": _ADMIN, "LogEnded": _ADMIN,
    "PolicyResumed": _ADMIN, "PolicyStopped": _ADMIN, "QuotesKept": _ADMIN, "QuotesWanted": _ADMIN,
    "SessionClosed": _ADMIN, "SessionOpened": _ADMIN, "SessionReset": _ADMIN, "StateCarried": _ADMIN,
    "VersionsCarried": _ADMIN, "WouldAsk": _ADMIN, "WouldClear": _ADMIN, "WouldLock": _ADMIN,
}  # fmt: skip
"""By type of event: the scopes of which a key that appends it needs one. None: `admin` alone."""

VOCABULARY = "eventstore.trading"
_PROTECTIVE = ("lockout/", "enforcement/")
# Their views are shared, whatever account their stream names.
_SHARED_TYPES = frozenset({"ContractDefined", "GroupDefined", "RateQuoted", "QuoteReceived", "FeedAlive"})


class JudgedLockout(NamedTuple):
    """A lockout that is appended without `admin`: it may be, unless it would weaken one in force."""

    account: str
    event: LockoutSet


def needed(type_: str) -> tuple[Scope, ...]:
    """Return the scopes of which an event of a type needs one; none where `admin` alone will do.

    A type of a program's own is a fact that nothing shipped decides by. One of the vocabulary that the table lacks
    needs `admin`.
    """
    found = NEEDS.get(type_)
    if found is not None:
        return found
    kind = by_name(type_)
    return _ADMIN if kind is not None and kind.cls.__module__.startswith(VOCABULARY) else _APPEND


def check_group(group: SentGroup, caller: Caller) -> list[JudgedLockout]:
    """Raise NotAllowed unless a caller may append a group: each event of it, for each account that it concerns.

    Returns the lockouts in it that must not weaken those in force. Raises InvalidEvent for what is malformed.
    """
    _check_condition(group, caller)
    judged: list[JudgedLockout] = []
    for number, batch in enumerate(group.batches):
        judged += _check_batch(batch, caller, f"/batches/{number}")
    keys = [(each.account, each.event.rule_id, scope_read(each.event.scope)) for each in judged]
    if len(set(keys)) < len(keys):
        msg = "one batch sets the same lockout twice, which needs the scope admin: append them one after the other"
        raise NotAllowed(msg)
    return judged


def is_protective(group: SentGroup) -> bool:
    """Return whether a group is about lockouts and enforcement alone: no rate limit holds it back."""
    return all(batch.stream.startswith(_PROTECTIVE) for batch in group.batches)


def check_no_weaker(judged: JudgedLockout, held: tuple[Lockout, ...], caller: Caller) -> None:
    """Raise NotAllowed if a lockout that a caller sets would weaken, or make irrevocable, what is in force."""
    event = judged.event
    for each in held:
        if (each.rule_id, each.scope) != (event.rule_id, scope_read(event.scope)):
            continue
        if each.revocable and not _is_weaker(event, each):
            continue
        if (each.allows, each.until, each.revocable) == (event.allows, event.until, event.revocable):
            continue
        msg = (
            f"{judged.account} has a lockout by {each.rule_id!r} ({each.scope}) in force, and key {caller.name!r} may "
            "not set it again on other terms, which needs the scope admin: use another rule_id"
        )
        raise NotAllowed(msg)


def _is_weaker(event: LockoutSet, held: Lockout) -> bool:
    if held.allows is Allows.NOTHING and event.allows is not Allows.NOTHING:
        return True
    return event.until is not None and (held.ends_at is None or event.until < held.ends_at)


def _check_condition(group: SentGroup, caller: Caller) -> None:
    """A condition is answered with whether an account has new records, so it is a question about that account."""
    if group.unchanged is None or caller.accounts is None:
        return
    if not group.unchanged.accounts:
        msg = f"key {caller.name!r} may not ask whether the whole log is unchanged: name its accounts in `unchanged`"
        raise NotAllowed(msg)
    for account in group.unchanged.accounts:
        # That contracts and rates have not changed is what decisions about any account rest on.
        if account != SHARED:
            _require_account(caller, account)


def _check_batch(batch: SentBatch, caller: Caller, path: str) -> list[JudgedLockout]:
    try:
        account = account_of(batch.stream)
    except InvalidEvent as e:
        where = f"{path}/stream"
        raise malformed(where, str(e)) from e
    if caller.accounts is not None:
        _require_account(caller, account)
    judged = []
    for place, sent in enumerate(batch.events):
        scopes = needed(sent.type)
        if not any(caller.may(scope) for scope in scopes or (Scope.ADMIN,)):
            msg = f"key {caller.name!r} may not append {sent.type}, which needs the scope {_named(scopes)}"
            raise NotAllowed(msg)
        _check_shared(sent.type, account, scopes, caller)
        check = _CHECKS.get(sent.type)
        if check is not None and caller.key:
            event = event_of(sent, f"{path}/events/{place}")
            check(event, caller, account)
            if isinstance(event, LockoutSet) and not caller.may(Scope.ADMIN):
                judged.append(JudgedLockout(account, event))
    return judged


def _check_shared(type_: str, account: str, scopes: tuple[Scope, ...], caller: Caller) -> None:
    """Check what concerns every account: facts by a key that names `-`, decisions by one for all accounts."""
    if caller.accounts is None:
        return
    is_group = account.startswith(GROUP)
    if (account == SHARED or is_group or type_ in _SHARED_TYPES) and not scopes:
        caller.require_all_accounts(Scope.ADMIN)
    if type_ in _SHARED_TYPES:
        _require_account(caller, SHARED)


def _require_account(caller: Caller, account: str) -> None:
    if not caller.sees(account):
        msg = f"key {caller.name!r} is not for account {account!r}"
        raise NotAllowed(msg)


def _named(scopes: tuple[Scope, ...]) -> str:
    return " or ".join([each.value for each in scopes] or [Scope.ADMIN.value])


def _check_set(event: LockoutSet, caller: Caller, _account: str) -> None:
    if not event.revocable and not caller.may(Scope.ADMIN):
        msg = f"key {caller.name!r} may not set an irrevocable lockout, which nobody could clear: that needs admin"
        raise NotAllowed(msg)


def _check_name(event: LockoutCleared | Approved, caller: Caller, _account: str) -> None:
    """A name in an event must not be another one than the key's: it is shown as who did it, and compared as such."""
    if event.by not in {"", caller.name}:
        msg = f"`by` is {event.by!r:.80}, and the key is {caller.name!r}'s: leave it out"
        raise NotAllowed(msg)


def _check_adjusted(event: PositionAdjusted, caller: Caller, _account: str) -> None:
    if event.reason is AdjustmentReason.RECONCILED and not caller.may(Scope.ADMIN):
        msg = f"key {caller.name!r} may not book a difference from the broker's report, which needs the scope admin"
        raise NotAllowed(msg)


def _check_noted(event: NoteAdded, caller: Caller, _account: str) -> None:
    if "/" in event.target:
        _require_account(caller, account_of(event.target))


_CHECKS: dict[str, Callable[..., None]] = {
    "LockoutSet": _check_set,
    "LockoutCleared": _check_name,
    "Approved": _check_name,
    "PositionAdjusted": _check_adjusted,
    "NoteAdded": _check_noted,
}
"""What else is looked at, where the type alone does not say what is allowed: each takes event, caller and account."""
