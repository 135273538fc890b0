"""What a second person must approve before a limit is loosened, and what an approval then brings into force."""

from collections.abc import Iterator

from msgspec.structs import replace

from eventstore import Record
from eventstore.trading import LimitsSet, Protection, ProtectionMode
from projections.views.approvals import ApprovalState, EffectiveEvent
from projections.views.limits.limit import Limit
from projections.views.limits.loosening import PROTECTION, weakened
from projections.views.limits.protection import is_shadow
from projections.views.limits.settings import RuleSettings, in_force


def subject_of(event: LimitsSet | ProtectionMode) -> str:
    """Return what a setting is about: a newer one takes the place of one that waits."""
    return PROTECTION if isinstance(event, ProtectionMode) else f"limit:{event.rule_id}"


def is_looser(rule: RuleSettings | None, event: LimitsSet, now: int) -> bool:
    """Return whether a setting loosens what is in force, or a tightening that is to come into force later."""
    return any(
        weakened(event.rule_id, held.parameters, event.parameters)
        for held in _scheduled(RuleSettings() if rule is None else rule, now)
    )


def _scheduled(rule: RuleSettings, now: int) -> Iterator[Limit]:
    held = in_force(rule.settings, now)
    if held is not None:
        yield held
    newest = rule.settings[-1] if rule.settings else None
    if newest is not None and newest.is_pending(now) and not newest.loosens:
        yield newest


def is_disarming(rule: RuleSettings, event: ProtectionMode, now: int) -> bool:
    """Return whether a protection mode is the shadow mode, for an account that is not in it."""
    held = in_force(rule.settings, now)
    return event.mode is Protection.SHADOW and (held is None or not is_shadow(held))


def as_approved(rule: RuleSettings, effect: EffectiveEvent) -> RuleSettings:
    """Return a rule whose newest setting is one that somebody approved."""
    newest = replace(rule.settings[-1], position=effect.asked, approved_by=effect.approved_by)
    return replace(rule, settings=(*rule.settings[:-1], newest))


def awaiting(state: ApprovalState) -> Iterator[Limit]:
    """Yield the settings that wait for approval, in the order in which they were set."""
    for request in state.waiting:
        event, record = request.record.event, request.record
        if isinstance(event, LimitsSet):
            yield _awaiting(event, record)


def _awaiting(event: LimitsSet, record: Record) -> Limit:
    return Limit(
        account=record.account,
        rule_id=event.rule_id,
        revision=event.revision,
        parameters=event.parameters,
        set_at=record.recorded_at,
        effective_from=event.effective_from,
        loosened=(),
        in_force_at=None,
        actor=record.actor,
        note=record.note,
        position=record.position,
        awaits_approval=True,
    )
