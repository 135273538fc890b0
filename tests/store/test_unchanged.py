"""`unchanged=` of a store: a decision is appended only if the accounts that it was based on have not changed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

import eventstore
from eventstore import (
    AccountChanged,
    Batch,
    EventStore,
    InvalidEvent,
    Unchanged,
    VersionConflict,
)
from eventstore.trading import OrderReported
from tests.places import Place
from tests.reliability.checking import WAIT_SECONDS, submitted
from tests.together import run_together

OTHER = "order/ACC2/O-1"
ORDER = "order/ACC1/O-1"
DECISIONS = 40

Verb = Callable[[EventStore, Unchanged], object]
VERBS: list[Verb] = [
    lambda store, unchanged: store.append(ORDER, submitted(), unchanged=unchanged),
    lambda store, unchanged: store.append_many(
        [Batch(OTHER, []), Batch(OTHER, submitted()), Batch(ORDER, submitted())], unchanged=unchanged
    ),
    lambda store, unchanged: store.enqueue(ORDER, OrderReported(), unchanged=unchanged).result(),
]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_appends_only_what_was_decided_on_an_unchanged_account(
    in_each_journal: EventStore, verb: Verb
) -> None:
    store = in_each_journal
    store.append_many([Batch(ORDER, submitted()), Batch(OTHER, submitted())])
    for unchanged in (Unchanged(accounts=("ACC1",), since=0), Unchanged(since=1)):
        with pytest.raises(AccountChanged):
            verb(store, unchanged)
    assert store.head() == 2
    verb(store, Unchanged(accounts=["ACC1", "-"], since=2))
    assert store.version(ORDER) == 2


def test_a_retry_under_its_key_finds_itself(in_each_journal: EventStore) -> None:
    store, decided = in_each_journal, Unchanged(accounts=("ACC1",), since=0)
    first = store.append(ORDER, submitted(), expected=0, key="k", unchanged=decided)
    store.append(ORDER, submitted())
    assert store.append(ORDER, submitted(), expected=0, key="k", unchanged=decided) == first
    with pytest.raises(AccountChanged):
        store.append(ORDER, submitted(), key="other", unchanged=decided)


@pytest.mark.in_each_place
def test_the_error_says_what_changed_and_what_to_do(store: EventStore) -> None:
    store.append(ORDER, submitted())
    with pytest.raises(VersionConflict) as changed:
        store.append(ORDER, submitted(), unchanged=Unchanged(accounts=("-", "ACC1"), since=0))
    assert str(changed.value) == (
        "account - or ACC1 has a record at position 1, and this was decided at position 0: nothing was written; "
        "refresh the book and decide again"
    )
    with pytest.raises(AccountChanged, match=r"^the log has a record at position 1, and"):
        store.append(ORDER, submitted(), unchanged=Unchanged(since=0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "unchanged is an Unchanged"),
        ({"since": 3}, "unchanged is an Unchanged"),
        (Unchanged(since=True), "since is an int of 0 or more, not True"),
        (Unchanged(since=-1), "since is an int of 0 or more, not -1"),
        (Unchanged(since=1.0), "since is an int of 0 or more"),  # type: ignore[arg-type]
        (Unchanged(since=None), "since is an int of 0 or more"),
        (Unchanged(since=2), "the log ends at 1"),
        (Unchanged(accounts=("ACC2",), since=10**30), "the log ends at 1"),
        (Unchanged(accounts="ACC1", since=1), "accounts is a sequence of account names, not text"),
        (Unchanged(accounts=None, since=1), "accounts is a sequence of account names"),  # type: ignore[arg-type]
        (Unchanged(accounts=7, since=1), "accounts is a sequence of account names"),  # type: ignore[arg-type]
        (Unchanged(accounts=("ACC1", ""), since=1), "account ''"),
        (Unchanged(accounts=("a b",), since=1), "account 'a b'"),
        (Unchanged(accounts=(None,), since=1), "account None"),  # type: ignore[arg-type]
        (Unchanged(accounts=map(str, itertools.count()), since=1), "more than 1000 accounts"),  # type: ignore[arg-type]
    ],
)
def test_a_malformed_condition_is_refused_and_nothing_written(
    in_each_journal: EventStore,
    given: Any,  # noqa: ANN401 - anything wrong
    message: str,
) -> None:
    store = in_each_journal
    store.append(ORDER, submitted())
    for verb in VERBS:
        with pytest.raises(InvalidEvent, match=message):
            verb(store, given)
    assert store.head() == 1


@pytest.mark.in_each_place
def test_only_the_refused_caller_of_a_group_commit_notices(store: EventStore) -> None:
    # What is enqueued is committed together with the append that follows it.
    store.append(ORDER, submitted())
    stale = Unchanged(accounts=("ACC1",), since=0)
    pending = [store.enqueue(OTHER, OrderReported(), unchanged=given) for given in (None, stale, Unchanged(since=1))]
    (last,) = store.append(ORDER, submitted(), unchanged=Unchanged(accounts=("ACC1",), since=1))
    assert [len(each.result()) for each in pending[:1]] == [1]
    for refused in pending[1:]:
        with pytest.raises(AccountChanged):
            refused.result()
    assert last.position == store.head() == 3


@pytest.mark.untraced
@pytest.mark.in_each_place(slow=True)
def test_of_processes_that_decided_at_one_position_one_wins_each_time(place: Place) -> None:
    with eventstore.open(place):
        answers = run_together(decide, place)
    assert [sum(round_) for round_ in zip(*answers, strict=True)] == [1] * DECISIONS
    with eventstore.open(place) as store:
        assert store.head() == DECISIONS
        assert store.verify().ok


def decide(place: Place, number: int, barrier: Any) -> list[bool]:  # noqa: ANN401 - its class is private
    """Decide together with the others at the same positions; return which of the decisions were appended."""
    won = []
    with eventstore.open(place) as store:
        for count in range(DECISIONS):
            barrier.wait(WAIT_SECONDS)
            try:
                store.append(f"order/ACC1/{number}", submitted(), unchanged=Unchanged(accounts=("ACC1",), since=count))
                won.append(True)
            except AccountChanged:
                won.append(False)
            barrier.wait(WAIT_SECONDS)
    return won
