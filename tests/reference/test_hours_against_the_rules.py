"""Trading hours compared with the reference: early closes, a holiday, halts, what is flattened and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from typing_extensions import override

from eventstore.trading import EnforcementAction, EnforcementRequested, LockoutSet, QuoteReceived, Side, Verdict
from projections.risk import Proposal, check
from projections.sessions import Calendar
from tests.proving import rounds
from tests.reference.facts import DAY, SECOND, Fact
from tests.reference.scene import MULTIPLIERS
from tests.reference.scene import Scene as Trading
from tests.reference.traded import HOUR, Seen
from tests.reference.trading_hours import EARLY, HOLIDAY, Hours, days_from

pytestmark = pytest.mark.untraced

MONDAY = int(datetime(2026, 9, 21, tzinfo=UTC).timestamp()) * SECOND
LENGTH = 7
MINUTE = HOUR // 60
MISSPELT: tuple[tuple[str, dict[str, object]], ...] = (
    ("hour", {}),
    ("hours", {"flat_by": "25:00"}),
    ("hours:b", {"flatten": 60}),
)


def calendar() -> Calendar:
    first = date(2026, 9, 21)
    early = {first + timedelta(days=number): time(at // HOUR) for number, at in EARLY.items()}
    return Calendar(
        zone="UTC",
        open=time(23),
        reset=time(22),
        flat_by=time(21),
        early_closes=early,
        holidays=frozenset({first + timedelta(days=HOLIDAY - 5)}),
    )


class Scene(Trading[Hours]):
    """An account that trades around closes, halts and weekends."""

    model_class = Hours
    calendar = calendar()

    @override
    def begin(self) -> int:
        return MONDAY + self.chance.randrange(9) * DAY + 12 * HOUR

    @override
    def prepare(self) -> None:
        self.model.days = tuple(days_from(MONDAY, 21))

    @override
    def limit(self) -> None:
        chance = self.chance
        rule = chance.choice(("hours", "hours:b"))
        given: dict[str, object] = {}
        options: list[dict[str, object]] = [
            {"symbols": ["ES"]}, {"flat_by": "20:00"}, {"flatten_before": 30 * MINUTE}, {"outside": False},
            {"severity": "WARNING"}, {"revocable": False}, {"enabled": False}, self.halts(),
        ]  # fmt: skip
        for added in chance.sample(options, chance.choice((0, 1, 2))):
            given |= added
        if chance.randrange(10) == 0:
            rule, given = chance.choice(MISSPELT)
        self.set(rule, given)

    def halts(self) -> dict[str, object]:
        start = self.desk.now - self.desk.now % HOUR + self.chance.randint(1, 12) * HOUR
        return {"halts": [[start, start + self.chance.choice((HOUR, 9 * HOUR))]]}

    @override
    def step(self) -> None:
        near = [at for day in self.model.days for at in (day.flat, day.reset, day.opens) if at > self.desk.now]
        moments = (MINUTE, HOUR, min(near) - self.desk.now - MINUTE, min(near) - self.desk.now + SECOND)
        self.desk.clock.advance(max(self.chance.choice(moments), SECOND))
        if self.model.settings.has_begun(self.last_tick, self.desk.now):
            self.tick()
        self.chance.choice((self.fill, self.fill, self.limit, self.restart, self.tick, self.tick))()
        self.tick()
        for symbol in MULTIPLIERS:
            price = self.moved()
            for process, seen in zip(self.desk.processes, self.model.prices, strict=True):
                process.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=price))
                seen.setdefault(symbol, Seen()).prices.append((self.desk.now, Fraction(price), False))

    @override
    def ticked(self) -> None:
        """A tick judges before it records the days that have begun, at first the present one alone."""
        self.judge()
        begun = [day.began for day in self.model.days if self.last_day < day.began <= self.desk.now]
        for began in begun if self.last_day else begun[-1:]:
            self.last_day = began
            self.model.settings.begin(began)
        self.last_tick = self.desk.now
        self.desk.tick()
        self.judge()

    @override
    def fill(self, at: int | None = None) -> None:
        """Open a position, or close one."""
        self.count += 1
        name, symbol, side, quantity = f"T{self.count}", self.chance.choice(list(MULTIPLIERS)), 1, Decimal(1)
        if self.model.open_positions() and self.chance.randrange(2):
            symbol, held, *_ = self.chance.choice(self.model.open_positions())
            side, quantity = -1, Decimal(int(held))
        fact = Fact("FILL", 0, self.desk.now, stream=f"order/O{name}", id=name, symbol=symbol, side=side)
        self.tell(replace(fact, quantity=quantity, price=self.moved()))
        self.judge()

    @override
    def problems(self) -> list[str]:
        found, now = [], self.desk.now
        for number, process in enumerate(self.desk.processes):
            active = process.book.lockouts.active("A", now)
            locked = {(each.rule_id, each.scope, each.until, each.revocable) for each in active}
            locked = {each for each in locked if each[0] != "unpriced"}
            if locked != set(self.model.held):
                found.append(f"{number}: locked {locked}, not {set(self.model.held)}")
            for symbol in MULTIPLIERS:
                said = check(
                    process.book, Proposal(account="A", symbol=symbol, side=Side.BUY, quantity=Decimal(1)), now
                )
                if (said.verdict is Verdict.REJECT) is not self.model.rejects(symbol, number, now):
                    found.append(f"{number}: {symbol} {said.verdict} {said.reason}")
        store = self.desk.processes[0].store
        locks, requests = Counter[str](), Counter[str]()
        for record in store.read(types=(LockoutSet, EnforcementRequested)):
            event = record.event
            if isinstance(event, LockoutSet) and event.rule_id.startswith("hours"):
                locks[event.rule_id] += 1
            elif isinstance(event, EnforcementRequested) and event.attempt == 1:
                requests[event.rule_id] += event.action is EnforcementAction.FLATTEN
        return found if locks == requests else [*found, f"{locks} lockouts, but {requests} requests to flatten"]


def test_hours_are_kept_as_the_reference_says(memory_path: Path) -> None:
    for seed in rounds("hours against the reference", test=200, prove=20_000):
        scene = Scene(seed, memory_path)
        for number in range(LENGTH):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.desk.close()
