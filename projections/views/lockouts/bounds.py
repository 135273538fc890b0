"""The bounds of an account's lockouts in memory. What may still hold is not lost with what they leave out."""

from eventstore import Record
from projections.views.lockouts.lockout import Lockout
from projections.views.lockouts.state import END_OF_TIME, LockoutsState
from projections.views.lockouts.transitions import BROKER_KEY, end, is_cleared_by_rule, is_over

LOCKOUTS_MAX = 10_000
EXPIRED_MAX = 1_000
BEFORE_REOPENING_MAX = 1_000


def keep_within_bounds(state: LockoutsState, ended_max: int, record: Record) -> None:
    """Forget what exceeds the bounds: the state notes until which instant the log must be asked instead."""
    if len(state.active) > LOCKOUTS_MAX:
        _bound_active(state, record)
    if len(state.expired) > EXPIRED_MAX:
        # Those that ended first are the least likely to hold again.
        state.expired.sort(key=_ended_at)
        state.forgotten_to = max(state.forgotten_to, *map(_ended_at, state.expired[:-EXPIRED_MAX]), 0)
        del state.expired[:-EXPIRED_MAX]
    if len(state.before_reopening) > BEFORE_REOPENING_MAX:
        state.before_reopening = state.before_reopening[-BEFORE_REOPENING_MAX:]
        state.forgotten_to = END_OF_TIME
    gone = [
        _ended_at(each) for each in state.ended[:-ended_max] if each.ended_by == "expired" or is_cleared_by_rule(each)
    ]
    state.dropped_to = max(state.dropped_to, *gone, 0)
    del state.ended[:-ended_max]


def _bound_active(state: LockoutsState, record: Record) -> None:
    # No event may have said that they expired. A clock that is set back before their end asks the log.
    for key, lockout in list(state.active.items()):
        if is_over(lockout, record):
            end(state, key, lockout.ends_at, "expired")
            state.forgotten_to = max(state.forgotten_to, lockout.ends_at or 0)
    if len(state.active) <= LOCKOUTS_MAX:
        return
    # The newest revocable ones go; the broker's stays, because its next report is compared with it.
    order = sorted(state.active, key=lambda key: (key != BROKER_KEY, state.active[key].revocable))
    for key in order[LOCKOUTS_MAX:]:
        del state.active[key]
        state.returned.pop(key, None)
    state.forgotten_to = END_OF_TIME


def _ended_at(lockout: Lockout) -> int:
    return lockout.ended_at or 0
