"""What policies have recorded of an account's limits: those that were reached, and those that are not judged."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from eventstore import Instant, Record
from eventstore.trading import LimitBreached, LimitJudged, LimitUnjudged, Severity


class RecordedBreach(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was reached, as `LimitBreached` states it. `occurred_at` is UNIX ns, `id` is that of the record."""

    account: str
    rule_id: str
    figure: Decimal
    limit: Decimal
    severity: Severity
    basis: str
    currency: str | None
    trading_day: date | None
    reason: str
    details: dict[str, Any] | str
    occurred_at: Instant
    position: int
    id: bytes


class RecordedUnjudged(msgspec.Struct, frozen=True, kw_only=True):
    """That a limit is not judged, as `LimitUnjudged` states it; `position` is its record's log position."""

    rule_id: str
    why: str
    since: Instant
    limit_position: int | None
    position: int


def with_unjudged(
    unjudged: dict[str, RecordedUnjudged], event: LimitUnjudged | LimitJudged, record: Record, rules_max: int
) -> dict[str, RecordedUnjudged]:
    """Return the rules that are recorded as not judged, with one more, or without one that is judged again."""
    known = unjudged.get(event.rule_id)
    if isinstance(event, LimitJudged):
        return {rule_id: each for rule_id, each in unjudged.items() if rule_id != event.rule_id}
    # The first of several about one setting says since when; of any number of rules the newest are kept.
    if known is not None and known.limit_position == event.limit_position:
        return unjudged
    others = [(rule_id, each) for rule_id, each in unjudged.items() if rule_id != event.rule_id]
    fresh = RecordedUnjudged(
        rule_id=event.rule_id,
        why=event.why,
        since=event.since,
        limit_position=event.limit_position,
        position=record.position,
    )
    return dict([*others[1 - rules_max :], (event.rule_id, fresh)])


def breach_of(event: LimitBreached, record: Record) -> RecordedBreach:
    """Return a breach as its record states it."""
    return RecordedBreach(
        account=record.account,
        rule_id=event.rule_id,
        figure=event.figure,
        limit=event.limit,
        severity=event.severity,
        basis=event.basis,
        currency=event.currency,
        trading_day=event.trading_day,
        reason=event.reason,
        details=event.details,
        occurred_at=record.occurred_at,
        position=record.position,
        id=record.id,
    )
