"""Lockouts: what an account may not do, by which rule, in which scope, until when; an irrevocable one never weakens."""

import heapq
from collections.abc import Iterator
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, InvalidEvent, Record, StoreError
from eventstore.clock import Times, question_ns
from eventstore.errors import shown
from eventstore.trading import (
    AccountUpdated,
    Allows,
    ClockJumped,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections.view import SHARED, Lens, View
from projections.views.contracts.names import names_and_root
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.lockouts.values import Lockout, LockoutAnomaly, LockoutAnomalyKind

__all__ = [
    "BROKER",
    "Lockout",
    "LockoutAnomaly",
    "LockoutAnomalyKind",
    "Lockouts",
    "LockoutsState",
    "LockoutsView",
    "TooManyLockouts",
]

LOCKOUTS_MAX = 10_000
ENDED_MAX = 100
ANOMALIES_MAX = 1_000
POSITIONS_MAX = 100
BROKER = "broker"
"""The rule of the lockout that an account is under while its broker says that it may not trade."""

# Apart from what anybody else sets under that rule: the broker ends its own lockout and no other.
_BROKERS = f"{BROKER}\0account\0told"
_BROKER_SAYS = LockoutSet(rule_id=BROKER, reason="the broker says that the account may not trade")


class TooManyLockouts(StoreError):
    """An account's lockouts in force are bounded; a rule that sets so many wants a wider scope."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has {LOCKOUTS_MAX:,} lockouts in force and position {position} sets one more: give the rule a "
            "wider scope, for example root:ES or account"
        )


class LockoutsState(msgspec.Struct):
    """One account. `active` by rule, NUL and scope: set and not ended, though `until` may have passed."""

    active: dict[str, Lockout] = {}
    ended: list[Lockout] = []
    anomalies: tuple[LockoutAnomaly, ...] = ()
    anomaly_count: int = 0
    jumped: tuple[int, int, int] | None = None
    """From when to when the wall clock was moved last, and that record's position."""
    expired_to: int = 0
    """The last end of an irrevocable lockout that expired."""


class LockoutsView(View[LockoutsState]):
    """One lockout for each account, rule and scope.

    Whether `until` has passed at an event is asked of both its times, so that neither a clock that runs ahead nor a
    wrong `occurred_at` ends a lockout early. Where the wall clock was moved ahead, those in force hold as much longer.
    `ended_max` bounds how many ended ones stay in state.

    A broker that says an account may not trade locks it, under the rule `broker`, until it says that it may, or
    somebody clears that. It ends no other lockout, not even one of the same rule.
    """

    name: ClassVar[str] = "lockouts"
    revision: ClassVar[int] = 3
    types: ClassVar[tuple[type[Event], ...] | None] = (
        LockoutSet,
        LockoutExtended,
        LockoutCleared,
        LockoutExpired,
        ClockJumped,
        AccountUpdated,
    )

    def __init__(self, ended_max: int | None = ENDED_MAX) -> None:
        self._ended_max = ended_max

    @override
    def initial(self) -> LockoutsState:
        return LockoutsState()

    @override
    def apply(self, state: LockoutsState, event: Event, record: Record) -> None:
        if isinstance(event, AccountUpdated) and not _is_news(state, event, record):
            return
        # One event may end every scope of a rule: readers see all of it or nothing.
        after = replace(state, active=dict(state.active), ended=list(state.ended))
        match event:
            case LockoutSet():
                _lock(after, event.rule_id + "\0" + event.scope, event, record)
            case LockoutExtended():
                _extend(after, event, record)
            case LockoutCleared():
                _clear(after, event, record)
            case LockoutExpired():
                _expire(after, event, record)
            case AccountUpdated() | ClockJumped():
                _hear(after, event, record)
            case _:
                return
        if self._ended_max is not None:
            del after.ended[: -self._ended_max]
        state.active, state.ended = after.active, after.ended
        state.anomalies, state.anomaly_count = after.anomalies, after.anomaly_count
        state.jumped, state.expired_to = after.jumped, after.expired_to


class Lockouts:
    """Questions about lockouts."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def active(self, account: str, at: Times, symbol: str | None = None) -> tuple[Lockout, ...]:
        """Return the lockouts that hold at an instant (an aware datetime or UNIX ns), longest set first.

        With a symbol, or what a broker calls so: those that touch it, by account, symbol or root. Raises InvalidEvent
        for an account that the book was not opened for: it would look free.
        """
        at_ns = question_ns(at)
        state: LockoutsState | None = self._lens.state(LockoutsView.name, account)
        if state is None and account != SHARED and not self._lens.covers(account):
            msg = f"this book knows nothing of account {shown(account)}: open one with accounts= that include it"
            raise InvalidEvent(msg)
        if state is None or not (state.active or at_ns < state.expired_to):
            return ()
        found = [lockout for lockout in state.active.values() if lockout.is_active(at_ns)]
        if at_ns < state.expired_to:
            found += _expired_later(state, at_ns)
        if symbol is not None and found:
            scopes = self._scopes(symbol)
            found = [lockout for lockout in found if lockout.scope in scopes]
        return tuple(sorted(found, key=_age))

    def history(self, account: str) -> tuple[Lockout, ...]:
        """Return every lockout the account ever had, folded from the log, in the order they were set."""
        view = LockoutsView(ended_max=None)
        state = view.initial()
        streams = (f"lockout/{account}/", f"account/{account}/")
        told = (self._lens.read(stream=stream, types=view.types) for stream in streams)
        for record in heapq.merge(*told, key=_position):
            view.apply(state, record.event, record)
        return tuple(sorted([*state.ended, *state.active.values()], key=_age))

    def anomalies(self, account: str) -> tuple[LockoutAnomaly, ...]:
        """Return the last 1,000 events that had no effect, or not all that they asked for, oldest first."""
        state: LockoutsState | None = self._lens.state(LockoutsView.name, account)
        return () if state is None else state.anomalies

    def _scopes(self, symbol: str) -> set[str]:
        contracts: ContractsState | None = self._lens.state(ContractsView.name, SHARED)
        names, root = names_and_root(contracts, symbol)
        scopes = {"account"} | {f"symbol:{name}" for name in names}
        return scopes if root is None else scopes | {f"root:{root}"}


def _position(record: Record) -> int:
    return record.position


def _age(lockout: Lockout) -> tuple[int, int]:
    return lockout.set_at, lockout.positions[0]


def _earlier(record: Record) -> int:
    """Return the instant that both of a record's times have reached."""
    return min(record.occurred_at, record.recorded_at)


def _is_over(lockout: Lockout, record: Record) -> bool:
    ends_at = lockout.ends_at
    return ends_at is not None and _earlier(record) >= ends_at


def _is_news(state: LockoutsState, update: AccountUpdated, record: Record) -> bool:
    """Tell whether an account's update locks it or ends that: such updates are frequent, and most say neither."""
    if update.can_trade is None:
        return False
    held = state.active.get(_BROKERS)
    if update.can_trade:
        # What was so before it was locked does not open the account again.
        return held is not None and record.occurred_at >= held.set_at
    return True


def _hear(state: LockoutsState, update: AccountUpdated | ClockJumped, record: Record) -> None:
    if isinstance(update, ClockJumped):
        _jump(state, update, record)
    elif update.can_trade:
        _end(state, _BROKERS, record.occurred_at, "cleared by the broker", record)
    else:
        _lock(state, _BROKERS, _BROKER_SAYS, record)


def _lock(state: LockoutsState, key: str, event: LockoutSet, record: Record) -> None:
    fresh = Lockout(
        account=record.account,
        rule_id=event.rule_id,
        scope=event.scope,
        allows=event.allows,
        reason=event.reason,
        set_at=_earlier(record),
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
    elif _terms(held) == _terms(fresh):
        state.active[key] = replace(held, positions=_with_position(held, record.position))
    elif held.revocable:
        _end(state, key, fresh.set_at, "replaced")
        state.active[key] = fresh
    else:
        _strengthen(state, key, held, fresh)


def _terms(lockout: Lockout) -> tuple[Allows, str, int | None, bool]:
    return lockout.allows, lockout.reason, lockout.until, lockout.revocable


def _strengthen(state: LockoutsState, key: str, held: Lockout, asked: Lockout) -> None:
    """Set an irrevocable lockout again: of its terms and those asked for the stricter ones hold."""
    until = _later(held.until, asked.until)
    allows = Allows.NOTHING if Allows.NOTHING in {held.allows, asked.allows} else held.allows
    if (until, allows, False) != (asked.until, asked.allows, asked.revocable):
        _mark(state, LockoutAnomalyKind.IRREVOCABLE, held.rule_id, held.scope, asked.positions[0])
    positions = _with_position(held, asked.positions[0])
    state.active[key] = replace(held, until=until, allows=allows, positions=positions)


def _extend(state: LockoutsState, event: LockoutExtended, record: Record) -> None:
    for key in _named(state, event, record):
        held = state.active[key]
        until = _later(held.until, event.until)
        if until != event.until:
            _mark(state, LockoutAnomalyKind.SHORTER, held.rule_id, held.scope, record.position)
        elif _is_over(held, record) and until != held.until:
            # Between its end and now it did not hold, and history must not say that it did.
            _end(state, key, held.ends_at, "expired")
            positions = (record.position,)
            state.active[key] = replace(held, set_at=_earlier(record), until=until, positions=positions, ahead=0)
        else:
            state.active[key] = replace(held, until=until, positions=_with_position(held, record.position))


def _clear(state: LockoutsState, event: LockoutCleared, record: Record) -> None:
    for key in _named(state, event, record):
        held = state.active[key]
        if _is_over(held, record):
            _end(state, key, held.ends_at, "expired", record)
        elif held.revocable:
            _end(state, key, record.occurred_at, f"cleared by {event.by or record.actor}", record)
        else:
            _mark(state, LockoutAnomalyKind.IRREVOCABLE, held.rule_id, held.scope, record.position)


def _expire(state: LockoutsState, event: LockoutExpired, record: Record) -> None:
    for key in _named(state, event, record):
        held = state.active[key]
        if _is_over(held, record):
            _end(state, key, held.ends_at, "expired", record)
        else:
            _mark(state, LockoutAnomalyKind.TOO_EARLY, held.rule_id, held.scope, record.position)


def _jump(state: LockoutsState, event: ClockJumped, record: Record) -> None:
    """Let what was in force last as much longer as the wall clock was moved ahead, and no longer once it is back."""
    by = event.after - event.before
    for key, held in list(state.active.items()):
        ends_at = held.ends_at
        if ends_at is not None and (by < 0 or ends_at > event.before):
            state.active[key] = replace(held, ahead=held.ahead + by, positions=_with_position(held, record.position))
    ended, state.ended = state.ended, []
    for held in ended:
        moved = held if held.ended_by != "expired" else replace(held, ahead=held.ahead + by)
        if not _ended_early(moved, event) or not _restore(state, moved, record):
            state.ended.append(moved)
    state.jumped = (event.before, event.after, record.position)


def _ended_early(held: Lockout, jump: ClockJumped) -> bool:
    """Tell whether a lockout expired only by a clock that had been moved, before anyone said that it had been."""
    by_clock = held.ended_by == "expired" and (held.ended_at or 0) > jump.before
    return by_clock and (held.ends_at or 0) > jump.after


def _restore(state: LockoutsState, held: Lockout, record: Record) -> bool:
    """Put a lockout in force again, unless another took a revocable one's place; an irrevocable one gets stricter."""
    key = held.rule_id + "\0" + held.scope
    fresh = state.active.get(key)
    if fresh is not None and held.revocable:
        return False
    positions = _with_position(held, record.position)
    state.active[key] = held = replace(held, ended_at=None, ended_by=None, positions=positions)
    if fresh is not None:
        _strengthen(state, key, held, fresh)
    return True


def _named(
    state: LockoutsState, event: LockoutExtended | LockoutCleared | LockoutExpired, record: Record
) -> Iterator[str]:
    """Yield the keys an event means: by default the stream's rule and every scope of it."""
    rule_id = record.entity.replace("%2F", "/") if event.rule_id is None else event.rule_id
    keys = [
        key
        for key, lockout in state.active.items()
        if lockout.rule_id == rule_id and event.scope in {None, lockout.scope}
    ]
    if not keys:
        _mark(state, LockoutAnomalyKind.NOT_SET, rule_id, event.scope, record.position)
    yield from keys


def _later(one: int | None, other: int | None) -> int | None:
    """Return the later of two ends, where None is no end at all."""
    return None if one is None or other is None else max(one, other)


def _end(state: LockoutsState, key: str, at: int | None, by: str, record: Record | None = None) -> None:
    held = state.active.pop(key)
    positions = held.positions if record is None else _with_position(held, record.position)
    state.ended.append(replace(held, ended_at=at, ended_by=by, positions=positions))
    if by == "expired" and not held.revocable:
        state.expired_to = max(state.expired_to, at or 0)


def _expired_later(state: LockoutsState, at_ns: int) -> list[Lockout]:
    """Return the irrevocable lockouts that expired after an instant: a clock set ahead and back opens no account.

    As with those in force, one holds before it was set too.
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


def _with_position(held: Lockout, position: int) -> tuple[int, ...]:
    """Return what touched a lockout with one more: the first, which set it, and the last ones."""
    return (held.positions[0], *held.positions[1:][2 - POSITIONS_MAX :], position)


def _make_room(state: LockoutsState, record: Record) -> None:
    """Before there are too many, end those whose time has passed; nobody may have said so."""
    if len(state.active) < LOCKOUTS_MAX:
        return
    for key, lockout in list(state.active.items()):
        if _is_over(lockout, record):
            _end(state, key, lockout.ends_at, "expired")
    if len(state.active) >= LOCKOUTS_MAX:
        raise TooManyLockouts(record.account, record.position)


def _mark(state: LockoutsState, kind: LockoutAnomalyKind, rule_id: str, scope: str | None, position: int) -> None:
    anomaly = LockoutAnomaly(kind, rule_id, scope, position)
    state.anomalies = (*state.anomalies[1 - ANOMALIES_MAX :], anomaly)
    state.anomaly_count += 1
