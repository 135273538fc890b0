"""The older state API's WebSocket: errors in its shape, then updates by topic, from HTTP and from Python alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from eventstore import Record
from gateways.http.live.sockets import RecordCursor
from gateways.legacy.unified import UnifiedStateManager
from tests.http.followed import Keys, bearer, reader_of
from tests.http.serving import Running, running
from tests.http.test_state_versions import POSITION, saved, store_of

SOCKET_SECONDS = 20


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@contextlib.contextmanager
def watching(service: Running, key: str = "") -> Iterator[ClientConnection]:
    url = service.url.replace("http://", "ws://") + "/ws"
    headers = bearer(key) if key else {}
    with connect(url, proxy=None, additional_headers=headers, open_timeout=SOCKET_SECONDS) as socket:
        yield socket


def received(socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socket.recv(SOCKET_SECONDS))
    return found


def ask(socket: ClientConnection, action: str, topic: str) -> dict[str, Any]:
    socket.send(json.dumps({"action": action, "topic": topic}))
    return received(socket)


@pytest.mark.parametrize(
    "sent", ["", "{", "[]", '{"action":"subscribe"}', '{"action":"x","topic":"states"}',
             '{"action":"subscribe","topic":"states:nonsense"}', '{"action":"subscribe","topic":"state:"}'],
)  # fmt: skip
def test_a_malformed_message_is_answered_and_the_socket_lives(service: Running, sent: str) -> None:
    with watching(service) as socket:
        socket.send(sent)
        assert received(socket).keys() == {"type", "detail"}
        assert ask(socket, "subscribe", "states") == {"type": "subscription_confirmed", "topic": "states"}


def test_a_key_for_another_account_is_refused(tmp_path: Path) -> None:
    keys = Keys(foreign=reader_of("ACC1"), own=reader_of("default"))
    with running(tmp_path, authenticator=keys) as service:
        with pytest.raises(Exception, match=r"403|4\d\d\d|1008"), watching(service, "foreign") as socket:
            received(socket)
        with watching(service, "own") as socket:
            assert ask(socket, "subscribe", "states")["type"] == "subscription_confirmed"


def test_updates_come_by_topic_as_often_as_they_are_asked_for(service: Running) -> None:
    with watching(service) as socket:
        for topic in ("states:position", "state:strategy-1"):
            ask(socket, "subscribe", topic)
        saved(service, "pair_A", "pair_state")
        answer = saved(service, "position_A").json()
        update = received(socket)
        assert update == {
            "type": "state_update", "state_id": "position_A", "state_type": "position", "operation": "create",
            "data": POSITION, "timestamp": answer["timestamp"],
        }  # fmt: skip
        saved(service, "strategy-1", "strategy")
        assert received(socket)["state_id"] == "strategy-1"
        ask(socket, "subscribe", "states")
        service.client.delete("/states/A", params={"state_type": "position"})
        twice = [received(socket), received(socket)]
        assert twice[0] == twice[1]
        assert (twice[0]["operation"], twice[0]["data"]) == ("delete", {"deleted": True})
        confirmed = ask(socket, "unsubscribe", "states:position")
        assert confirmed == {"type": "unsubscription_confirmed", "topic": "states:position"}
        with UnifiedStateManager(place=store_of(service)) as manager:
            manager.save_position("B", {"q": 1})
        assert received(socket)["state_id"] == "position_B"
        ask(socket, "unsubscribe", "states")
        saved(service, "position_C")
        assert ask(socket, "subscribe", "states")["type"] == "subscription_confirmed"


def test_a_topic_counts_for_what_is_saved_after_it_was_subscribed_to(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an update could come before the confirmation, where the service is slow to read the log."""
    read = RecordCursor.next

    async def late(self: RecordCursor) -> Record | None:
        await asyncio.sleep(0.3)
        return await read(self)

    with watching(service) as socket:
        ask(socket, "subscribe", "states")
        ask(socket, "unsubscribe", "states")
        monkeypatch.setattr(RecordCursor, "next", late)
        saved(service, "position_A")
        assert ask(socket, "subscribe", "states")["type"] == "subscription_confirmed"
        saved(service, "position_B")
        assert received(socket)["state_id"] == "position_B"


def test_a_value_of_several_events_comes_as_one_update(service: Running) -> None:
    data = {"numbers": [number * 0.37 for number in range(40_000)]}
    with watching(service) as socket:
        ask(socket, "subscribe", "states")
        assert saved(service, "model", "configuration", data=data).json()["data"] == data
        update = received(socket)
        assert (update["state_id"], update["data"]) == ("model", data)
        saved(service, "position_A")
        assert received(socket)["state_id"] == "position_A"
