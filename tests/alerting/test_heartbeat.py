"""The heartbeat: a call each minute while all is in order, and silence for each thing that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import projections
from eventstore import CorruptJournal, EventStore
from eventstore.files import FileLock
from eventstore.trading import (
    EnforcementAction,
    EnforcementRequested,
    EnforcementTaken,
    LimitJudged,
    LimitUnjudged,
    PolicyResumed,
    PolicyStopped,
    QuotesWanted,
    Side,
)
from gateways.alerting import wellness
from gateways.alerting.feeds import WantedQuotes
from gateways.alerting.heartbeat import Heartbeat, PricesLock, call
from gateways.alerting.sending import NotDelivered
from gateways.alerting.verifying import TailCheck
from gateways.alerting.wellness import Problem, problems
from tests.alerting.alerting_scene import lock
from tests.alerting.http_receiver import HttpReceiver
from tests.projections.firm import Firm
from tests.projections.rules_day import NOON, SECOND


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    firm = Firm(tmp_path / "data", "ACC1")
    firm.limit("daily-loss", "ACC1", limit="1000")
    yield firm
    firm.close()


class Beating:
    """The heartbeat of a process, its calls and its reports."""

    def __init__(self, firm: Firm) -> None:
        self.calls: list[str] = []
        self.reports: list[str] = []
        self.firm, self.wanted, self.tail = firm, WantedQuotes(firm.store), TailCheck(firm.store)
        self.heartbeat = Heartbeat(
            firm.store, "https://hc.example.org/1", self.problems, ping=self.calls.append, report=self.reports.append
        )

    def problems(self) -> list[Problem]:
        self.wanted.update()
        return problems(self.firm.book, self.firm.store, self.wanted, self.tail, has_prices=True)

    def after(self, seconds: int = 60) -> bool:
        """Return whether there was a call after some seconds."""
        before = len(self.calls)
        self.firm.pass_seconds(seconds)
        self.heartbeat.step(judges=True)
        return len(self.calls) > before


def test_it_beats_once_a_minute(firm: Firm) -> None:
    beating = Beating(firm)
    calls = sum(beating.after(1) for _ in range(300))
    assert calls == 5
    assert beating.reports == []


Undo = Callable[[], object]


def policy_stopped(firm: Firm, _: Beating) -> Undo:
    firm.book.append("policy/ACC1/daily-loss", PolicyStopped(policy="daily-loss", why="a bug"))
    return lambda: firm.book.append("policy/ACC1/daily-loss", PolicyResumed(policy="daily-loss"))


def no_policies(firm: Firm, _: Beating) -> Undo:
    firm.policies.stop()
    return lambda: firm.policies.start(ticking=False)


def no_price(firm: Firm, _: Beating) -> Undo:
    firm.fill("ACC1", Side.BUY, "5000")
    firm.pass_seconds(60)

    def priced() -> None:
        # A quote is fresh for ten seconds.
        firm.pass_seconds(60)
        firm.quote("5000")
        firm.clock.advance(-60 * SECOND)

    return priced


def pending(firm: Firm, _: Beating) -> Undo:
    asked = EnforcementRequested(rule_id="daily-loss", action=EnforcementAction.FLATTEN)
    firm.book.append("enforcement/ACC1/R-1", asked)
    answer = EnforcementTaken(request_id="R-1", success=True)
    return lambda: firm.book.append("enforcement/ACC1/R-1", answer)


def failed(firm: Firm, _: Beating) -> Undo:
    """Hold a position in an account whose lockout wants it flat, and answer that it cannot be closed."""
    firm.fill("ACC1", Side.BUY, "5000")
    lock(firm.store)
    asked = EnforcementRequested(rule_id="daily-loss", action=EnforcementAction.FLATTEN)
    firm.book.append("enforcement/ACC1/R-1", asked)
    firm.book.append("enforcement/ACC1/R-1", EnforcementTaken(request_id="R-1", success=False))
    return lambda: firm.fill("ACC1", Side.SELL, "5000")


def asked_again(firm: Firm, _: Beating) -> Undo:
    """Ask again and again: each request is new, and what it asks for is not."""
    for attempt in (1, 2, 3):
        again = EnforcementRequested(rule_id="daily-loss", action=EnforcementAction.FLATTEN, attempt=attempt)
        firm.book.append(f"enforcement/ACC1/R-{attempt}", again)
        firm.pass_seconds(8)
    answer = EnforcementTaken(request_id="R-3", success=True)
    return lambda: firm.book.append("enforcement/ACC1/R-3", answer)


def damaged(firm: Firm, beating: Beating) -> Undo:
    beating.tail.note(CorruptJournal(7, "the record is missing"))

    def restored() -> None:
        beating.tail.fault = None

    return restored


CASES = {
    "policies": policy_stopped,
    "no policies": no_policies,
    "feed": no_price,
    "enforcer": pending,
    "no enforcer": asked_again,
    "journal": damaged,
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_in_order_is_silence(firm: Firm, name: str) -> None:
    beating = Beating(firm)
    assert beating.after()
    undo = CASES[name](firm, beating)
    silent = [beating.after() for _ in range(3)]
    assert silent == [False, False, False]
    assert len(beating.reports) == 1
    assert beating.reports[0].startswith("no heartbeat: ")
    assert beating.heartbeat.problems[0].part == name.removeprefix("no ")
    undo()
    assert beating.after()
    assert beating.reports[1:] == ["the heartbeat is back"]


def test_a_disk_without_room_is_silence(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    beating = Beating(firm)
    monkeypatch.setattr(wellness, "FREE_LEAST", 10**18)
    assert not beating.after()
    assert [each.part for each in beating.heartbeat.problems] == ["journal"]


def test_an_account_without_limits_needs_no_policies(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "other", "ACC1")
    firm.policies.stop()
    assert Beating(firm).after()
    firm.close()


def test_a_log_that_is_closed_is_silence(firm: Firm) -> None:
    beating = Beating(firm)
    firm.store.close()
    assert not beating.after()
    assert beating.heartbeat.problems


def test_an_answer_that_fails_changes_nothing(firm: Firm) -> None:
    beating = Beating(firm)

    def fail(_: str) -> None:
        msg = "the receiver answered 503"
        raise NotDelivered(msg)

    beating.heartbeat._ping = fail
    assert not beating.after()
    assert not beating.after()
    assert beating.reports == ["no heartbeat: the receiver answered 503"]
    beating.heartbeat._ping = beating.calls.append
    assert beating.after()


def test_the_call_is_a_get_without_a_body() -> None:
    with HttpReceiver(200, 500) as receiver:
        call(receiver.url)
        with pytest.raises(NotDelivered):
            call(receiver.url)
        assert [(each.method, each.body) for each in receiver.received] == [("GET", b"")] * 2


def test_a_failed_answer_is_silence_until_the_account_is_flat(firm: Firm) -> None:
    beating = Beating(firm)
    undo = failed(firm, beating)
    assert not beating.after()
    assert "enforcer" in {each.part for each in beating.heartbeat.problems}
    undo()
    assert beating.after()


# A process without the prices


def test_without_prices_the_log_says_what_is_not_in_order(firm: Firm) -> None:
    wanted, tail = WantedQuotes(firm.store), TailCheck(firm.store)
    with projections.open(firm.store, snapshots=False) as book:

        def found() -> list[str]:
            book.refresh()
            wanted.update()
            return [each.part for each in problems(book, firm.store, wanted, tail, has_prices=False)]

        assert found() == []
        unjudged = LimitUnjudged(rule_id="daily-loss", why="no price", since=NOON)
        firm.book.append("limits/ACC1/daily-loss", unjudged)
        assert found() == ["policies"]
        firm.book.append("limits/ACC1/daily-loss", LimitJudged(rule_id="daily-loss", why="again", since=NOON))
        assert found() == []
        firm.book.append("enforcement/ACC1/quotes-1", QuotesWanted(symbols=("ES",), reason="no price"))
        assert found() == ["feed"]
        firm.pass_seconds(121)
        assert found() == []


def test_quotes_are_missing_once_they_were_asked_for_twice(firm: Firm) -> None:
    wanted = WantedQuotes(firm.store)
    thirty = 30 * SECOND
    for number in range(3):
        firm.book.append(f"enforcement/ACC1/quotes-{number}", QuotesWanted(symbols=("ES",), reason="no price"))
        wanted.update()
        assert wanted.lasting("ACC1", thirty) == (("ES",) if number else ())
        assert wanted.lasting("ACC2", 0) == ()
        firm.pass_seconds(60)
    # A process that is started now knows it as well; a clock that is set back does not keep it up.
    later = WantedQuotes(firm.store)
    later.update()
    assert later.lasting("ACC1", thirty) == ("ES",)
    firm.clock.set(NOON)
    firm.clock._monotonic += 61 * SECOND
    assert later.lasting("ACC1", thirty) == ()
    assert wanted.lasting("ACC1", thirty) == ()


# Several processes


def test_one_of_several_processes_beats(firm: Firm) -> None:
    first, second = Beating(firm), Beating(firm)
    assert first.after()
    assert not second.after()
    first.heartbeat.release()
    assert second.after()


def test_the_process_with_the_prices_beats(firm: Firm) -> None:
    store: EventStore = firm.store
    without, having = PricesLock(store), PricesLock(store)
    assert without.judges(has_prices=False)
    assert having.judges(has_prices=True)
    assert not without.judges(has_prices=False)
    beating = Beating(firm)
    assert beating.after()
    # It leaves the heartbeat to that process.
    assert not beating.heartbeat.step(judges=without.judges(has_prices=False))
    assert store.directory is not None
    lock = FileLock(store.directory / "alerts-heartbeat.lock")
    assert lock.take()
    lock.release()
    having.release()
    assert without.judges(has_prices=False)


def test_without_prices_a_limit_that_rests_on_one_is_left_to_who_has_them(firm: Firm) -> None:
    """A book without quotes does not say that a limit is unjudged: the process that has them does."""
    firm.fill("ACC1", Side.BUY, "5000", quantity="2")
    with projections.open(firm.store, snapshots=False) as book:
        wanted, tail = WantedQuotes(firm.store), TailCheck(firm.store)
        assert problems(book, firm.store, wanted, tail, has_prices=False) == []
