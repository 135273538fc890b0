"""The position that is asked for and reconciliation agree on whether a broker's report differs; booking ends that."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from decimal import Decimal

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AdjustmentReason, OrderFilled, PositionAdjusted, Side, TradeBusted, TradeCorrected
from projections import Book
from projections.reconciliation import Difference, DifferenceKind, reconcile
from projections.views.executions.reported import NO_REPORT, PositionReport
from projections.views.executions.state import VIEW
from tests.projections.reconciling import NOON, ORDER, POSITION, SECOND, booked, reported
from tests.proving import rounds
from tests.views.position_folding import fill

STEPS = 12
KINDS = ("fill", "fill", "fill", "late", "late", "bust", "correct", "assignment", "report", "report", "again", "book")
UNBOOKED = (*KINDS[:-1], "true")


class Desk:
    """A position whose fills are missing, late, busted and corrected, and a broker that reports what it holds."""

    def __init__(self, book: Book, clock: ManualClock, seed: int) -> None:
        self.book, self.clock, self.chance = book, clock, random.Random(seed)
        self.trades: list[str] = []
        self.amended: dict[str, int] = {}
        self.done: list[str] = []

    def step(self, kinds: Sequence[str] = KINDS) -> None:
        self.clock.advance(self.chance.choice((1, SECOND, 3 * SECOND)))
        kind = self.chance.choice(kinds)
        self.done.append(kind)
        getattr(self, f"_{kind}")()

    def _earlier(self) -> int:
        return self.chance.randrange(NOON, self.clock.now_ns(), SECOND) if self.clock.now_ns() > NOON else NOON

    def _quantity(self) -> int:
        return self.chance.choice((-3, -2, -1, 1, 2, 3))

    def _fill(self, when: int | None = None) -> None:
        self.trades.append(f"T-{len(self.trades)}")
        self.book.append(ORDER, fill(self.trades[-1], self._quantity(), 50), occurred_at=when)

    def _late(self) -> None:
        self._fill(self._earlier())

    def _bust(self) -> None:
        self._amend(lambda trade: TradeBusted(trade_id=trade))

    def _correct(self) -> None:
        quantity = Decimal(self.chance.randrange(1, 4))
        self._amend(lambda trade: TradeCorrected(trade_id=trade, quantity=quantity, price=Decimal(50)))

    def _amend(self, made: Callable[[str], Event]) -> None:
        if self.trades:
            trade, now = self.chance.choice(self.trades), self.clock.now_ns()
            # Venues change a trade in the order in which they say so.
            at = max(self.chance.choice((now, self._earlier())), self.amended.get(trade, 0))
            self.amended[trade] = at
            self.book.append(ORDER, made(trade), occurred_at=at)

    def _assignment(self) -> None:
        event = PositionAdjusted(
            symbol="ESZ5", quantity=Decimal(self._quantity()), reason=AdjustmentReason.ASSIGNMENT, price=Decimal(50)
        )
        self.book.append(POSITION, event, occurred_at=self.chance.choice((None, self._earlier())))

    def _report(self) -> None:
        event = reported(self.chance.randrange(-3, 4))
        self.book.append(POSITION, event, occurred_at=self.chance.choice((None, None, self._earlier())))

    def _again(self) -> None:
        held = self.book.positions.get("A", "ESZ5").quantity
        self.book.append(POSITION, reported(int(held)))

    def _true(self) -> None:
        at = self.chance.choice((self.clock.now_ns(), self._earlier()))
        known = self.report().at
        self.book.append(POSITION, reported(self.held_at(at)), occurred_at=at)
        if known is None or at > known:
            assert not self.report().differs, "the broker reports what was held at its time"

    def held_at(self, instant: int) -> int:
        """Return what was held at an instant, as far as it is recorded: what happened by then, as it was then."""
        held, traded = 0, dict[str, list[tuple[int, int]]]()
        for record in self.book.read(account="A"):
            event, at = record.event, record.occurred_at
            if isinstance(event, OrderFilled):
                traded[event.trade_id or ""] = [(at, int(event.quantity) * (1 if event.side is Side.BUY else -1))]
            elif isinstance(event, PositionAdjusted):
                held += int(event.quantity) if at <= instant else 0
            elif isinstance(event, TradeBusted | TradeCorrected):
                known = traded[event.trade_id or ""]
                is_bust, sign = isinstance(event, TradeBusted), 1 if known[0][1] > 0 else -1
                # A correction of a busted trade is none, nor is one that was made before the newest.
                if is_bust or (known[-1][1] and (len(known) == 1 or at >= known[-1][0])):
                    known.append((at, 0 if is_bust else sign * int(event.quantity or 0)))
        for known in traded.values():
            if known[0][0] <= instant:
                held += next((size for at, size in reversed(known[1:]) if at <= instant), known[0][1])
        return held

    def _book(self) -> None:
        differed = bool(self.bookable())
        booked(self.book)
        assert not self.bookable(), "nothing is left to be booked"
        assert not (differed and self.report().differs), "what was booked answers the report"

    def found(self) -> tuple[Difference, ...]:
        return tuple(each for each in reconcile(self.book, "A") if each.kind is not DifferenceKind.AVERAGE_PRICE)

    def bookable(self) -> list[Difference]:
        return [each for each in self.found() if not each.stale]

    def stale(self) -> list[Difference]:
        return [each for each in self.found() if each.stale]

    def report(self) -> PositionReport:
        state = self.book.state(VIEW, "A")
        return NO_REPORT if state is None else next((each.report for each in state.holdings.values()), NO_REPORT)

    def problem(self) -> str:
        report, bookable = self.report(), self.bookable()
        if bookable and not report.differs:
            return f"reconciliation books {bookable[0].sentence}, and the position does not differ"
        if report.differs and not bookable and not self.stale():
            return f"the position differs from {report}, and reconciliation finds nothing"
        return ""


def test_a_report_differs_for_the_position_if_and_only_if_it_does_for_reconciliation() -> None:
    for seed in rounds("reports against reconciliation", test=400, prove=20_000):
        clock = ManualClock(NOON)
        with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store) as book:
            desk = Desk(book, clock, seed)
            for _ in range(STEPS):
                desk.step()
                assert not desk.problem(), f"seed {seed}, {desk.done}: {desk.problem()}"


def test_a_report_of_what_was_held_at_its_time_does_not_differ_whatever_was_recorded_first() -> None:
    for seed in rounds("true reports", test=400, prove=20_000):
        clock = ManualClock(NOON)
        with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store) as book:
            desk = Desk(book, clock, seed)
            for _ in range(STEPS):
                desk.step(UNBOOKED)
                assert not desk.problem(), f"seed {seed}, {desk.done}: {desk.problem()}"
