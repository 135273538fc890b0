"""What a moved wall clock makes of an account's lockouts: each lasts as long as it was set for, in the world."""

from msgspec.structs import replace

from eventstore import Record
from eventstore.trading import ClockJumped
from projections.views.lockouts.lockout import Lockout, LockoutAnomalyKind
from projections.views.lockouts.state import END_OF_TIME, LockoutsState
from projections.views.lockouts.transitions import ask_log, end, is_cleared_by_rule, mark, restore, with_position
from projections.views.log_clock import is_set_back

_AHEAD_MAX = 2**63 - 1


def apply_jump(state: LockoutsState, event: ClockJumped, record: Record) -> None:
    """Extend the lockouts in force by as much as the wall clock was set ahead; take that back once it is set back.

    Set back, it also puts those in force again that have ended since the time that it shows, for that proved wrong:
    what expired, and what a rule of limits released.
    """
    # A lockout is a duration in the world: setting the clock ahead must not shorten it.
    by = event.after - event.before
    since = _wrong_since(event)
    ask_log(state, since)
    if since < state.dropped_to:
        state.forgotten_to = END_OF_TIME
    for key, held in list(state.active.items()):
        ends_at = held.ends_at
        # One that was over before the clock was set ahead gains nothing; setting back takes back what was added.
        if ends_at is not None and (by < 0 or ends_at > event.before):
            state.active[key] = replace(
                held, ahead=_shifted(held.ahead, by), positions=with_position(held, record.position)
            )
    _move_ended(state, event, record)
    _move_not_ended(state, event)
    if by > 0:
        _end_returned(state, event, record)
    elif is_set_back(event):
        state.expired_to = min(state.expired_to, event.after)
    state.jumped = (event.before, event.after, record.position)


def _move_ended(state: LockoutsState, jump: ClockJumped, record: Record) -> None:
    """Put lockouts in force again that ended only by a wrong time, and move the ends of the others."""
    # What ended before the account was reopened stays ended.
    began = state.reopened_records[-1] if state.reopened_records else 0
    for name in ("ended", "expired"):
        kept = []
        for held in getattr(state, name):
            if held.positions[0] < began:
                kept.append(_put_right(held, jump))
                continue
            ahead = _shifted(held.ahead, jump.after - jump.before) if held.ended_by == "expired" else held.ahead
            moved = replace(held, ahead=ahead)
            if not _ended_early(moved, jump) or not restore(state, moved, record):
                kept.append(_put_right(moved, jump))
                continue
            if state.forgotten_to:
                # One that this state has forgotten may be under the same rule and scope, and keep it from returning.
                state.forgotten_to = END_OF_TIME
            if is_set_back(jump):
                mark(state, LockoutAnomalyKind.WRONG_TIME, held.rule_id, held.scope, record.position)
        setattr(state, name, kept)


def _move_not_ended(state: LockoutsState, jump: ClockJumped) -> None:
    """Extend what holds on because the account was in use when it was reopened as what is in force."""
    by = jump.after - jump.before
    state.before_reopening = tuple(
        (reopened, replace(each, ahead=_shifted(each.ahead, by)))
        if each.ended_at is None and each.ends_at is not None and (by < 0 or each.ends_at > jump.before)
        else (reopened, each)
        for reopened, each in state.before_reopening
    )


def _put_right(held: Lockout, jump: ClockJumped) -> Lockout:
    """Return an ended lockout as it is once the clock was set back: it cannot end later than now."""
    is_later = is_set_back(jump) and held.ended_at is not None and held.ended_at > jump.after
    return replace(held, ended_at=jump.after) if is_later else held


def _end_returned(state: LockoutsState, jump: ClockJumped, record: Record) -> None:
    """End the lockouts again that are in force only because the clock was set back, if that was wrong."""
    for key, (cause, ended_at) in list(state.returned.items()):
        held = state.active.get(key)
        if held is not None and held.cause == cause and held.ends_at is not None and held.ends_at <= jump.after:
            end(state, key, min(ended_at, jump.after), "expired", record)
    state.returned = {}


def _shifted(ahead: int, by: int) -> int:
    """Return how far the clock was moved in all; no sum of moves is too great to be stored."""
    return max(-_AHEAD_MAX, min(_AHEAD_MAX, ahead + by))


def _wrong_since(jump: ClockJumped) -> int:
    """Return the instant of which a jump shows that it had not come when what expires after it did."""
    return min(jump.before, jump.after) if is_set_back(jump) else jump.before


def _ended_early(held: Lockout, jump: ClockJumped) -> bool:
    """Return whether a lockout ended only by a clock that had been set ahead, recorded or not."""
    if held.ended_by == "expired":
        return (held.ended_at or 0) > _wrong_since(jump) and (held.ends_at or 0) > jump.after
    # What a rule cleared, it cleared by a day or a limit that had not begun.
    lasts = held.ends_at is None or held.ends_at > jump.after
    return is_set_back(jump) and is_cleared_by_rule(held) and lasts and (held.ended_at or 0) > jump.after
