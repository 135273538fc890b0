"""What each event makes of an account's requests: asked, asked again, claimed, answered, escalated."""

from msgspec.structs import replace

from eventstore import Record, StoreError
from eventstore.clock import NANOSECONDS, utc_date
from eventstore.streams import SEPARATOR, unescaped
from eventstore.trading import (
    ClockJumped,
    EnforcementClaimed,
    EnforcementEscalated,
    EnforcementRequested,
    EnforcementTaken,
)
from projections.views.enforcement.request import Enforcement, EnforcementAnomalyKind, goal_of
from projections.views.enforcement.state import EnforcementState, named

PENDING_MAX = 10_000
GOALS_MAX = 10_000
EARLIER_MAX = 100
COUNTS_MAX = 10_000
LEASE_NS_MAX = 60 * NANOSECONDS
"""How long a claim holds at most: one who needs longer claims again, and one who died must not keep all others out."""
ATTEMPT_MAX = 1_000_000_000
WHY_MAX = 1_000
_END_OF_TIME = 2**63 - 1


class TooManyPending(StoreError):
    """Unanswered requests are bounded: the process that enforces them does not report what it did."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has {PENDING_MAX:,} unanswered enforcement requests, and the record at position {position} is "
            "one more: answer each with EnforcementTaken, and ask once per breach"
        )


def request(state: EnforcementState, event: EnforcementRequested, record: Record) -> None:
    """Add a request; the next attempt of a goal takes the place of those before it that nobody has answered.

    So does a new request, of all but the last hundred that ask for the same: what a process does by the state of the
    account, and answers to nobody, must not pile up.
    """
    goal = goal_of(event.rule_id, event.action, event.symbol)
    before = state.goals.get(goal) if event.attempt > 1 else None
    if before is None and len(state.pending) >= PENDING_MAX:
        raise TooManyPending(record.account, record.position)
    fresh = _requested(state, event, record)
    earlier = [each for each in state.pending.values() if each.goal == goal]
    if before is None:
        del earlier[-EARLIER_MAX:]
    else:
        fresh = replace(
            fresh,
            # Two processes that ask again may name the same number: no two attempts have it here.
            attempt=max(fresh.attempt, before.attempt + 1),
            first_id=before.first_id,
            asked_since=fresh.requested_at if before.success else before.asked_since,
            escalated_at=before.escalated_at,
            escalation=before.escalation,
        )
    # The newest is last.
    state.goals.pop(goal, None)
    state.goals[goal] = fresh
    state.put(fresh)
    for each in earlier:
        state.put(replace(each, superseded=True))
    if before is None:
        _count(state, fresh)
    if len(state.goals) > GOALS_MAX:
        _forget_goals(state)


def _requested(state: EnforcementState, event: EnforcementRequested, record: Record) -> Enforcement:
    id_named = unescaped(record.entity) if event.request_id is None else event.request_id
    text = str(record.uuid)
    # A request must not be lost because its id is in use, not even if that id was copied from a record.
    candidates = (id_named, text, f"{text}@{record.position}")
    request_id = next(each for each in candidates if each not in state.pending and each not in state.answered)
    if request_id != id_named:
        state.mark(EnforcementAnomalyKind.SAME_ID, id_named, record)
    return Enforcement(
        request_id=request_id,
        account=record.account,
        rule_id=event.rule_id,
        action=event.action,
        reason=event.reason,
        details=event.details,
        symbol=event.symbol,
        quantity=event.quantity,
        trading_day=event.trading_day or utc_date(record.occurred_at),
        requested_at=record.occurred_at,
        position=record.position,
        id=record.id,
        attempt=min(max(event.attempt, 1), ATTEMPT_MAX),
        first_id=record.id,
        asked_since=record.occurred_at,
    )


def _count(state: EnforcementState, fresh: Enforcement) -> None:
    key = f"{fresh.trading_day.isoformat()}{SEPARATOR}{fresh.rule_id}"
    state.counts[key] = state.counts.get(key, 0) + 1
    if len(state.counts) > COUNTS_MAX:
        # The oldest days are dropped, several at a time.
        state.counts = {each: state.counts[each] for each in sorted(state.counts)[COUNTS_MAX // 10 :]}


def _forget_goals(state: EnforcementState) -> None:
    """Forget the goals that were answered longest ago; an unanswered one is pending anyway."""
    over = [key for key, newest in state.goals.items() if newest.taken][: GOALS_MAX // 10]
    for key in over or list(state.goals)[: GOALS_MAX // 10]:
        del state.goals[key]


def claim(state: EnforcementState, event: EnforcementClaimed, record: Record) -> None:
    """Let a process carry out a request alone, unless another one's lease is running by this record's times.

    A claim that the one in force caused takes its place, whatever its claimant: its writer has seen that one, and has
    ended it or waited for its end by a clock that nobody sets.
    """
    found, at = named(state.pending, event.request_id), _earlier_time(record)
    if found is None:
        is_late = named(state.answered, event.request_id) is not None
        kind = EnforcementAnomalyKind.CLAIMED_LATE if is_late else EnforcementAnomalyKind.UNKNOWN_REQUEST
        state.mark(kind, event.request_id, record)
        return
    is_running, is_own = found.is_claimed(at), found.claimant == event.claimant
    replaces = bool(found.claim_id) and record.causation_id == found.claim_id
    if is_running and not is_own and not replaces:
        state.mark(EnforcementAnomalyKind.CLAIMED_TWICE, event.request_id, record)
        return
    until = event.lease_until
    if until > at + LEASE_NS_MAX:
        state.mark(EnforcementAnomalyKind.LEASE_TOO_LONG, event.request_id, record)
        until = at + LEASE_NS_MAX
    if is_running and is_own and not replaces:
        until = max(until, found.lease_until or 0)
    elif until <= at and not replaces:
        state.mark(EnforcementAnomalyKind.LEASE_OVER, event.request_id, record)
        return
    # A claim that is extended was never anybody else's in between.
    claimed_at = found.claimed_at if is_running and is_own else at
    state.put(replace(found, claimant=event.claimant, claimed_at=claimed_at, lease_until=until, claim_id=record.id))


def _earlier_time(record: Record) -> int:
    """Return the instant that both of a record's times have reached.

    Neither a clock that runs ahead nor a wrong `occurred_at` can then end another process's lease early.
    """
    return min(record.occurred_at, record.recorded_at)


def move_leases(state: EnforcementState, event: ClockJumped) -> None:
    """Let each lease last as long as before although the wall clock was changed: it is a time in the world."""
    by = event.after - event.before
    for each in list(state.pending.values()):
        if each.lease_until is not None and each.claimed_at is not None:
            state.put(replace(each, claimed_at=_moved(each.claimed_at, by), lease_until=_moved(each.lease_until, by)))


def _moved(instant: int, by: int) -> int:
    return min(max(instant + by, 0), _END_OF_TIME)


def take(state: EnforcementState, event: EnforcementTaken, record: Record) -> None:
    """Fold an answer; one that comes when the same was asked again already is kept with the request that it names."""
    found = state.find(event.request_id)
    if found is None or found.taken:
        kind = EnforcementAnomalyKind.UNKNOWN_REQUEST if found is None else EnforcementAnomalyKind.TAKEN_TWICE
        state.mark(kind, event.request_id, record)
        return
    state.put(
        replace(
            found,
            taken=True,
            success=event.success,
            taken_at=record.occurred_at,
            taken_by=record.actor,
            taken_details=event.details,
            taken_position=record.position,
        )
    )


def escalate(state: EnforcementState, event: EnforcementEscalated, record: Record) -> None:
    """Note that a person has to act: on the request that is named, and on the newest attempt of the same goal."""
    found = state.find(event.request_id)
    if found is None:
        state.mark(EnforcementAnomalyKind.UNKNOWN_REQUEST, event.request_id, record)
        return
    newest = state.goals.get(found.goal)
    is_same = newest is not None and newest.first_id == found.first_id
    for each in (found, newest if is_same else None):
        if each is not None:
            state.put(replace(each, escalated_at=record.occurred_at, escalation=event.why[:WHY_MAX]))
