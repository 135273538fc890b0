"""Groups compared with the reference: members that change, fills, loosening, a currency without a rate, restarts."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    GroupDefined,
    LimitsSet,
    OrderFilled,
    QuoteReceived,
    SessionOpened,
    Side,
    Verdict,
)
from projections import Policies
from projections.risk import Proposal, check
from projections.risk.limits.groups import GroupLimits
from projections.valuation import Status
from tests.proving import rounds
from tests.reference.groups import CONTRACTS, FILLS, LOSS, Account, Group

pytestmark = pytest.mark.untraced

START = 1_790_000_000 * NANOSECONDS
FAR = START + 86_400 * 365 * NANOSECONDS
ACCOUNTS = {"A": "USD", "B": "USD", "E": "EUR"}
SYMBOLS = ("ES", "NQ")
MULTIPLIER = 10
GIVEN: dict[str, dict[str, object]] = {
    LOSS: {"currency": "USD"}, CONTRACTS: {"action": "FLATTEN"}, FILLS: {"unit": "fills"}
}  # fmt: skip

Fill = tuple[str, str, Side, int, int]


def _fill(chance: random.Random, name: str) -> Fill:
    """Return a fill of an account: its symbol, side, quantity and price."""
    symbol, side = f"{chance.choice(SYMBOLS)}{ACCOUNTS[name]}", chance.choice((Side.BUY, Side.SELL))
    return name, symbol, side, chance.choice((1, 1, 2, 3)), chance.randint(990, 1_010)


class Scene:
    """A real store with accounts of one group, and the reference beside it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.clock, self.number = chance, ManualClock(START), 0
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.model = Group({name: Account(currency) for name, currency in ACCOUNTS.items()}, MULTIPLIER)
        self.open()
        for name, currency in ACCOUNTS.items():
            opened = AccountOpened(starting_balance=Decimal(50_000), currency=currency)
            self.book.append(f"account/{name}/-", opened)
            self.begin(name)
            for symbol in SYMBOLS:
                contract = ContractDefined(symbol=f"{symbol}{currency}", multiplier=Decimal(10), currency=currency)
                self.book.append(f"contract/-/{symbol}{currency}", contract)
        # What the checked orders are for: nobody holds it.
        self.book.append("contract/-/ZZ", ContractDefined(symbol="ZZ", multiplier=Decimal(10), currency="USD"))

    def open(self) -> None:
        self.book = projections.open(self.store)
        self.policies = Policies(self.book, [GroupLimits()]).start(ticking=False)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()

    def begin(self, name: str) -> None:
        self.number += 1
        day, now = date(2026, 9, 21) + timedelta(self.number), self.clock.now_ns()
        opened = SessionOpened(trading_day=day, began_at=now, resets_at=FAR)
        self.book.append(f"session/{name}/{day}", opened)
        self.model.begin(name)

    def step(self) -> None:
        """Do one of the things that happen, to both; policies then look at all accounts."""
        chance = self.chance
        self.clock.advance(chance.choice((1, 2, 3)) * NANOSECONDS)
        self.model.now = (self.clock.now_ns() - START) // NANOSECONDS
        name = chance.choice(list(ACCOUNTS))
        verb = chance.choices(("fill", "rate", "limit", "begin", "define", "restart"), (50, 12, 12, 12, 9, 5))[0]
        if verb == "fill":
            self.fill(name)
        elif verb == "rate":
            self.rate(chance.choice(("1.10", "1.11", "1.12")))
        elif verb == "begin":
            self.begin(name)
        elif verb == "limit":
            rule, most = chance.choice(list(GIVEN)), chance.randint(1, 12)
            limit = most * 30 if rule == LOSS else most
            event = LimitsSet(rule_id=rule, parameters={"limit": str(limit), **GIVEN[rule]})
            self.book.append(f"limits/@desk/{rule}", event, actor="desk")
            self.model.limit(rule, limit)
        elif verb == "define":
            members = chance.sample(list(ACCOUNTS), chance.choice((0, 1, 2, 2, 3, 3)))
            self.book.append("group/-/desk", GroupDefined(accounts=(*members, *members[:1])), actor="desk")
            self.model.define(set(members))
        else:
            self.close()
            self.open()
            self.model.rates.clear()
        self.model.judge()
        self.policies.tick()

    def rate(self, rate: str) -> None:
        self.book.observe("quote/-/EURUSD", QuoteReceived(symbol="EURUSD", last=Decimal(rate)))
        self.model.rates["EUR"] = Fraction(rate), self.model.now

    def fill(self, name: str) -> None:
        self.record(_fill(self.chance, name))

    def record(self, fill: Fill) -> None:
        name, symbol, side, quantity, price = fill
        self.number += 1
        event = OrderFilled(
            trade_id=f"T{self.number}", symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price)
        )
        self.book.append(f"order/{name}/O{self.number}", event)
        self.model.fill(name, symbol, quantity if side is Side.BUY else -quantity, Fraction(price))

    def compare(self) -> None:
        now = self.clock.now_ns()
        assert self.book.groups.members("desk") == tuple(sorted(self.model.members))
        for name, rule in self.model.rules.items():
            held = self.book.limits.get("@desk", name)
            assert (None if held is None else int(held.parameters["limit"])) == rule.held
        for name in ACCOUNTS:
            account = self.model.accounts[name]
            locked = {each.rule_id.removeprefix("group:desk:") for each in self.book.lockouts.active(name, now)}
            assert locked == account.locked
            self._compare_headroom(name)
            self._compare_check(name, now)

    def _compare_headroom(self, name: str) -> None:
        found = {each.kind: each for each in self.book.limits.headroom(name)}
        of_group = {kind for kind, rule in self.model.rules.items() if rule.held is not None}
        assert set(found) == (of_group if name in self.model.members else set())
        for kind, each in found.items():
            figure = self.model.figure(kind)
            assert (each.status is Status.KNOWN) == (figure is not None)
            if figure is not None and each.figure is not None:
                assert Fraction(each.figure) == figure

    def _compare_check(self, name: str, now: int) -> None:
        order = Proposal(account=name, symbol="ZZ", side=Side.BUY, quantity=Decimal(1))
        checked = check(self.book, order, now)
        rejecting = {each.rule_id for each in checked.findings if each.verdict is Verdict.REJECT}
        group = {each.removeprefix("group:desk:") for each in rejecting if each.startswith("group:")}
        account = self.model.accounts[name]
        if account.locked:
            # Lockouts come first.
            assert group == account.locked
        else:
            assert group == (self.model.rejects() if name in self.model.members else set())


