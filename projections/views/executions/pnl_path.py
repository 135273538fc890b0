"""The path of an account's profit and loss: what each fill realized, in the order it happened, for a day's high."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Instant
from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.trading import ClockJumped, SessionOpened, SessionReset
from projections.decimals import ZERO
from projections.views.executions.ledger import Ledger
from projections.views.executions.ledger_entry import NO_ENTRY, LedgerEntry, negative
from projections.views.log_clock import is_set_back

if TYPE_CHECKING:
    from eventstore import Event, Record
    from projections.sessions import TradingDay
    from projections.views.executions.day_totals import Day
    from projections.views.executions.fees import Fees

STEPS_MAX = 5_000
CASH_MAX = 100
KEPT_NS = 4 * 24 * 3_600 * NANOSECONDS
_FEW = 500


class PnlStep(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A ledger entry with its time (UNIX ns), the log position of its record, and its key in the ledger.

    `moved_back`: `at` is a nanosecond before its time, so that cash at a reset is of the day that ends. `stated` is the
    time that it was recorded with, if a clock that ran ahead was put right since, to `at`.
    """

    at: Instant
    log_position: int
    key: str
    entry: LedgerEntry
    moved_back: bool = False
    stated: int = 0


class PnlLedger(Ledger[LedgerEntry]):
    """The ledger of what positions realized, with the steps of the newest days in the order they happened.

    What a bust or correction changes is placed at the time of the fill that it changes, so that a profit which the
    venue took back is never counted as a day's high. Steps are kept once an event shows that the account's days matter:
    it was opened, or has limits or sessions. At most the newest 5,000 are kept; before `steps_from` some are missing.
    """

    steps: list[PnlStep] = msgspec.field(default_factory=list)
    steps_from: int = 0
    keeps_steps: bool = False
    cash: tuple[PnlStep, ...] = ()
    """The newest movements of cash, which a day that is recorded later may begin with."""
    put_right_record: int = 0
    """The log position of the newest record of a clock that was set back, 0 without one."""

    def follow(self, event: Event, record: Record) -> None:
        """Begin to keep steps, as AccountOpened, LimitsSet and session events ask for; add a session's day."""
        if isinstance(event, ClockJumped):
            self.jump(event, record.position)
            return
        if isinstance(event, SessionOpened | SessionReset):
            day = self.add_day(event, record.occurred_at)
            if day.begins_with_cash:
                self._begin_with_cash(day)
        if not self.keeps_steps:
            self.keeps_steps = True
            # Earlier entries are in the sums only; if there are none, no step will be missing.
            self.steps_from = record.recorded_at if self.has_entries else 0

    @override
    def begin_again(self) -> None:
        """Forget every sum and step; the days stay as sessions have stated them."""
        super().begin_again()
        self.cash, self.steps, self.steps_from, self.keeps_steps = (), [], 0, True

    def add_entry(self, at: int, log_position: int, key: str, entry: LedgerEntry) -> None:
        """Add an entry to the day that an instant lies in, and to the steps where they are kept."""
        self.add(at, key, entry)
        if self.keeps_steps and _is_money(entry):
            self.add_step(PnlStep(at, log_position, key, _money_of(entry)))

    def add_cash(self, at: int, log_position: int, cash: Fees) -> None:
        """Add cash that was received or paid. At a reset it is of the day that ends, unless a day states otherwise."""
        begins = self._begins_with_cash_at(at)
        step = PnlStep(at - (not begins), log_position, SEPARATOR, LedgerEntry(cash=cash), not begins)
        span = self.span
        self.add(step.at, step.key, step.entry)
        # Cash is often recorded late: what is cached stays that of the newest entry.
        self.span = span or self.span
        if self.keeps_steps:
            self.add_step(step)
        self.cash = (*self.cash[1 - CASH_MAX :], step)

    def cash_counts_at(self, at: int) -> int:
        """Return the instant in whose day cash counts: just before it moved, unless a day begins with it."""
        return at if self._begins_with_cash_at(at) else at - 1

    def _begins_with_cash_at(self, at: int) -> bool:
        days = (self.day_at(at), self.day_at(at - 1))
        return any(day is not None and day.begins_with_cash and at in {day.began_at, day.resets_at} for day in days)

    @override
    def jump(self, event: ClockJumped, log_position: int) -> None:
        super().jump(event, log_position)
        now, steps = event.after, self.steps
        if is_set_back(event):
            self.put_right_record = log_position
            after = [each if each.at <= now else replace(each, at=now, stated=each.stated or each.at) for each in steps]
        else:
            after = [replace(each, at=each.stated, stated=0) if 0 < each.stated <= now else each for each in steps]
        self.steps = sorted(after, key=_order)

    def _begin_with_cash(self, day: Day) -> None:
        """Move the cash at a day's beginning into it, and the cash at its reset out of it."""
        kept = []
        for step in self.cash:
            if step.moved_back and step.at + 1 in {day.began_at, day.resets_at}:
                self.correct(step.at, step.log_position, step.key, negative(step.entry))
                moved = PnlStep(step.at + 1, step.log_position, step.key, step.entry)
                self.add(moved.at, moved.key, moved.entry)
                if self.keeps_steps:
                    self.add_step(moved)
                kept.append(moved)
            else:
                kept.append(step)
        self.cash = tuple(kept)

    def add_step(self, step: PnlStep) -> None:
        steps, at = self.steps, step.at
        if steps and _order(step) < _order(steps[-1]):
            insort(steps, step, key=_order)
        else:
            steps.append(step)
        count = len(steps)
        # At least a quarter is dropped, so that the list is not copied at every step.
        if count > STEPS_MAX or (count > _FEW and steps[count // 4].at < at - KEPT_NS):
            self.steps, self.steps_from = steps[count // 4 :], steps[count // 4 - 1].at + 1

    def correct(self, at: int, log_position: int, key: str, entry: LedgerEntry) -> None:
        """Add a correction of an earlier entry to its day and its step; what comes to nothing is dropped.

        So the ledger is the same whether it was corrected once or step by step.
        """
        moved = self.moved_by(at, log_position) if self.published.moved else None
        if moved is not None:
            self.correct_moved(moved, at, key, entry, NO_ENTRY)
        else:
            span = self.span
            self.add(at, key, entry)
            self.drop_empty(at, key, NO_ENTRY)
            # What is cached stays that of the newest entry.
            self.span = span
        if not self.keeps_steps or not _is_money(entry):
            return
        steps = self.steps
        place = (self._stepped_at(at, log_position), log_position)
        for index in range(bisect_left(steps, place, key=_order), len(steps)):
            step = steps[index]
            if _order(step) != place:
                break
            if step.key == key:
                after = step.entry.plus(_money_of(entry))
                if _is_money(after):
                    steps[index] = replace(step, entry=after)
                else:
                    del steps[index]
                return
        fresh = PnlStep(at, log_position, key, _money_of(entry))
        self.add_step(fresh if moved is None else replace(fresh, at=self.published.moved[moved].since, stated=at))

    def _stepped_at(self, at: int, log_position: int) -> int:
        """Return the time that the step of an entry has: another one, if a clock was put right since."""
        if log_position >= self.put_right_record:
            return at
        return next((each.at for each in self.steps if each.stated == at and each.log_position == log_position), at)

    def entries_of(self, day: TradingDay) -> list[tuple[str, LedgerEntry]]:
        """Return keys and entries from a day's begin to its reset, which no session event states, from the steps."""
        steps = self.steps_of(day.began_at, day.resets_at, begins_with_cash=day.begins_with_cash)
        return [(step.key, step.entry) for step in steps]

    def steps_of(self, since: int, until: int | None, *, begins_with_cash: bool = False) -> list[PnlStep]:
        """Return the steps from an instant on to before another, oldest first.

        Cash at either instant is of what ends there or, with `begins_with_cash`, of what begins.
        """
        # Copied in one step: the fold may insert another meanwhile.
        steps = self.steps[:]
        if begins_with_cash:
            first = bisect_left(steps, since - 1, key=_time)
            return [step for step in steps[first:] if since <= _stamp(step) and (until is None or _stamp(step) < until)]
        first = bisect_left(steps, since, key=_time)
        return steps[first:] if until is None else steps[first : bisect_left(steps, until, key=_time)]


def _is_money(entry: LedgerEntry) -> bool:
    """Return whether an entry makes a step: of money, or of a change whose money is not known."""
    uncertain = entry.unpriced or entry.uncertain_fees
    return bool(entry.points or entry.fees or entry.points_average_cost or uncertain or entry.cash)


def _money_of(entry: LedgerEntry) -> LedgerEntry:
    """Return an entry without its counts, which a step does not have."""
    counts = 0, ZERO, 0, 0, entry.unpriced, entry.uncertain_fees
    return LedgerEntry(entry.points, entry.points_average_cost, entry.fees, *counts, entry.cash)


def _order(step: PnlStep) -> tuple[int, int]:
    return step.at, step.log_position


def _time(step: PnlStep) -> int:
    return step.at


def _stamp(step: PnlStep) -> int:
    """Return the time that a step was reported with."""
    return step.at + step.moved_back
