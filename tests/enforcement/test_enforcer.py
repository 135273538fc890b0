"""The enforcer: each request once, in order, answered with what came of it, however many processes run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.trading import EnforcementAction
from projections import Book, Enforcer
from projections.risk.enforcement.claims import claim
from tests.enforcement.enforcing import DEADLINE, Desk, answer_to, settle, waiting_for
from tests.enforcement.scene import ask, lock, opened
from tests.waiting import until

CANCEL, FLATTEN = EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as found:
        opened(found)
        opened(found, "B")
        lock(found)
        yield found


def test_a_request_is_handed_over_and_answered(book: Book) -> None:
    ask(book)
    desk = Desk({"sent": "2"})
    settle(desk.enforcer(book))
    assert desk.calls == ["A R1 FLATTEN"]
    found = answer_to(book)
    assert (found.taken, found.success, found.taken_details) == (True, True, {"sent": "2"})
    assert [(each.account, each.success, each.answered) for each in desk.handled] == [("A", True, True)]
    assert desk.lines == ["A: claimed FLATTEN by desk: go home"]


def test_orders_are_cancelled_before_positions_are_closed(book: Book) -> None:
    ask(book, FLATTEN, "F")
    ask(book, CANCEL, "C")
    desk = Desk()
    settle(desk.enforcer(book))
    assert desk.calls == ["A C CANCEL_ORDERS", "A F FLATTEN"]


def test_closing_waits_for_another_process_that_cancels(book: Book, store: EventStore, clock: ManualClock) -> None:
    ask(book, FLATTEN, "F")
    cancel = ask(book, CANCEL, "C")
    with projections.open(store) as other:
        held = claim(other, cancel, "another")
        assert held is not None
        desk = Desk()
        enforcer = desk.enforcer(book)
        settle(enforcer)
        assert desk.calls == []
        held.answer(success=True)
    settle(enforcer)
    assert desk.calls == ["A F FLATTEN"]


@pytest.mark.parametrize(
    ("result", "success", "details"),
    [
        (None, True, ""),
        (True, True, ""),
        ("closed 3", True, "closed 3"),
        (False, False, "the function returned False"),
        (ValueError("no route"), False, {"error": "ValueError: no route"}),
        (SystemExit(), False, {"error": "SystemExit"}),
        (KeyboardInterrupt(), False, {"error": "KeyboardInterrupt"}),
        (7, True, "7"),
    ],
    ids=str,
)
def test_what_the_function_does_is_the_answer(book: Book, result: object, success: bool, details: object) -> None:
    ask(book)
    settle(Desk(result).enforcer(book))
    found = answer_to(book)
    assert (found.success, found.taken_details) == (success, details)


def test_a_failed_request_is_not_called_again_until_it_is_asked_again(book: Book) -> None:
    ask(book)
    desk = Desk(ValueError("no route"))
    enforcer = desk.enforcer(book)
    for _ in range(3):
        settle(enforcer)
    assert len(desk.calls) == 1
    ask(book, request_id="R2")
    settle(enforcer)
    assert len(desk.calls) == 2


def test_two_enforcers_call_once(book: Book, store: EventStore) -> None:
    for number in range(20):
        ask(book, request_id=f"R{number}", account="AB"[number % 2])
    with projections.open(store) as other:
        first, second = Desk(), Desk()
        enforcers = [first.enforcer(book), second.enforcer(other)]
        threads = [threading.Thread(target=each.run) for each in enforcers]
        for each in threads:
            each.start()
        until(lambda: len(first.handled) + len(second.handled) == 20)
        for enforcer in enforcers:
            enforcer.stop()
        for each in threads:
            each.join()
    assert sorted(first.calls + second.calls) == sorted(f"{'AB'[n % 2]} R{n} FLATTEN" for n in range(20))
    assert all(each.answered for each in first.handled + second.handled)


def test_accounts_are_handled_at_the_same_time(book: Book) -> None:
    ask(book)
    ask(book, account="B")
    both = threading.Barrier(2)
    enforcer = Enforcer(book, waiting_for(both))
    settle(enforcer)
    assert answer_to(book).success
    assert answer_to(book, account="B").success


def test_only_the_accounts_named_are_handled(book: Book) -> None:
    ask(book)
    ask(book, account="B")
    desk = Desk()
    settle(desk.enforcer(book, accounts=["B"]))
    assert desk.calls == ["B R1 FLATTEN"]


@pytest.mark.parametrize("accounts", ["ACC1", b"ACC1", 5, [None], ["A C"]])
def test_what_names_no_accounts_is_refused(book: Book, accounts: Any) -> None:  # noqa: ANN401 - any
    with pytest.raises(InvalidEvent, match="account"):
        Desk().enforcer(book, accounts=accounts)


def test_the_lease_is_extended_while_the_function_runs(book: Book) -> None:
    request = ask(book)
    gate = threading.Event()
    enforcer = Enforcer(book, lambda task: gate.wait(DEADLINE) and task.is_held(), lease_ns=30_000_000)
    enforcer.look()
    until(lambda: enforcer.look() or book.reader.version("enforcement/A/R1") >= 4)
    gate.set()
    settle(enforcer)
    assert answer_to(book).success is True
    assert book.enforcement.get("A", "R1") != request


def test_once_ends_when_nothing_is_left(book: Book) -> None:
    ask(book, CANCEL, "C")
    ask(book, FLATTEN, "F")
    desk = Desk()
    desk.enforcer(book).run(once=True)
    assert len(desk.calls) == 2


def test_a_stopped_enforcer_lets_what_runs_end_and_claims_nothing_more(book: Book) -> None:
    ask(book, CANCEL, "C")
    ask(book, FLATTEN, "F")
    gate = threading.Event()
    enforcer = Enforcer(book, waiting_for(gate))
    enforcer.look()
    enforcer.stop()
    gate.set()
    enforcer.run()
    assert (answer_to(book, "C").success, answer_to(book, "F").taken) == (True, False)


def test_each_enforcer_has_a_name_of_its_own(book: Book) -> None:
    first, second = Enforcer(book, print), Enforcer(book, print)
    assert first.claimant != second.claimant
    assert "nothing in work" in repr(first)
