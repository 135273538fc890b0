"""What each event makes of an account's lockouts: pure changes of its state. An irrevocable lockout never weakens."""

from collections.abc import Iterator

from msgspec.structs import replace

from eventstore import Record
from eventstore.streams import SEPARATOR, unescaped
from eventstore.trading import (
    AccountReopened,
    AccountUpdated,
    Allows,
    EquityCorrected,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from eventstore.trading.lockouts import ACCOUNT, is_scope
from projections.views.approvals import is_policy
from projections.views.limits.parameters import kind_of
from projections.views.lockouts.lockout import Lockout, LockoutAnomaly, LockoutAnomalyKind
from projections.views.lockouts.state import END_OF_TIME, LockoutsState

ANOMALIES_MAX = 1_000
POSITIONS_MAX = 100
CORRECTED = "released by the correction of"
REOPENED = "ended when the account was reopened by"
_FROM_PRICES = ("quotes", "marks", "other_currencies")
"""What the details of a lockout name where it came of a price, a mark or a rate."""
BROKER = "broker"
"""The rule of the lockout that an account is under while its broker reports that it may not trade."""

# Its own key, apart from any other lockout under that rule: the broker's report ends the broker's lockout only.
BROKER_KEY = f"{BROKER}{SEPARATOR}account{SEPARATOR}reported"
_BROKER_SAYS = LockoutSet(rule_id=BROKER, reason="the broker says that the account may not trade")


def _earlier_time(record: Record) -> int:
    """Return the instant that both of a record's times have reached.

    Neither a clock that runs ahead nor a wrong `occurred_at` can then end a lockout early.
    """
    return min(record.occurred_at, record.recorded_at)


def is_over(lockout: Lockout, record: Record) -> bool:
    ends_at = lockout.ends_at
    return ends_at is not None and _earlier_time(record) >= ends_at


def is_news(state: LockoutsState, update: AccountUpdated, record: Record) -> bool:
    """Return whether an account's update locks or unlocks it; most of these frequent updates do neither."""
    if update.can_trade is None:
        return False
    held = state.active.get(BROKER_KEY)
    if update.can_trade:
        # An older report, recorded late, does not unlock the account again.
        return held is not None and record.occurred_at >= held.set_at
    return True


def apply_report(
    state: LockoutsState, update: AccountUpdated | AccountReopened | EquityCorrected, record: Record
) -> None:
    """Fold what other events say: a correction, a new beginning, the broker's word."""
    if isinstance(update, AccountReopened):
        begin_again(state, record, record.position)
    elif isinstance(update, EquityCorrected):
        release(state, update, record)
    elif update.can_trade:
        end(state, BROKER_KEY, record.occurred_at, "cleared by the broker", record)
    else:
        set_lockout(state, BROKER_KEY, _BROKER_SAYS, record)


def apply_own(
    state: LockoutsState, event: LockoutSet | LockoutExtended | LockoutCleared | LockoutExpired, record: Record
) -> bool:
    """Fold an event about a lockout, after those that its time shows to be in force again.

    Returns whether a lockout that it would end stays until a second person approves that.
    """
    reinstate(state, record)
    match event:
        case LockoutSet():
            set_lockout(state, key_of(event.rule_id, scope_read(event.scope)), event, record)
        case LockoutExtended():
            extend(state, event, record)
        case LockoutCleared():
            return clear(state, event, record)
        case LockoutExpired():
            expire(state, event, record)
    return False


def key_of(rule_id: str, scope: str) -> str:
    """Return the key of a lockout among those in force."""
    return rule_id + SEPARATOR + scope


def scope_read(scope: str) -> str:
    """Return a scope as it is read: one of an old log that means nothing is the whole account."""
    return scope if is_scope(scope) else ACCOUNT


def set_lockout(state: LockoutsState, key: str, event: LockoutSet, record: Record) -> None:
    fresh = Lockout(
        account=record.account,
        rule_id=event.rule_id,
        scope=scope_read(event.scope),
        allows=event.allows,
        reason=event.reason,
        set_at=_earlier_time(record),
        until=event.until,
        revocable=event.revocable,
        cause=record.id,
        positions=(record.position,),
        details=event.details,
        set_by=record.actor,
    )
    held = state.active.get(key)
    if held is None:
        state.active[key] = fresh
    elif is_over(held, record):
        end(state, key, held.ends_at, "expired")
        state.active[key] = fresh
    # Set again on the same terms: still the same lockout, with one more record.
    elif _terms(held) == _terms(fresh):
        state.active[key] = replace(held, positions=with_position(held, record.position))
    elif held.revocable and not (_is_weaker(fresh, held) and needs_approval(state, held, record)):
        end(state, key, fresh.set_at, "replaced")
        state.active[key] = fresh
    else:
        _strengthen(state, key, held, fresh)


def needs_approval(state: LockoutsState, held: Lockout, record: Record) -> bool:
    """Return whether a record cannot end or weaken a lockout alone: a policy can, if it has set it itself."""
    is_own = is_policy(record.actor) and record.actor == held.set_by
    return bool(state.approvals.approver) and not is_own


def _is_weaker(fresh: Lockout, held: Lockout) -> bool:
    allows_more = held.allows is Allows.NOTHING and fresh.allows is not Allows.NOTHING
    return allows_more or _later(held.ends_at, fresh.ends_at) != fresh.ends_at


def _terms(lockout: Lockout) -> tuple[Allows, str, int | None, bool]:
    return lockout.allows, lockout.reason, lockout.until, lockout.revocable


def _strengthen(state: LockoutsState, key: str, held: Lockout, requested: Lockout) -> None:
    """Set a lockout again that must not weaken: the stricter of its own terms and the requested ones hold."""
    until = _later(held.until, requested.until)
    allows = Allows.NOTHING if Allows.NOTHING in {held.allows, requested.allows} else held.allows
    revocable = held.revocable and requested.revocable
    if (until, allows, revocable) != (requested.until, requested.allows, requested.revocable):
        kind = LockoutAnomalyKind.UNAPPROVED if held.revocable else LockoutAnomalyKind.IRREVOCABLE
        mark(state, kind, held.rule_id, held.scope, requested.positions[0])
    positions = with_position(held, requested.positions[0])
    ahead = max(held.ahead, requested.ahead)
    state.active[key] = replace(held, until=until, allows=allows, revocable=revocable, positions=positions, ahead=ahead)


def extend(state: LockoutsState, event: LockoutExtended, record: Record) -> None:
    if state.forgotten_to:
        # One whose time has passed may be meant, which an extension puts in force again.
        state.forgotten_to = END_OF_TIME
    for key in _named(state, event, record):
        held = state.active[key]
        until = _later(held.until, event.until)
        if until != event.until:
            mark(state, LockoutAnomalyKind.SHORTER, held.rule_id, held.scope, record.position)
        elif is_over(held, record) and until != held.until:
            # It did not hold between its end and now, and history must not claim that it did.
            end(state, key, held.ends_at, "expired")
            positions = (record.position,)
            state.active[key] = replace(held, set_at=_earlier_time(record), until=until, positions=positions, ahead=0)
        else:
            state.active[key] = replace(held, until=until, positions=with_position(held, record.position))


def clear(state: LockoutsState, event: LockoutCleared, record: Record, approved_by: str = "") -> bool:
    """End the lockouts that an event names; return whether one of them stays until a second person approves it."""
    waits = False
    for key in _named(state, event, record):
        held = state.active[key]
        if is_over(held, record):
            end(state, key, held.ends_at, "expired", record)
        elif held.revocable and not approved_by and needs_approval(state, held, record):
            waits = True
        elif held.revocable:
            by = event.by or record.actor
            end(state, key, record.occurred_at, f"cleared by {by}{_and_approved(approved_by)}", record)
        else:
            mark(state, LockoutAnomalyKind.IRREVOCABLE, held.rule_id, held.scope, record.position)
    return waits


def _and_approved(approved_by: str) -> str:
    return f", approved by {approved_by}" if approved_by else ""


def release(state: LockoutsState, event: EquityCorrected, record: Record) -> None:
    """End the lockouts that a wrong record led to, irrevocable ones too: the correction names who made it.

    One that it names itself must have come of prices, marks or rates: a correction of those ends neither what a person
    set nor what the broker reports.
    """
    if event.wrong is None:
        return
    wrong = event.wrong
    by = f"{CORRECTED} {record.actor}"

    def is_meant(held: Lockout) -> bool:
        return wrong.hex in _marks_of(held) or (held.cause == wrong.bytes and _is_of_prices(held))

    for key, held in list(state.active.items()):
        if is_meant(held):
            end(state, key, record.occurred_at, by, record)
    # What expired by a clock that ran ahead would otherwise hold again once that is right.
    state.before_reopening = tuple([each for each in state.before_reopening if not is_meant(each[1])])
    meant = [held for held in state.expired if is_meant(held)]
    state.expired = [held for held in state.expired if held not in meant]
    kept, state.ended = state.ended, []
    for held in [*kept, *meant]:
        is_wrong = (held.ended_by == "expired" or is_cleared_by_rule(held)) and is_meant(held)
        state.ended.append(_ended_earlier(held, record.occurred_at, by, record) if is_wrong else held)


def is_cleared_by_rule(lockout: Lockout) -> bool:
    """Return whether the rule of a limit has cleared its own lockout: it does that under the kind of its rule id."""
    kind = kind_of(lockout.rule_id)
    return kind != BROKER and lockout.ended_by == f"cleared by {kind}"


def _ended_earlier(held: Lockout, at: int, by: str, record: Record) -> Lockout:
    """Return a lockout that expired as one that was ended, at an instant before that if it comes before it."""
    at = min(held.ended_at or 0, at)
    return replace(held, ended_at=at, ended_by=by, positions=with_position(held, record.position))


def begin_again(state: LockoutsState, record: Record, reopened: int) -> None:
    """End every lockout, irrevocable ones too: the firm has started the account again, and the event names who did.

    `reopened` is the log position of that event.
    """
    at, by = _earlier_time(record), f"{REOPENED} {record.actor}"
    for key, lockout in list(state.active.items()):
        if is_over(lockout, record):
            end(state, key, lockout.ends_at, "expired")
    holding = [*state.active.values(), *(each for each in state.expired if at < (each.ended_at or 0))]
    held = [(reopened, each) for each in holding if not each.revocable]
    state.before_reopening = (*state.before_reopening, *held)
    for key in list(state.active):
        end(state, key, at, by, record)
    for each in state.expired:
        state.ended.append(_ended_earlier(each, at, by, record) if at < (each.ended_at or 0) else each)
    state.expired, state.expired_to = [], 0
    state.reopened_records = (*state.reopened_records[1 - POSITIONS_MAX :], reopened)


def ended_by_reopening(lockout: Lockout, record: Record) -> Lockout:
    """Return a lockout of before a reopening as one that this has ended, unless it was over by then."""
    at = _earlier_time(record)
    if lockout.ended_at is not None and lockout.ended_at <= at:
        return lockout
    if is_over(lockout, record):
        return replace(lockout, ended_at=lockout.ends_at, ended_by="expired")
    return _ended_earlier(replace(lockout, ended_at=at), at, f"{REOPENED} {record.actor}", record)


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
        if is_over(held, record):
            end(state, key, held.ends_at, "expired", record)
        else:
            mark(state, LockoutAnomalyKind.TOO_EARLY, held.rule_id, held.scope, record.position)


def reinstate(state: LockoutsState, record: Record) -> None:
    """Put irrevocable lockouts in force again that expired by a clock that ran ahead: this record shows that it did."""
    at = _earlier_time(record)
    ask_log(state, at)
    if at < state.expired_to:
        early, state.expired = state.expired, [held for held in state.expired if at >= (held.ended_at or 0)]
        for held in early:
            if at < (held.ended_at or 0):
                restore(state, held, record)


def ask_log(state: LockoutsState, at: int) -> None:
    """Answer from the log from now on, if a lockout that this state has forgotten may be in force again at an instant.

    What later events make of that one is not known here.
    """
    if at < state.forgotten_to:
        state.forgotten_to = END_OF_TIME


def restore(state: LockoutsState, held: Lockout, record: Record) -> bool:
    """Put a lockout in force again.

    If another one has been set since, a revocable lockout stays ended, and an irrevocable one takes the stricter terms.
    """
    key = key_of(held.rule_id, held.scope)
    fresh = state.active.get(key)
    if fresh is not None and held.revocable:
        return False
    if fresh is None and held.ended_by == "expired" and held.ended_at is not None:
        state.returned[key] = (held.cause, held.ended_at)
    positions = with_position(held, record.position)
    state.active[key] = held = replace(held, ended_at=None, ended_by=None, positions=positions)
    if fresh is not None:
        _strengthen(state, key, held, fresh)
    return True


def _named(
    state: LockoutsState, event: LockoutExtended | LockoutCleared | LockoutExpired, record: Record
) -> Iterator[str]:
    """Yield the keys of the lockouts that an event names: by default every scope of the stream's rule."""
    rule_id = unescaped(record.entity) if event.rule_id is None else event.rule_id
    scope = None if event.scope is None else scope_read(event.scope)
    keys = [
        key for key, lockout in state.active.items() if lockout.rule_id == rule_id and scope in {None, lockout.scope}
    ]
    # What this state has forgotten may be the lockout that is meant.
    if not keys and state.forgotten_to != END_OF_TIME:
        mark(state, LockoutAnomalyKind.NOT_SET, rule_id, event.scope, record.position)
    yield from keys


def _later(one: int | None, other: int | None) -> int | None:
    """Return the later of two ends; None means no end date."""
    return None if one is None or other is None else max(one, other)


def end(state: LockoutsState, key: str, at: int | None, by: str, record: Record | None = None) -> None:
    held = state.active.pop(key)
    # It does not matter any more that it was in force again.
    state.returned.pop(key, None)
    positions = held.positions if record is None else with_position(held, record.position)
    ended = replace(held, ended_at=at, ended_by=by, positions=positions)
    if by == "expired" and not held.revocable:
        state.expired.append(ended)
        # Lets lookups skip the expired lockouts unless the instant lies before this one: see expired_later.
        state.expired_to = max(state.expired_to, at or 0)
    else:
        state.ended.append(ended)


def with_position(held: Lockout, log_position: int) -> tuple[int, ...]:
    """Return the log positions with one more: the first, which set the lockout, and the last ones."""
    return (held.positions[0], *held.positions[1:][2 - POSITIONS_MAX :], log_position)


def mark(state: LockoutsState, kind: LockoutAnomalyKind, rule_id: str, scope: str | None, log_position: int) -> None:
    anomaly = LockoutAnomaly(kind, rule_id, scope, log_position)
    state.anomalies = (*state.anomalies[1 - ANOMALIES_MAX :], anomaly)
    state.anomaly_count += 1
