"""The enforcer where something fails: the function, the log, an account, another process, or this one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore import Closed, EventStore, InvalidEvent, ManualClock, Unavailable
from eventstore.trading import EnforcementTaken, Side
from projections import Book, Enforcer, Task
from projections.enforcer import ClosingOrder, EnforcerStuck
from projections.enforcer import enforcer as engine
from projections.risk.enforcement.claims import LEASE_NS, claim
from projections.view import PartitionParked
from projections.views.enforcement import Enforcement
from tests.enforcement.enforcing import DEADLINE, Desk, answer_to, settle, waiting_for
from tests.enforcement.scene import SECOND, ask, lock, opened, trade
from tests.waiting import until


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    with projections.open(store) as found:
        opened(found)
        opened(found, "B")
        lock(found)
        yield found


def test_what_a_dead_process_claimed_is_taken_over_after_its_lease(book: Book, clock: ManualClock) -> None:
    claim(book, ask(book), "dead")
    desk = Desk()
    enforcer = desk.enforcer(book)
    settle(enforcer)
    clock.advance(LEASE_NS - 1)
    settle(enforcer)
    assert desk.calls == []
    clock.advance(1)
    settle(enforcer)
    assert desk.calls == ["A R1 FLATTEN"]


@pytest.mark.parametrize("result", [{"order": object()}, {"text": "x" * 70_000}, "x" * 70_000, {1: 2}], ids=range(4))
def test_details_that_cannot_be_recorded_do_not_keep_the_answer_back(book: Book, result: object) -> None:
    ask(book)
    settle(Desk(result).enforcer(book))
    assert answer_to(book).success is True


def test_a_function_that_hangs_is_answered_as_failed(book: Book) -> None:
    ask(book)
    gate, held = threading.Event(), []

    def hang(task: Task) -> None:
        gate.wait(DEADLINE)
        held.append(task.is_held())

    enforcer = Enforcer(book, hang, timeout=0.01)
    settle(enforcer)
    found = answer_to(book)
    assert (found.success, found.taken_details) == (False, "the function did not return within 0.01 s")
    # When it wakes up, it may not act any more.
    gate.set()
    until(lambda: held)
    assert held == [False]


def test_an_enforcer_whose_calls_hang_ends(book: Book) -> None:
    gate = threading.Event()
    enforcer = Enforcer(book, waiting_for(gate), timeout=0.001)
    for number in range(3):
        ask(book, request_id=f"R{number}")
    with pytest.raises(EnforcerStuck, match="3 calls of the function hang"):
        enforcer.run()
    assert [answer_to(book, f"R{number}").success for number in range(3)] == [False] * 3
    gate.set()


def test_what_does_not_end_is_released_when_it_is_stopped(
    book: Book, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DRAIN_SECONDS", 0.0)
    ask(book)
    gate, desk = threading.Event(), Desk()
    enforcer = Enforcer(book, waiting_for(gate), report=desk.lines.append)
    enforcer.look()
    enforcer.stop()
    enforcer.run()
    assert desk.lines[-1] == "A: stopped while FLATTEN by desk was carried out; released it"
    # Another one claims it at once.
    with projections.open(store) as other:
        settle(desk.enforcer(other))
    assert desk.calls == ["A R1 FLATTEN"]
    gate.set()


def test_an_answer_by_somebody_else_is_not_repeated(book: Book) -> None:
    ask(book)
    gate, desk = threading.Event(), Desk()
    enforcer = Enforcer(book, waiting_for(gate), handled=desk.handled.append)
    enforcer.look()
    book.append("enforcement/A/R1", EnforcementTaken(request_id="R1", success=False, details="by hand"))
    gate.set()
    settle(enforcer)
    assert answer_to(book).taken_details == "by hand"
    assert [each.answered for each in desk.handled] == [False]


def test_what_cannot_be_appended_now_is_answered_later(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(book)
    desk = Desk()
    enforcer = desk.enforcer(book)
    enforcer.look()
    until(lambda: desk.calls)
    append = book.append

    def refuse(*_: object, **__: object) -> None:
        msg = "busy"
        raise Unavailable(msg)

    monkeypatch.setattr(book, "append", refuse)
    until(lambda: enforcer.look() is False and "Unavailable: busy" in desk.lines)
    for _ in range(3):
        enforcer.look()
    assert desk.lines.count("Unavailable: busy") == 1
    monkeypatch.setattr(book, "append", append)
    settle(enforcer)
    assert answer_to(book).success is True
    assert len(desk.calls) == 1


def test_an_account_whose_call_cannot_be_answered_does_not_keep_the_others_waiting(book: Book) -> None:
    gate, desk = threading.Event(), Desk()

    def carry_out(task: Task) -> None:
        desk(task)
        if task.account == "A":
            gate.wait(DEADLINE)

    enforcer = Enforcer(book, carry_out, report=desk.lines.append, handled=desk.handled.append)
    ask(book)
    enforcer.look()
    until(lambda: desk.calls)
    parked = PartitionParked("enforcement", "A", book.position, ValueError("broken"))
    book._fold.slots["enforcement"].parked["A"] = parked
    gate.set()
    until(lambda: enforcer.look() is False and any("PartitionParked" in line for line in desk.lines))
    ask(book, request_id="B1", account="B")
    until(lambda: not enforcer.look() and desk.handled)
    assert [each.account for each in desk.handled] == ["B"]
    assert answer_to(book, "B1", "B").success is True
    # The account can be read again.
    del book._fold.slots["enforcement"].parked["A"]
    settle(enforcer)
    assert answer_to(book).success is True


def test_a_call_that_hangs_counts_once_while_it_cannot_be_answered(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, append = threading.Event(), book.append
    ask(book)
    enforcer = Enforcer(book, waiting_for(gate), timeout=0.001)
    enforcer.look()

    def refuse(*_: object, **__: object) -> None:
        msg = "busy"
        raise Unavailable(msg)

    monkeypatch.setattr(book, "append", refuse)
    time.sleep(0.01)
    for _ in range(5):
        enforcer.look()
    monkeypatch.setattr(book, "append", append)
    settle(enforcer)
    assert answer_to(book).success is False
    gate.set()


def test_an_account_that_cannot_be_read_does_not_keep_the_others_waiting(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(book)
    ask(book, account="B")
    pending = book.enforcement.pending

    def failing(account: str) -> tuple[Enforcement, ...]:
        if account == "A":
            msg = "stopped at position 3"
            raise Unavailable(msg)
        return pending(account)

    monkeypatch.setattr(book.enforcement, "pending", failing)
    desk = Desk()
    enforcer = desk.enforcer(book)
    settle(enforcer)
    settle(enforcer)
    assert desk.calls == ["B R1 FLATTEN"]
    assert desk.lines.count("A: its requests cannot be claimed: Unavailable: stopped at position 3") == 1


def test_a_log_that_was_closed_ends_it(store: EventStore) -> None:
    with projections.open(store) as book:
        enforcer = Enforcer(book, print)
        store.close()
        with pytest.raises(Closed):
            enforcer.run()


@pytest.mark.parametrize("function", [None, "close", 3])
def test_what_cannot_be_called_is_refused(book: Book, function: object) -> None:
    with pytest.raises(InvalidEvent, match="needs a function that takes a task"):
        Enforcer(book, function)  # type: ignore[arg-type]


def test_a_position_is_closed_once_by_two_that_take_over_from_one_another(
    book: Book, store: EventStore, clock: ManualClock
) -> None:
    """The first one is suspended right after it has recorded its order, and wakes up when the second one is done."""
    trade(book, Side.BUY, "3")
    ask(book)
    asleep = threading.Event()
    sent: list[tuple[Decimal, bool]] = []

    def slow(task: Task) -> None:
        closing = task.submit_closing("ES")
        asleep.set()
        gate.wait(DEADLINE)
        task.require_held()
        note(closing)

    def fast(task: Task) -> None:
        task.require_held()
        note(task.submit_closing("ES"))

    def note(closing: ClosingOrder | None) -> None:
        assert closing is not None
        sent.append((closing.quantity, closing.is_new))

    gate = threading.Event()
    first = Enforcer(book, slow)
    first.look()
    assert asleep.wait(DEADLINE)
    clock.advance(10 * SECOND)
    with projections.open(store) as other:
        settle(Enforcer(other, fast))
    gate.set()
    settle(first)
    assert sent == [(Decimal(3), False)]
    assert answer_to(book).success is True
