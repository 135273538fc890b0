"""Limits that are not judged are recorded: since when and why, and since when they are judged again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from eventstore import StoreError
from eventstore.clock import NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import LimitJudged, LimitsSet, LimitUnjudged
from projections.risk.cache import RiskCache
from projections.risk.caches import risk_cache
from projections.risk.limits.breaches import now_of
from projections.risk.policies import Decision, LeasedPolicy, TriggerKind, stopped_policies
from projections.valuation import Status
from projections.view import SHARED, PartitionParked
from projections.views.groups import GroupsView
from projections.views.limits.parameters import is_disabled, rule_id_of
from projections.views.limits.view import LimitsView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.recorded import RecordedUnjudged
    from projections.views.limits.view import LimitsState

ALL = "limits"
"""The rule id under which it is recorded that the limits themselves cannot be read: a failure of their view."""
SETTLED_NS = 5 * NANOSECONDS
"""How long a limit must be unjudged, or judged again, without interruption, until that is recorded."""
PERIODS_MAX, PERIODS_NS = 10, 3_600 * NANOSECONDS
OFTEN_SETTLED_NS = 60 * NANOSECONDS
"""How long a limit that was unjudged more often than PERIODS_MAX within PERIODS_NS must be judged again."""
EVERY_NS = NANOSECONDS
"""How often headroom is computed while no record, and no price, can have changed it."""
WHY_MAX = 2_000
JUDGED = "it is judged again"


class _Standing(NamedTuple):
    """Whether a limit in force is judged: the log position of its setting, and why it is not, empty if it is."""

    rule_id: str
    limit_position: int | None
    why: str = ""


class _Change(msgspec.Struct):
    """What differs from what is recorded of a limit. It is counted from `began_at`, and happened at `since`."""

    limit_position: int | None
    began_at: int
    since: int
    why: str


class _Watched(msgspec.Struct):
    """One account: its limits' standings, and what they were computed from; what may have to be recorded.

    It was looked at at `now`, which is `since` in the log: one whose clock was set back is at its newest record.
    """

    now: int = 0
    since: int = 0
    standings: dict[str, _Standing] = {}
    cache: RiskCache | None = None
    stopped: dict[str, str] = {}
    computed_at: int = 0
    changes: dict[str, _Change] = {}
    periods: dict[str, tuple[int, ...]] = {}
    """When the last periods of each limit began that this process recorded."""


class UnjudgedLimits(LeasedPolicy):
    """Appends LimitUnjudged once a limit in force was not judged for 5 s, and LimitJudged once it was again for 5 s.

    New exposure is rejected at once by the check before an order. What comes and goes within 5 s is not recorded, nor
    is a reason that changes meanwhile; one that was unjudged more than ten times within an hour must be judged for a
    minute to count as judged again, so that it has at most two such events in 65 s from then on. A limit that is
    replaced, disabled or otherwise no longer in force ends at once. Limits that only warn count as well.

    Since when a limit is unjudged is each process's own: after a restart the 5 s start again. What is recorded already
    is in the log, and is not recorded again.
    """

    name = "unjudged"
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet,)
    timed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._accounts: dict[str, _Watched] = {}

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        account = trigger.account
        if account == SHARED:
            return
        if trigger.kind is TriggerKind.START:
            # The policies may have been stopped for a while: nobody has looked at the account meanwhile.
            self._accounts.pop(account, None)
        try:
            yield from _at_setting(book, trigger) if trigger.record is not None else self._now(book, account, trigger)
        except PartitionParked as error:
            if error.view not in {LimitsView.name, GroupsView.name}:
                raise
            if trigger.record is None:
                yield from self._without_limits(book, account, error, now_of(trigger))

    def _now(self, book: Book, account: str, trigger: Trigger) -> Iterator[Decision]:
        now = now_of(trigger)
        cache, recorded = risk_cache(book, account, now), _recorded(book, account)
        if not (cache.limits or cache.group_limits or recorded):
            self._accounts.pop(account, None)
            return
        watched = self._accounts.setdefault(account, _Watched())
        _compute(watched, book, account, cache, now)
        watched.now, watched.since = now, max(now, _recorded_to(book, account))
        for known in recorded.values():
            standing = watched.standings.get(known.rule_id)
            if standing is None or not _is_of(known, standing.limit_position):
                watched.changes.pop(known.rule_id, None)
                yield _judged(account, known, _why_ended(known, standing), watched.since)
        for rule_id, standing in watched.standings.items():
            yield from _settled(watched, account, standing, recorded.get(rule_id))

    def _without_limits(self, book: Book, account: str, error: PartitionParked, now: int) -> Iterator[Decision]:
        """Record that nobody can say which limits an account has.

        What would say that it is recorded already has failed itself. So the time of the record at which it failed
        counts as since when: each process, and each restart, comes to the same event.
        """
        watched = self._accounts.setdefault(account, _Watched())
        change = watched.changes.get(ALL)
        if change is None or change.limit_position != error.position:
            failed = next(iter(book.reader.read(after=error.position - 1, limit=1)), None)
            since = now if failed is None else failed.recorded_at
            change = watched.changes[ALL] = _Change(error.position, now, since, str(error))
        change.began_at = min(change.began_at, now)
        if now - change.began_at >= SETTLED_NS and change.since not in watched.periods.get(ALL, ()):
            watched.periods[ALL] = (change.since,)
            yield _unjudged(account, ALL, change)


def _at_setting(book: Book, trigger: Trigger) -> Iterator[Decision]:
    """End what is recorded of a limit that a record replaces or disables.

    Nothing here depends on a process's own quotes: each that evaluates the record decides the same.
    """
    record, event, account = trigger.record, trigger.event, trigger.account
    if record is None or not isinstance(event, LimitsSet):
        return
    known = _recorded(book, account).get(event.rule_id)
    if known is None:
        return
    limit = book.limits.get(account, event.rule_id, record.recorded_at)
    if limit is None or not _is_of(known, limit.position):
        standing = None if limit is None or is_disabled(limit.parameters) else _Standing(limit.rule_id, limit.position)
        yield _judged(account, known, _why_ended(known, standing), record.recorded_at)


def _compute(watched: _Watched, book: Book, account: str, cache: RiskCache, now: int) -> None:
    """Compute each limit's standing where a record, a price or the time may have changed it."""
    stopped = stopped_policies(book, account)
    is_fresh = watched.cache is cache and watched.stopped == stopped and 0 <= now - watched.computed_at < EVERY_NS
    if is_fresh and not _rests_on_prices(cache):
        return
    positions = {rule_id_of(limit): limit.position for limit in (*cache.limits, *cache.group_limits)}
    watched.standings = {
        each.rule_id: _Standing(
            each.rule_id,
            positions.get(each.rule_id),
            "" if each.status is Status.KNOWN else each.why or str(each.status),
        )
        for each in book.limits.headroom(account, now)
    }
    for rule_id in [rule_id for rule_id in watched.changes if rule_id not in watched.standings]:
        del watched.changes[rule_id]
    watched.cache, watched.stopped, watched.computed_at = cache, stopped, now


