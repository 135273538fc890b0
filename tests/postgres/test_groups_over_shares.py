"""Policies for single accounts and for groups of accounts together, where the accounts are of several members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal

import pytest

import eventstore
import projections
from eventstore import Batch, Record
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementRequested,
    GroupDefined,
    LimitBreached,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    Side,
)
from projections.group_worker import GroupWorker
from projections.membership import GroupMember
from projections.rules import shipped_rules
from projections.shares import SHARES, share_of
from tests.postgres.desks import GROUP, Desk
from tests.postgres.following import LockEvery
from tests.waiting import WAIT_SECONDS, until

ACCOUNTS = [f"ACC{number}" for number in range(8)]
GROUP_RULE = "group:G:daily-loss"


class GroupedFirm:
    """Two members with all shipped policies and one for every order, and accounts that are judged together."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self._stack = url, stack
        self.store = stack.enter_context(eventstore.open(url))
        self.number = 0
        self.store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        for account in ACCOUNTS:
            self.store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))

    def member(self, id: str) -> GroupWorker:
        store = self._stack.enter_context(eventstore.open(self.url))
        worker = GroupWorker(GroupMember(store, GROUP, id=id), store, lambda: [*shipped_rules(), LockEvery()]).start()
        self._stack.callback(Desk.ended, worker)
        return worker

    def two(self) -> tuple[GroupWorker, GroupWorker]:
        first, second = self.member("a"), self.member("b")
        until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
        return first, second

    def apart(self, first: GroupWorker) -> tuple[str, str]:
        """Return an account of this member, and one of the other."""
        own = [account for account in ACCOUNTS if share_of(account) in first.shares]
        return own[0], next(account for account in ACCOUNTS if account not in own)

    @staticmethod
    def group(*accounts: str, name: str = "G") -> Batch:
        return Batch(f"group/-/{name}", GroupDefined(accounts=accounts), actor="me")

    @staticmethod
    def limit(account: str, rule_id: str, **parameters: object) -> Batch:
        return Batch(f"limits/{account}/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="me")

    def result(self, account: str, amount: int) -> list[Batch]:
        """Return what realizes an amount by a round trip in one contract."""
        fills = []
        for side, price in ((Side.BUY, Decimal(5_000)), (Side.SELL, 5_000 + Decimal(amount) / 50)):
            self.number += 1
            event = OrderFilled(trade_id=f"T{self.number}", symbol="ES", side=side, quantity=Decimal(1), price=price)
            fills.append(Batch(f"order/{account}/O{self.number}", event))
        return fills

    def append(self, *batches: Batch) -> None:
        self.store.append_many(batches)

    def locked(self, rule_id: str = GROUP_RULE) -> Counter[str]:
        found = self.store.read(types=(LockoutSet,))
        return Counter(each.account for each in found if getattr(each.event, "rule_id", "") == rule_id)

    def recorded(self, *types: type) -> list[Record]:
        return list(self.store.read(types=types))


@pytest.fixture
def firm(postgres_url: str) -> Iterator[GroupedFirm]:
    with ExitStack() as stack:
        yield GroupedFirm(postgres_url, stack)


def once(*accounts: str) -> Counter[str]:
    return Counter(accounts)


def settle(firm: GroupedFirm, *workers: GroupWorker) -> None:
    """Wait until members have folded and decided on all, and for what they evaluate four times a second."""
    head = firm.store.head
    until(lambda: all(each.position >= head() and not each.stopped_policies() for each in workers))
    before = head()
    until(lambda: not firm.store.wait(before, 1.0) or head() == before)


def test_a_breach_in_one_member_s_account_locks_those_of_both_once(firm: GroupedFirm) -> None:
    first, second = firm.two()
    one, other = firm.apart(first)
    firm.append(
        firm.group(one, other),
        firm.limit("@G", "daily-loss", limit="500", action="FLATTEN"),
        firm.limit("@G", "daily-loss:warning", limit="300", severity="WARNING"),
        firm.limit(one, "daily-loss", limit="10000"),
    )
    settle(firm, first, second)
    firm.append(*firm.result(one, -300))
    firm.append(*firm.result(other, -300))
    until(lambda: firm.locked() == once(one, other))
    settle(firm, first, second)
    assert firm.locked() == once(one, other)
    # One cancels, one flattens; each is asked for again with the number of its attempt.
    asked = Counter((each.account, repr(each.event)) for each in firm.recorded(EnforcementRequested))
    assert set(asked.values()) == {1}
    assert {account for account, _ in asked} == {one, other}
    assert len(firm.recorded(LimitBreached)) == 1
    for worker in (first, second):
        assert not worker.stopped_policies()


def test_the_kill_switch_of_a_group_locks_every_member_once_and_releases_it(firm: GroupedFirm) -> None:
    first, second = firm.two()
    one, other = firm.apart(first)
    firm.append(firm.group(one, other), firm.limit("@G", "kill-switch", enabled=True))
    rule_id = "group:G:kill-switch"
    until(lambda: firm.locked(rule_id) == once(one, other))
    settle(firm, first, second)
    firm.append(firm.limit("@G", "kill-switch", enabled=False))
    with projections.open(firm.store) as book:

        def are_released() -> bool:
            book.refresh()
            return not any(book.lockouts.active(each, book.now_ns()) for each in (one, other))

        until(are_released)
    settle(firm, first, second)
    assert firm.locked(rule_id) == once(one, other)


@pytest.mark.parametrize("which", [0, 1])
def test_what_a_dead_member_s_account_has_breached_is_decided_by_the_other(firm: GroupedFirm, which: int) -> None:
    workers = firm.two()
    one, other = firm.apart(workers[0])
    firm.append(firm.group(one, other), firm.limit("@G", "daily-loss", limit="500"))
    settle(firm, *workers)
    dead, left = workers[which], workers[1 - which]
    # It folds, decides and appends nothing any more, and then its session ends: as one that is cut off.
    until(lambda: dead._life is not None)
    life = dead._life
    assert life is not None
    with life.policies._append_lock:
        # For a moment, a single fill that another one takes back: only who evaluates each record sees it.
        firm.append(*firm.result(one, -600), *firm.result(other, 400))
        firm.store.side.evict(GROUP, dead.member.id)  # type: ignore[union-attr]
    until(lambda: len(left.shares) == SHARES)
    until(lambda: firm.locked() == once(one, other))
    settle(firm, left)
    assert firm.locked() == once(one, other)


def test_no_record_is_skipped_while_a_member_of_a_group_of_accounts_is_not_folded_yet(firm: GroupedFirm) -> None:
    first, second = firm.two()
    one, other = firm.apart(first)
    firm.append(firm.limit("@G", "daily-loss", limit="500"))
    settle(firm, first, second)
    # The members' books have not both accounts until they begin again, and the loss has been made up for by then.
    firm.append(firm.group(one, other), *firm.result(one, -600), *firm.result(other, 400))
    until(lambda: firm.locked() == once(one, other), WAIT_SECONDS / 3)
    settle(firm, first, second)
    assert firm.locked() == once(one, other)
