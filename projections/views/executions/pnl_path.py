"""The path of an account's profit and loss: what each fill realized, in the order it happened, for a day's high."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant
from eventstore.clock import NANOSECONDS
from eventstore.trading import SessionOpened, SessionReset
from projections.views.executions.ledger import Ledger
from projections.views.executions.ledger_entry import NO_ENTRY, LedgerEntry

if TYPE_CHECKING:
    from eventstore import Event, Record

STEPS_MAX = 5_000
KEPT_NS = 4 * 24 * 3_600 * NANOSECONDS
_FEW = 500


class PnlStep(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A ledger entry with its time (UNIX ns), the log position of its record, and its key in the ledger."""

    at: Instant
    log_position: int
    key: str
    entry: LedgerEntry


class PnlLedger(Ledger[LedgerEntry]):
    """The ledger of what positions realized, with the steps of the newest days in the order they happened.

    What a bust or correction changes is placed at the time of the fill that it changes, so that a profit which the
    venue took back is never counted as a day's high. Steps are kept once an event shows that the account's days matter:
    it was opened, or has limits or sessions. At most the newest 5,000 are kept; before `steps_from` some are missing.
    """

    steps: list[PnlStep] = msgspec.field(default_factory=list)
    steps_from: int = 0
    keeps_steps: bool = False

    def follow(self, event: Event, record: Record) -> None:
        """Begin to keep steps, as AccountOpened, LimitsSet and session events ask for; add a session's day."""
        if isinstance(event, SessionOpened | SessionReset):
            self.add_day(event, record.occurred_at)
        if not self.keeps_steps:
            self.keeps_steps = True
            # Earlier entries are in the sums only; if there are none, no step will be missing.
            self.steps_from = 0 if self.span is None else record.recorded_at

    def add_entry(self, at: int, log_position: int, key: str, entry: LedgerEntry) -> None:
        """Add an entry to the day that an instant lies in, and to the steps where they are kept."""
        self.add(at, key, entry)
        if self.keeps_steps and _is_money(entry):
            self._add_step(PnlStep(at, log_position, key, _money_of(entry)))

    def _add_step(self, step: PnlStep) -> None:
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
        span = self.span
        self.add(at, key, entry)
        self.drop_empty(at, key, NO_ENTRY)
        # What is cached stays that of the newest entry.
        self.span = span
        if not self.keeps_steps or not _is_money(entry):
            return
        steps = self.steps
        place = (at, log_position)
        for index in range(bisect_left(steps, place, key=_order), len(steps)):
            step = steps[index]
            if _order(step) != place:
                break
            if step.key == key:
                after = step.entry.plus(_money_of(entry))
                if _is_money(after):
                    steps[index] = PnlStep(at, log_position, key, after)
                else:
                    del steps[index]
                return
        self._add_step(PnlStep(at, log_position, key, _money_of(entry)))

    def steps_of(self, since: int, until: int | None) -> list[PnlStep]:
        """Return the steps from an instant on to before another, oldest first."""
        # Copied in one step: the fold may insert another meanwhile.
        steps = self.steps[:]
        first = bisect_left(steps, since, key=_time)
        return steps[first:] if until is None else steps[first : bisect_left(steps, until, key=_time)]


def _is_money(entry: LedgerEntry) -> bool:
    """Return whether an entry makes a step: of money, or of a change whose money is not known."""
    return bool(entry.points or entry.fees or entry.points_average_cost or entry.unpriced or entry.uncertain_fees)


def _money_of(entry: LedgerEntry) -> LedgerEntry:
    """Return an entry without its counts, which a step does not have."""
    points, average, unpriced, uncertain = (
        entry.points, entry.points_average_cost, entry.unpriced, entry.uncertain_fees
    )  # fmt: skip
    return LedgerEntry(points, average, entry.fees, unpriced=unpriced, uncertain_fees=uncertain)


def _order(step: PnlStep) -> tuple[int, int]:
    return step.at, step.log_position


def _time(step: PnlStep) -> int:
    return step.at
