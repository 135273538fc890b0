"""A breach of a limit, and the lockout or the warning that follows from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from eventstore.streams import stream_of
from eventstore.trading import (
    Allows,
    ContractDefined,
    LimitBreached,
    LockoutSet,
    RateQuoted,
    Severity,
)
from projections.risk.enforcement.requests import requests_of
from projections.risk.policies import Decision, Trigger, TriggerKind, as_of, taken_at
from projections.view import accounts_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.views.limits.limit import Limit
    from projections.views.limits.parameters import Parameters
    from projections.views.lockouts.lockout import Lockout


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is reached, and the lockout to set.

    `reason` is a sentence for the trader, `details` the inputs of the decision. `until` None: without end.
    `is_confirmed` says whether more than one observation shows it: without that, nothing irrevocable or without end
    follows. `renews`: only a lockout by the same setting of the limit is enough.
    """

    figure: Decimal
    limit: Decimal
    reason: str
    currency: str | None = None
    basis: str = ""
    trading_day: date | None = None
    until: int | None = None
    scope: str = "account"
    symbol: str | None = None
    quantity: Decimal | None = None
    details: dict[str, Any] = {}
    is_confirmed: Callable[[], bool] = lambda: True
    renews: bool = False


def per_account(book: Book, trigger: Trigger) -> Iterator[Trigger]:
    """Yield a trigger for each account that it affects: a contract or a rate affects every account with limits."""
    if not isinstance(trigger.event, ContractDefined | RateQuoted):
        yield trigger
        return
    for account in accounts_in(book, "limits"):
        record = trigger.record
        yield replace(
            trigger, account=account, taken_at=taken_at(book, account, record), as_of=as_of(book, account, record)
        )


def now_of(trigger: Trigger) -> int:
    """Return the instant a decision is made as of, taken from the record, so that a replay decides the same.

    For a quote it is the time of receipt, because its feed's clock may be wrong. In shadow mode it is when a record
    happened.
    """
    if trigger.as_of is not None:
        return trigger.as_of
    if trigger.record is None:
        return trigger.at
    recorded_at = trigger.record.recorded_at if trigger.taken_at is None else trigger.taken_at
    return recorded_at if trigger.kind is TriggerKind.QUOTE else max(trigger.at, recorded_at)


def breach_decision(
    book: Book, trigger: Trigger, limit: Limit, parameters: Parameters, breach: Breach
) -> Decision | None:
    """Return the decision that a breach leads to, or None if the lockout or warning exists already."""
    now = now_of(trigger)
    trigger = _of_its_day(book, trigger, breach)
    is_over = breach.until is not None and breach.until <= now
    if parameters.severity is Severity.WARNING or is_over:
        return _warning(book, trigger, limit, parameters, breach)

    def covers_breach(held: Lockout) -> bool:
        return held.rule_id == limit.rule_id and covers(held, limit, breach)

    def is_locked(book: Book) -> bool:
        return any(map(covers_breach, book.shadow.locks_in_force(trigger.account, now, breach.trading_day)))

    def was_locked(book: Book) -> bool:
        # The history too, because the lockout set for a record of the past may have ended since.
        return is_locked(book) or any(
            covers_breach(held) and held.is_active(now) for held in book.lockouts.history(trigger.account)
        )

    if is_locked(book):
        return None
    if (breach.until is None or not parameters.revocable) and not breach.is_confirmed():
        return None
    events = _lockout_events(trigger, limit, parameters, breach)
    return Decision(events, obsolete_if=was_locked, key=trigger.key)


def _of_its_day(book: Book, trigger: Trigger, breach: Breach) -> Trigger:
    """Return a trigger whose key is of the breach's trading day: one lockout a day is enough for quotes and ticks."""
    if trigger.kind is TriggerKind.RECORD:
        return trigger
    key, day, corrected = trigger.key, _day(breach), book.equity.last_corrected(trigger.account)
    if corrected:
        # Not after the first was released as wrong, or in the account's next life.
        key = f"{key}+{corrected}"
    if day is not None and day not in key:
        # Until its session is recorded, the new day's key has the date in UTC, which may be the name of the day before.
        key = f"{key}+{day}"
    return replace(trigger, key=key)


