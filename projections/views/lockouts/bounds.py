"""The bounds of an account's lockouts in memory. What may still hold is not lost with what they leave out."""

from eventstore import Record
from projections.views.lockouts.lockout import Lockout
from projections.views.lockouts.state import END_OF_TIME, LockoutsState
from projections.views.lockouts.transitions import end, is_over

LOCKOUTS_MAX = 10_000
EXPIRED_MAX = 1_000


def keep_within_bounds(state: LockoutsState, ended_max: int, record: Record) -> None:
    """Forget what exceeds the bounds: the state notes until which instant the log must be asked instead."""
    if len(state.active) > LOCKOUTS_MAX:
        # No event may have said that they expired.
        for key, lockout in list(state.active.items()):
            if is_over(lockout, record):
                end(state, key, lockout.ends_at, "expired")
    if len(state.active) > LOCKOUTS_MAX:
        # An irrevocable one stays: one that is forgotten makes each lookup slower.
        order = sorted(state.active, key=lambda key: state.active[key].revocable)
        for key in order[LOCKOUTS_MAX:]:
            del state.active[key]
        state.forgotten_to = END_OF_TIME
    if len(state.expired) > EXPIRED_MAX:
        state.expired.sort(key=_ended_at)
        for lockout in state.expired[:-EXPIRED_MAX]:
            state.forgotten_to = max(state.forgotten_to, _ended_at(lockout))
        del state.expired[:-EXPIRED_MAX]
    del state.ended[:-ended_max]


def _ended_at(lockout: Lockout) -> int:
    return lockout.ended_at or 0
