"""Workers that share the accounts of a log: who holds what, who decides, and what nobody misses."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import Fenced, InvalidEvent, Unavailable
from eventstore.journals.postgres.side import PostgresSide
from eventstore.side import SeenMember
from eventstore.trading import GroupDefined, LockoutSet, OrderSubmitted
from projections.group_worker import GroupWorker
from projections.membership import Evicted, GroupMember, HeldShares, part_of
from projections.risk.policies import Decision, Policies, Policy, Trigger, TriggerKind
from projections.risk.policies.liveness import PolicyRun, run_of
from projections.risk.policies.ownership import Ownership
from projections.risk.policies.protocol import PendingDecision
from projections.shares import SHARES, share_of
from tests.postgres.desks import ACCOUNTS, GROUP, REBALANCE_SECONDS, Desk
from tests.postgres.following import LockEvery, has_to_lock
from tests.waiting import WAIT_SECONDS, until


def seen(id: str, *, alive: bool = True, silent: float = 0.0, evicted: bool = False) -> SeenMember:
    return SeenMember(id, "", "", 0, silent, 0, alive, evicted, ())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 63, 64, 65, 100])
def test_all_shares_are_divided_into_equal_parts(count: int) -> None:
    members = [seen(f"m{number:03}") for number in range(count)]
    parts = [part_of(member.id, members) for member in members]
    assert sum(parts) == SHARES
    assert max(parts) - min(parts) <= 1


def test_members_that_do_not_live_have_no_part() -> None:
    gone = [seen("a", alive=False), seen("c", evicted=True)]
    assert part_of("d", [*gone, seen("d")]) == SHARES
    assert part_of("e", [*gone, seen("d")]) == SHARES // 2, "one that is new counts itself"
    assert part_of("d", [seen("b", silent=9.0), seen("d")]) == SHARES // 2, "one whose session lives is only slow"


def test_every_account_has_one_share_forever() -> None:
    assert [share_of(account) for account in ("ACC1", "ACC2", "-", "@desk", "Konto-ä")] == [21, 35, 57, 2, 2]
    assert {share_of(f"A{number}") for number in range(2_000)} == set(range(SHARES))


def test_the_server_computes_the_same_shares(desk: Desk) -> None:
    side = desk.store.side
    assert side is not None
    names = [*ACCOUNTS, "-", "@desk", "Konto-ä"]
    share = "get_byte(sha256(convert_to(name, 'UTF8')), 0) %% 64"
    sql = f"SELECT {share} FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, n) ORDER BY n"  # noqa: S608 - constants
    found = side.asked(sql, (names,))  # type: ignore[attr-defined] # of a log in PostgreSQL
    assert [number for (number,) in found] == list(map(share_of, names))


def test_a_log_in_a_directory_has_no_groups(tmp_path: object) -> None:
    with eventstore.open(str(tmp_path)) as store, pytest.raises(InvalidEvent, match="PostgreSQL"):
        GroupMember(store, GROUP, id="a")


def test_one_worker_holds_all_and_decides_for_all(desk: Desk) -> None:
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.submit(200)
    desk.decided()
    assert run_of(projections.open(desk.store), "ACC1") is PolicyRun.RUNNING


def test_two_workers_share_within_seconds_and_neither_misses_an_order(desk: Desk) -> None:
    first = desk.worker("a")
    assert first.wait(SHARES, WAIT_SECONDS)
    desk.submit(150)
    second = desk.worker("b")
    took = until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    assert took < REBALANCE_SECONDS
    assert not first.shares & second.shares
    desk.submit(250)
    desk.decided()
    second.stop()
    assert until(lambda: len(first.shares) == SHARES) < REBALANCE_SECONDS
    desk.submit(200)
    desk.decided()


def test_policies_of_a_share_that_is_taken_later_begin_where_the_group_began(desk: Desk) -> None:
    first = desk.worker("a")
    assert first.wait(SHARES, WAIT_SECONDS)
    first.stop()
    # Nobody works: what is appended meanwhile is decided on by the member that takes each share.
    desk.submit(300)
    second, third = desk.worker("b"), desk.worker("c")
    until(lambda: len(second.shares) == len(third.shares) == SHARES // 2)
    desk.decided()


def test_an_evicted_worker_ends_and_the_others_take_its_shares(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    side = desk.store.side
    assert side.evict(GROUP, "a")  # type: ignore[union-attr]
    assert not side.evict(GROUP, "nobody")  # type: ignore[union-attr]
    assert until(lambda: len(second.shares) == SHARES) < REBALANCE_SECONDS
    until(lambda: first.error is not None)
    assert not first.shares
    with pytest.raises(Evicted, match="rejoin"):
        first.stop()


def test_what_was_held_before_a_loss_is_not_held_again(desk: Desk) -> None:
    member = GroupMember(desk.store, GROUP, id="a")
    member.join()
    member.take(member.beat(0))
    held = HeldShares(member)
    assert len(held.fences()) == SHARES
    side = desk.store.side
    assert isinstance(side, PostgresSide)
    side._drop()
    assert not held.fences()

    def is_back() -> bool:
        member.take(member.beat(0))
        return len(member.held) == SHARES

    until(is_back)
    # The same shares, by other epochs: what was folded or decided before is of another life.
    assert not held.fences()
    assert HeldShares(member).are_all_held
    owned = Ownership(held, held.shares)
    with pytest.raises(Fenced):
        owned.fence_of("ACC1")
    member.leave()


def test_a_decision_of_another_members_account_is_left_to_it(desk: Desk) -> None:
    member = GroupMember(desk.store, GROUP, id="a")
    member.join()
    member.take(member.beat(0))
    own, other = share_of("ACC1"), share_of("ACC2")
    assert own != other
    member.release([other])
    owned = Ownership(held := HeldShares(member), held.shares)

    def decided(trigger: str, *accounts: str) -> PendingDecision:
        events = tuple((f"lockout/{account}/x", LockoutSet(rule_id="x")) for account in accounts)
        return PendingDecision(LockEvery(), Trigger(TriggerKind.TIME, trigger, 0, ""), Decision(events), ())

    assert owned.fence_for(decided("ACC1", "ACC1")) == held.fences()[own]
    assert owned.fence_for(decided("ACC2", "ACC1")) == held.fences()[own], "of a group: one member is its own"
    assert owned.fence_for(decided("ACC2", "ACC2")) is None
    assert owned.fence_for(decided("-", "ACC2")) is None
    assert owned.fence_for(decided("-")) is not None
    member.leave()


@pytest.mark.slow
def test_beside_a_process_with_policies_for_all_the_group_leads_nothing(desk: Desk) -> None:
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    life = worker._life
    assert life is not None
    assert life.policies._area.leads("ACC1")
    with eventstore.open(desk.url) as store, projections.open(store) as book, Policies(book, [LockEvery()]) as policies:
        assert policies._area.leads("ACC1")
        until(lambda: not life.policies._area.leads("ACC1"))
        desk.submit(120)
        desk.decided()
    until(lambda: life.policies._area.leads("ACC1"))


@pytest.mark.slow
def test_policies_for_all_resume_where_a_group_has_left_off_and_the_other_way_round(desk: Desk) -> None:
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.submit(50)
    worker.stop()
    desk.submit(100)
    with eventstore.open(desk.url) as store, projections.open(store) as book, Policies(book, [LockEvery()]):
        assert not desk.lacking()
    desk.submit(100)
    again = desk.worker("b")
    assert again.wait(SHARES, WAIT_SECONDS)
    desk.decided()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_members_that_come_and_go_at_random_miss_and_double_nothing(desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    working = [desk.worker("m0")]
    # What was appended before the policy ran for the first time is not decided on.
    assert working[0].wait(SHARES, WAIT_SECONDS)
    for number in range(1, 12):
        desk.submit(chance.randrange(30, 120))
        match chance.choice(["join", "leave", "cut off"]):
            case "join" if len(working) < 4:
                working.append(desk.worker(f"m{number}"))
            case "leave" if len(working) > 1:
                working.pop(chance.randrange(len(working))).stop()
            case _:
                side = chance.choice(working).member._side
                assert isinstance(side, PostgresSide)
                side._drop()
        time.sleep(chance.random())
    desk.submit(100)
    desk.decided()
    until(lambda: sum(len(worker.shares) for worker in working) == SHARES)
    assert desk.store.verify().ok


def test_a_member_that_fails_leaves_its_shares_to_others(desk: Desk) -> None:
    def failing() -> list[Policy]:
        message = "no policies today"
        raise RuntimeError(message)

    with eventstore.open(desk.url) as store:
        first = GroupWorker(GroupMember(store, GROUP, id="a"), store, failing).start()
        until(lambda: first.error is not None)
        second = desk.worker("b")
        assert second.wait(SHARES, WAIT_SECONDS)
        with pytest.raises(RuntimeError, match="no policies today"):
            first.stop()
        desk.submit(60)
        desk.decided()


class FlakyLocks(LockEvery):
    """Finds the store unreachable once for each order that has to lock its account, and for the one after it."""

    def __init__(self) -> None:
        self.failed: set[str] = set()

    @override
    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        if isinstance(trigger.event, OrderSubmitted) and trigger.key not in self.failed:
            label, _, number = (trigger.event.reference or "").rpartition(":")
            if has_to_lock(f"{label}:{number}") or has_to_lock(f"{label}:{int(number) - 1}"):
                self.failed.add(trigger.key)
                message = "the store, once"
                raise Unavailable(message)
        yield from super().decide(book, trigger)


@pytest.mark.slow
def test_what_a_failing_store_keeps_a_policy_from_is_decided_on_later(desk: Desk) -> None:
    policy = FlakyLocks()
    worker = desk.worker("a", policy=policy)
    assert worker.wait(SHARES, WAIT_SECONDS)
    for _ in range(4):
        desk.submit(50)
        time.sleep(0.3)
    desk.decided(lambda: len(policy.failed) == 4)
    worker.stop()


def test_in_a_members_book_only_its_own_accounts_are_judged(desk: Desk) -> None:
    desk.store.append("group/-/G", GroupDefined(accounts=("ACC1", "ACC2")), actor="me")
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    for worker in (first, second):
        life = worker._life
        assert life is not None
        for account in ("ACC1", "ACC2"):
            assert life.policies.judges(account) is worker.owns(account)
