"""A scene of random trading for the models of limits: the same happens to an account at a desk and in a model."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, TypeVar

from eventstore import Record
from eventstore.trading import CashKind, CashMoved, ContractDefined, LimitsSet, QuoteReceived
from tests.reference.desk import EVERY_DAY, Desk, answers
from tests.reference.facts import DAY, SECOND, Fact
from tests.reference.histories import event_of
from tests.reference.limited import Limited
from tests.reference.traded import HOUR, Seen, Step, day_begin

EXACT = Fraction(1, 10**30)
M = TypeVar("M", bound=Limited)
START = 1_790_000_000 * SECOND
GAPS = (SECOND, 3 * SECOND, 40 * SECOND, HOUR // 2, 7 * HOUR)
MULTIPLIERS = {"ES": Decimal(50), "NQ": Decimal(20)}


class Scene(Generic[M]):
    """An account at a desk, and the reference beside it. A subclass sets limits, and may do more than trade."""

    model_class: type[M]
    calendar = EVERY_DAY

    def __init__(self, seed: int, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.desk = Desk(self.chance, directory, self.begin(), self.calendar)
        self.model: M = self.model_class(prices=[{} for _ in self.desk.processes])
        self.last_day = self.last_tick = 0
        self.trades, self.count = list[Fact](), 0
        self.reported = list[Fact]()
        self.desk.open_account()
        for symbol, multiplier in MULTIPLIERS.items():
            define = Fact("DEFINE", 0, self.desk.now, symbol=symbol, multiplier=multiplier, currency="USD")
            self.desk.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=multiplier))
            self.model.apply(define)
        self.first_day = day_begin(self.desk.now)
        self.prepare()
        self.tick()
        for _ in range(self.chance.randint(1, 3)):
            self.limit()

    def begin(self) -> int:
        """Return when it begins."""
        return START + self.chance.randrange(14) * DAY // 2

    def prepare(self) -> None:
        """Give the model what it needs before the first limit."""

    def step(self) -> None:
        steps = (self.fill, self.late, self.fee, self.change, self.cash, self.limit, self.quote, self.restart)
        self.desk.clock.advance(self.chance.choice(GAPS) if self.chance.randrange(8) else self.to_reset())
        if self.model.settings.has_begun(self.last_tick, self.desk.now):
            # As the policies' own ticks would have seen, however late.
            self.tick()
        [step] = self.chance.choices(steps, weights=(40, 8, 6, 12, 6, 14, 20, 8))
        step()
        self.judge()
        if self.chance.randrange(3) == 0:
            self.tick()

    def to_reset(self) -> int:
        return day_begin(self.desk.now) + DAY + SECOND - self.desk.now

    def judge(self) -> None:
        for number in range(len(self.desk.processes)):
            self.model.judge(number, self.desk.now)

    def tick(self) -> None:
        self.desk.tick()
        self.ticked()

    def ticked(self) -> None:
        """Take the trading days that the policies have recorded by now, each once."""
        today = day_begin(self.desk.now)
        if self.last_day != today:
            # A limit that begins with the day is seen at the tick after the one that recorded it.
            self.desk.tick()
        is_first, self.last_day = not self.last_day, self.last_day or today - DAY
        while self.last_day < today:
            self.last_day += DAY
            if not is_first:
                self.closed(self.last_day)
            self.model.settings.begin(self.last_day)
        self.last_tick = self.desk.now
        self.judge()

    def closed(self, ended_at: int) -> None:
        """Take the end of a trading day, under the limits that were in force then."""

    def restart(self) -> None:
        number = self.desk.restart()
        self.model.prices[number] = {}
        self.ticked()

    def moved(self) -> Decimal:
        # Within the band that a price may move by at once.
        return Decimal(self.chance.randint(3_940, 4_060)) / 4

    def quote(self) -> None:
        symbol, price = self.chance.choice(list(MULTIPLIERS)), self.moved()
        for process, seen in zip(self.desk.processes, self.model.prices, strict=True):
            process.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=price))
            seen.setdefault(symbol, Seen()).prices.append((self.desk.now, Fraction(price), False))

    def fill(self, at: int | None = None) -> None:
        """Trade, mostly what is open; some reports come twice."""
        quantity, side = Decimal(self.chance.randint(1, 4)), self.chance.choice((1, -1))
        symbol, fee = self.chance.choice(list(MULTIPLIERS)), Decimal(self.chance.choice((0, 2, 9)))
        if self.model.open_positions() and self.chance.randrange(3):
            symbol, held, *_ = self.chance.choice(self.model.open_positions())
            side, quantity = (-1 if held > 0 else 1), Decimal(int(abs(held)))
        self.count += 1
        name = f"T{self.count}"
        fact = Fact("FILL", 0, at or self.desk.now, stream=f"order/O{name}", id=name, symbol=symbol, side=side)
        self.trades.append(self.tell(replace(fact, quantity=quantity, price=self.moved(), fee=fee)))
        if self.chance.randrange(8) == 0:
            self.send(self.trades[-1])

    def late(self) -> None:
        """Trade earlier than what is recorded already, as far back as trading days are recorded."""
        at = self.desk.now - self.chance.choice((HOUR, 20 * HOUR, 50 * HOUR)) - self.chance.randrange(HOUR)
        self.fill(max(at, self.first_day + self.chance.randrange(HOUR)))

    def fee(self) -> None:
        if self.trades:
            trade = self.chance.choice(self.trades[-4:])
            fee = Decimal(self.chance.choice((3, 250, -4)))
            self.tell(replace(trade, kind="FEE", at=self.desk.now, fee=fee))

    def change(self) -> None:
        """Bust a trade, or correct its price."""
        if not self.trades:
            return
        trade = self.trades.pop(self.chance.randrange(max(len(self.trades) - 4, 0), len(self.trades)))
        if self.chance.randrange(2):
            self.tell(replace(trade, kind="BUST", at=self.desk.now, fee=Decimal(0)))
        else:
            before = (trade.quantity or Decimal(0), trade.price or Decimal(0))
            self.tell(replace(trade, kind="CORRECT", at=self.desk.now, before=before, price=self.moved()))

    def cash(self) -> None:
        kind, amount = self.chance.choice((CashKind.FUNDING, CashKind.DEPOSIT)), Decimal(self.chance.choice((300, 40)))
        self.desk.append("account/A/-", CashMoved(amount=amount, currency="USD", kind=kind))
        if kind is CashKind.FUNDING:
            self.model.cash.append(Step(self.desk.now, Fraction(amount)))

    def limit(self) -> None:
        """Set a limit."""
        raise NotImplementedError

    def set(self, rule: str, given: dict[str, object]) -> None:
        """Set a limit at once, or from a later instant on."""
        later = self.chance.choice((None, None, None, self.desk.now + self.chance.choice((HOUR, DAY))))
        event = LimitsSet(rule_id=rule, parameters=given, effective_from=later)
        record = self.desk.append(f"limits/A/{rule}", event)
        self.model.settings.set(record.recorded_at, rule, given, later)
        self.judge()

    def tell(self, fact: Fact) -> Fact:
        """Report a fact to both."""
        record = self.send(fact)
        self.reported.append(fact)
        self.model.apply(replace(fact, log=record.position, recorded=record.recorded_at))
        return fact

    def send(self, fact: Fact) -> Record:
        event = event_of(fact)
        assert event is not None
        category, _, entity = fact.stream.partition("/")
        return self.desk.append(f"{category}/A/{entity}", event, at=fact.at)

    def problems(self) -> list[str]:
        """Return what a process says otherwise than the reference."""
        found = []
        for number, process in enumerate(self.desk.processes):
            said, now = answers(process, self.desk.now, "ES"), self.desk.now
            locked = {each for each in said["locked"] if each[0] != "unpriced"}
            if locked != self.model.active(now):
                found.append(f"{number}: locked {locked}, not {self.model.active(now)}")
            figures = self.model.figures(number, now)
            if not is_same(said["headroom"], figures):
                found.append(f"{number}: headroom {said['headroom']}, not {figures}")
            is_rejected = self.model.is_rejected(number, now) or locked != said["locked"]
            if said["rejected"] is not is_rejected:
                found.append(f"{number}: rejected {said['rejected']}, not {is_rejected}: {said['why']}")
        return found


def is_same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Return whether figures are the same, as far as 34 digits can state a share."""
    pairs = [(found.get(rule), expected.get(rule)) for rule in {*found, *expected}]
    return found.keys() == expected.keys() and all(
        one == other
        if one is None or other is None
        else one[1] == other[1] and abs(Fraction(one[0]) - other[0]) < EXACT
        for one, other in pairs
    )
