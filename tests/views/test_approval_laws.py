"""Whatever one person appends unlocks and loosens nothing; what two agree on does what a plain model says."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from eventstore import Event, Record, VersionConflict
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountReopened,
    Allows,
    Approved,
    Baseline,
    ClockJumped,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    Protection,
    ProtectionMode,
    Unpriced,
)
from tests.proving import rounds
from tests.views.approving import CARL, SECOND, Desk

ALONE = ("ann", "ANN@desk1/bot", "ann@desk9/approvals", "policy:manual", "carl")
"""The names that one person, and a friend who may not approve, append under."""
YEAR = 366 * 86_400 * SECOND
Act = Callable[[random.Random, Desk], tuple[str, Event]]


def _clear(chance: random.Random, _desk: Desk) -> tuple[str, Event]:
    scope, rule = chance.choice((None, "account")), chance.choice((None, "manual"))
    return chance.choice(("lockout/A/manual", "lockout/A/x")), LockoutCleared(by="bob", scope=scope, rule_id=rule)


def _lock(chance: random.Random, desk: Desk) -> tuple[str, Event]:
    until = chance.choice((None, desk.clock.now_ns() + chance.randint(-5, 50) * SECOND))
    allows = chance.choice((*Allows,))
    return "lockout/A/manual", LockoutSet(rule_id="manual", until=until, allows=allows, revocable=chance.random() < 0.9)


def _other_lock(chance: random.Random, desk: Desk) -> tuple[str, Event]:
    until = desk.clock.now_ns() + chance.randint(-5, 50) * SECOND
    event = chance.choice((LockoutExtended(until=until), LockoutExpired(), LockoutExtended()))
    return "lockout/A/manual", event


def _account(chance: random.Random, desk: Desk) -> tuple[str, Event]:
    records = list(desk.store.read())
    wrong = chance.choice(records).uuid
    settings = (
        {"second_approver": chance.choice(("", "*", "ann", "bob,ann", "carl"))},
        {"baseline": chance.choice((*Baseline,)), "second_approver": "ann"},
        {"unpriced": chance.choice((*Unpriced,)), "haircut": Decimal("0.1")},
    )
    return "account/A/-", chance.choice(
        (
            AccountReopened(starting_balance=Decimal(1_000)),
            EquityCorrected(reason="wrong", high_water=Decimal(1), floor=Decimal(0), wrong=wrong),
            AccountConfigured(**chance.choice(settings)),
            ProtectionMode(mode=Protection.SHADOW),
        )
    )


def _limit(chance: random.Random, desk: Desk) -> tuple[str, Event]:
    later = chance.choice((None, desk.clock.now_ns() + chance.randint(-9, 99) * SECOND))
    table: dict[str, object] = {"limit": str(chance.randint(1, 20) * 100)}
    # Some of these no kind can read, and no book appends; the log takes them.
    table |= chance.choice(({}, {}, {"enabled": False}, {"severity": "WARNING"}, {"limit": "x"}, {"limit": None}))
    others: list[dict[str, object]] = [table, table, table, {}, {"x": 1}]
    table = chance.choice(others)
    stream = chance.choice(("limits/A/daily-loss", "limits/@desk/daily-loss"))
    return stream, LimitsSet(rule_id="daily-loss", parameters=table, effective_from=later)


def _group(chance: random.Random, _desk: Desk) -> tuple[str, Event]:
    return "group/-/desk", GroupDefined(accounts=chance.choice(((), ("B",), ("A",), ("A", "B", "C"))))


def _jump(chance: random.Random, desk: Desk) -> tuple[str, Event]:
    now = desk.clock.now_ns()
    return "lockout/A/clock", ClockJumped(before=now, after=now + chance.randint(-500, 500) * SECOND)


def _approve(chance: random.Random, desk: Desk) -> tuple[str, Event]:
    target = chance.choice([*desk.store.read()][-12:]).uuid if chance.random() < 0.9 else uuid.UUID(int=1)
    return chance.choice(("approval/A/1", "approval/B/1", "approval/-/1")), Approved(record=target)


ACTS: tuple[Act, ...] = (_clear, _lock, _other_lock, _account, _limit, _group, _jump, _approve, _approve)


def guarded_desk() -> Desk:
    """Return a desk whose account A is locked for good and limited, alone and with B, by somebody else."""
    desk = Desk("bob")
    desk.add("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"), CARL)
    desk.add("group/-/desk", GroupDefined(accounts=("A", "B")), CARL)
    for name in ("A", "@desk"):
        desk.limit(CARL, 500, name)
    desk.lock("dora")
    return desk


def test_one_person_unlocks_and_loosens_nothing_by_whatever_is_appended() -> None:
    for seed in rounds("one person alone", test=25, prove=1_000):
        _be_alone(seed)


def _be_alone(seed: int) -> None:
    chance, desk = random.Random(seed), guarded_desk()
    for _ in range(40):
        stream, event = chance.choice(ACTS)(chance, desk)
        if isinstance(event, AccountReopened | LimitsSet):
            # A book refuses some of them, and the log takes each.
            desk.store.append(stream, event, actor=chance.choice(ALONE))
        else:
            desk.add(stream, event, chance.choice(ALONE))
        desk.clock.advance(chance.choice((0, 0, 1, 100)) * SECOND)
        if chance.random() < 0.3:
            for name in ("A", "B"):
                desk.next_day(name)
        now = desk.clock.now_ns()
        for at in (now, now + YEAR):
            held = [each for each in desk.book.lockouts.active("A", at) if each.rule_id == "manual"]
            assert held, (seed, event)
            assert all(each.allows is Allows.NOTHING for each in held), (seed, event)
        for name in ("A", "@desk"):
            (limit,) = desk.book.limits.of(name)
            assert Decimal(limit.parameters["limit"]) <= 500, (seed, name, event)
            assert limit.parameters.get("severity", "LOCKOUT") == "LOCKOUT", (seed, name, event)
            assert limit.parameters.get("enabled", True), (seed, name, event)
        assert desk.book.approvals.approvers("A") == ("bob",), (seed, event)
        assert desk.book.shadow.mode("A") is Protection.ARMED, (seed, event)
        assert set(desk.book.groups.members("desk")) == {"A", "B"}, (seed, event)


PERSONS = ("ann", "bob", "carl", "dora")
RULES = ("one", "two")


@dataclass
class Model:
    """The plain model: what is locked since which record, and who has asked for what, all by log position."""

    approvers: set[str] = field(default_factory=set)
    locked: dict[str, int] = field(default_factory=dict)
    asked: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Each request to release that may still be approved: of which rule, by whom."""
    settings: dict[int, tuple[set[str], str]] = field(default_factory=dict)

    def lock(self, rule: str, position: int) -> None:
        self.locked[rule] = position
        self.asked = {each: request for each, request in self.asked.items() if request[0] != rule}

    def clear(self, rule: str, person: str, position: int) -> None:
        if rule not in self.locked:
            return
        if self.approvers:
            self.asked[position] = (rule, person)
        else:
            del self.locked[rule]

    def configure(self, approvers: set[str], person: str, position: int) -> None:
        # A newer wish about who approves takes the place of the older one.
        self.settings = {}
        if self.approvers and approvers != self.approvers:
            self.settings = {position: (approvers, person)}
        else:
            self.approvers = approvers

    def approve(self, position: int, person: str) -> None:
        rule, asker = self.asked.get(position, ("", ""))
        if rule and person in self.approvers and person != asker:
            del self.locked[rule]
            self.asked = {each: request for each, request in self.asked.items() if request[0] != rule}
        approvers, asker = self.settings.get(position, (set(), ""))
        if position in self.settings and person in self.approvers and person != asker:
            self.settings, self.approvers = {}, approvers
            if not approvers:
                self.asked = {}


