"""Members of a group that differ: in the policies that they run, in versions of these, and in revisions of views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal

import pytest
from typing_extensions import override

import eventstore
import projections
from eventstore import EventStore
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, LockoutSet, OrderSubmitted
from projections.group_worker import GroupWorker
from projections.membership import GroupMember
from projections.risk.policies import Decision, Policy, Trigger
from projections.rules import DailyLoss, TradeLimit
from projections.shares import SHARES, share_of
from tests.postgres.desks import ACCOUNTS, GROUP, Desk
from tests.postgres.following import RULE, LockEvery, has_to_lock
from tests.waiting import WAIT_SECONDS, until

LOSS, TRADES = "daily-loss", "trade-limit"


class MixedDesk:
    """Members with policies of their own, on accounts with two limits."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self._stack = url, stack
        self.store = stack.enter_context(eventstore.open(url))
        self.store.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        for account in ACCOUNTS:
            self.store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
            self.limit(account, LOSS, limit="500")
            self.limit(account, TRADES, limit="9")
        self.book = stack.enter_context(projections.open(self.store, snapshots=False))

    def limit(self, account: str, rule_id: str, **parameters: str) -> None:
        self.store.append(f"limits/{account}/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="me")

    def member(self, id: str, policies: Callable[[], Sequence[Policy]]) -> GroupWorker:
        store = self._stack.enter_context(eventstore.open(self.url))
        worker = GroupWorker(GroupMember(store, GROUP, id=id), store, policies).start()
        self._stack.callback(Desk.ended, worker)
        return worker

    def unjudged(self) -> dict[str, list[str]]:
        """Return the limits of each account that a book of another process sees unjudged, if there are any."""
        self.book.refresh()
        found = {account: [each.rule_id for each in self.book.limits.unjudged(account)] for account in ACCOUNTS}
        return {account: each for account, each in found.items() if each}


@pytest.fixture
def mixed(postgres_url: str) -> Iterator[MixedDesk]:
    with ExitStack() as stack:
        yield MixedDesk(postgres_url, stack)


def both() -> list[Policy]:
    return [DailyLoss(), TradeLimit()]


def older() -> list[Policy]:
    return [DailyLoss()]


def test_what_only_one_of_two_members_runs_is_judged_for_its_accounts_alone(mixed: MixedDesk) -> None:
    first = mixed.member("a", both)
    assert first.wait(SHARES, WAIT_SECONDS)
    until(lambda: not mixed.unjudged())
    second = mixed.member("b", older)
    until(lambda: len(first.shares) == len(second.shares) == SHARES // 2)
    expected = {account: [TRADES] for account in ACCOUNTS if share_of(account) in second.shares}
    assert 0 < len(expected) < len(ACCOUNTS)
    until(lambda: mixed.unjudged() == expected)
    # The member's own book, which answers for its accounts, says the same.
    (account, *_) = expected
    assert [each.rule_id for each in second.ask(account, lambda book: book.limits.unjudged(account))] == [TRADES]
    second.stop()
    until(lambda: not mixed.unjudged())


def test_a_member_that_takes_a_share_shows_its_own_policies_and_not_those_before(mixed: MixedDesk) -> None:
    first = mixed.member("a", both)
    assert first.wait(SHARES, WAIT_SECONDS)
    until(lambda: not mixed.unjudged())
    mixed.store.side.evict(GROUP, "a")  # type: ignore[union-attr]
    second = mixed.member("b", older)
    assert second.wait(SHARES, WAIT_SECONDS)
    until(lambda: mixed.unjudged() == {account: [TRADES] for account in ACCOUNTS})
    Desk.ended(second)
    Desk.ended(first)


def test_two_groups_on_one_log_judge_what_either_runs(mixed: MixedDesk) -> None:
    with eventstore.open(mixed.url) as store:
        first = mixed.member("a", older)
        assert first.wait(SHARES, WAIT_SECONDS)
        until(lambda: mixed.unjudged() == {account: [TRADES] for account in ACCOUNTS})
        other = GroupWorker(GroupMember(store, "other", id="b"), store, lambda: [TradeLimit()]).start()
        assert other.wait(SHARES, WAIT_SECONDS)
        until(lambda: not mixed.unjudged())
        other.stop()


# During an upgrade


class LockTwice(LockEvery):
    """The same policy in a later version, whose decision has one event more."""

    @override
    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        for decision in super().decide(book, trigger):
            more = LockoutSet(rule_id="more", reason=f"more {trigger.key}")
            yield Decision((*decision.events, (f"lockout/{trigger.account}/more", more)))


def locking(store: EventStore) -> list[tuple[str, str]]:
    """Return the orders that lock their accounts, each with its account."""
    found = [
        (str(each.event.reference), each.account)
        for each in store.read(types=(OrderSubmitted,))
        if isinstance(each.event, OrderSubmitted)
    ]
    return [(label, account) for label, account in found if has_to_lock(label)]


def reasons(store: EventStore, rule_id: str) -> Counter[str]:
    found = [each.event for each in store.read(types=(LockoutSet,))]
    return Counter(each.reason for each in found if isinstance(each, LockoutSet) and each.rule_id == rule_id)


def test_a_policy_that_only_newer_members_run_skips_nothing_of_the_older_ones_accounts(mixed: MixedDesk) -> None:
    desk = Desk(mixed.url, mixed._stack)
    old = mixed.member("old", older)
    assert old.wait(SHARES, WAIT_SECONDS)
    new = mixed.member("new", lambda: [DailyLoss(), LockEvery()])
    until(lambda: len(old.shares) == len(new.shares) == SHARES // 2 and new.book is not None)
    desk.submit(400)
    theirs = [label for label, account in locking(mixed.store) if share_of(account) in new.shares]
    assert 0 < len(theirs) < len(locking(mixed.store))
    until(lambda: reasons(mixed.store, RULE) == Counter(theirs))
    mixed.store.side.evict(GROUP, "old")  # type: ignore[union-attr]
    desk.decided()
    assert not new.stopped_policies()


def test_what_an_earlier_version_decided_counts_and_stops_nothing(mixed: MixedDesk) -> None:
    desk = Desk(mixed.url, mixed._stack)
    old = mixed.member("old", lambda: [LockEvery()])
    assert old.wait(SHARES, WAIT_SECONDS)
    until(lambda: old.book is not None)
    desk.submit(200)
    desk.decided()
    # It ends before it has written its cursors: what it has decided on is decided on again.
    mixed.store.side.evict(GROUP, "old")  # type: ignore[union-attr]
    new = mixed.member("new", lambda: [LockTwice()])
    assert new.wait(SHARES, WAIT_SECONDS)
    until(lambda: new.book is not None)
    desk.submit(200)
    desk.decided()
    assert not new.stopped_policies()
    assert (reasons(mixed.store, RULE).total(), reasons(mixed.store, "more").total()) == (4, 2)
