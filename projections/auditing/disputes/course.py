"""The course of a disputed day: its records as a timeline, and the headroom at each that may move it, in one fold."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from eventstore import StoreError
from eventstore.clock import derived_times
from eventstore.trading import LimitReported, OrderFilled, RiskChecked
from projections.auditing.amendments import Amendments
from projections.auditing.disputes.answer import FirmReport, HeadroomAt
from projections.auditing.effects import effects
from projections.auditing.marks import marks_of
from projections.auditing.notes import NotesOf
from projections.auditing.timeline import entry_of
from projections.risk.limits.judging import stated_limits
from projections.valuation import Status
from projections.views.limits.parameters import kind_of
from projections.views.shadow import report_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from eventstore import EventReader, Record
    from projections.auditing.disputes.days import DisputedDay
    from projections.auditing.effects import Effect
    from projections.auditing.timeline import Entry
    from projections.book import Book
    from projections.views.limits.headroom import Headroom

RECORDS_MAX = 100_000
"""How many records of a day are shown; the timeline has all."""
OTHERS_MAX = 1_000
"""How many records of other days, recorded on this one, are shown: an import has them by the million."""
_READ_APART = 100
_MOVING = frozenset({
    "account", "breach", "equity", "fee", "limits", "lockout", "pnl", "portfolio", "position", "rate", "session",
    "shadow", "trade",
})  # fmt: skip
"""The categories of streams whose records may change how far an account is from its limits, besides fills."""


class DayPlaces:
    """The log positions of a day's records: those that occurred in it, and those recorded in it about other days."""

    def __init__(self, store: EventReader, account: str, day: DisputedDay, head: int) -> None:
        self.own: list[int] = []
        self.others: list[int] = []
        pages = store.rows(("occurred_at", "recorded_at"), account=account, until=head)
        for position, occurred_at, recorded_at in chain.from_iterable(pages):
            if day.since <= occurred_at < day.until:
                self.own.append(position)
            elif day.since <= recorded_at < day.until:
                self.others.append(position)

    def chosen(self) -> tuple[list[int], list[str]]:
        """Return the positions to show, sorted, and a sentence about each kind that is not."""
        missing = []
        own, others = self.own, self.others
        if len(own) > RECORDS_MAX:
            missing.append(
                f"of {len(own):,} records of the day the first {RECORDS_MAX:,} are here: the command timeline shows all"
            )
            own = own[:RECORDS_MAX]
        if len(others) > OTHERS_MAX:
            missing.append(
                f"{len(others):,} records of other days were recorded on this day, such as by an import "
                f"(positions {others[0]:,} to {others[-1]:,}): they are not shown"
            )
            others = []
        return sorted([*own, *others]), missing


def records_at(store: EventReader, account: str, positions: list[int]) -> Iterator[Record]:
    """Yield an account's records at log positions, which are sorted; those close together are read in one go."""
    at = 0
    while at < len(positions):
        last = at
        while last + 1 < len(positions) and positions[last + 1] - positions[last] <= _READ_APART:
            last += 1
        wanted = set(positions[at : last + 1])
        found = store.read(account=account, after=positions[at] - 1, until=positions[last])
        yield from (record for record in found if record.position in wanted)
        at = last + 1


class DayCourse:
    """Goes through a day's records once: their entries, and what the book says just after each."""

    def __init__(self, store: EventReader, account: str, day: DisputedDay, members: Iterable[str]) -> None:
        self._store, self._account, self._day = store, account, day
        self._accounts = frozenset({account, *members})
        self._at = day.since
        self.headroom: list[HeadroomAt] = []
        self.firm: list[FirmReport] = []
        self.unknown: dict[str, None] = {}

    def entries(self, records: Iterable[Record], zone: tzinfo | None) -> Iterator[Entry]:
        """Yield an entry for each record, and note the headroom and the firm's figures on the way."""
        amendments, notes = Amendments(self._store, self._account), NotesOf(self._store, self._account)
        for effect in effects(self._store, records, accounts=self._accounts):
            self._look(effect)
            yield entry_of(effect, zone, marks_of(effect, amendments), notes)

    def _look(self, effect: Effect) -> None:
        record = effect.record
        # Of a record that was late, or that is of another day, the headroom is that of when it became known.
        if self._day.since <= record.occurred_at < self._day.until:
            self._at = max(self._at, record.occurred_at)
        if isinstance(effect.event, LimitReported):
            self.firm.append(firm_report(effect.book, record, effect.event))
        if moves(effect):
            found = self._headroom(effect.book)
            if found:
                self.headroom.append(HeadroomAt(position=record.position, at=self._at, type=record.type, of=found))

    def _headroom(self, book: Book) -> tuple[Headroom, ...]:
        try:
            with derived_times():
                return book.limits.headroom(self._account, self._at)
        except StoreError as e:
            self.unknown[f"the headroom of some of the day: {e}"] = None
            return ()


def moves(effect: Effect) -> bool:
    """Return whether a record may change the headroom: an execution, a decision, a setting, cash, a session."""
    if isinstance(effect.event, OrderFilled):
        return True
    return effect.record.category in _MOVING and not isinstance(effect.event, LimitReported | RiskChecked)


def firm_report(book: Book, record: Record, event: LimitReported) -> FirmReport:
    """Return a firm's figure beside ours, as of the instant that the firm states."""
    report = report_of(event, record)
    try:
        with derived_times():
            found = [
                each
                for each in stated_limits(book, record.account, report.reported_at)
                if kind_of(each.rule_id) == kind_of(event.kind)
            ]
    except StoreError as e:
        return FirmReport(report=report, actor=record.actor, why=str(e))
    if not found:
        return FirmReport(report=report, actor=record.actor, why="no such limit was in force here")
    ours = found[0]
    is_known = ours.standing.status is not Status.UNKNOWN
    return FirmReport(
        report=report,
        actor=record.actor,
        rule_id=ours.rule_id,
        figure=ours.figure if is_known else None,
        limit=ours.limit,
        currency=ours.currency,
        why=ours.standing.why,
    )
