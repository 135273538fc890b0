"""The enforcer alone: it asks again for what failed or is undone, as policies do; beside them, each attempt once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, Unavailable
from eventstore.ids import keyed_id
from eventstore.trading import (
    EnforcementEscalated,
    EnforcementRequested,
    LockoutCleared,
    OrderFilled,
    OrderSubmitted,
    OrderType,
    Protection,
    ProtectionMode,
    Side,
)
from projections import Book, Enforcer, Policies, Task
from projections.enforcer.asking import AskingAgain
from projections.risk.enforcement.stopping import resume, stop
from projections.risk.policies.appending import append_decision
from projections.risk.policies.protocol import PendingDecision
from projections.rules import shipped_rules
from tests.enforcement.enforcing import Desk, settle
from tests.enforcement.scene import SECOND, START, opened, trade

WAITED = [1, 3, 7, 15, 30, 60]


@pytest.fixture
def book(store: EventStore) -> Iterator[Book]:
    """Return a book of stopped accounts, each with a position of two, C in shadow mode; no policies run."""
    with projections.open(store) as found:
        for account in ("A", "B", "C"):
            opened(found, account)
            if account == "C":
                mode = ProtectionMode(mode=Protection.SHADOW, reason="to see")
                found.append("account/C/-", mode, actor="me")
            trade(found, Side.BUY, "2", account=account)
        stop(store, ["A", "B", "C"], "enough")
        found.refresh()
        yield found


def close(task: Task) -> None:
    for position in task.positions:
        closing = task.submit_closing(position.symbol)
        assert closing is not None
        fill = OrderFilled(
            trade_id=closing.order_id, symbol="ES", side=closing.side, quantity=closing.quantity, price=Decimal(6000)
        )
        task.record(f"order/{task.account}/{closing.order_id}", fill)


def attempts(store: EventStore, account: str = "A") -> list[tuple[int, int]]:
    """Return what was asked again to flatten: seconds after the beginning, and the attempt."""
    found = []
    for record in store.read(account=account, types=(EnforcementRequested,)):
        event = record.event
        assert isinstance(event, EnforcementRequested)
        if event.attempt > 1 and event.action == "FLATTEN":
            found.append(((record.occurred_at - START) // SECOND, event.attempt))
    return found


def escalations(store: EventStore, account: str = "A") -> int:
    return len(list(store.read(account=account, types=(EnforcementEscalated,))))


def pass_seconds(clock: ManualClock, enforcer: Enforcer, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(SECOND)
        settle(enforcer)


def late_fill(book: Book, account: str = "A") -> None:
    sent = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(3), order_type=OrderType.STOP)
    fill = OrderFilled(trade_id="late", symbol="ES", side=Side.BUY, quantity=Decimal(3), price=Decimal(6010))
    book.append(f"order/{account}/late", [sent, fill])


def test_nothing_is_asked_again_once_the_lockout_has_ended(book: Book, store: EventStore, clock: ManualClock) -> None:
    enforcer = Desk(ConnectionError("no route")).enforcer(book)
    settle(enforcer)
    book.append("lockout/A/stop", LockoutCleared(by="boss"))
    resume(book, ["B"], actor="boss", reason="a mistake")
    pass_seconds(clock, enforcer, 5)
    assert (attempts(store), attempts(store, "B"), escalations(store)) == ([], [], 0)


def test_what_is_so_is_not_asked_again(book: Book, store: EventStore, clock: ManualClock) -> None:
    enforcer = Enforcer(book, close)
    settle(enforcer)
    pass_seconds(clock, enforcer, 40)
    assert (attempts(store), escalations(store)) == ([], 0)


@pytest.mark.parametrize(("account", "mode"), [("A", Protection.ARMED), ("C", Protection.SHADOW)])
def test_what_fails_is_asked_again_and_escalated(
    book: Book, store: EventStore, clock: ManualClock, account: str, mode: Protection
) -> None:
    """In shadow mode too: a person has really stopped it."""
    assert book.shadow.mode(account) is mode
    desk = Desk(ConnectionError("no route"))
    enforcer = desk.enforcer(book)
    settle(enforcer)
    pass_seconds(clock, enforcer, 60)
    assert attempts(store, account) == list(zip(WAITED, range(2, 8), strict=True))
    assert sum(call.startswith(f"{account} ") and call.endswith(" FLATTEN") for call in desk.calls) == 7
    [newest] = book.enforcement.pending(account)
    assert (newest.attempt, newest.escalated_at) == (7, START + 3 * SECOND)
    assert escalations(store, account) == 1
    # By now the broker answers.
    clock.advance(30 * SECOND)
    settle(Enforcer(book, close))
    assert book.enforcement.pending(account) == ()
    assert book.positions.get(account, "ES").quantity == 0


def test_a_fill_after_the_answer_is_closed_at_once(book: Book, store: EventStore) -> None:
    enforcer = Enforcer(book, close)
    settle(enforcer)
    late_fill(book)
    settle(enforcer)
    assert attempts(store) == [(0, 2)]
    assert book.positions.get("A", "ES").quantity == 0


def test_a_fill_while_nothing_ran_is_closed_at_the_next_start(book: Book, store: EventStore) -> None:
    settle(Enforcer(book, close))
    late_fill(book)
    with projections.open(store) as later:
        Enforcer(later, close).run(once=True)
        assert later.positions.get("A", "ES").quantity == 0
    assert attempts(store) == [(0, 2)]


def test_once_tries_what_failed_before_and_ends(book: Book, store: EventStore, clock: ManualClock) -> None:
    desk = Desk(ConnectionError("no route"))
    desk.enforcer(book).run(once=True)
    clock.advance(SECOND)
    desk.enforcer(book).run(once=True)
    assert attempts(store) == [(1, 2)]


def test_an_enforcer_of_some_accounts_asks_for_those(book: Book, store: EventStore, clock: ManualClock) -> None:
    enforcer = Desk(ConnectionError("no route")).enforcer(book, accounts=["B"])
    settle(enforcer)
    pass_seconds(clock, enforcer, 2)
    assert (attempts(store), attempts(store, "B")) == ([], [(1, 2)])


def test_an_account_that_cannot_be_asked_for_does_not_stop_the_rest(
    book: Book, store: EventStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = AskingAgain.ask

    def failing(self: AskingAgain, account: str) -> bool:
        if account == "A":
            msg = "stopped at position 3"
            raise Unavailable(msg)
        return ask(self, account)

    monkeypatch.setattr(AskingAgain, "ask", failing)
    desk = Desk(ConnectionError("no route"))
    enforcer = desk.enforcer(book)
    settle(enforcer)
    pass_seconds(clock, enforcer, 2)
    assert (attempts(store), attempts(store, "B")) == ([], [(1, 2)])
    assert desk.lines.count("A: its requests cannot be asked again: Unavailable: stopped at position 3") == 1


def test_what_a_person_stopped_is_asked_again_where_the_mode_cannot_be_read(
    book: Book, store: EventStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> Protection:
        msg = "stopped at position 3"
        raise Unavailable(msg)

    monkeypatch.setattr(book.shadow, "mode", fail)
    enforcer = Desk(ConnectionError("no route")).enforcer(book)
    settle(enforcer)
    pass_seconds(clock, enforcer, 2)
    assert (attempts(store), attempts(store, "C")) == ([(1, 2)], [(1, 2)])


def test_it_asks_as_the_policy_does(book: Book, store: EventStore, clock: ManualClock) -> None:
    """By the policy's name and keys, so that two that decide at the same instant append one record."""
    enforcer = Desk(ConnectionError("no route")).enforcer(book, accounts=["A"])
    settle(enforcer)
    pass_seconds(clock, enforcer, 1)
    first, again = (
        each for each in store.read(types=(EnforcementRequested,), account="A") if "FLATTEN" in str(each.event)
    )
    key = f"policy/enforcement-keeper/{first.id.hex()}/2/FLATTEN/0"
    assert again.id == keyed_id(again.stream, key)
    assert (again.actor, again.causation_id) == ("policy:enforcement-keeper", first.id)