def _rests_on_prices(cache: RiskCache) -> bool:
    """Return whether prices or rates, which grow old without any record, are part of an account's figures."""
    try:
        return bool(cache.held or cache.working_orders or cache.is_converted)
    except StoreError:
        return True


def _settled(
    watched: _Watched, account: str, standing: _Standing, known: RecordedUnjudged | None
) -> Iterator[Decision]:
    """Record what has become of a limit, once it has lasted."""
    (rule_id, position, why), now, since = standing, watched.now, watched.since
    if known is not None and not _is_of(known, position):
        known = None
    if bool(why) is (known is not None):
        watched.changes.pop(rule_id, None)
        return
    change = watched.changes.get(rule_id)
    # A clock that was set back begins to count again. An instant that the log never reached could come again, and with
    # it the key of another period.
    if change is None or change.limit_position != position or now < change.began_at:
        change = watched.changes[rule_id] = _Change(position, now, since, why)
    lasted = now - change.began_at
    if known is not None:
        periods = watched.periods.get(rule_id, ())
        if lasted >= (OFTEN_SETTLED_NS if len(periods) > PERIODS_MAX else SETTLED_NS):
            yield _judged(account, known, JUDGED, change.since)
    elif lasted >= SETTLED_NS:
        recent = [at for at in watched.periods.get(rule_id, ()) if at != change.since and since - at < PERIODS_NS]
        watched.periods[rule_id] = (*recent[-PERIODS_MAX:], change.since)
        yield _unjudged(account, rule_id, change)


def _is_of(known: RecordedUnjudged, limit_position: int | None) -> bool:
    """Return whether what is recorded is about the setting at a log position."""
    return known.limit_position in {None, limit_position}


def _why_ended(known: RecordedUnjudged, standing: _Standing | None) -> str:
    if known.rule_id == ALL:
        return "the account's limits can be read again"
    if standing is None:
        return "it is disabled, or no longer in force"
    return f"it was set again at position {standing.limit_position}"


def _unjudged(account: str, rule_id: str, change: _Change) -> Decision:
    position = change.limit_position

    def is_recorded(book: Book) -> bool:
        known = _recorded(book, account).get(rule_id)
        return known is not None and known.limit_position == position

    event = LimitUnjudged(rule_id=rule_id, why=change.why[:WHY_MAX], since=change.since, limit_position=position)
    return Decision(
        ((stream_of("limits", account, rule_id), event),),
        # A view that cannot be read cannot say it: there the key alone makes it once.
        obsolete_if=None if rule_id == ALL else is_recorded,
        key=f"{account}/{rule_id}/{position}/{change.since}",
    )


def _judged(account: str, known: RecordedUnjudged, why: str, since: int) -> Decision:
    def is_over(book: Book) -> bool:
        newest = _recorded(book, account).get(known.rule_id)
        return newest is None or newest.position != known.position

    event = LimitJudged(rule_id=known.rule_id, why=why, since=since, limit_position=known.limit_position)
    # The period that it ends: the other event of it has the same key otherwise.
    key = f"{account}/{known.rule_id}/{known.limit_position}/{known.since}/judged"
    return Decision(((stream_of("limits", account, known.rule_id), event),), obsolete_if=is_over, key=key)


def _recorded(book: Book, account: str) -> dict[str, RecordedUnjudged]:
    state: LimitsState | None = book.state(LimitsView.name, account)
    return {} if state is None else state.unjudged


def _recorded_to(book: Book, account: str) -> int:
    state: LimitsState | None = book.state(LimitsView.name, account)
    return 0 if state is None else state.clock.reached
