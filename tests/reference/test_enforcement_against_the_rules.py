"""Random days of an account that is locked, with late fills, failures, lost answers, two enforcers, kills and reports.

A locked account that must be flat is flat or asked for, always, and nothing is carried out twice.
"""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

import projections
from eventstore.trading import EnforcementRequested, EnforcementTaken, OrderSubmitted, OrderType, Side
from projections import Book, Policies
from projections.risk import submit
from projections.risk.enforcement.claims import RequestClaim, claim
from projections.risk.limits.enforcement_keeper import EnforcementKeeper
from projections.views.enforcement import Enforcement
from tests.projections.goals_desk import GoalsDesk
from tests.proving import rounds
from tests.reference.enforcement import CANCEL, FLATTEN, SECOND, Enforced, Lock, Request

pytestmark = pytest.mark.untraced
STEPS = 40
LEASE = 10
SIDES = {1: Side.BUY, -1: Side.SELL}


class Enforcer:
    """A process that carries out one request after the other, a step at a time, and may die before each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: RequestClaim | None = None
        self.left: list[str] = []
        self.own = ""


class Scene:
    """A random day: what happens to the book happens to the model, and both are compared after each step."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.desk = GoalsDesk(EnforcementKeeper())
        self.model = Enforced(self.desk.now)
        self.others: Policies | None = None
        self.enforcers = [Enforcer("one"), Enforcer("two")]
        self.count = 0
        self.read = self.desk.store.head()
        self.history: list[str] = []

    @property
    def book(self) -> Book:
        return self.desk.book

    def play(self) -> None:
        steps = [self.trade, self.work, self.end_order, self.unlock, self.restart, self.die, self.report]
        steps += 2 * [self.wait, self.lock] + 2 * [self.trade, self.work] + 12 * [self.enforce]
        for _ in range(STEPS):
            step = self.chance.choice(steps)
            self.history.append(step.__name__)
            step()
            self.follow()
            self.compare()
        self.desk.close()

    # What happens

    def name(self, what: str) -> str:
        self.count += 1
        return f"{what}-{self.count}"

    def trade(self) -> None:
        side, quantity = self.chance.choice((1, -1)), self.chance.randint(1, 3)
        self.model.fill(side, quantity)
        self.desk.fill(SIDES[side], quantity)

    def work(self) -> None:
        side, quantity, name = self.chance.choice((1, -1)), self.chance.randint(1, 3), self.name("stop")
        self.model.order(name, side, quantity)
        self.desk.submit(SIDES[side], quantity, name)

    def end_order(self) -> None:
        """Let an order fill, wholly or in part, or be cancelled: also one of a process that has died."""
        working = [(name, each) for name, each in self.model.orders.items() if each.left]
        if not working:
            return
        name, order = self.chance.choice(working)
        if self.chance.randint(0, 2):
            quantity = self.chance.randint(1, order.left)
            self.model.fill(order.side, quantity, name)
            self.desk.fill(SIDES[order.side], quantity, name)
        else:
            self.cancel(name)

    def cancel(self, name: str) -> None:
        self.model.cancel(name)
        self.desk.cancel(name)

    def lock(self) -> None:
        if self.model.lock is not None and self.model.lock.holds(self.model.now):
            return
        seconds = self.chance.choice((None, None, 2, 20))
        lock = self.model.lock = Lock(None if seconds is None else self.model.now + seconds * SECOND)
        self.model.index += 1
        for action in (CANCEL, FLATTEN):
            self.model.index += 1
            self.model.requests.append(Request(action, lock, self.model.index, self.model.now))
        self.desk.lock(seconds=seconds)

    def unlock(self) -> None:
        lock = self.model.lock
        if lock is not None and lock.holds(self.model.now) and not self.chance.randint(0, 2):
            lock.cleared = True
            self.model.index += 1
            self.desk.unlock()

    def wait(self) -> None:
        """Let time pass, with one process that runs the policies, or two, or none at first."""
        self.desk.clock.advance(self.chance.choice((1, 1, 2, 2, 4, 8, 20, 80)) * SECOND // 4)
        self.model.now = self.desk.now
        if self.others is not None:
            self.others.tick()
            self.follow()
        assert self.desk.policies is not None
        self.desk.policies.tick()
        self.follow()
        for action in (CANCEL, FLATTEN):
            newest = self.model.newest(action)
            if newest is not None and self.model.wants(newest):
                assert not self.model.is_due(newest), f"{action} {newest.attempt} was due and is not asked again"

    def restart(self) -> None:
        """Kill what runs the policies and start it again; let a second process run them from now on, or no more."""
        if self.others is not None:
            self.others.stop()
            self.others.book.close()
            self.others = None
        elif self.chance.randint(0, 1):
            self.others = Policies(projections.open(self.desk.store), [EnforcementKeeper()]).start(ticking=False)
        assert self.desk.policies is not None
        self.desk.policies.stop()
        self.book.close()
        self.desk.book = projections.open(self.desk.store)
        self.desk.policies = Policies(self.book, [EnforcementKeeper()]).start(ticking=False)
        for each in self.enforcers:
            each.held = None

    def report(self) -> None:
        """Let the broker contradict the fills for a moment, or agree."""
        if self.chance.randint(0, 1):
            for number in range(2):
                self.desk.clock.advance(SECOND // 4)
                self.model.now = self.desk.now
                self.model.index += 1
                self.model.changed[FLATTEN] = self.model.index
                self.model.enlarged = self.model.index
                # The first may lag behind the fills, the second says the same again.
                self.model.contradicted = bool(number)
                self.desk.report(self.model.position + 2 * (1 if self.model.position >= 0 else -1))
                self.follow()
                self.compare()
        self.desk.clock.advance(SECOND // 4)
        self.model.now, self.model.contradicted = self.desk.now, False
        self.model.index += 1
        self.model.changed[FLATTEN] = self.model.index
        self.desk.report(self.model.position)

    # The enforcers

    def die(self) -> None:
        number = self.chance.randint(0, 1)
        self.enforcers[number] = Enforcer(self.name("enforcer"))

    def enforce(self) -> None:
        enforcer = self.chance.choice(self.enforcers)
        if enforcer.held is None or not enforcer.held.is_held():
            self.begin(enforcer)
            return
        step = enforcer.left.pop(0) if enforcer.left else "answer"
        request = enforcer.held.request
        if step == "close":
            self.close(enforcer, request)
        elif step.startswith("cancel "):
            name = step.removeprefix("cancel ")
            if self.model.orders[name].left:
                self.cancel(name)
        elif step == "answer":
            self.answer(request, success=self.chance.randint(0, 3) > 0)
            enforcer.held = None

    def begin(self, enforcer: Enforcer) -> None:
        pending = [each for each in self.book.enforcement.pending("A") if not each.taken]
        if not pending:
            return
        request = self.chance.choice(pending)
        model = self.of(request)
        enforcer.held = claim(self.book, request, enforcer.name, lease_ns=LEASE * SECOND)
        is_free = self.model.now >= model.lease_until
        assert (enforcer.held is not None) is is_free, f"{request.action} is claimed until {model.lease_until}"
        if enforcer.held is None:
            return
        self.model.index += 1
        model.claimant, model.lease_until = enforcer.name, self.model.now + LEASE * SECOND
        if request.action == CANCEL:
            enforcer.left = [
                f"cancel {name}" for name, each in self.model.orders.items() if each in self.model.to_cancel()
            ]
        else:
            enforcer.left = ["close", *(["close"] if self.chance.randint(0, 3) == 0 else [])]

    def close(self, enforcer: Enforcer, request: Enforcement) -> None:
        """Send an order to close what is open; an enforcer that forgets that it has done so may not do it again."""
        side = -1 if self.model.position > 0 else 1
        wanted = abs(self.model.position) or 1
        against = sum(each.left for each in self.model.orders.values() if each.side == side)
        name = self.name("close")
        order = OrderSubmitted(symbol="ESZ6", side=SIDES[side], quantity=Decimal(wanted), order_type=OrderType.MARKET)
        sent = submit(self.book, "A", name, order, self.desk.now, caused_by=request.id)
        most = self.model.closable(side) - against
        model = self.of(request)
        if not sent.answer.passed:
            self.model.index += 1
        is_asked = any(action == model.action for action, _ in self.model.pending())
        if wanted <= most and is_asked:
            assert sent.answer.passed, sent.answer.reason
        if sent.answer.passed and self.model.lock is not None and self.model.lock.holds(self.model.now):
            assert wanted <= most, f"{wanted} is sent though only {most} is left to close"
        if sent.answer.passed:
            self.model.order(name, side, wanted, own=True)

    def answer(self, request: Enforcement, *, success: bool) -> None:
        model = self.of(request)
        self.model.index += 1
        if model.success is None:
            model.success, model.answered_at, model.answered_index = success, self.model.now, self.model.index
        event = EnforcementTaken(request_id=request.request_id, success=success)
        self.desk.append(f"enforcement/A/{request.request_id}", event)

    # The comparison

    def of(self, request: Enforcement) -> Request:
        index = self.positions()[request.position]
        return next(each for each in self.model.requests if each.index == index)

    def follow(self) -> None:
        """Let the model follow what the policy has recorded, each of which it must allow."""
        for record in self.desk.store.read(after=self.read):
            self.read = record.position
            if not record.actor.startswith("policy:"):
                continue
            self.model.index += 1
            event = record.event
            if not isinstance(event, EnforcementRequested):
                continue
            newest = self.model.newest(str(event.action))
            assert newest is not None
            assert event.attempt == newest.attempt + 1, "an attempt was left out, or made twice"
            assert self.model.wants(newest), f"{event.action} is asked again though nothing wants it"
            assert self.model.is_due(newest) or self.model.is_undone(newest), f"{event.action} is asked again too soon"
            for each in self.model.requests:
                each.superseded |= each.action == newest.action and each.success is None
            again = Request(newest.action, newest.lock, self.model.index, record.occurred_at, event.attempt)
            self.model.requests.append(again)

    def compare(self) -> None:
        positions = self.positions()
        found = {(str(each.action), positions[each.position]) for each in self.book.enforcement.pending("A")}
        assert found == self.model.pending(), (
            f"{sorted(found)}, not {sorted(self.model.pending())} after {', '.join(self.history)}"
        )
        lock = self.model.lock
        if lock is not None and lock.holds(self.model.now):
            asked = {action for action, _ in found}
            assert FLATTEN in asked or not self.model.position, "it is locked, open, and nobody is asked"
            assert CANCEL in asked or not self.model.to_cancel(), "it is locked, an order works, and nobody is asked"

    def positions(self) -> dict[int, int]:
        """Return the model's index of each request, by log position: in the order of the log."""
        made = [each.position for each in self.book.enforcement.of("A")]
        return dict(zip(sorted(made), [each.index for each in self.model.requests], strict=True))


def test_a_locked_account_is_flat_or_asked_for_and_nothing_is_done_twice() -> None:
    for seed in rounds("enforcement against the rules", test=60, prove=20_000):
        Scene(seed).play()
