"""The example of ProjectX, against a recorded session: it cancels and closes once, killed wherever it may be."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, SystemClock
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    OrderAccepted,
    OrderFilled,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    Side,
)
from projections import Book, Enforcer, Task
from projections.risk.enforcement.claims import LEASE_NS, LeaseLost, claim
from projections.risk.enforcement.requests import next_attempt
from projections.risk.enforcement.stopping import stop
from tests.cli.command import plain_environment
from tests.enforcement.projectx_gateway import CANCELLED, FILLED, SESSION, TOKEN, GatewayServer, RecordedGateway
from tests.enforcement.projectx_processes import example as load_example
from tests.enforcement.scene import SECOND, START, store_in_memory
from tests.proving import rounds

CONTRACT = "CON.F.US.MNQ.Z26"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example()


@pytest.fixture
def gateway() -> RecordedGateway:
    # A second ahead of the tests' clock, and as the system's in those that run processes.
    return RecordedGateway(lambda: START + SECOND)


@pytest.fixture
def server(gateway: RecordedGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayServer]:
    found = GatewayServer(gateway)
    for name, value in (("URL", found.url), ("TOKEN", TOKEN), ("ACCOUNTS", "ACC1=4711")):
        monkeypatch.setenv(f"PROJECTX_{name}", value)
    yield found
    found.end()


def begin(store: EventStore) -> None:
    """Record what the session's account has done: three bought, a stop that works; then stop it."""
    store.append("account/ACC1/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    contract = ContractDefined(symbol="MNQZ6", multiplier=Decimal(2), currency="USD", broker_ids=(CONTRACT,))
    store.append("contract/-/MNQZ6", contract)
    bought = OrderSubmitted(symbol="MNQZ6", side=Side.BUY, quantity=Decimal(3))
    filled = OrderFilled(
        trade_id="8001", symbol="MNQZ6", side=Side.BUY, quantity=Decimal(3), price=Decimal(21_010), fee=Decimal("1.11")
    )
    store.append("order/ACC1/O-1", [bought, OrderAccepted(broker_order_id="4001"), filled])
    resting = OrderSubmitted(
        symbol="MNQZ6", side=Side.SELL, quantity=Decimal(3), order_type=OrderType.STOP, stop_price=Decimal(20_900)
    )
    store.append("order/ACC1/O-2", [resting, OrderAccepted(broker_order_id="4002")])
    stop(store, ["ACC1"], "enough")


def check_done(book: Book, gateway: RecordedGateway) -> None:
    """Check that the account is flat without orders, by the gateway and the book, and was closed by one order."""
    book.refresh()
    assert gateway.position == 0
    assert [order["size"] for order in gateway.placed] == [3]
    assert [order["status"] for order in gateway.orders[1:3]] == [CANCELLED, CANCELLED]
    assert book.positions.get("ACC1", "MNQZ6").quantity == 0
    assert book.orders.open("ACC1") == ()
    stopped = book.orders.get("ACC1", "O-2")
    assert stopped is not None
    assert stopped.status is OrderStatus.CANCELED
    assert [trade.quantity for trade in book.trades.of("ACC1")] == [3, 3]
    assert book.enforcement.pending("ACC1") == ()
    assert False not in {each.success for each in book.enforcement.of("ACC1")}


@pytest.fixture
def book() -> Iterator[Book]:
    with store_in_memory(ManualClock(START)) as store, projections.open(store) as found:
        begin(store)
        found.refresh()
        yield found


def test_it_carries_out_what_the_session_has_recorded(
    book: Book, server: GatewayServer, gateway: RecordedGateway, example: ModuleType
) -> None:
    handled: list[Any] = []
    Enforcer(book, example.carry_out, handled=handled.append).run(once=True)
    assert [(each.action, each.success, each.details) for each in handled] == [
        ("CANCEL_ORDERS", True, ""),
        ("FLATTEN", True, ""),
    ]
    check_done(book, gateway)
    # The id of the request is part of the tag, and another one in each log.
    [order] = gateway.placed
    exchanges = json.loads(json.dumps(gateway.exchanges).replace(order["customTag"], "close-1"))
    assert exchanges == json.loads(SESSION.read_text("utf-8"))["exchanges"]


def test_a_position_that_only_the_gateway_knows_is_closed_too(
    book: Book, server: GatewayServer, gateway: RecordedGateway, example: ModuleType
) -> None:
    gateway.held[CONTRACT] = -2
    Enforcer(book, example.carry_out).run(once=True)
    assert gateway.position == 0
    assert [(order["side"], order["size"]) for order in gateway.placed] == [(0, 2)]
    assert book.positions.get("ACC1", "MNQZ6").quantity == 0


def test_an_account_that_is_flat_there_is_not_closed_again(
    book: Book, server: GatewayServer, gateway: RecordedGateway, example: ModuleType
) -> None:
    gateway.held[CONTRACT] = 0
    Enforcer(book, example.carry_out).run(once=True)
    assert gateway.placed == []
    assert gateway.position == 0
    assert book.positions.get("ACC1", "MNQZ6").quantity == 0


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("account_id", 4712, "ConnectionError: Order/searchOpen failed with code 1: Account not found"),
        ("names", {}, "ConnectionError: Order/place failed with code 8: Contract not found"),
    ],
)
def test_what_the_gateway_refuses_is_a_failure(
    book: Book, server: GatewayServer, example: ModuleType, *, name: str, value: object, error: str
) -> None:
    setattr(server.gateway, name, value)
    handled: list[Any] = []
    Enforcer(book, example.carry_out, handled=handled.append).run(once=True)
    assert (handled[-1].success, handled[-1].details) == (False, {"error": error})


