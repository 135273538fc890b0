"""`policies` judges what other processes append, with quotes of the user's, and ends when it is asked to."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

import eventstore
import projections
from eventstore import Event
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, OrderFilled, PolicyStopped, Side
from gateways.cli import service
from projections.risk.policies import Decision, Trigger
from projections.risk.policies.liveness import PolicyRun, run_of
from tests.cli.command import Run
from tests.cli.services import WAIT_SECONDS, started

FEED = """
import time
from decimal import Decimal
from eventstore.trading import Marked, QuoteReceived

def quotes():
    yield "mark/-/noon", Marked(name="noon")
    for _ in range(2):
        yield "quote/-/ESZ6", QuoteReceived(symbol="ESZ6", last=1.5)
    yield "quote/-/ESZ6", QuoteReceived(symbol="ESZ6", last=Decimal("6700"))
    while True:
        time.sleep(0.1)
        yield "quote/-/ESZ6", QuoteReceived(symbol="ESZ6", last=Decimal("6700"))

def ending():
    yield "quote/-/ESZ6", QuoteReceived(symbol="ESZ6", last=Decimal("6700"))

def failing():
    raise ConnectionError("the feed refused us")
    yield
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A directory with a log of one account with a limit on the day's loss, a seed file and a feed."""
    with eventstore.open(tmp_path / "data") as store:
        store.append("contract/-/ESZ6", ContractDefined(symbol="ESZ6", multiplier=Decimal(50), currency="USD"))
        store.append("account/ACC1/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
        store.append("limits/ACC1/daily-loss", limit, actor="risk@desk")
    (tmp_path / "feed.py").write_text(FEED, encoding="utf-8")
    calendar = '[defaults.calendar]\nzone = "America/Chicago"\nopen = "17:00"\nreset = "17:00"\n'
    (tmp_path / "seeds.toml").write_text(calendar, encoding="utf-8")
    return tmp_path


def fill(order_id: str, side: Side, price: str) -> OrderFilled:
    return OrderFilled(trade_id=order_id, symbol="ESZ6", side=side, quantity=Decimal(1), price=Decimal(price))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("feed", "'feed' names no function: write MODULE:FUNCTION"),
        ("nowhere_at_all:quotes", "there is no module 'nowhere_at_all'"),
        ("tests.cli.services:WAIT_SECONDS", "tests.cli.services:WAIT_SECONDS is a float, not a function"),
    ],
)
def test_a_name_that_leads_to_no_function_is_refused(run: Run, desk: Path, name: str, message: str) -> None:
    ended = run("policies", name, "--data", desk / "data")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"eventstore: {message}")
    assert not (desk / "data" / "main" / "policies.lock").exists()


@pytest.mark.parametrize("content", [None, "[defaults", '[defaults.calender]\nzone = "UTC"\n'])
def test_a_seed_file_that_cannot_be_read_is_refused(run: Run, desk: Path, content: str | None) -> None:
    seeds = desk / "other.toml"
    if content is not None:
        seeds.write_text(content, encoding="utf-8")
    ended = run("policies", "--seeds", seeds, "--data", desk / "data")
    assert (ended.code, ended.out) == (2, "")
    assert "other.toml" in ended.err
    assert not (desk / "data" / "main" / "policies.lock").exists()


