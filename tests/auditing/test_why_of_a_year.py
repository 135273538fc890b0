"""Why an account was locked, for every lockout of random years: it ends at the fills that plain arithmetic finds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path

import pytest

import projections
from eventstore import EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, LockoutSet, OrderFilled, Side
from projections import Policies, auditing, seeds
from projections.auditing import Role, Why
from projections.rules import shipped_rules
from tests.proving import rounds
from tests.reference.daily_results import Fill
from tests.reference.traced_days import Traced
from tests.trying import years

pytestmark = pytest.mark.untraced

ACCOUNT, SECOND = "A1", 1_000_000_000
DAYS = 5
FILLS = 40
MOVE = 60
"""How far the price moves at most, in ticks: most days lock the account."""


class Year:
    """An account that trades a year under a program, with policies running, and the reference beside it."""

    def __init__(self, directory: Path, begins_at: int) -> None:
        path = directory / "own.toml"
        path.write_text(years.PROGRAM, "utf-8")
        plan = seeds.load(path, ACCOUNT)
        self.calendar = plan.calendars[ACCOUNT]
        self.clock = ManualClock(self.calendar.day_at(begins_at).began_at)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book = projections.open(self.store, calendars=plan.calendars, snapshots=False)
        plan.apply(self.book, "desk")
        contract = ContractDefined(symbol="ES", multiplier=Decimal(years.POINT), currency="USD")
        self.book.append("contract/-/ES", contract)
        self.policies = Policies(self.book, shipped_rules()).start(ticking=False)
        self.policies.tick()
        self.model, self.numbers = Traced(years.POINT, Fraction(years.START)), count(1)

    def trade(self, fill: Fill) -> Iterator[Record]:
        """Report a fill when it happens; yield the lockouts that it leads to."""
        at = int(fill.at.timestamp()) * SECOND
        while (reset := self.calendar.next_reset(self.clock.now_ns())) <= at:
            self.clock.advance(reset - self.clock.now_ns())
            self.policies.tick()
        self.clock.advance(at - self.clock.now_ns())
        number = next(self.numbers)
        event = OrderFilled(
            trade_id=f"T{number}",
            symbol="ES",
            side=Side.BUY if fill.quantity > 0 else Side.SELL,
            quantity=Decimal(abs(fill.quantity)),
            price=_exact(fill.price),
            fee=_exact(fill.fee),
        )
        [record] = self.book.append(f"order/{ACCOUNT}/O-{number}", event)
        self.fill, self.day = record, self.model.take(fill, record.position)
        yield from self.store.read(types=LockoutSet, after=record.position)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()


def _exact(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def added(why: Why) -> dict[int, Fraction]:
    """Return what each record added to the figure."""
    links = why.of_role(Role.EXECUTION, Role.CARRIED)
    return {each.record.position: Fraction(each.amounts["USD"]) for each in links if each.amounts}


def check(year: Year, lockout: Record) -> None:
    """Compare the causes of a lockout with the reference."""
    event = lockout.event
    assert isinstance(event, LockoutSet)
    assert isinstance(event.details, dict)
    found = auditing.why(year.store, lockout)
    [cause] = [each for each in found.causes if each.role is Role.CAUSE]
    assert cause.record == year.fill
    [limit] = found.of_role(Role.LIMIT)
    assert (limit.record.stream, limit.record.actor) == (f"limits/{ACCOUNT}/{event.rule_id}", "desk")
    [figure] = found.figures
    listed = {each.record.position for each in found.of_role(Role.EXECUTION, Role.CARRIED)}
    if event.rule_id == "daily-loss":
        expected, opened = year.day.added, year.day.opened
        assert Fraction(figure.amount or 0) == year.day.result
    else:
        expected, opened = year.model.since_high, set[int]()
        assert Fraction(figure.amount or 0) == year.model.balance
        assert Fraction(figure.added or 0) == year.model.balance - year.model.highest
    changed = {position: amount for position, amount in expected.items() if amount}
    assert {position: amount for position, amount in added(found).items() if amount} == changed
    assert {*changed, *opened} <= listed
    # Prices here are those of fills, and evidence is of quotes.
    assert [each for each in found.unknown if not each.startswith("no quotes are kept")] == []
    marked = {each.record.position for mark in found.of_role(Role.MARK) for each in mark.walk()}
    ends = {each.record.position for each in found.first_causes}
    assert ends <= {limit.record.position, year.fill.position, *listed, *marked}


def test_why_of_every_lockout_ends_at_the_fills_that_made_it(tmp_path: Path) -> None:
    """Five days a round: 15 in `make test`, 500 in `make prove`."""
    locked = 0
    for seed in rounds("why of a year", test=3, prove=100):
        chance = random.Random(seed)
        days = years.year(chance, DAYS, FILLS, move=MOVE)
        year = Year(tmp_path, int(days[0][0].at.timestamp()) * SECOND)
        for fill in (fill for day in days for fill in day):
            for lockout in year.trade(fill):
                check(year, lockout)
                locked += 1
        year.close()
    assert locked
