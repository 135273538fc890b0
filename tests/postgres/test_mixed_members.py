"""Members of a group that differ: in the policies that they run, in versions of these, and in revisions of views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal

import pytest

import eventstore
import projections
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet
from projections.group_worker import GroupWorker
from projections.membership import GroupMember
from projections.risk.policies import Policy
from projections.rules import DailyLoss, TradeLimit
from projections.shares import SHARES, share_of
from tests.postgres.desks import ACCOUNTS, GROUP, Desk, until

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
    assert first.wait(SHARES, 90)
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
    assert first.wait(SHARES, 90)
    until(lambda: not mixed.unjudged())
    mixed.store.side.evict(GROUP, "a")  # type: ignore[union-attr]
    second = mixed.member("b", older)
    assert second.wait(SHARES, 90)
    until(lambda: mixed.unjudged() == {account: [TRADES] for account in ACCOUNTS})
    Desk.ended(second)
    Desk.ended(first)


def test_two_groups_on_one_log_judge_what_either_runs(mixed: MixedDesk) -> None:
    with eventstore.open(mixed.url) as store:
        first = mixed.member("a", older)
        assert first.wait(SHARES, 90)
        until(lambda: mixed.unjudged() == {account: [TRADES] for account in ACCOUNTS})
        other = GroupWorker(GroupMember(store, "other", id="b"), store, lambda: [TradeLimit()]).start()
        assert other.wait(SHARES, 90)
        until(lambda: not mixed.unjudged())
        other.stop()
