"""The settings of one rule: which is in force at an instant, and what becomes of them once a clock is put right."""

from collections.abc import Iterable
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from eventstore import Record
from eventstore.clock import NANOSECONDS
from eventstore.trading import LimitsSet, SessionOpened, SessionReset
from projections.views.limits.limit import Limit
from projections.views.limits.loosening import loosened
from projections.views.log_clock import LogClock, WrongTime

IN_TIME = 60 * NANOSECONDS
"""How long after its begin a trading day is recorded at most, if nothing kept its process from it."""

Begins = tuple[tuple[str, int], ...]
"""The recorded trading days and when each began."""


class RuleSettings(msgspec.Struct, frozen=True):
    """One rule's newest settings, oldest first; from `known_from` on no other setting was in force or waiting."""

    settings: tuple[Limit, ...] = ()
    known_from: int = 0


def with_setting(
    rule: RuleSettings, event: LimitsSet, record: Record, begins: Begins, clock: LogClock, *, settings_max: int | None
) -> RuleSettings:
    """Return a rule with one more setting, in force or waiting."""
    # The log's own time decides, not `occurred_at`: a loosening cannot be backdated.
    now, dated = clock.time_of(record), not clock.explains(record.recorded_at, record.position)
    held = in_force(rule.settings, now)
    fresh = Limit(
        account=record.account,
        rule_id=event.rule_id,
        revision=event.revision,
        parameters=event.parameters,
        set_at=now,
        effective_from=event.effective_from,
        loosened=() if held is None else loosened(event.rule_id, held.parameters, event.parameters),
        in_force_at=None,
        actor=record.actor,
        note=record.note,
        position=record.position,
        dated=dated,
    )
    settings = (*superseded(rule.settings, now), resolved(fresh, begins if dated else (), clock))
    return trimmed(replace(rule, settings=settings), now, settings_max)


def begin_of(event: SessionOpened | SessionReset, record: Record) -> tuple[str, int]:
    """Return the name of a trading day and when it began, as an event about it says."""
    if isinstance(event, SessionReset):
        return event.trading_day.isoformat(), event.scheduled_for
    began_at = event.opens_at if event.began_at is None else event.began_at
    return event.trading_day.isoformat(), record.occurred_at if began_at is None else began_at


def is_in_time(record: Record, began_at: int) -> bool:
    """Return whether a trading day was recorded as it began."""
    return min(record.occurred_at, record.recorded_at) - began_at <= IN_TIME


def in_force(settings: tuple[Limit, ...], at_ns: int) -> Limit | None:
    """Return the setting that holds at an instant, None without one."""
    return next((limit for limit in reversed(settings) if limit.is_in_force(at_ns)), None)


def superseded(settings: tuple[Limit, ...], now: int) -> tuple[Limit, ...]:
    """Return a rule's settings as the next one leaves them: if the last one still waits, it is superseded."""
    if not settings or not settings[-1].is_pending(now):
        return settings
    return (*settings[:-1], replace(settings[-1], superseded_at=now))


def resolved(limit: Limit, sessions: Begins, clock: LogClock) -> Limit:
    """Return a setting with the instant at which it comes into force, if the recorded sessions determine it."""
    if not limit.loosens:
        return replace(limit, in_force_at=limit.ready_at)
    # Of the days that begin late enough the earliest, in whatever order they were recorded.
    since = waits_until(limit, clock)
    return replace(limit, in_force_at=min([at for _, at in sessions if at >= since], default=None))


def waits_until(limit: Limit, clock: LogClock) -> int:
    """Return the instant before which no trading day that begins brings a loosening into force."""
    # A clock that was set ahead since may have been behind before: nothing says that an earlier day began after the
    # setting.
    return max(limit.ready_at, clock.not_before(limit.position))


def put_right(rule: RuleSettings, sessions: Begins, clock: LogClock) -> RuleSettings:
    """Return a rule's settings once a clock that ran ahead was put right; `sessions` are the days that have begun.

    What was recorded under the wrong time counts as set when the clock was put right, compared with what is in force
    then. A loosening that came into force under it waits again; one that was set under it waits for a day that begins
    after that time, because the clock may have been right before and be wrong now.
    """
    now = clock.put_right_to
    kept: tuple[Limit, ...] = ()
    for each in rule.settings:
        at = min(each.set_at, now)
        kept = (*superseded(kept, at), _put_right(rule, each, kept, sessions, clock))
    return replace(rule, settings=kept)


def _put_right(rule: RuleSettings, limit: Limit, before: tuple[Limit, ...], sessions: Begins, clock: LogClock) -> Limit:
    now = clock.put_right_to
    if limit.superseded_at is not None and limit.superseded_at > now:
        limit = replace(limit, superseded_at=None)
    if not is_wrong(limit, now):
        return limit
    held = in_force(before, now)
    looser = (
        limit.loosened if not before or held is None else loosened(limit.rule_id, held.parameters, limit.parameters)
    )
    not_before = limit.not_before
    if looser and limit.set_at > now:
        not_before = max(limit.set_at, not_before or 0)
    fresh = replace(limit, set_at=min(limit.set_at, now), loosened=looser, not_before=not_before, in_force_at=None)
    after = resolved(fresh, sessions if limit.dated else (), clock)
    if after.in_force_at is None and limit.in_force_at is not None and not before and rule.known_from:
        # What was in force before is not kept: a rule must not be left without any setting.
        return replace(after, in_force_at=now)
    return after


def is_wrong(limit: Limit, now: int) -> bool:
    """Return whether a setting was recorded, or a loosening came into force, later than a clock that was put right."""
    return limit.set_at > now or (limit.loosens and limit.in_force_at is not None and limit.in_force_at > now)


def wrong_times(rules: Iterable[RuleSettings], now: int, log_position: int) -> tuple[WrongTime, ...]:
    """Return what a clock that was put right proves wrong, by a record's log position: in the order of the log."""
    wrong = [limit for rule in rules for limit in rule.settings if is_wrong(limit, now)]
    return tuple([_wrong_time(limit, now, log_position) for limit in sorted(wrong, key=attrgetter("position"))])


def _wrong_time(limit: Limit, now: int, log_position: int) -> WrongTime:
    if limit.set_at > now:
        return WrongTime(f"the setting of {limit.rule_id}", limit.set_at, now, (limit.position,), log_position)
    in_force_at = limit.in_force_at or 0
    return WrongTime(f"the loosening of {limit.rule_id}", in_force_at, now, (limit.position,), log_position)


def trimmed(rule: RuleSettings, now: int, settings_max: int | None) -> RuleSettings:
    """Return a rule bounded to its newest settings, always including the one in force."""
    settings, known_from = list(rule.settings), rule.known_from
    while settings_max is not None and len(settings) > settings_max:
        held = in_force(tuple(settings), now)
        # The setting in force may be the oldest one, when all newer ones still wait or were superseded.
        index = 1 if settings[0] is held else 0
        gone = settings.pop(index)
        known_from = max(known_from, gone.set_at, _over_at(gone, settings[index:]))
    return RuleSettings(tuple(settings), known_from)


def _over_at(gone: Limit, later: list[Limit]) -> int:
    """Return the instant from which on a dropped setting is neither in force nor waiting."""
    if gone.superseded_at is not None:
        return gone.superseded_at
    return next(limit.in_force_at for limit in later if limit.superseded_at is None and limit.in_force_at is not None)