def test_what_two_persons_agree_on_is_what_the_plain_model_says() -> None:
    for seed in rounds("two persons", test=40, prove=500):
        _agree(seed)


def _agree(seed: int) -> None:
    chance, desk, model = random.Random(seed), Desk(None), Model()
    records: list[Record] = []
    for _ in range(60):
        act, person, rule = chance.choice("lcccaaaas"), chance.choice(PERSONS), chance.choice(RULES)
        if act == "l":
            records.append(desk.lock(person, rule))
            model.lock(rule, records[-1].position)
        elif act == "c":
            records.append(desk.clear(person, rule))
            model.clear(rule, person, records[-1].position)
        elif act == "s":
            named = set(chance.sample(PERSONS, chance.choice((0, 1, 2, 2))))
            records.append(desk.configure(person, second_approver=",".join(sorted(named))))
            model.configure(named, person, records[-1].position)
        elif records:
            request = chance.choice(records[-8:])
            desk.approve(request, f"{person}@{chance.choice('xy')}/{chance.choice('xy')}")
            model.approve(request.position, person)
        assert sorted(desk.locked()) == sorted(model.locked), (seed, act)
        assert set(desk.book.approvals.approvers("A")) == model.approvers, (seed, act)
        assert set(desk.waiting()) == {*model.asked, *model.settings}, (seed, act)


def test_the_appends_of_two_processes_do_not_make_two_persons_of_one() -> None:
    """An approval that was decided on an older state is folded where it stands in the log, like any other."""
    desk = guarded_desk()
    request = desk.clear("ann")
    desk.lock("dora")
    with pytest.raises(VersionConflict):
        desk.book.append("approval/A/1", Approved(record=request.uuid), actor="bob", expected=5)
    desk.approve(request)
    assert desk.locked() == ["manual"]
