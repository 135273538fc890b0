"""`work` and `group` as processes: divided, killed, paused, evicted, and what an operator sees of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import eventstore
import projections
from eventstore import EventStore
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, OrderFilled, Side
from gateways.http.owners import ANSWERED_BY, ANSWERED_FROM, CUT, OWNER
from projections.risk.policies.liveness import PolicyRun, run_of
from projections.shares import SHARES, share_of
from tests.cli.command import run_here
from tests.cli.services import RunningService, started

GROUP = "desk"
WAIT_SECONDS = 90.0
REBALANCE_SECONDS = 60.0
ANSWER_SECONDS = 10.0
"""An owner is asked for one second; here others may use both cores."""
ACCOUNTS = [f"ACC{number}" for number in range(12)]
FEED = """
import time
from decimal import Decimal
from eventstore.trading import QuoteReceived

def quotes():
    while True:
        yield "quote/-/ESZ6", QuoteReceived(symbol="ESZ6", last=Decimal("6700"))
        time.sleep(0.1)
"""


def opened(store: EventStore) -> None:
    """Open accounts with a limit on the day's loss."""
    store.append("contract/-/ESZ6", ContractDefined(symbol="ESZ6", multiplier=Decimal(50), currency="USD"))
    for account in ACCOUNTS:
        store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
        store.append(f"limits/{account}/daily-loss", limit, actor="risk@desk")


def lose(store: EventStore, account: str) -> None:
    """Let an account lose more than its limit."""
    for number, (side, price) in enumerate([(Side.BUY, "6700"), (Side.SELL, "6680")]):
        fill = OrderFilled(
            trade_id=f"{account}-{number}", symbol="ESZ6", side=side, quantity=Decimal(1), price=Decimal(price)
        )
        store.append(f"order/{account}/O-{number}", fill)


