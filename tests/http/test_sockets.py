"""The WebSocket of topics: malformed and foreign messages, slow and noisy clients, then states and their changes."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from eventstore import Unavailable
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
    Side,
)
from gateways.http import ServiceSettings
from gateways.presenting.documents import plain
from tests.http.followed import Keys, bearer, reader_of
from tests.http.serving import Running, running
from tests.http.test_following import fill
from tests.waiting import until

SOCKET_SECONDS = 20
ORDER = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(2))
FILL = OrderFilled(trade_id="T-1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal("4500.25"))


class Looking:
    """A client of the socket: each message is read with a bound."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def ask(self, **message: object) -> dict[str, Any]:
        """Send a message, and return the reply to it, passing over what is shown meanwhile."""
        self.socket.send(json.dumps(message))
        return self.next("subscribed", "unsubscribed", "error")

    def next(self, *types: str, topic: str | None = None) -> dict[str, Any]:
        """Return the next message of one of some types, about a topic if one is named."""
        while True:
            found: dict[str, Any] = json.loads(self.socket.recv(SOCKET_SECONDS))
            if found["type"] in types and topic in {None, found.get("topic")}:
                return found

    def state(self, topic: str) -> dict[str, Any]:
        return self.next("state", topic=topic)


def looking(service: Running, key: str = "") -> ClientConnection:
    url = service.url.replace("http://", "ws://") + "/v1/ws"
    return connect(url, proxy=None, additional_headers=bearer(key) if key else {}, open_timeout=SOCKET_SECONDS)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        store = found.service.store.sync_store
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        for account in ("ACC1", "ACC2"):
            store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        store.append("order/ACC1/O-1", ORDER)
        yield found


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ('{"action":"subscribe"}', ""),
        ('{"action":"dance","topic":"orders"}', "/action"),
        ('{"action":"subscribe","topic":"oders"}', "/topic"),
        ('{"action":"subscribe","topic":"orders","accounts":[]}', "/accounts"),
        ('{"action":"subscribe","topic":"orders","accounts":[1]}', "/accounts/0"),
        ('{"action":"subscribe","topic":"orders","after":1}', "/after"),
        ('{"action":"subscribe","topic":"records","after":-1}', "/after"),
        ('{"action":"subscribe","topic":"orders","acounts":["ACC1"]}', ""),
        ('{"action":"subscribe","topic":"' + "x" * 17_000 + '"}', ""),
        ("[" * 15_000, ""),
        ('{"action":"subscribe","topic":"orders","accounts":["a/b"]}', ""),
    ],
)
def test_a_malformed_message_is_answered_and_the_socket_lives(service: Running, sent: str, path: str) -> None:
    with looking(service) as socket:
        client = Looking(socket)
        socket.send(sent)
        problem = client.next("error")["problem"]
        assert (problem["status"], problem.get("path", "")) == (422, path)
        assert client.ask(action="subscribe", topic="orders")["type"] == "subscribed"


def test_a_binary_message_is_answered(service: Running) -> None:
    with looking(service) as socket:
        socket.send(b"\xff\x00")
        assert Looking(socket).next("error")["problem"]["status"] == 415


def test_a_message_beyond_the_size_closes_the_socket(service: Running) -> None:
    with looking(service) as socket:
        socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(SOCKET_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_client_that_asks_without_end_is_closed(service: Running) -> None:
    with looking(service) as socket:
        client = Looking(socket)
        with pytest.raises(ConnectionClosed) as closed:
            all(client.ask(action="unsubscribe", topic="orders") for _ in range(2_000))
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason.partition(":")[0]) == (1008, "TooManyRequests")


