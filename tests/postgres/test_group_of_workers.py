"""Workers that share the accounts of a log: who holds what, who decides, and what nobody misses."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal
from typing import Any

import pytest

import eventstore
import projections
from eventstore import Fenced, InvalidEvent
from eventstore.journals.postgres.side import PostgresSide
from eventstore.side import Member
from eventstore.trading import AccountOpened, GroupDefined, LockoutSet, OrderSubmitted, Side
from gateways.alerting.checks import OK, WRONG, group_checks
from gateways.http.metrics import LogFigures
from projections import loading
from projections.group_worker import GroupWorker
from projections.membership import Evicted, GroupMember, HeldShares, group_state, owner_of, part_of
from projections.risk.policies import Decision, Policies, Trigger, TriggerKind
from projections.risk.policies.liveness import PolicyRun, run_of
from projections.risk.policies.ownership import Ownership
from projections.risk.policies.protocol import PendingDecision
from projections.shares import SHARES, AccountShares, share_of
from projections.view import is_for_all
from tests.postgres.drill import check_epochs, epochs_of
from tests.postgres.following import LockEvery, digest_of, has_to_lock
from tests.projections.histories import states

WAIT_SECONDS = 30.0
REBALANCE_SECONDS = 5.0
GROUP = "desk"
ACCOUNTS = [f"ACC{number}" for number in range(40)]
EVERY = AccountShares(frozenset(range(SHARES)))


def until(is_so: Callable[[], bool], seconds: float = WAIT_SECONDS) -> float:
    """Wait until something is so, and return how long that took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, "waited for too long"
        time.sleep(0.02)
    return time.monotonic() - began


