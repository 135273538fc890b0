"""What a second person must approve before it ends a lockout, and what an approval then ends."""

from collections.abc import Iterator

from msgspec.structs import replace

from eventstore import Event, Record
from eventstore.streams import unescaped
from eventstore.trading import AccountReopened, EquityCorrected, LockoutCleared
from projections.views.approvals import CORRECTION, EffectiveEvent, WaitingRequest, folded_approvals
from projections.views.lockouts.lockout import Lockout
from projections.views.lockouts.state import LockoutsState
from projections.views.lockouts.transitions import begin_again, clear, reinstate, release, scope_read

_REOPENING = "reopening"


def hold(state: LockoutsState, record: Record, *subjects: str) -> None:
    """Keep a record from taking effect until it is approved."""
    state.approvals = state.approvals.holding(record, subjects)


def waits(state: LockoutsState, event: AccountReopened | EquityCorrected) -> bool:
    """Return whether a reopening or a correction must be approved: a reopening where it would end a lockout."""
    if not state.approvals.approver:
        return False
    return isinstance(event, EquityCorrected) or bool(state.active or state.expired or state.forgotten_to)


def hold_report(state: LockoutsState, event: AccountReopened | EquityCorrected, record: Record) -> None:
    """Keep a reopening or a correction from ending lockouts until it is approved."""
    hold(state, record, CORRECTION if isinstance(event, EquityCorrected) else _REOPENING)


def apply_approval(state: LockoutsState, event: Event, record: Record) -> None:
    """Fold who must approve, and what somebody approved.

    An approval is about the lockouts as they were when it was asked for: one that was set, set again or extended since
    then stays.
    """
    state.approvals, effect = folded_approvals(state.approvals, event, record)
    if effect is None or not effect.approved_by:
        return
    reinstate(state, effect.record)
    order, since = list(state.active), {key: held for key, held in state.active.items() if _is_newer(held, effect)}
    expired_since = [held for held in state.expired if _is_newer(held, effect)]
    state.active = {key: held for key, held in state.active.items() if key not in since}
    state.expired = [held for held in state.expired if not _is_newer(held, effect)]
    _take_effect(state, effect)
    left = state.active | since
    state.active = {key: left[key] for key in order if key in left}
    state.expired += expired_since
    state.expired_to = max([state.expired_to, *(held.ended_at or 0 for held in expired_since)])


def _take_effect(state: LockoutsState, effect: EffectiveEvent) -> None:
    record = replace(effect.record, actor=f"{effect.record.actor}, approved by {effect.approved_by}")
    match effect.event:
        case LockoutCleared():
            clear(state, effect.event, effect.record, effect.approved_by)
        case AccountReopened():
            begin_again(state, record, effect.asked)
        case EquityCorrected():
            release(state, effect.event, record)
        case _:
            return


def _is_newer(held: Lockout, effect: EffectiveEvent) -> bool:
    return held.positions[-1] > effect.asked


def forget_stale(state: LockoutsState) -> None:
    """Forget the requests to clear a lockout that is over, or that was set, set again or extended since."""
    if state.approvals.waiting:
        kept = tuple(each for each in state.approvals.waiting if not _is_stale(state, each))
        if len(kept) < len(state.approvals.waiting):
            state.approvals = replace(state.approvals, waiting=kept)


def _is_stale(state: LockoutsState, request: WaitingRequest) -> bool:
    event, record = request.record.event, request.record
    return isinstance(event, LockoutCleared) and not any(
        held.revocable and held.positions[-1] < record.position for held in _meant(state, event, record)
    )


def _meant(state: LockoutsState, event: LockoutCleared, record: Record) -> Iterator[Lockout]:
    rule_id = unescaped(record.entity) if event.rule_id is None else event.rule_id
    scope = None if event.scope is None else scope_read(event.scope)
    yield from (held for held in state.active.values() if held.rule_id == rule_id and scope in {None, held.scope})