def test_a_foreign_account_is_refused_and_never_shown(tmp_path: Path) -> None:
    keys = Keys(own=reader_of("ACC1"))
    with running(tmp_path, authenticator=keys) as service:
        store = service.service.store.sync_store
        for account in ("ACC1", "ACC2"):
            store.append(f"order/{account}/O-1", ORDER)
        with looking(service, "own") as socket:
            client = Looking(socket)
            assert client.ask(action="subscribe", topic="orders", accounts=["ACC2"])["problem"]["status"] == 403
            assert client.ask(action="subscribe", topic="records", accounts=["ACC2"])["problem"]["status"] == 403
            for topic in ("orders", "records"):
                assert client.ask(action="subscribe", topic=topic)["type"] == "subscribed"
            for account in ("ACC2", "ACC1"):
                store.append(f"order/{account}/O-2", ORDER)
            seen = [client.next("state", "record") for _ in range(2)]
            assert {each["account"] for each in seen} == {"ACC1"}
            del keys.callers["own"]
            with pytest.raises(ConnectionClosed) as closed:
                client.next("never")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason.partition(":")[0]) == (1008, "NotAuthenticated")


def test_without_a_key_no_socket_is_opened(tmp_path: Path) -> None:
    with running(tmp_path, authenticator=Keys()) as service, pytest.raises(Exception, match="403"), looking(service):
        pass


def test_an_account_that_nothing_is_recorded_of_is_named(service: Running) -> None:
    with looking(service) as socket:
        reply = Looking(socket).ask(action="subscribe", topic="lockouts", accounts=["ACC1", "ACC9"])
    assert reply["unknown"] == ["ACC9"]


def test_a_slow_reader_is_closed_with_the_reason(tmp_path: Path) -> None:
    with running(tmp_path, settings=ServiceSettings(send_seconds_max=0.3)) as service, looking(service) as socket:
        # The client's library stops reading once this many messages wait.
        client = Looking(socket)
        client.ask(action="subscribe", topic="records", after=0)
        fill(service, 8_000, text="x" * 2_000)
        until(lambda: service.service.open_streams == 0, "the slow reader is still served")
        with pytest.raises(ConnectionClosed) as closed:
            client.next("never")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason.partition(":")[0]) == (1013, "SlowReader")