def test_what_cannot_be_appended_now_is_asked_later(
    book: Book, store: EventStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforcer = Enforcer(book, close)
    settle(enforcer)
    busy = [True]

    def refuse(book: Book, store: EventStore, decided: PendingDecision) -> None:
        if busy:
            msg = "busy"
            raise Unavailable(msg)
        append_decision(book, store, decided)

    monkeypatch.setattr("projections.enforcer.asking.append_decision", refuse)
    late_fill(book)
    settle(enforcer)
    assert attempts(store) == []
    busy.clear()
    settle(enforcer)
    assert attempts(store) == [(0, 2)]


def test_beside_policies_each_attempt_is_asked_for_once(tmp_path: Path, clock: ManualClock) -> None:
    """Both follow one journal, each through a store of its own; now one is first, now the other."""
    with (
        eventstore.open(tmp_path, clock=clock) as store,
        eventstore.open(tmp_path, clock=clock) as elsewhere,
        projections.open(store) as book,
        projections.open(elsewhere) as other,
    ):
        opened(book)
        trade(book, Side.BUY, "2")
        policies = Policies(other, shipped_rules()).start(ticking=False)
        stop(store, ["A"], "enough")
        enforcer = Desk(ConnectionError("no route")).enforcer(book)
        settle(enforcer)
        for second in range(60):
            clock.advance(SECOND)
            for run in (enforcer.look, policies.tick) if second % 2 else (policies.tick, enforcer.look):
                run()
            settle(enforcer)
        assert attempts(store) == list(zip(WAITED, range(2, 8), strict=True))
        assert escalations(store) == 1
        # A fill that both see.
        settle(Enforcer(book, close))
        clock.advance(31 * SECOND)
        settle(Enforcer(book, close))
        before = len(attempts(store))
        late_fill(book)
        other.refresh()
        settle(Enforcer(book, close))
        assert len(attempts(store)) == before + 1
        assert book.positions.get("A", "ES").quantity == 0
        assert policies.is_caught_up
        policies.stop()
