"""What all shipped rules share: limits in force, a breach as it is found, and the lockout that it leads to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec
from typing_extensions import override

from eventstore.trading import (
    Allows,
    EnforcementAction,
    EnforcementRequested,
    LimitBreached,
    LockoutSet,
    Severity,
)
from projections.risk.limits.parameters import BadLimit, Parameters, kind_of, read
from projections.risk.policies import Decision, Policy, Trigger, TriggerKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.views.limits.view import Limit, LimitsState
    from projections.views.lockouts.view import Lockout

P = TypeVar("P", bound=Parameters)


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is reached: what it came to, and what follows.

    `reason` is a sentence that a trader understands; `details` what it was decided on. `until` None: without end.
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


class Rule(Policy, Generic[P]):
    """A policy whose parameters stand in the account's limits: those of its kind, `name` or `name:…`.

    It yields a lockout with an enforcement request, all at once; or, where its severity is WARNING or what it would
    lock is over already, a LimitBreached, once for each trading day.
    """

    parameters: ClassVar[type[Parameters]]

    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: P) -> Iterable[Breach]:
        """Return the breaches of one limit as the book stands."""
        raise NotImplementedError

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for limit, parameters in self.limits(book, trigger):
            for breach in self.breaches(book, trigger, limit, parameters):
                decision = decided(book, trigger, limit, parameters, breach)
                if decision is not None:
                    yield decision

    def limits(self, book: Book, trigger: Trigger) -> Iterator[tuple[Limit, P]]:
        """Yield the limits of this kind that are in force and switched on, with their parameters.

        One that cannot be read is passed over here, and refuses orders in the checks before them.
        """
        for limit in in_force(book, trigger):
            if kind_of(limit.rule_id) != self.name:
                continue
            try:
                parameters: P = read(limit, self.parameters)  # type: ignore[assignment]
            except BadLimit:
                continue
            if parameters.enabled:
                yield limit, parameters


def in_force(book: Book, trigger: Trigger) -> tuple[Limit, ...]:
    """Return an account's limits as they are when a trigger is known, those among them that the book just folded.

    Records of one instant are told one after the other, and a clock may stand still or go back meanwhile.
    """
    state: LimitsState | None = book.state("limits", trigger.account)
    return () if state is None else book.limits.of(trigger.account, max(now_of(trigger), state.recorded_to))


def now_of(trigger: Trigger) -> int:
    """Return when a trigger was known, by its record, so that the same record is always decided on alike.

    Of a quote it is when it came in, whatever its feed's clock says.
    """
    if trigger.record is None:
        return trigger.at
    recorded_at = trigger.record.recorded_at
    return recorded_at if trigger.kind is TriggerKind.QUOTE else max(trigger.at, recorded_at)


def decided(book: Book, trigger: Trigger, limit: Limit, parameters: Parameters, breach: Breach) -> Decision | None:
    """Return what a breach leads to, or None where that holds already."""
    now = now_of(trigger)
    over = breach.until is not None and breach.until <= now
    if parameters.severity is Severity.WARNING or over:
        return _warned(book, trigger, limit, parameters, breach)

    def is_meant(held: Lockout) -> bool:
        as_long = held.until is None or (breach.until is not None and held.until >= breach.until)
        return held.rule_id == limit.rule_id and held.scope == breach.scope and as_long

    def was_locked(book: Book) -> bool:
        # Of a record of the past, the lockout that it led to then may be over by now.
        return any(is_meant(held) and held.is_active(now) for held in book.lockouts.history(trigger.account))

    if any(is_meant(held) for held in book.lockouts.active(trigger.account, now)):
        return None
    return Decision(_locking(trigger, limit, parameters, breach), obsolete_if=was_locked)


def _locking(trigger: Trigger, limit: Limit, parameters: Parameters, breach: Breach) -> tuple[tuple[str, Event], ...]:
    account, rule_id = trigger.account, limit.rule_id
    allows = Allows.NOTHING if parameters.allows is Allows.NOTHING else Allows.REDUCE_ONLY
    lockout = LockoutSet(
        rule_id=rule_id,
        scope=breach.scope,
        allows=allows,
        reason=breach.reason,
        until=breach.until,
        revocable=parameters.revocable,
        details=details_of(limit, breach),
    )
    events: list[tuple[str, Event]] = [(f"lockout/{account}/{escaped(rule_id)}", lockout)]
    if parameters.action is not EnforcementAction.NONE:
        request_id = f"{rule_id}-{trigger.key.rpartition('/')[2][-12:]}-{breach.symbol or breach.scope}"
        request = EnforcementRequested(
            rule_id=rule_id,
            action=parameters.action,
            reason=breach.reason,
            details=details_of(limit, breach),
            request_id=request_id,
            symbol=breach.symbol,
            quantity=breach.quantity,
            trading_day=breach.trading_day,
        )
        events.append((f"enforcement/{account}/{escaped(request_id)}", request))
    return tuple(events)


def _warned(book: Book, trigger: Trigger, limit: Limit, parameters: Parameters, breach: Breach) -> Decision | None:
    account, rule_id = trigger.account, limit.rule_id

    def is_told(book: Book) -> bool:
        return any(told.trading_day == breach.trading_day for told in book.limits.breaches(account, rule_id)) or any(
            isinstance(held.details, dict) and held.details.get("trading_day") == _day(breach)
            for held in book.lockouts.history(account)
            if held.rule_id == rule_id and breach.trading_day is not None
        )

    if is_told(book):
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
        details=details_of(limit, breach),
    )
    return Decision(((f"breach/{account}/{escaped(rule_id)}", event),), obsolete_if=is_told)


def details_of(limit: Limit, breach: Breach) -> dict[str, Any]:
    """Return what a breach was decided on, as it stands in the events: figures as text."""
    told = {
        "figure": str(breach.figure),
        "limit": str(breach.limit),
        "basis": breach.basis,
        "currency": breach.currency,
        "trading_day": _day(breach),
        "limit_position": limit.position,
        "limit_revision": limit.revision,
    }
    return {name: value for name, value in told.items() if value not in {None, ""}} | breach.details


def escaped(entity: str) -> str:
    """Return a name as a stream's entity has it."""
    return entity.replace("/", "%2F")


def _day(breach: Breach) -> str | None:
    return None if breach.trading_day is None else breach.trading_day.isoformat()