def test_a_book_that_cannot_be_asked_ends_the_sockets_that_look(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with looking(service) as socket:
        client = Looking(socket)
        client.ask(action="subscribe", topic="orders")

        async def refuse(_: object) -> None:
            msg = "the disk does not answer"
            raise Unavailable(msg)

        monkeypatch.setattr(service.service, "ask", refuse)
        service.service.store.sync_store.append("order/ACC1/O-2", ORDER)
        with pytest.raises(ConnectionClosed) as closed:
            client.next("never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "Unavailable: the disk does not answer"


def test_sockets_count_among_the_open_streams(tmp_path: Path) -> None:
    with running(tmp_path, settings=ServiceSettings(streams_max=1)) as service, looking(service) as first:
        until(lambda: service.service.open_streams == 1, "the socket is not served")
        with looking(service) as second, pytest.raises(ConnectionClosed) as closed:
            second.recv(SOCKET_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
        assert Looking(first).ask(action="subscribe", topic="orders")["type"] == "subscribed"


def test_the_end_of_the_service_closes_sockets_with_the_reason(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with running(tmp_path) as service:
            client = Looking(stack.enter_context(looking(service)))
            client.ask(action="subscribe", topic="orders")
        with pytest.raises(ConnectionClosed) as closed:
            client.next("never")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "Closed: the service is stopping")


def test_orders_are_shown_as_they_are_and_as_they_change(service: Running) -> None:
    store, book = service.service.store.sync_store, service.service.book.sync_book
    with looking(service) as socket:
        client = Looking(socket)
        client.ask(action="subscribe", topic="orders", accounts=["ACC1"])
        first = client.state("orders")
        assert (first["whole"], [order["order_id"] for order in first["state"]]) == (True, ["O-1"])
        store.append("order/ACC1/O-2", ORDER)
        store.append("order/ACC2/O-3", ORDER)
        changed = client.state("orders")
        assert (changed["whole"], changed["account"]) == (False, "ACC1")
        assert changed["state"] == [json.loads(json.dumps(plain(book.orders.get("ACC1", "O-2"))))]
        assert changed["log_position"] >= store.head() - 1
        store.append("order/ACC1/O-1", OrderCanceled())
        (ended,) = client.state("orders")["state"]
    assert (ended["order_id"], ended["status"]) == ("O-1", "CANCELED")


def test_trades_positions_and_lockouts_are_shown_as_they_change(service: Running) -> None:
    store = service.service.store.sync_store
    with looking(service) as socket:
        client = Looking(socket)
        for topic in ("trades", "positions", "lockouts"):
            client.ask(action="subscribe", topic=topic, accounts=["ACC1"])
            assert client.state(topic)["state"] == []
        store.append("order/ACC1/O-1", FILL)
        found = {each["topic"]: each["state"] for each in (client.next("state"), client.next("state"))}
        assert found["trades"][0]["price"] == "4500.25"
        assert found["positions"][0]["quantity"] == "1"
        store.append("lockout/ACC1/manual", LockoutSet(rule_id="manual", reason="enough", until=None))
        (lockout,) = client.state("lockouts")["state"]
        assert (lockout["reason"], lockout["until"]) == ("enough", None)
        store.append("lockout/ACC1/manual", LockoutCleared(rule_id="manual", reason="over"))
        assert client.state("lockouts")["state"] == []


def test_a_lockout_that_ends_by_time_is_shown_as_ended(service: Running) -> None:
    store = service.service.store.sync_store
    with looking(service) as socket:
        client = Looking(socket)
        client.ask(action="subscribe", topic="lockouts", accounts=["ACC1"])
        client.state("lockouts")
        until_ns = store.clock.now_ns() + 1_500_000_000
        store.append("lockout/ACC1/pause", LockoutSet(rule_id="pause", reason="a pause", until=until_ns))
        assert len(client.state("lockouts")["state"]) == 1
        assert client.state("lockouts")["state"] == []
        assert store.clock.now_ns() >= until_ns


def test_records_follow_a_position_and_stop_when_unsubscribed(service: Running) -> None:
    store = service.service.store.sync_store
    with looking(service) as socket:
        client = Looking(socket)
        client.ask(action="subscribe", topic="records", after=1)
        assert [client.next("record")["log_position"] for _ in range(3)] == [2, 3, 4]
        store.append("order/ACC2/O-3", ORDER)
        found = client.next("record")
        assert (found["account"], found["record"]["stream"]) == ("ACC2", "order/ACC2/O-3")
        assert client.ask(action="unsubscribe", topic="records")["type"] == "unsubscribed"
        store.append("order/ACC2/O-4", ORDER)
        client.ask(action="subscribe", topic="positions", accounts=["ACC2"])
        assert client.next("state", "record")["type"] == "state"


def test_headroom_changes_come_at_most_once_a_second(service: Running) -> None:
    store = service.service.store.sync_store
    for rule in ("daily-loss", "moon-phase"):
        store.append(f"limits/ACC1/{rule}", LimitsSet(rule_id=rule, parameters={"limit": "1000"}), actor="desk")
    with looking(service) as socket:
        client = Looking(socket)
        client.ask(action="subscribe", topic="headroom", accounts=["ACC1"])
        first = {each["rule_id"]: each for each in client.state("headroom")["state"]}
        assert (first["daily-loss"]["status"], first["daily-loss"]["limit"]) == ("KNOWN", "1000")
        # What is unknown says so, and shows no number.
        unknown = first["moon-phase"]
        assert (unknown["status"], unknown["figure"], unknown["left"]) == ("UNKNOWN", None, None)
        assert unknown["why"]
        came: list[float] = []
        for number in range(3):
            tighter = LimitsSet(rule_id="daily-loss", parameters={"limit": f"{900 - number}"})
            store.append("limits/ACC1/daily-loss", tighter, actor="desk")
            client.state("headroom")
            came.append(time.monotonic())
        # Unchanged, it is looked at again each second, and not sent.
        with pytest.raises(TimeoutError):
            socket.recv(2.5)
    assert all(later - earlier > 0.8 for earlier, later in itertools.pairwise(came))
