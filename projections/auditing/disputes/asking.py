"""The dispute put together: the day, its course, the limits and lockouts that held, and what the statement says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import InvalidEvent, StoreError
from eventstore.clock import derived_times
from eventstore.streams import check_name, stream_of
from eventstore.trading import LimitReported
from projections.auditing.causes import why
from projections.auditing.disputes.answer import Dispute, DisputedLockout, FirmReport, LimitInForce
from projections.auditing.disputes.course import DayCourse, DayPlaces, firm_report, records_at
from projections.auditing.disputes.days import DisputedDay, date_of, day_of
from projections.auditing.disputes.stated import statement_of_day
from projections.auditing.disputes.unknown import unknown_of_account, unknown_of_entries, unknown_of_policies
from projections.auditing.effects import effects
from projections.auditing.statements import signed_days
from projections.auditing.timeline import entry_of
from projections.replay import as_of
from projections.sessions import zone_of
from projections.view import GROUP, SHARED
from projections.views.limits.parameters import rule_id_of

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from eventstore import EventReader
    from projections.auditing.causes import Why
    from projections.auditing.statements import SignedDay, Stated, Statement
    from projections.auditing.timeline import Entry
    from projections.views.limits.limit import Limit
    from projections.views.limits.protection import Mode
    from projections.views.lockouts.lockout import Lockout
    from projections.views.notes import Note

LOCKOUTS_MAX = 100
"""Of how many lockouts that held on the day the causes are searched for."""


def dispute(
    store: EventReader,
    account: str,
    trading_day: datetime.date | str,
    *,
    stated: Stated | None = None,
    zone: tzinfo | None = None,
) -> Dispute:
    """Return all that a log has about an account's trading day, as it is known now.

    That is each record as a sentence, the limits in force and who set them, the headroom after each execution and
    decision, each lockout that held with the records behind it, the firm's own figures, notes and signatures, and,
    with a broker's statement as `stated`, where it differs. What is not known is in `unknown`. Sentences have their
    times in `zone`, by default that of the day's session, else UTC. Raises InvalidEvent for an account without records
    and for a date that is not a trading day of it.
    """
    check_name("account", account)
    day_asked, head = date_of(trading_day), store.head()
    if account == SHARED or next(store.read(account=account, until=head, limit=1), None) is None:
        msg = f"log {store.log} has no records of account {account!r}: name one that it has"
        raise InvalidEvent(msg)
    with derived_times():
        return _Answering(store, account, day_asked, head, zone).answer(stated)


class _Answering:
    """Collects what is known of one day, and what is not."""

    def __init__(self, store: EventReader, account: str, day: datetime.date, head: int, zone: tzinfo | None) -> None:
        self._store, self._account, self._head = store, account, head
        self._book = as_of(store, position=head, account=account)
        self._day = day_of(self._book, account, day)
        self._zone = zone
        if zone is None and self._day.zone is not None:
            self._zone = zone_of(self._day.zone)
        self._unknown: dict[str, None] = {}

    def answer(self, stated: Stated | None) -> Dispute:
        day, account, store = self._day, self._account, self._store
        places, missing = DayPlaces(store, account, day, self._head).chosen()
        course = DayCourse(store, account, day, self._members())
        timeline = tuple(course.entries(records_at(store, account, places), self._zone))
        own = unknown_of_account(store, self._book, account, day)
        policies = unknown_of_policies(store, account, timeline)
        self._note(own, policies, missing, course.unknown, unknown_of_entries(timeline))
        lockouts = tuple(self._lockouts())
        compared = self._compared(stated)
        return Dispute(
            log=store.log,
            log_id=store.log_id,
            account=account,
            trading_day=day.trading_day,
            since=day.since,
            until=day.until,
            is_stated=day.is_stated,
            zone=day.zone,
            log_position=self._head,
            timeline=timeline,
            limits=tuple(self._limits()),
            headroom=tuple(course.headroom),
            lockouts=lockouts,
            firm=(*course.firm, *self._later_reports(places)),
            statement=compared,
            signed=self._signed(),
            notes=tuple(self._notes(timeline)),
            modes=tuple(self._modes()),
            unknown=tuple(self._unknown),
        )

    def _note(self, *sentences: Iterable[str]) -> None:
        for several in sentences:
            self._unknown |= dict.fromkeys(several)

    def _members(self) -> set[str]:
        """Return the accounts of the groups that the account is in: their limits rest on all of them."""
        groups = self._book.groups
        return {member for name in groups.of(self._account) for member in groups.members(name)}

    def _limits(self) -> Iterator[LimitInForce]:
        """Yield each setting that was in force on the day, or set on it, of the account and its groups."""
        names = (self._account, *(GROUP + name for name in self._book.groups.of(self._account)))
        for name in names:
            by_rule: dict[str, list[Limit]] = {}
            for setting in self._book.limits.history(name):
                by_rule.setdefault(setting.rule_id, []).append(setting)
            for _, settings in sorted(by_rule.items()):
                yield from _in_force_on(settings, self._day)

    def _lockouts(self) -> Iterator[DisputedLockout]:
        """Yield the lockouts that held on the day, those that would have held in shadow mode after them."""
        real = [each for each in self._book.lockouts.history(self._account) if _held_on(each, self._day)]
        would = [each for each in self._book.shadow.history(self._account) if _held_on(each, self._day)]
        found = [*((each, False) for each in real), *((each, True) for each in would)]
        if len(found) > LOCKOUTS_MAX:
            self._note([f"why the other {len(found) - LOCKOUTS_MAX:,} of {len(found):,} lockouts of the day were set"])
        for number, (lockout, is_would) in enumerate(found):
            yield DisputedLockout(
                lockout=lockout,
                why=self._why(lockout) if number < LOCKOUTS_MAX else None,
                course=tuple(self._course_of(lockout)),
                set_on_day=self._day.since <= lockout.set_at < self._day.until,
                would=is_would,
            )

    def _why(self, lockout: Lockout) -> Why | None:
        try:
            found = why(self._store, lockout, zone=self._zone) if self._zone else why(self._store, lockout)
        except StoreError as e:
            self._note([f"why {lockout.rule_id} locked {lockout.account}: {e}"])
            return None
        self._note(found.unknown)
        return found

    def _course_of(self, lockout: Lockout) -> Iterator[Entry]:
        records = records_at(self._store, self._account, sorted(set(lockout.positions)))
        for effect in effects(self._store, records, accounts=frozenset({self._account})):
            yield entry_of(effect, self._zone)

    def _later_reports(self, places: list[int]) -> Iterator[FirmReport]:
        """Yield what the firm reported of this day on another one."""
        known = set(places)
        for record in self._store.read(account=self._account, types=(LimitReported,), until=self._head):
            event = record.event
            if not isinstance(event, LimitReported) or record.position in known:
                continue
            at = record.occurred_at if event.reported_at is None else event.reported_at
            is_of_day = self._day.since <= at < self._day.until
            if event.trading_day == self._day.trading_day or (event.trading_day is None and is_of_day):
                past = as_of(self._store, position=record.position, account=self._account)
                yield firm_report(past, record, event)

    def _compared(self, stated: Stated | None) -> Statement | None:
        if stated is None:
            self._note(["what the broker states of the day: no statement was given"])
            return None
        found, missing = statement_of_day(self._store, stated, self._book, self._account, self._day)
        self._note(missing)
        return found

    def _signed(self) -> tuple[SignedDay, ...]:
        found = signed_days(self._store, account=self._account)
        return tuple(each for each in found if each.trading_day == self._day.trading_day)

    def _notes(self, timeline: Iterable[Entry]) -> Iterator[Note]:
        """Yield the notes about the day, its records and their streams, oldest first, each once."""
        targets = {stream_of("day", self._account, str(self._day.trading_day))}
        for entry in timeline:
            targets |= {str(entry.record.uuid), entry.record.stream}
        for note in self._book.notes.of(self._account):
            if note.target in targets:
                yield note

    def _modes(self) -> Iterator[Mode]:
        """Yield the protection modes that held on the day, where one was ever set."""
        found = (self._book.shadow.setting(self._account, at) for at in (self._day.since, self._day.until - 1))
        yield from {each.position: each for each in found if each is not None}.values()


def _in_force_on(settings: list[Limit], day: DisputedDay) -> Iterator[LimitInForce]:
    """Yield the settings of one rule that were in force on a day, and those that were set on it and never were."""
    for number, setting in enumerate(settings):
        since = setting.in_force_at
        if since is None or setting.superseded_at is not None:
            if day.since <= setting.set_at < day.until:
                yield LimitInForce(rule_id=rule_id_of(setting), setting=setting, since=None, until=None)
            continue
        later = [each.in_force_at for each in settings[number + 1 :] if each.superseded_at is None and each.in_force_at]
        until = min(later, default=None)
        if since < day.until and (until is None or until > max(since, day.since)):
            yield LimitInForce(rule_id=rule_id_of(setting), setting=setting, since=since, until=until)


def _held_on(lockout: Lockout, day: DisputedDay) -> bool:
    """Return whether a lockout held at some instant of a day."""
    ends = [each for each in (lockout.ended_at, lockout.ends_at) if each is not None]
    is_set_on = day.since <= lockout.set_at < day.until
    return is_set_on or (lockout.set_at < day.until and min(ends, default=day.until) > day.since)