class Desk:
    """Workers in this process, each with a store of its own."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self._stack = url, stack
        self.store = stack.enter_context(eventstore.open(url))
        self._numbers = itertools.count()

    def worker(self, id: str, group: str = GROUP) -> GroupWorker:
        store = self._stack.enter_context(eventstore.open(self.url))
        worker = GroupWorker(GroupMember(store, group, id=id), store, lambda: [LockEvery()])
        worker.start()
        self._stack.callback(self.ended, worker)
        return worker

    @staticmethod
    def ended(worker: GroupWorker) -> None:
        with suppress(eventstore.StoreError):
            worker.stop()

    def submit(self, count: int) -> None:
        """Append orders, some of which lock their accounts."""
        for _ in range(count):
            number = next(self._numbers)
            account = ACCOUNTS[number % len(ACCOUNTS)]
            order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1), reference=f"x:{number}")
            self.store.append(f"order/{account}/O-{number}", order)

    def lacking(self) -> list[str]:
        """Return the orders that lock their account, without those for which it was locked once."""
        wanted, locked = [], []
        for record in self.store.read():
            match record.event:
                case OrderSubmitted(reference=str(label)) if has_to_lock(label):
                    wanted.append(label)
                case LockoutSet(reason=reason):
                    locked.append(reason)
        assert len(locked) == len(set(locked)), "locked twice for one order"
        return sorted(set(wanted) - set(locked))


@pytest.fixture
def desk(postgres_url: str) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(postgres_url, stack)


def states_of(book: projections.Book) -> dict[tuple[str, str], Any]:
    _, fold, *_ = book.parts
    return states(fold)


def seen(id: str, *, alive: bool = True, silent: float = 0.0, evicted: bool = False) -> Member:
    return Member(id, "", "", 0, silent, 0, alive, evicted, ())


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


def test_a_book_of_shares_has_their_accounts_and_those_opened_later(desk: Desk) -> None:
    desk.submit(80)
    half = AccountShares(frozenset(range(0, SHARES, 2)))
    with projections.open(desk.store, accounts=half) as book, projections.open(desk.store) as whole:
        desk.store.append("account/NEW/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        book.refresh()
        whole.refresh()
        own = {key: state for key, state in states_of(whole).items() if key[1] in half or is_for_all(key[1])}
        assert states_of(book) == own
        assert book.position == whole.position == 81
        assert book.covers("NEW") is (share_of("NEW") % 2 == 0)


def test_one_worker_holds_all_and_decides_for_all(desk: Desk) -> None:
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.submit(200)
    until(lambda: not desk.lacking())
    assert run_of(projections.open(desk.store), "ACC1") is PolicyRun.RUNNING


def test_two_workers_share_within_five_seconds_and_neither_misses_an_order(desk: Desk) -> None:
    first = desk.worker("a")
    assert first.wait(SHARES, WAIT_SECONDS)
    desk.submit(150)
    second = desk.worker("b")
    took = until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    assert took < REBALANCE_SECONDS
    assert not first.shares & second.shares
    desk.submit(250)
    until(lambda: not desk.lacking())
    second.stop()
    assert until(lambda: len(first.shares) == SHARES) < REBALANCE_SECONDS
    desk.submit(200)
    until(lambda: not desk.lacking())


def test_policies_of_a_share_that_is_taken_later_begin_where_the_group_began(desk: Desk) -> None:
    first = desk.worker("a")
    assert first.wait(SHARES, WAIT_SECONDS)
    first.stop()
    # Nobody works: what is appended meanwhile is decided on by whoever takes each share.
    desk.submit(300)
    second, third = desk.worker("b"), desk.worker("c")
    until(lambda: len(second.shares) == len(third.shares) == SHARES // 2)
    until(lambda: not desk.lacking())


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


def test_a_lookup_is_the_owners_or_of_the_newest_cut_and_says_its_position(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.submit(80)
    for account in ACCOUNTS[:6]:
        for worker in (first, second):
            book = worker.book_of(account)
            assert (book is worker.book) is worker.owns(account)
            assert len(book.orders.open(account)) == 2
            assert book.position >= 80


def test_the_owner_of_an_account_is_found(desk: Desk) -> None:
    workers = {id: desk.worker(id) for id in "ab"}
    for account in ACCOUNTS[:6]:

        def is_found(account: str = account) -> bool:
            owner = owner_of(desk.store, GROUP, account)
            return owner is not None and workers[owner.id].owns(account)

        until(is_found)


def test_a_group_of_accounts_is_judged_by_each_owner_of_a_member(desk: Desk) -> None:
    desk.store.append("group/-/G", GroupDefined(accounts=("ACC1", "ACC2")), actor="me")
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    for worker in (first, second):
        book = worker.book
        assert book is not None
        is_owner = worker.owns("ACC1") or worker.owns("ACC2")
        assert all(map(book.covers, ("ACC1", "ACC2"))) is is_owner


def test_a_group_of_accounts_that_is_defined_later_is_taken_along(desk: Desk) -> None:
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.store.append("group/-/G", GroupDefined(accounts=("ACC1", "ACC2", "ACC3")), actor="me")

    def is_taken() -> bool:
        books = [worker.book for worker in (first, second) if worker.owns("ACC1")]
        return bool(books) and all(book is not None and all(map(book.covers, ("ACC2", "ACC3"))) for book in books)

    until(is_taken)


def test_the_books_of_all_members_together_equal_one_fold(desk: Desk) -> None:
    workers = [desk.worker(id) for id in "abc"]
    until(lambda: sorted(len(worker.shares) for worker in workers) == [21, 21, 22])
    desk.submit(400)
    until(lambda: not desk.lacking())
    head = desk.store.head()
    until(lambda: all(worker.book is not None and worker.book.position >= head for worker in workers))
    found: dict[tuple[str, str], Any] = {}
    for worker in workers:
        book = worker.book
        assert book is not None
        with book.paused():
            found |= {key: state for key, state in states_of(book).items() if worker.owns(key[1]) or is_for_all(key[1])}
    with projections.open(desk.store, snapshots=False) as whole:
        assert whole.position == head
        assert digest_of(found) == digest_of(states_of(whole))


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
        until(lambda: not desk.lacking())
    until(lambda: life.policies._area.leads("ACC1"))


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
    until(lambda: not desk.lacking())


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
    until(lambda: not desk.lacking())
    until(lambda: sum(len(worker.shares) for worker in working) == SHARES)
    assert desk.store.verify().ok


def test_a_new_owner_begins_at_the_last_ones_cut_and_epochs_rise_with_positions(desk: Desk) -> None:
    first = desk.worker("a")
    assert first.wait(SHARES, WAIT_SECONDS)
    desk.submit(200)
    until(lambda: first.position >= desk.store.head())
    first.stop()
    at = desk.store.head()
    cuts = epochs_of(desk.store)
    assert {name.partition("\x1f")[2] for name in cuts} == {f"#{share:02}" for share in range(SHARES)}
    desk.submit(40)
    second = desk.worker("b")
    assert second.wait(SHARES, WAIT_SECONDS)
    book = second.book
    assert book is not None
    assert book.recovery.cut >= at > 0
    until(lambda: not desk.lacking())
    second.stop()
    with projections.open(desk.store, snapshots=False) as whole, projections.open(desk.store, accounts=EVERY) as book:
        assert digest_of(states_of(book)) == digest_of(states_of(whole))
    check_epochs(desk.store)
    assert any(len({epoch for epoch, _ in found}) > 1 for found in epochs_of(desk.store).values())


def test_one_accounts_past_begins_at_the_cut_of_its_share(desk: Desk) -> None:
    worker = desk.worker("a")
    assert worker.wait(SHARES, WAIT_SECONDS)
    desk.submit(200)
    until(lambda: worker.position >= desk.store.head())
    worker.stop()
    desk.submit(40)
    assert owner_of(desk.store, GROUP, "ACC1") is None
    past = projections.as_of(desk.store, account="ACC1")
    assert past._fold._records.oldest >= 200  # type: ignore[attr-defined] # of a book of the past
    with projections.open(desk.store, snapshots=False) as whole:
        assert past.orders.open("ACC1") == whole.orders.open("ACC1")


def test_metrics_and_health_show_who_works_and_what_is_nobodys(desk: Desk) -> None:
    assert list(group_checks(desk.store)) == []
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.submit(40)
    until(lambda: first.position == second.position == desk.store.head())
    until(lambda: all(each.events_behind == 0 for each in group_state(desk.store, GROUP).members))
    with projections.open(desk.store) as book:
        shown = "".join(each.text for each in LogFigures(desk.store, book).collect())
    for line in (
        'members{group="desk"} 2',
        'partitions_free{group="desk"} 0',
        'partitions{group="desk",member="a"} 32',
    ):
        assert line in shown
    assert 'eventstore_group_member_lag_events{group="desk",member="b"} 0' in shown
    (check,) = group_checks(desk.store)
    assert check.status == OK
    assert "2 work" in check.detail
    # One that is killed leaves its row, and nobody takes its part while there is no other.
    second.stop()
    until(lambda: len(first.shares) == SHARES)
    side = desk.store.side
    assert isinstance(side, PostgresSide)
    assert side.evict(GROUP, "a")
    until(lambda: first.error is not None)
    until(lambda: len(group_state(desk.store, GROUP).free) == SHARES)
    (check,) = group_checks(desk.store)
    assert check.status == WRONG
    assert "64 of 64 partitions are nobody's" in check.detail


def test_a_book_of_all_accounts_begins_at_the_cuts_of_all_shares(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SHARES_EVENTS_MIN", 100)
    first, second = desk.worker("a"), desk.worker("b")
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    desk.submit(200)
    until(lambda: first.position == second.position == desk.store.head())
    second.stop()
    desk.submit(30)
    until(lambda: len(first.shares) == SHARES)
    first.stop()
    desk.submit(30)
    with projections.open(desk.store) as book, projections.open(desk.store, snapshots=False) as whole:
        assert book.recovery.cut >= 200
        assert digest_of(states_of(book)) == digest_of(states_of(whole))
        assert book.snapshot()
    with projections.open(desk.store) as book:
        assert book.recovery.cut == desk.store.head()
