"""The path of an account's profit and loss: what each fill realized, in the order it happened, for a day's best."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant
from eventstore.clock import NANOSECONDS
from eventstore.trading import SessionOpened, SessionReset
from projections.views.executions.ledger import Ledger
from projections.views.executions.ledger_entry import LedgerEntry

if TYPE_CHECKING:
    from eventstore import Event, Record

STEPS_MAX = 5_000
KEPT_NS = 4 * 24 * 3_600 * NANOSECONDS
_FEW = 500


class PnlStep(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What happened at one time (UNIX ns), by the record at `position`; `key` is the ledger's."""

    at: Instant
    position: int
    key: str
    earned: LedgerEntry


class PnlLedger(Ledger[LedgerEntry]):
    """The ledger of what positions realized, with the steps of the newest days in the order they happened.

    What a bust or a correction changes stands at the time of the fill it changes, so that a profit which the venue
    took back was never anybody's best. Steps are kept from when anybody cares for the account's days: it was opened,
    or has limits or sessions. At most the newest 5,000 are kept; before `steps_from` they are not all there.
    """

    steps: list[PnlStep] = msgspec.field(default_factory=list)
    steps_from: int = 0
    stepping: bool = False

    def tell(self, event: Event, record: Record) -> None:
        """Take in what is no trade: a session's days, and that somebody cares for the account's."""
        if isinstance(event, SessionOpened | SessionReset):
            self.learn(event, record.occurred_at)
        if not self.stepping:
            self.stepping = True
            # What happened before is in the sums alone; where nothing did, all steps will be there.
            self.steps_from = 0 if self.span is None else record.recorded_at

    def book(self, at: int, position: int, key: str, earned: LedgerEntry) -> None:
        """Add what a record made, which happened at an instant."""
        self.add(at, key, earned)
        if not self.stepping or (not earned.points and not earned.fees):
            return
        steps = self.steps
        step = PnlStep(at, position, key, earned)
        if steps and _place(step) < _place(steps[-1]):
            insort(steps, step, key=_place)
        else:
            steps.append(step)
        count = len(steps)
        # A quarter at least, so that they are not copied at every step.
        if count > STEPS_MAX or (count > _FEW and steps[count // 4].at < at - KEPT_NS):
            self.steps, self.steps_from = steps[count // 4 :], steps[count // 4 - 1].at + 1

    def steps_of(self, since: int, until: int | None) -> list[PnlStep]:
        """Return the steps from an instant on until before another, oldest first."""
        # Taken at once: the fold may enter another while this goes on.
        steps = self.steps[:]
        first = bisect_left(steps, since, key=_time)
        return steps[first:] if until is None else steps[first : bisect_left(steps, until, key=_time)]


def _place(step: PnlStep) -> tuple[int, int]:
    return step.at, step.position


def _time(step: PnlStep) -> int:
    return step.at