class Host:
    """What a test does with workers: starts them, and asks `group` about them."""

    def __init__(self, url: str, directory: Path, stack: ExitStack) -> None:
        self.url, self.directory, self._stack = url, directory, stack
        self._workers: list[RunningService] = []
        (directory / "feed.py").write_text(FEED, encoding="utf-8")

    def work(self, *more: str) -> RunningService:
        words = ("work", "feed:quotes", "--group", GROUP, "--data", self.url, "--json")
        self._workers.append(self._stack.enter_context(started((*words, *more), self.directory)))
        return self._workers[-1]

    def group(self, code: int | None = None) -> list[dict[str, Any]]:
        result = run_here("group", GROUP, "--json", "--data", self.url)
        assert code is None or result.code == code, result.err
        members: list[dict[str, Any]] = json.loads(result.out)[0]["members"]
        return members

    def until(self, is_so: Callable[[], bool], seconds: float = WAIT_SECONDS) -> float:
        """Wait until something is so, and return how long that took; show the group and its workers where it is not."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > seconds:
                said = [f"{worker.process.pid}: {worker.stderr()}" for worker in self._workers]
                pytest.fail("\n".join(["waited for too long", *map(str, self.group()), *said]))
            time.sleep(0.1)
        return time.monotonic() - began

    def parts(self) -> list[int]:
        """Return how many partitions each working member has."""
        return sorted(len(each["partitions"]) for each in self.group() if each["state"] == "working")


@pytest.fixture
def host(postgres_url: str, tmp_path: Path) -> Any:  # noqa: ANN401 - a generator
    with ExitStack() as stack:
        with eventstore.open(postgres_url) as store:
            opened(store)
        yield Host(postgres_url, tmp_path, stack)


@pytest.mark.slow
def test_workers_of_two_processes_lock_every_account_once_whatever_becomes_of_one(host: Host) -> None:
    first, second = host.work(), host.work()
    host.until(lambda: host.parts() == [32, 32])
    with eventstore.open(host.url) as store, projections.open(store) as book:
        # A member has the locks of its partitions before its policies run.
        host.until(lambda: run_of(book, "ACC1") is PolicyRun.RUNNING)
        for account in ACCOUNTS[:4]:
            lose(store, account)
        host.until(lambda: all(book.lockouts.active(account, book.now_ns()) for account in ACCOUNTS[:4]))

        second.process.kill()
        took = host.until(lambda: host.parts() == [64])
        assert took < REBALANCE_SECONDS
        for account in ACCOUNTS[4:8]:
            lose(store, account)
        host.until(lambda: all(book.lockouts.active(account, book.now_ns()) for account in ACCOUNTS[4:8]))

        third = host.work()
        host.until(lambda: host.parts() == [32, 32])
        # Paused, it neither beats nor decides: the server ends its session, and the other takes all.
        first.process.send_signal(signal.SIGSTOP)
        host.until(lambda: host.parts() == [64])
        for account in ACCOUNTS[8:]:
            lose(store, account)
        host.until(lambda: all(book.lockouts.active(account, book.now_ns()) for account in ACCOUNTS[8:]))
        first.process.send_signal(signal.SIGCONT)
        host.until(lambda: host.parts() == [32, 32])

        ended = first.end()
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["group"] == GROUP
        host.until(lambda: host.parts() == [64])
        assert third.end().code == 0
        locks = [record.account for record in store.read(types=("LockoutSet",))]
        assert sorted(locks) == sorted(ACCOUNTS)
        assert run_of(book, "ACC1") in {PolicyRun.ENDED, PolicyRun.RUNNING}
        assert store.verify().ok


@pytest.mark.slow
def test_an_evicted_worker_ends_with_a_message(host: Host) -> None:
    worker = host.work()
    host.until(lambda: host.parts() == [SHARES])
    (member,) = host.group(code=0)
    assert run_here("group", GROUP, "--wait", "30s", "--data", host.url).code == 0
    assert host.group()[0]["events_behind"] == 0
    text = run_here("group", "--data", host.url)
    assert text.code == 0
    assert f"Group {GROUP}, log at 25" in text.out
    assert member["id"] in text.out
    result = run_here("group", GROUP, "--evict", member["id"], "--data", host.url)
    assert result.code == 0, result.err
    ended = worker.ended()
    assert ended.code == 1
    assert "evicted" in ended.err
    assert json.loads(ended.out)["evicted"]
    # Its partitions are nobody's now.
    assert run_here("group", GROUP, "--data", host.url).code == 1


@pytest.mark.slow
def test_members_that_serve_answer_for_one_another_whatever_becomes_of_one(host: Host) -> None:
    first, second = host.work("--listen", "127.0.0.1:0"), host.work("--listen", "127.0.0.1:0")
    host.until(lambda: host.parts() == [32, 32])
    members = {each["id"]: each for each in host.group()}
    one, other = (next(id for id in members if f"-{each.process.pid}-" in id) for each in (first, second))
    account = next(name for name in ACCOUNTS if share_of(name) in members[other]["partitions"])
    with eventstore.open(host.url) as store, httpx.Client(timeout=WAIT_SECONDS, trust_env=False) as client:

        def asked() -> tuple[str, str]:
            began = time.monotonic()
            answer = client.get(f"{members[one]['url']}/v1/state/trades", params={"account": account})
            assert time.monotonic() - began < ANSWER_SECONDS
            assert answer.status_code == 200, answer.text
            # All that was committed before the question is in the answer, from either member.
            assert answer.json()["log_position"] >= head
            assert len(answer.json()["state"]["trades"]) == trades
            return answer.headers[ANSWERED_FROM], answer.headers[ANSWERED_BY]

        head, trades = store.head(), 0
        host.until(lambda: asked() == (OWNER, other))
        lose(store, account)
        head, trades = store.head(), 2
        assert asked() == (OWNER, other)
        # Paused, it does not answer; once it is silent it is not asked, and then its accounts are the other's.
        second.process.send_signal(signal.SIGSTOP)
        assert asked() == (CUT, one)
        host.until(lambda: asked() == (OWNER, one))
        second.process.send_signal(signal.SIGCONT)
        host.until(lambda: host.parts() == [32, 32])
        host.until(lambda: asked()[0] == OWNER)
        # While partitions are divided again, each answer is the owner's or a cut's, and never an error.
        assert run_here("group", GROUP, "--evict", other, "--data", host.url).code == 0
        host.until(lambda: second.process.poll() is not None and asked() == (OWNER, one))
        assert second.ended().code == 1
        third = host.work("--listen", "127.0.0.1:0")
        host.until(lambda: bool(asked()) and host.parts() == [32, 32])
        third.process.kill()
        host.until(lambda: bool(asked()) and host.parts() == [64])
    ended = first.end()
    assert ended.code == 0, ended.err


def test_group_and_work_say_what_they_need(postgres_url: str, tmp_path: Path) -> None:
    eventstore.open(postgres_url).close()
    assert "no group works" in run_here("group", "--data", postgres_url).out
    assert run_here("group", GROUP, "--wait", "1s", "--data", postgres_url).code == 1
    for words, message in (
        (("group", "--evict", "m", "--data", postgres_url), "name it too"),
        (("group", "--wait", "1s", "--data", postgres_url), "name it too"),
        (("group", GROUP, "--wait", "soon", "--data", postgres_url), "invalid duration"),
        (("group", GROUP, "--evict", "m", "--data", postgres_url), "has no member m"),
        (("group", "a/b", "--data", postgres_url), "group"),
        (("work", "--data", postgres_url), "--group"),
        (("work", "--group", "a b", "--data", postgres_url), "group"),
        (("work", "--group", GROUP, "--allowed-host", "desk", "--data", postgres_url), "give --listen too"),
        (("work", "--group", GROUP, "--listen", "8000", "--data", postgres_url), "HOST:PORT"),
        (("work", "--group", GROUP, "--listen", "127.0.0.1:x", "--data", postgres_url), "HOST:PORT"),
        (("work", "--group", GROUP, "--listen", "[::1]:99999", "--data", postgres_url), "HOST:PORT"),
        (("work", "--group", GROUP, "--listen", "127.0.0.1:0", "--url", "x", "--data", postgres_url), "http://HOST"),
        (("work", "--group", GROUP, "--listen", "127.0.0.1:0", "--log-format", "x", "--data", postgres_url), "text"),
        (("work", "--group", GROUP, "--listen", "0.0.0.0:0", "--data", postgres_url), "API keys"),
    ):
        result = run_here(*words)
        assert result.code == 2, words
        assert message in result.err
    eventstore.open(tmp_path).close()
    for command in (["group"], ["work", "--group", GROUP]):
        result = run_here(*command, "--data", str(tmp_path))
        assert result.code == 2
        assert "PostgreSQL" in result.err