def covers(held: Lockout, limit: Limit, breach: Breach) -> bool:
    """Return whether a lockout by a limit is what its breach leads to: it lasts as long."""
    if breach.renews and not (isinstance(held.details, dict) and held.details.get("limit_position") == limit.position):
        return False
    lasts_as_long = held.until is None or (breach.until is not None and held.until >= breach.until)
    return held.scope == breach.scope and lasts_as_long


def allowed_by(parameters: Parameters) -> Allows:
    """Return what a lockout allows: a limit cannot lock less than new exposure, whatever its parameters say."""
    return Allows.NOTHING if parameters.allows is Allows.NOTHING else Allows.REDUCE_ONLY


def _lockout_events(
    trigger: Trigger, limit: Limit, parameters: Parameters, breach: Breach
) -> tuple[tuple[str, Event], ...]:
    account, rule_id, details = trigger.account, limit.rule_id, breach_details(limit, breach)
    lockout = LockoutSet(
        rule_id=rule_id,
        scope=breach.scope,
        allows=allowed_by(parameters),
        reason=breach.reason,
        until=breach.until,
        revocable=parameters.revocable,
        details=details,
    )
    # Part of the trigger's key: each breach has requests of its own, and a repeated decision has the same ones.
    name = f"{rule_id}-{trigger.key.rpartition('/')[2][-12:]}-{breach.symbol or breach.scope}"
    requests = requests_of(
        account,
        rule_id,
        parameters.action,
        name=name,
        reason=breach.reason,
        details=details,
        scope=breach.scope,
        symbol=breach.symbol,
        quantity=breach.quantity,
        trading_day=breach.trading_day,
    )
    return ((stream_of("lockout", account, rule_id), lockout), *requests)


def _warning(book: Book, trigger: Trigger, limit: Limit, parameters: Parameters, breach: Breach) -> Decision | None:
    account, rule_id = trigger.account, limit.rule_id

    def is_recorded(book: Book) -> bool:
        # A lockout by this rule has recorded the day's breach as well.
        # What the account did before it was reopened is another life's.
        began = book.accounts.reopened(account)
        breaches = (known for known in book.limits.breaches(account, rule_id) if known.position > began)
        return any(known.trading_day == breach.trading_day for known in breaches) or any(
            isinstance(held.details, dict) and held.details.get("trading_day") == _day(breach)
            for held in book.shadow.lock_history(account)
            if held.rule_id == rule_id and breach.trading_day is not None and held.positions[0] > began
        )

    if is_recorded(book):
        return None
    event = LimitBreached(
        rule_id=rule_id,
        figure=breach.figure,
        limit=breach.limit,
        severity=parameters.severity,
        basis=breach.basis,
        currency=breach.currency,
        trading_day=breach.trading_day,
        reason=breach.reason,
        details=breach_details(limit, breach),
    )
    return Decision(((stream_of("breach", account, rule_id), event),), obsolete_if=is_recorded, key=trigger.key)


def breach_details(limit: Limit, breach: Breach) -> dict[str, Any]:
    """Return the inputs of a breach as the events have them: figures as text."""
    details = {
        "figure": str(breach.figure),
        "limit": str(breach.limit),
        "basis": breach.basis,
        "currency": breach.currency,
        "trading_day": _day(breach),
        "limit_position": limit.position,
        "limit_revision": limit.revision,
    }
    return {name: value for name, value in details.items() if value not in {None, ""}} | breach.details


def _day(breach: Breach) -> str | None:
    return None if breach.trading_day is None else breach.trading_day.isoformat()