@pytest.mark.slow
def test_members_limits_lockouts_and_checks_are_the_reference_s() -> None:
    for seed in rounds("groups", test=200, prove=20_000):
        scene = Scene(random.Random(seed))
        for _ in range(25):
            scene.step()
            scene.compare()
        scene.close()
        scene.store.close()


def test_the_order_in_which_members_trade_changes_no_figure() -> None:
    for seed in rounds("order of members", test=20, prove=2_000):
        chance = random.Random(seed)
        fills = [_fill(chance, chance.choice(list(ACCOUNTS))) for _ in range(12)]
        found = []
        # Each member's own fills stay in their order.
        for order in (fills, sorted(fills, key=lambda fill: fill[0])):
            scene = Scene(random.Random(seed))
            scene.book.append("group/-/desk", GroupDefined(accounts=tuple(ACCOUNTS)), actor="desk")
            for rule, more in GIVEN.items():
                event = LimitsSet(rule_id=rule, parameters={"limit": "100000", **more})
                scene.book.append(f"limits/@desk/{rule}", event, actor="desk")
            for fill in order:
                scene.record(fill)
            scene.rate("1.10")
            found.append([(each.rule_id, each.figure) for each in scene.book.limits.headroom("A")])
            scene.close()
            scene.store.close()
        assert found[0] == found[1]