def test_a_gateway_that_cannot_be_reached_is_a_failure(
    book: Book, server: GatewayServer, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECTX_URL", "http://127.0.0.1:1")
    handled: list[Any] = []
    Enforcer(book, example.carry_out, handled=handled.append).run(once=True)
    assert [each.success for each in handled] == [False, False]


@pytest.fixture(scope="module")
def forking() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.enforcement.projectx_processes"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=plain_environment()) as parent:
        yield parent
        assert parent.stdin is not None
        parent.stdin.close()


STEPS = {
    "unclaimed": None,
    "claimed": None,
    "cancelling": ("after", "/api/Order/cancel"),
    "recorded": ("before", "/api/Order/place"),
    "sent": ("after", "/api/Order/place"),
    "filled": ("after", "/api/Trade/search"),
    "noted": ("before", "/api/Position/searchOpen"),
    "unanswered": None,
}
"""Where a process is killed: by itself or, while the gateway handles a request of it, before or after its effect."""


class Killing:
    """Runs an enforcer in a process of its own, which may be killed while the gateway handles a request of it."""

    def __init__(self, parent: subprocess.Popen[str], directory: Path, server: GatewayServer) -> None:
        self.parent, self.directory, self.server = parent, directory, server
        self.pid, self.is_known = 0, threading.Event()

    def run(self, ahead: int, step: str) -> int:
        """Return how a process ended that was to be killed at a step, with its clocks so many seconds ahead."""
        gateway, place = self.server.gateway, STEPS.get(step)
        self.is_known.clear()

        def look(path: str, body: dict[str, Any]) -> None:
            is_due = place is not None and path == place[1]
            if is_due and (gateway.placed or step in {"cancelling", "recorded"}):
                assert self.is_known.wait(60)
                os.kill(self.pid, signal.SIGKILL)
                # What is killed before the effect has none.
                raise ConnectionAbortedError

        gateway.before = gateway.after = None
        if place is not None:
            setattr(gateway, place[0], look)
        elif gateway.holds_fills:
            gateway.before = lambda *_: gateway.fill()
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        print(self.directory, self.server.url, ahead, step, file=self.parent.stdin, flush=True)
        self.pid = int(self.parent.stdout.readline())
        self.is_known.set()
        return int(self.parent.stdout.readline())


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_it_closes_once(
    tmp_path: Path, server: GatewayServer, gateway: RecordedGateway, forking: subprocess.Popen[str], step: str
) -> None:
    with eventstore.open(tmp_path) as store:
        begin(store)
    gateway.holds_fills, gateway.now_ns = step == "sent", SystemClock().now_ns
    killing = Killing(forking, tmp_path, server)
    assert killing.run(0, step) == signal.SIGKILL
    assert len(gateway.placed) == (step in {"sent", "filled", "noted", "unanswered"})
    # Its lease is over by now, and another process takes its requests over.
    assert killing.run(60, "finish") == 0
    with eventstore.open(tmp_path) as store, projections.open(store) as book:
        check_done(book, gateway)


class Killed(BaseException):
    """Stands for the end of a process: nothing that it would have done after that happens."""


class Desk:
    """Claimants in one process, any of which may be killed, suspended, or lose an answer at any request."""

    def __init__(self, chance: random.Random, example: ModuleType) -> None:
        self.chance, self.example, self.clock = chance, example, ManualClock(START)
        self.gateway = RecordedGateway(self.clock.now_ns)
        self.store = store_in_memory(self.clock)
        begin(self.store)
        self.books = [projections.open(self.store, snapshots=False)]
        self.depth = self.by_hand = 0

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Take what an attempt sends to the gateway, and do to it what chance wants."""
        self.clock.advance(SECOND // 100)
        what = self.chance.random()
        if what < 0.06:
            raise Killed
        if what < 0.12 and self.depth < 2:
            # It is suspended, and another one takes over in the meantime.
            self.clock.advance(LEASE_NS)
            self.attempt()
        answer = self.gateway.post(f"/api/{path}", body)
        if what > 0.95:
            raise Killed
        if what > 0.9:
            raise TimeoutError
        assert self.gateway.position >= 0, "it was closed twice"
        self.gateway.holds_fills = self.chance.random() < 0.3
        if self.chance.random() < 0.5:
            self.gateway.fill()
        return answer

    def attempt(self) -> None:
        """Let one claimant carry out the next request, if it can be claimed."""
        if not self.depth and self.chance.random() < 0.1:
            # Somebody closes one at the gateway itself, while no order works there.
            self.gateway.fill()
            if self.gateway.position:
                self.gateway.held[CONTRACT] -= 1
                self.by_hand += 1
        if self.depth == len(self.books):
            self.books.append(projections.open(self.store, snapshots=False))
        book = self.books[self.depth]
        self.depth += 1
        book.refresh()
        pending = [each for each in book.enforcement.pending("ACC1") if not each.taken]
        held = claim(book, pending[0], f"claimant {self.depth}") if pending else None
        if held is not None:
            try:
                self.example.carry_out(Task(book, held))
            except (Killed, LeaseLost):
                self.clock.advance(LEASE_NS)
            except (ConnectionError, TimeoutError, RuntimeError) as error:
                held.answer(success=False, details=str(error))
                self.ask_again(book)
            else:
                held.answer(success=True)
        self.depth -= 1

    def ask_again(self, book: Book) -> None:
        """Do what the keeper of policies does after a while."""
        book.refresh()
        for request in book.enforcement.pending("ACC1"):
            if request.taken:
                book.append(*next_attempt(request, "it failed"))


@pytest.mark.untraced
def test_in_random_histories_it_closes_once(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECTX_ACCOUNTS", "ACC1=4711")
    for seed in rounds("ProjectX example", test=60, prove=20_000):
        chance = random.Random(seed)
        desk = Desk(chance, example)

        def post(self: Any, path: str, *accepted: int, desk: Desk = desk, **body: object) -> dict[str, Any]:  # noqa: ANN401 - a Gateway
            answer = desk.post(path, {"accountId": 4711, **json.loads(json.dumps(body))})
            if not answer["success"] and answer["errorCode"] not in accepted:
                raise ConnectionError(answer["errorMessage"])
            found: dict[str, Any] = json.loads(json.dumps(answer), parse_float=Decimal)
            return found

        monkeypatch.setattr(example.Gateway, "__init__", lambda *_: None)
        monkeypatch.setattr(example.Gateway, "post", post)
        monkeypatch.setattr(example, "PATIENCE_SECONDS", 0)
        for _ in range(12):
            desk.attempt()
        desk.gateway.fill()
        # Undisturbed, it ends as it should.
        monkeypatch.setattr(chance, "random", lambda: 0.5)
        for _ in range(10):
            desk.clock.advance(LEASE_NS)
            desk.ask_again(desk.books[0])
            if not desk.books[0].enforcement.pending("ACC1"):
                break
            desk.attempt()
        assert desk.gateway.position == 0, seed
        closed = sum(order["size"] for order in desk.gateway.placed if order["status"] == FILLED)
        assert closed + desk.by_hand == 3, seed
        book = desk.books[0]
        book.refresh()
        assert book.positions.get("ACC1", "MNQZ6").quantity == 0, seed
        assert book.enforcement.pending("ACC1") == (), seed
        for book in desk.books:
            book.close()
        desk.store.close()
