"""Cursors of several sets of accounts: a process opened with another set skips no trigger of any account."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import LockoutSet, Marked, OrderFilled
from projections.risk.policies import account_sets
from projections.risk.policies.cursors import Cursors
from tests.projections.policy_scene import START, Loss, lockouts, lose, running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def mark(store: EventStore, count: int) -> int:
    store.append("mark/-/m", [Marked(name=str(number)) for number in range(count)])
    return store.head()


def reached(store: EventStore, accounts: Sequence[str] | None, position: int, policy: str = "one") -> None:
    """Let a policy begin for a set of accounts and see the log up to a position."""
    cursors = Cursors(store, accounts)
    cursors.begin([policy], position)
    cursors.write((position, next(store.read(after=position - 1)).digest))


def begun(store: EventStore, accounts: Sequence[str] | None, *asked: str) -> tuple[int, list[int]]:
    cursors = Cursors(store, accounts)
    return cursors.begin(["one"], store.head())["one"], [cursors.seen("one", account) for account in asked]


def test_a_set_never_seen_begins_where_another_set_left_its_accounts(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A", "B"], 3)
    assert begun(store, ["A"], "A", "-") == (3, [3, 3])
    assert begun(store, ["B", "C"], "B", "C", "-") == (3, [3, 9, 3])
    assert begun(store, ["D"], "D") == (9, [9]), "a policy that never ran for an account begins at the head"


def test_all_accounts_begin_where_the_sets_left_each(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A"], 3)
    reached(store, ["B"], 5)
    assert begun(store, None, "A", "B", "C", "-") == (3, [3, 5, 9, 3])


def test_a_set_begins_where_all_accounts_were_left(store: EventStore) -> None:
    mark(store, 9)
    reached(store, None, 4)
    assert begun(store, ["A", "new"], "A", "new", "-") == (4, [4, 4, 4])


def test_of_several_sets_with_an_account_the_most_advanced_counts(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A", "B"], 3)
    reached(store, ["A"], 6)
    assert begun(store, ["A", "C"], "A", "C", "-") == (6, [6, 9, 6])
    assert begun(store, ["A", "B", "C"], "A", "B", "C", "-")[1][:2] == [6, 3]


def test_a_set_that_was_left_behind_resumes_from_the_other_one(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A"], 3)
    reached(store, None, 7)
    assert begun(store, ["A"], "A", "-") == (7, [7, 7])


def test_cursors_of_another_policy_or_another_log_say_nothing(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A"], 3, policy="other")
    reached(store, ["A"], 3, policy="one.more")
    assert begun(store, ["A", "B"], "A") == (9, [9])


def test_a_set_of_an_earlier_version_may_be_of_any_account(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A", "B"], 3)
    assert store.directory is not None
    for file in store.directory.glob("policies@*.accounts"):
        file.unlink()
    assert begun(store, ["C"], "C") == (3, [3]), "its accounts are unknown"
    assert begun(store, ["A", "B"], "A", "B") == (3, [3, 3]), "its own cursor is readable"
    # That has written down which accounts it is of.
    assert begun(store, ["D"], "D") == (9, [9])


def test_a_set_of_one_account_of_an_earlier_version_is_known_by_its_name(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A"], 3)
    assert store.directory is not None
    (store.directory / f"policies{account_sets.name_of(['A'])}.accounts").unlink()
    assert begun(store, ["A", "B"], "A") == (3, [3])


def test_a_damaged_cursor_of_another_set_skips_nothing(store: EventStore) -> None:
    mark(store, 9)
    reached(store, ["A"], 5)
    reached(store, ["A"], 3, policy="two")
    assert store.directory is not None
    damaged = store.directory / "watermarks" / f"policy.one{account_sets.name_of(['A'])}"
    damaged.write_bytes(b"?")
    assert begun(store, ["A", "B"], "A") == (3, [3])
    assert damaged.read_bytes() == b"?", "it is the other set's"


def test_a_cursor_of_a_failed_policy_keeps_its_accounts_back_alone(store: EventStore) -> None:
    mark(store, 9)
    cursors = Cursors(store, ["A"])
    cursors.begin(["one"], 2)
    cursors.hold("one", 2)
    cursors.write((8, b"\1" * 32))
    reached(store, ["B"], 8)
    assert begun(store, None, "A", "B")[1] == [2, 8]


def test_another_set_of_accounts_decides_on_what_was_missed(store: EventStore) -> None:
    with projections.open(store, accounts=["A", "B"], snapshots=False) as both:
        running(both, Loss()).stop()
    missed = {account: lose(store, 10, account, number)[-1].id for number, account in enumerate("ABC", 1)}
    with projections.open(store, accounts=["A"], snapshots=False) as one:
        running(one, Loss()).stop()
        assert [record.causation_id for record in lockouts(store)] == [missed["A"]]
    with projections.open(store, snapshots=False) as every:
        policy = Loss()
        running(every, policy).stop()
        found = {record.account: record.causation_id for record in store.read(types=(LockoutSet,))}
        assert (found["A"], found["B"]) == (missed["A"], missed["B"])
        # It had never run for C: only the account's present state is judged.
        assert found["C"] is None
        triggers = [each.record for each in policy.triggers if each.record is not None]
        assert {record.account for record in triggers if record.type == "OrderFilled"} == {"B"}
    sales = [record for record in store.read(types=(OrderFilled,)) if record.version == 2]
    assert len(lockouts(store)) == len(sales)
