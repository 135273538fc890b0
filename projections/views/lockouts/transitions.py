"""What each event makes of an account's lockouts: pure changes of its state. An irrevocable lockout never weakens."""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from eventstore import Record, StoreError
from eventstore.streams import SEPARATOR, unescaped
from eventstore.trading import (
    AccountUpdated,
    Allows,
    ClockJumped,
    EquityCorrected,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections.views.lockouts.lockout import Lockout, LockoutAnomaly, LockoutAnomalyKind
from projections.views.log_clock import is_set_back

LOCKOUTS_MAX = 10_000
ANOMALIES_MAX = 1_000
POSITIONS_MAX = 100
CORRECTED = "released by the correction of"
_FROM_PRICES = ("quotes", "marks", "other_currencies")
"""What the details of a lockout name where it came of a price, a mark or a rate."""
BROKER = "broker"
"""The rule of the lockout that an account is under while its broker reports that it may not trade."""

# Its own key, apart from any other lockout under that rule: the broker's report ends the broker's lockout only.
_BROKER_KEY = f"{BROKER}{SEPARATOR}account{SEPARATOR}reported"
_BROKER_SAYS = LockoutSet(rule_id=BROKER, reason="the broker says that the account may not trade")


class TooManyLockouts(StoreError):
    """An account's lockouts in force are bounded; a rule that sets so many needs a wider scope."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has {LOCKOUTS_MAX:,} lockouts in force, and the record at position {position} sets one more: "
            "give the rule a wider scope, for example root:ES or account"
        )


class LockoutsState(msgspec.Struct):
    """One account. `active` by rule, NUL and scope: set and not ended; `until` may have passed."""

    active: dict[str, Lockout] = {}
    ended: list[Lockout] = []
    anomalies: tuple[LockoutAnomaly, ...] = ()
    anomaly_count: int = 0
    jumped: tuple[int, int, int] | None = None
    """The last change of the wall clock: its time before, its time after, and the record's log position."""
    expired_to: int = 0
    """The latest end of any irrevocable lockout that expired."""
    returned: dict[str, tuple[bytes, int]] = {}
    """Lockouts that are in force again because the clock was set back: cause and former end, by the key in `active`."""


def _earlier_time(record: Record) -> int:
    """Return the instant that both of a record's times have reached.

    Neither a clock that runs ahead nor a wrong `occurred_at` can then end a lockout early.
    """
    return min(record.occurred_at, record.recorded_at)


def _is_over(lockout: Lockout, record: Record) -> bool:
    ends_at = lockout.ends_at
    return ends_at is not None and _earlier_time(record) >= ends_at


def is_news(state: LockoutsState, update: AccountUpdated, record: Record) -> bool:
    """Return whether an account's update locks or unlocks it; most of these frequent updates do neither."""
    if update.can_trade is None:
        return False
    held = state.active.get(_BROKER_KEY)
    if update.can_trade:
        # An older report, recorded late, does not unlock the account again.
        return held is not None and record.occurred_at >= held.set_at
    return True


def apply_report(state: LockoutsState, update: AccountUpdated | ClockJumped | EquityCorrected, record: Record) -> None:
    """Fold what somebody else reported: a moved wall clock, a wrong equity, whether the broker allows trading."""
    if isinstance(update, ClockJumped):
        _jump(state, update, record)
    elif isinstance(update, EquityCorrected):
        _release(state, update, record)
    elif update.can_trade:
        _end(state, _BROKER_KEY, record.occurred_at, "cleared by the broker", record)
    else:
        set_lockout(state, _BROKER_KEY, _BROKER_SAYS, record)


def set_lockout(state: LockoutsState, key: str, event: LockoutSet, record: Record) -> None:
    fresh = Lockout(
        account=record.account,
        rule_id=event.rule_id,
        scope=event.scope,
        allows=event.allows,
        reason=event.reason,
        set_at=_earlier_time(record),
        until=event.until,
        revocable=event.revocable,
        cause=record.id,
        positions=(record.position,),
        details=event.details,
    )
    held = state.active.get(key)
    if held is None:
        _make_room(state, record)
        state.active[key] = fresh
    elif _is_over(held, record):
        _end(state, key, held.ends_at, "expired")
        state.active[key] = fresh
    # Set again on the same terms: still the same lockout, with one more record.
    elif _terms(held) == _terms(fresh):
        state.active[key] = replace(held, positions=_with_position(held, record.position))
    elif held.revocable:
        _end(state, key, fresh.set_at, "replaced")
        state.active[key] = fresh
    else:
        _strengthen(state, key, held, fresh)


def _terms(lockout: Lockout) -> tuple[Allows, str, int | None, bool]:
    return lockout.allows, lockout.reason, lockout.until, lockout.revocable


def _strengthen(state: LockoutsState, key: str, held: Lockout, requested: Lockout) -> None:
    """Set an irrevocable lockout again: the stricter of its own terms and the requested ones hold."""
    until = _later(held.until, requested.until)
    allows = Allows.NOTHING if Allows.NOTHING in {held.allows, requested.allows} else held.allows
    if (until, allows, False) != (requested.until, requested.allows, requested.revocable):
        _mark(state, LockoutAnomalyKind.IRREVOCABLE, held.rule_id, held.scope, requested.positions[0])
    positions = _with_position(held, requested.positions[0])
    state.active[key] = replace(held, until=until, allows=allows, positions=positions)


def extend(state: LockoutsState, event: LockoutExtended, record: Record) -> None:
    for key in _named(state, event, record):
        held = state.active[key]
        until = _later(held.until, event.until)
        if until != event.until:
            _mark(state, LockoutAnomalyKind.SHORTER, held.rule_id, held.scope, record.position)
        elif _is_over(held, record) and until != held.until:
            # It did not hold between its end and now, and history must not claim that it did.
            _end(state, key, held.ends_at, "expired")
            positions = (record.position,)
            state.active[key] = replace(held, set_at=_earlier_time(record), until=until, positions=positions, ahead=0)
        else:
            state.active[key] = replace(held, until=until, positions=_with_position(held, record.position))


def clear(state: LockoutsState, event: LockoutCleared, record: Record) -> None:
    for key in _named(state, event, record):
        held = state.active[key]
        if _is_over(held, record):
            _end(state, key, held.ends_at, "expired", record)
        elif held.revocable:
            _end(state, key, record.occurred_at, f"cleared by {event.by or record.actor}", record)
        else:
            _mark(state, LockoutAnomalyKind.IRREVOCABLE, held.rule_id, held.scope, record.position)


def _release(state: LockoutsState, event: EquityCorrected, record: Record) -> None:
    """End the lockouts that a wrong record led to, irrevocable ones too: the correction names who made it.

    One that it names itself must have come of prices, marks or rates: a correction of those ends neither what a person
    set nor what the broker reports.
    """
    if event.wrong is None:
        return
    wrong = event.wrong.bytes
    for key, held in list(state.active.items()):
        if event.wrong.hex in _marks_of(held) or (held.cause == wrong and _is_of_prices(held)):
            _end(state, key, record.occurred_at, f"{CORRECTED} {record.actor}", record)


def _is_of_prices(lockout: Lockout) -> bool:
    details = lockout.details if isinstance(lockout.details, dict) else {}
    return any(details.get(name) for name in _FROM_PRICES)


def _marks_of(lockout: Lockout) -> tuple[str, ...]:
    """Return the ids of the marks that a lockout was decided on."""
    marks = lockout.details.get("marks") if isinstance(lockout.details, dict) else None
    return tuple(marks) if isinstance(marks, list | tuple) else ()


def expire(state: LockoutsState, event: LockoutExpired, record: Record) -> None:
    for key in _named(state, event, record):
        held = state.active[key]
        if _is_over(held, record):
            _end(state, key, held.ends_at, "expired", record)
        else:
            _mark(state, LockoutAnomalyKind.TOO_EARLY, held.rule_id, held.scope, record.position)


def _jump(state: LockoutsState, event: ClockJumped, record: Record) -> None:
    """Extend the lockouts in force by as much as the wall clock was set ahead; take that back once it is set back.

    Set back, it also puts those in force again that have ended since the time that it shows, for that proved wrong:
    what expired, and what a rule of limits released.
    """
    # A lockout is a duration in the world: setting the clock ahead must not shorten it.
    by = event.after - event.before
    for key, held in list(state.active.items()):
        ends_at = held.ends_at
        # One that was over before the clock was set ahead gains nothing; setting back takes back what was added.
        if ends_at is not None and (by < 0 or ends_at > event.before):
            state.active[key] = replace(held, ahead=held.ahead + by, positions=_with_position(held, record.position))
    ended, state.ended = state.ended, []
    for held in ended:
        moved = held if held.ended_by != "expired" else replace(held, ahead=held.ahead + by)
        if not _ended_early(moved, event) or not _restore(state, moved, record):
            state.ended.append(_put_right(moved, event))
        elif is_set_back(event):
            _mark(state, LockoutAnomalyKind.WRONG_TIME, held.rule_id, held.scope, record.position)
    if by > 0:
        _end_returned(state, event, record)
    elif is_set_back(event):
        state.expired_to = min(state.expired_to, event.after)
    state.jumped = (event.before, event.after, record.position)


def _put_right(held: Lockout, jump: ClockJumped) -> Lockout:
    """Return an ended lockout as it is once the clock was set back: it cannot end later than now."""
    is_later = is_set_back(jump) and held.ended_at is not None and held.ended_at > jump.after
    return replace(held, ended_at=jump.after) if is_later else held


def _end_returned(state: LockoutsState, jump: ClockJumped, record: Record) -> None:
    """End the lockouts again that are in force only because the clock was set back, if that was wrong."""
    for key, (cause, ended_at) in state.returned.items():
        held = state.active.get(key)
        if held is not None and held.cause == cause and held.ends_at is not None and held.ends_at <= jump.after:
            _end(state, key, min(ended_at, jump.after), "expired", record)
    state.returned = {}


def _ended_early(held: Lockout, jump: ClockJumped) -> bool:
    """Return whether a lockout ended only by a clock that had been set ahead, recorded or not."""
    if held.ended_by == "expired":
        since = min(jump.before, jump.after) if is_set_back(jump) else jump.before
        return (held.ended_at or 0) > since and (held.ends_at or 0) > jump.after
    # A rule clears its lockouts under its own name: by a day or a limit that had not begun.
    by_rule = held.ended_by == f"cleared by {held.rule_id.partition(':')[0]}"
    lasts = held.ends_at is None or held.ends_at > jump.after
    return is_set_back(jump) and by_rule and lasts and (held.ended_at or 0) > jump.after


def _restore(state: LockoutsState, held: Lockout, record: Record) -> bool:
    """Put a lockout in force again.

    If another one has been set since, a revocable lockout stays ended, and an irrevocable one takes the stricter terms.
    """
    key = held.rule_id + SEPARATOR + held.scope
    fresh = state.active.get(key)
    if fresh is not None and held.revocable:
        return False
    if fresh is None and held.ended_by == "expired" and held.ended_at is not None:
        state.returned[key] = (held.cause, held.ended_at)
    positions = _with_position(held, record.position)
    state.active[key] = held = replace(held, ended_at=None, ended_by=None, positions=positions)
    if fresh is not None:
        _strengthen(state, key, held, fresh)
    return True


def _named(
    state: LockoutsState, event: LockoutExtended | LockoutCleared | LockoutExpired, record: Record
) -> Iterator[str]:
    """Yield the keys of the lockouts that an event names: by default every scope of the stream's rule."""
    rule_id = unescaped(record.entity) if event.rule_id is None else event.rule_id
    keys = [
        key
        for key, lockout in state.active.items()
        if lockout.rule_id == rule_id and event.scope in {None, lockout.scope}
    ]
    if not keys:
        _mark(state, LockoutAnomalyKind.NOT_SET, rule_id, event.scope, record.position)
    yield from keys


def _later(one: int | None, other: int | None) -> int | None:
    """Return the later of two ends; None means no end date."""
    return None if one is None or other is None else max(one, other)


def _end(state: LockoutsState, key: str, at: int | None, by: str, record: Record | None = None) -> None:
    held = state.active.pop(key)
    positions = held.positions if record is None else _with_position(held, record.position)
    state.ended.append(replace(held, ended_at=at, ended_by=by, positions=positions))
    # Lets lookups skip the ended lockouts unless the instant lies before this one: see expired_later.
    if by == "expired" and not held.revocable:
        state.expired_to = max(state.expired_to, at or 0)


def expired_later(state: LockoutsState, at_ns: int) -> list[Lockout]:
    """Return the irrevocable lockouts that expired after an instant.

    A clock that was set ahead and back again must not unlock an account: they still hold before they expired and, like
    those in force, before they were set.
    """
    held = {(lockout.rule_id, lockout.scope) for lockout in list(state.active.values()) if lockout.is_active(at_ns)}
    return [
        lockout
        for lockout in state.ended
        if lockout.ended_by == "expired"
        and not lockout.revocable
        and at_ns < (lockout.ended_at or 0)
        and (lockout.rule_id, lockout.scope) not in held
    ]


def _with_position(held: Lockout, log_position: int) -> tuple[int, ...]:
    """Return the log positions with one more: the first, which set the lockout, and the last ones."""
    return (held.positions[0], *held.positions[1:][2 - POSITIONS_MAX :], log_position)


def _make_room(state: LockoutsState, record: Record) -> None:
    """At the limit, end the lockouts whose time has passed: no event may have said that they expired."""
    if len(state.active) < LOCKOUTS_MAX:
        return
    for key, lockout in list(state.active.items()):
        if _is_over(lockout, record):
            _end(state, key, lockout.ends_at, "expired")
    if len(state.active) >= LOCKOUTS_MAX:
        raise TooManyLockouts(record.account, record.position)


def _mark(state: LockoutsState, kind: LockoutAnomalyKind, rule_id: str, scope: str | None, log_position: int) -> None:
    anomaly = LockoutAnomaly(kind, rule_id, scope, log_position)
    state.anomalies = (*state.anomalies[1 - ANOMALIES_MAX :], anomaly)
    state.anomaly_count += 1
