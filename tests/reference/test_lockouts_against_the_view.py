"""Lockouts compared with a plain model, on random histories: moved clocks, false times, corrections, reopenings."""

from __future__ import annotations

import random
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import Event, EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    Allows,
    ClockJumped,
    ContractDefined,
    EquityCorrected,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    OrderCanceled,
    OrderSubmitted,
    Side,
)
from projections.book import Book
from projections.views.lockouts import bounds
from tests.proving import rounds
from tests.reference.lockouts import ROOTS, Fact, Model

pytestmark = pytest.mark.untraced

MINUTE = 60 * 10**9
START = 1_750_000_000 * 10**9
LENGTH, SPAN = 40, 240
RULES = ("loss", "news", "broker")
SCOPES = ("account", "symbol:CN50", "root:ES", "root:C", "symbol:FOO", "root:NONE")


class Both:
    """A book and the model of one account, given the same records."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.cuts = directory / f"{seed}.sqlite"
        self.book: Book = projections.open(self.store, snapshots=self.cuts)
        self.model = Model()
        self.sets: list[Record] = []
        self.working: str | None = None
        self.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        for symbol, root in ROOTS.items():
            self.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, root=root))

    def append(self, stream: str, event: Event) -> Record:
        claimed = None if self.chance.randint(0, 4) else self.instant()
        record = self.store.append(stream, event, occurred_at=claimed, actor="test")[0]
        self.book.refresh()
        return record

    def instant(self) -> int:
        return START + self.chance.randint(-20, SPAN) * MINUTE

    def step(self) -> None:
        steps = (self.misset, self.wait, self.restart, self.jump, self.correct, self.report, self.trade, self.reopen)
        [step] = self.chance.choices((*steps, self.lockout), weights=(6, 6, 3, 6, 3, 3, 3, 1, 30))
        step()

    def misset(self) -> None:
        """Set the clock, unnoticed, as while no policies run."""
        self.clock.set(self.instant())

    def wait(self) -> None:
        self.clock.advance(self.chance.randint(1, 40) * MINUTE)

    def restart(self) -> None:
        self.book.snapshot()
        self.book.close()
        self.book = projections.open(self.store, snapshots=self.cuts)

    def report(self) -> None:
        may_trade = self.chance.choice((True, False))
        record = self.append("account/A/-", AccountUpdated(can_trade=may_trade))
        self.tell(record, "BROKER", flag=may_trade)

    def reopen(self) -> None:
        record = self.append("account/A/-", AccountReopened(starting_balance=Decimal(1)))
        self.tell(record, "REOPEN", flag=self.working is not None)

    def jump(self) -> None:
        before, after = self.clock.now_ns(), self.instant()
        self.clock.set(after)
        record = self.append("lockout/A/clock", ClockJumped(before=before, after=after))
        self.tell(record, "JUMP", clock=(before, after))

    def correct(self) -> None:
        if self.sets:
            wrong = self.chance.choice(self.sets)
            event = EquityCorrected(reason="a wrong price", wrong=uuid.UUID(bytes=wrong.id))
            self.tell(self.append("account/A/-", event), "CORRECT", wrong=wrong.position)

    def trade(self) -> None:
        """Send an order, or cancel the one that works."""
        if self.working is None:
            self.working = f"O{self.store.head()}"
            order = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))
            self.append(f"order/A/{self.working}", order)
        else:
            self.append(f"order/A/{self.working}", OrderCanceled())
            self.working = None

    def lockout(self) -> None:
        chance = self.chance
        rule, scope = chance.choice(RULES), chance.choice(SCOPES[: chance.randint(1, len(SCOPES))])
        until = chance.choice((None, self.instant(), self.instant(), self.instant()))
        stream, named = f"lockout/A/{rule}", chance.choice((None, scope))
        match chance.randint(0, 6):
            case 0:
                self.tell(self.append(stream, LockoutExtended(until=until, scope=named)), "EXTEND", rule, named, until)
            case 1:
                by = chance.choice((rule, ""))
                is_own = by == rule != "broker"
                self.tell(self.append(stream, LockoutCleared(scope=named, by=by)), "CLEAR", rule, named, flag=is_own)
            case 2:
                self.tell(self.append(stream, LockoutExpired(scope=named)), "EXPIRE", rule, named)
            case _:
                allows, revocable = chance.choice(list(Allows)), chance.choice((True, False))
                event = LockoutSet(
                    rule_id=rule,
                    scope=scope,
                    allows=allows,
                    until=until,
                    revocable=revocable,
                    # A reason of its own would make each one another lockout; a quote is what it was decided on.
                    details={"quotes": {"ESZ5": ["1", 1]}},
                )
                record = self.append(stream, event)
                self.sets.append(record)
                self.tell(record, "SET", rule, scope, until, allows=str(allows), revocable=revocable)

    def tell(
        self,
        record: Record,
        kind: str,
        rule: str = "",
        scope: str | None = None,
        until: int | None = None,
        **members: object,
    ) -> None:
        at = min(record.occurred_at, record.recorded_at)
        fact = Fact(kind, at, record.position, rule, scope, until=until, occurred_at=record.occurred_at, **members)  # type: ignore[arg-type]
        self.model.apply(fact)

    def check(self) -> None:
        """Compare both at random instants, for the account and for symbols: none too many, and none missing."""
        for at in (self.clock.now_ns(), self.instant(), self.instant(), START + 10_000 * MINUTE):
            for symbol in (None, self.chance.choice([*ROOTS, "FOO"])):
                found = self.book.lockouts.active("A", at, symbol)
                terms = [(each.rule_id, each.scope, str(each.allows), each.until, each.revocable) for each in found]
                assert sorted(terms, key=str) == self.model.active(at, symbol), (self.store.head(), at, symbol)


@pytest.mark.slow
@pytest.mark.parametrize("bounded", [False, True])
def test_no_lockout_is_missing_and_none_is_too_many(
    bounded: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if bounded:
        # So small that most histories go over them.
        for name, most in (("LOCKOUTS_MAX", 2), ("EXPIRED_MAX", 1), ("BEFORE_REOPENING_MAX", 1)):
            monkeypatch.setattr(bounds, name, most)
    for seed in rounds(f"lockouts {'within bounds' if bounded else 'as a whole'}", test=200, prove=20_000):
        both = Both(seed, tmp_path)
        for _ in range(LENGTH):
            both.step()
            both.check()
        assert not both.book.parked
        both.book.close()
        both.cuts.unlink(missing_ok=True)
