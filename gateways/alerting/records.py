"""Records that somebody is alerted about: lockouts, escalations, limits that are not judged, policies that stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore import Event, Record, StoreError
from eventstore.clock import format_time
from eventstore.streams import unescaped
from eventstore.trading import (
    EnforcementEscalated,
    LimitJudged,
    LimitUnjudged,
    LockoutSet,
    PolicyResumed,
    PolicyStopped,
)
from gateways.alerting.conditions import SUBJECT_MAX, Alert, Condition, Subject, cut
from gateways.presenting.documents import plain
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONDITIONS: Mapping[type[Event], Condition] = {
    LockoutSet: Condition.LOCKOUT,
    EnforcementEscalated: Condition.ENFORCEMENT_ESCALATED,
    LimitUnjudged: Condition.LIMIT_UNJUDGED,
    LimitJudged: Condition.LIMIT_UNJUDGED,
    PolicyStopped: Condition.POLICY_STOPPED,
    PolicyResumed: Condition.POLICY_STOPPED,
}
_BY_NAME = {cls.__name__: condition for cls, condition in _CONDITIONS.items()}
TYPES: tuple[type[Event], ...] = tuple(_CONDITIONS)
"""What a receiver is alerted about. `AlertSent` is not among them."""
_ENDS = (LimitJudged.__name__, PolicyResumed.__name__)


def alert_of(record: Record) -> Alert:
    """Return the alert about a record of one of these types; one that cannot be decoded is reported as such."""
    details: dict[str, Any]
    try:
        event: Event | None = record.event
        sentence, details = _sentence(event, record), plain(event)
    except StoreError as e:
        sentence, details = _unreadable(record, str(e)), {"stream": record.stream}
    name = cut(unescaped(record.entity), SUBJECT_MAX)
    return Alert(
        id=str(record.uuid),
        subject=Subject(str(_BY_NAME[record.type]), record.account, name),
        sentence=cut(sentence),
        at=record.recorded_at,
        log=record.log,
        details=details,
        position=record.position,
        ended=record.type in _ENDS,
    )


def _sentence(event: Event | None, record: Record) -> str:
    account, name = record.account, unescaped(record.entity)
    accounts = "all accounts" if account == SHARED else account
    match event:
        case LockoutSet():
            until = "without end date" if event.until is None else f"until {format_time(event.until)}"
            scope = "" if event.scope == "account" else f" for {event.scope.partition(':')[2]}"
            return f"{account} is locked out{scope} by {event.rule_id}, {until}: {event.reason or 'no reason given'}"
        case EnforcementEscalated():
            why = event.why or "it is not known why"
            return (
                f"{account} is still not in the wanted state after {event.attempts} attempts ({why}): act by hand; "
                f"request {event.request_id}"
            )
        case LimitUnjudged():
            return f"{event.rule_id} of {account} is not judged, so new exposure is rejected: {event.why}"
        case LimitJudged():
            return f"{event.rule_id} of {account}: {event.why or 'it is judged again'}"
        case PolicyStopped():
            return f"policy {name} has stopped for {accounts}, so its limits are unjudged: {event.why}"
        case PolicyResumed():
            return f"policy {name} runs again for {accounts}"
        case _:
            return _unreadable(record, f"its schema {record.schema} is of another version")


def _unreadable(record: Record, why: str) -> str:
    return f"{record.type} of {record.account}, at position {record.position}, cannot be read here: {why}"
