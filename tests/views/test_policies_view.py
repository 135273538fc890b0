"""The policies view: which policies have stopped for an account, and what was recorded late, twice or out of place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import Event, EventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import PolicyResumed, PolicyStopped
from projections import Book, PartitionParked
from projections.views import policies
from projections.views.policies import PoliciesState, PoliciesView
from tests.views.position_folding import Folding, round_tripped


@pytest.fixture
def book() -> Book:
    return projections.open(EventStore(MemoryJournal()))


def stop(book: Book, name: str = "loss", account: str = "A", why: str = "broken") -> int:
    return book.append(f"policy/{account}/{name}", PolicyStopped(policy=name, why=why))[0].recorded_at


def resume(book: Book, name: str = "loss", account: str = "A") -> int:
    return book.append(f"policy/{account}/{name}", PolicyResumed(policy=name))[0].recorded_at


def test_a_policy_is_stopped_until_it_is_resumed(book: Book) -> None:
    assert book.policies.last("A", "loss") is None
    stopped_at = stop(book)
    [stopped] = book.policies.stopped("A")
    assert (stopped.policy, stopped.account, stopped.why, stopped.stopped_at) == ("loss", "A", "broken", stopped_at)
    resumed_at = resume(book)
    assert not book.policies.stopped("A")
    last = book.policies.last("A", "loss")
    assert last is not None
    assert last.resumed_at == resumed_at


def test_what_is_said_twice_changes_nothing(book: Book) -> None:
    resume(book)
    assert book.policies.last("A", "loss") is None, "resumed, though nothing had stopped"
    stop(book)
    first = book.policies.stopped("A")
    stop(book, why="later")
    assert book.policies.stopped("A") == first
    resume(book)
    last = book.policies.last("A", "loss")
    resume(book)
    assert book.policies.last("A", "loss") == last


def test_a_second_stop_knows_the_first(book: Book) -> None:
    before = stop(book)
    resume(book)
    stop(book)
    assert book.policies.stopped("A")[0].before == before


def test_one_of_no_account_counts_for_each_account_and_the_earliest_comes_first(book: Book) -> None:
    stop(book, "late", "-")
    stop(book, "a")
    stop(book, "b", "B")
    assert [each.policy for each in book.policies.stopped("A")] == ["late", "a"]
    assert [each.policy for each in book.policies.stopped("-")] == ["late"]
    assert [each.policy for each in book.policies.all_stopped()] == ["late", "a", "b"]


def test_the_stream_names_the_policy_whatever_the_event_says(book: Book) -> None:
    book.append("policy/A/loss", PolicyStopped(policy="other"))
    assert [each.policy for each in book.policies.stopped("A")] == ["loss"]
    book.append("policy/A/loss", PolicyResumed(policy="other"))
    assert not book.policies.stopped("A")


def test_those_that_run_again_make_room_and_too_many_stopped_ones_park_the_account(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "POLICIES_MAX", 2)
    stop(book, "a")
    stop(book, "b")
    resume(book, "b")
    stop(book, "c")
    assert [each.policy for each in book.policies.stopped("A")] == ["a", "c"]
    stop(book, "d")
    with pytest.raises(PartitionParked, match="a policy's name must not change"):
        book.policies.stopped("A")


events = st.one_of(
    st.builds(PolicyStopped, policy=st.just("x"), why=st.sampled_from(("", "broken"))),
    st.just(PolicyResumed(policy="x")),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), events), max_size=20), st.integers(0, 20))
def test_the_fold_continues_from_a_snapshot_at_any_cut(given_events: list[tuple[str, Event]], cut: int) -> None:
    view, log = PoliciesView(), Folding()
    whole: Any = view.initial()
    resumed: Any = view.initial()
    for number, (name, event) in enumerate(given_events):
        record = log.record(f"policy/A/{name}", event)
        resumed = round_tripped(resumed, PoliciesState) if number == cut else resumed
        for state in (whole, resumed):
            view.apply(state, record.event, record)
    assert resumed == whole