@pytest.mark.untraced
def test_it_locks_what_others_trade_and_resumes_after_a_kill(desk: Path) -> None:
    arguments = ("policies", "feed:quotes", "--seeds", "seeds.toml")
    with eventstore.open(desk / "data") as store, projections.open(store) as book:

        def is_locked() -> bool:
            return bool(book.lockouts.active("ACC1", store.clock.now_ns()))

        with started(arguments, desk) as first:
            first.wait_until("READY=1")
            assert run_of(book, "ACC1") is PolicyRun.RUNNING
            book.append("order/ACC1/O-1", fill("O-1", Side.BUY, "6740"), key="1")
            first.end(signal.SIGKILL)
        # Nobody judges this fill when it is recorded.
        book.append("order/ACC1/O-2", fill("O-2", Side.SELL, "6728"), key="2")
        assert not is_locked()
        with started(arguments, desk) as second:
            second.wait_until("READY=1")
            assert is_locked()
            [lockout] = book.lockouts.active("ACC1", store.clock.now_ns())
            assert (lockout.rule_id, "CST" in lockout.reason or "CDT" in lockout.reason) == ("daily-loss", True)
            second.wait_until("WATCHDOG=1")
            ended = second.end()
    assert ended.code == 0, ended.err
    assert ended.out.startswith("ended: the policies of log main have seen position ")
    # One bad quote is noted once, and the next ones count.
    assert ended.err.count("a quote was refused: ") == 2
    assert ended.err.count("QuoteReceived.last") == 1


@pytest.mark.parametrize(
    ("function", "why"),
    [("ending", "its function has returned"), ("failing", "ConnectionError: the feed refused us")],
)
def test_quotes_that_end_end_the_process(
    run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch, function: str, why: str
) -> None:
    # A module of another name than the other tests': Python imports each once in a process.
    (desk / "ending_feed.py").write_text(FEED, encoding="utf-8")
    monkeypatch.chdir(desk)
    monkeypatch.setattr(sys, "path", [*sys.path])
    ended = run("policies", f"ending_feed:{function}", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1].startswith(f"eventstore: the quotes ended ({why}): ")


class Watched:
    """Stands for a service manager: asked whether to end, it looks at what the process has done so far."""

    def __init__(self, is_done: Callable[[], bool]) -> None:
        self._is_done, self._until = is_done, time.monotonic() + WAIT_SECONDS

    @property
    def is_requested(self) -> bool:
        assert time.monotonic() < self._until, "what it waits for did not come"
        return self._is_done()


def test_without_a_function_it_says_which_prices_count(run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notified: list[str] = []
    monkeypatch.setattr(service, "notify", notified.append)
    with eventstore.open(desk / "data") as store, projections.open(store) as book:

        def is_done() -> bool:
            if store.version("order/ACC1/O-1") == 0:
                book.append("order/ACC1/O-1", fill("O-1", Side.BUY, "6740"), key="1")
                book.append("order/ACC1/O-2", fill("O-2", Side.SELL, "6728"), key="2")
            return bool(book.lockouts.active("ACC1", store.clock.now_ns())) and service.ALIVE in notified

        monkeypatch.setattr(service, "terminated_by_signal", lambda: contextlib.nullcontext(Watched(is_done)))
        ended = run("policies", "--json", "--data", desk / "data")
        assert (ended.code, ended.document) == (0, {"log": "main", "position": store.head(), "stopped": None})
    assert "no function gives quotes" in ended.err
    assert notified[0] == service.READY
    assert notified[-1] == service.STOPPING


class Failing:
    """Fails on each fill."""

    name = "failing"
    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)
    quotes: ClassVar[bool] = False
    timed: ClassVar[bool] = False

    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        raise ZeroDivisionError


def test_a_policy_that_has_stopped_is_noted_and_ends_with_a_problem(
    run: Run, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.cli.policies.shipped_rules", lambda: [Failing()])
    with eventstore.open(desk / "data") as store:

        def is_done() -> bool:
            if store.version("order/ACC1/O-1") == 0:
                store.append("order/ACC1/O-1", fill("O-1", Side.BUY, "6740"), key="1")
            return bool(list(store.read(types=PolicyStopped)))

        monkeypatch.setattr(service, "terminated_by_signal", lambda: contextlib.nullcontext(Watched(is_done)))
        ended = run("policies", "--json", "--data", desk / "data")
    assert (ended.code, ended.document["stopped"]) == (1, {"policy": "failing", "account": "ACC1"})
    assert "policy failing stopped for ACC1 at position " in ended.err


def test_a_service_manager_that_is_gone_is_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    service.notify(service.READY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    service.notify(service.READY)
    assert capsys.readouterr().err.count("cannot be notified of READY=1") == 1
