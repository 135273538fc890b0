"""API keys: what is not one, what is over, what is stored of one; added and revoked while a service runs."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from eventstore import InvalidEvent, ManualClock, Unavailable
from gateways.http.access import NotAuthenticated, Scope
from gateways.http.keys import KeyAuthenticator, KeyFile
from gateways.http.keys.secret import hash_of, id_of
from tests.cli.command import run_here
from tests.http.keys import NOW, Keyed, added, key_file, keyed, seed

SECOND = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def with_key(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def test_only_the_hash_of_a_key_is_stored_for_its_owner_alone(file: KeyFile) -> None:
    key, text = file.add("desk", [Scope.READ], now=NOW, by="ann")
    stored = file.path.read_bytes()
    assert text.encode() not in stored
    assert text.removeprefix("es_")[8:].encode() not in stored
    assert hash_of(text).encode() in stored
    assert (key.id, stat.S_IMODE(file.path.stat().st_mode)) == (id_of(text), 0o600)


def test_a_key_has_256_random_bits_that_no_other_key_has(file: KeyFile) -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    texts = {file.add(f"k{n}", [Scope.READ], now=NOW, by="ann", random=random)[1] for n in range(20)}
    assert (len(texts), asked[:2]) == (20, [4, 32])
    assert all(re.fullmatch(r"es_[A-Za-z0-9_-]{48}", text) for text in texts)


@pytest.mark.parametrize(
    "name", ["", " ", "policy:daily-loss", "Policy:x", "a\nb", " a", "@desk", "x" * 65, "a\u202eb"]
)
def test_what_no_actor_is_called_no_key_is(file: KeyFile, name: str) -> None:
    with pytest.raises(InvalidEvent):
        file.add(name, [Scope.READ], now=NOW, by="ann")
    assert not file.exists()


def test_two_keys_in_force_never_have_one_name(file: KeyFile) -> None:
    file.add("desk", [Scope.READ], now=NOW, by="ann")
    with pytest.raises(InvalidEvent, match="revoke it first"):
        file.add("desk", [Scope.ADMIN], now=NOW, by="eve")
    file.revoke("desk", now=NOW, by="ann")
    file.add("desk", [Scope.READ], now=NOW, by="ann")
    assert [each.revoked_by for each in file.load()] == ["ann", None]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"keys": 1}', b'{"keys": [{"id": "x"}]}', b"\xff"])
def test_a_damaged_file_keeps_everybody_out(file: KeyFile, clock: ManualClock, damage: bytes) -> None:
    _, text = file.add("desk", [Scope.READ], now=NOW, by="ann")
    authenticator = KeyAuthenticator(file, clock, "local")
    caller = authenticator.caller(with_key(text))
    file.path.write_bytes(damage)
    with pytest.raises(Unavailable, match="cannot be read"):
        authenticator.caller(with_key(text))
    assert not authenticator.is_valid(caller)


def test_a_file_that_is_gone_opens_nothing(file: KeyFile, clock: ManualClock) -> None:
    _, text = file.add("desk", [Scope.READ], now=NOW, by="ann")
    authenticator = KeyAuthenticator(file, clock, "local")
    file.path.unlink()
    for headers in ({}, with_key(text)):
        with pytest.raises(NotAuthenticated):
            authenticator.caller(headers)
    assert authenticator.needs_key


def test_a_file_of_revoked_keys_opens_nothing(file: KeyFile, clock: ManualClock) -> None:
    file.add("desk", [Scope.READ], now=NOW, by="ann")
    file.revoke("desk", now=NOW, by="ann")
    authenticator = KeyAuthenticator(file, clock, "local")
    assert authenticator.needs_key
    with pytest.raises(NotAuthenticated):
        authenticator.caller({})


def test_the_first_key_closes_an_open_service(file: KeyFile, clock: ManualClock) -> None:
    authenticator = KeyAuthenticator(file, clock, "local")
    before = authenticator.caller({})
    assert (before.name, authenticator.needs_key) == ("local", False)
    file.add("desk", [Scope.READ], now=NOW, by="ann")
    with pytest.raises(NotAuthenticated, match="no key"):
        authenticator.caller({})
    assert not authenticator.is_valid(before)


def wrong_keys(text: str) -> Iterator[str]:
    yield ""
    yield text[:-1]
    yield text + "A"
    yield text[:-1] + ("A" if text[-1] != "A" else "B")
    yield text[:3] + ("A" if text[3] != "A" else "B") + text[4:]
    yield text.upper()
    yield "es_" + "A" * 48
    yield "es_" + "é" * 48
    yield "\udcff" * 51


def test_no_other_text_is_the_key(file: KeyFile, clock: ManualClock) -> None:
    _, text = file.add("desk", [Scope.READ], now=NOW, by="ann")
    authenticator = KeyAuthenticator(file, clock, "local")
    for wrong in wrong_keys(text):
        with pytest.raises(NotAuthenticated):
            authenticator.caller(with_key(wrong))
    for headers in ({"authorization": text}, {"authorization": f"Basic {text}"}, {"cookie": text}):
        with pytest.raises(NotAuthenticated):
            authenticator.caller(headers)
    assert authenticator.caller(with_key(text)).name == "desk"


def test_an_unknown_id_is_compared_as_a_known_one_is(
    file: KeyFile, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = file.add("desk", [Scope.READ], now=NOW, by="ann")
    authenticator = KeyAuthenticator(file, clock, "local")
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("gateways.http.keys.authenticator.hmac.compare_digest", compare)
    for wrong in wrong_keys(text):
        if wrong:
            with pytest.raises(NotAuthenticated):
                authenticator.caller(with_key(wrong))
    assert len(compared) == len([*wrong_keys(text)]) - 1
    assert {len(each) for pair in compared for each in pair} == {64}


def test_an_expired_key_is_over_and_says_so(file: KeyFile, clock: ManualClock) -> None:
    _, text = file.add("desk", [Scope.READ], now=NOW, by="ann", expires_at=NOW + SECOND)
    authenticator = KeyAuthenticator(file, clock, "local")
    caller = authenticator.caller(with_key(text))
    assert authenticator.is_valid(caller)
    clock.advance(SECOND)
    with pytest.raises(NotAuthenticated, match="expired"):
        authenticator.caller(with_key(text))
    assert not authenticator.is_valid(caller)
    with pytest.raises(InvalidEvent, match="already"):
        file.add("late", [Scope.READ], now=NOW, by="ann", expires_at=NOW)


def test_when_a_key_was_used_is_written_apart_and_never_takes_back_a_revocation(
    file: KeyFile, clock: ManualClock
) -> None:
    key, text = file.add("desk", [Scope.READ], now=NOW, by="ann")
    authenticator = KeyAuthenticator(file, clock, "local")
    authenticator.caller(with_key(text))
    assert file.used() == {}
    file.revoke("desk", now=NOW, by="ann")
    authenticator.write_used()
    assert list(file.used()) == [key.id]
    assert file.load()[0].revoked_by == "ann"
    clock.set(NOW - SECOND)
    file.write_used({key.id: "2020-01-01T00:00:00.000000000Z"})
    assert file.used()[key.id].startswith("2026")


def test_keys_added_at_once_are_all_kept(file: KeyFile) -> None:
    threads = [
        threading.Thread(target=file.add, args=(f"k{n}", [Scope.READ]), kwargs={"now": NOW, "by": "ann"})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(each.name for each in file.load()) == sorted(f"k{n}" for n in range(8))


def test_a_key_is_added_and_revoked_while_the_service_runs(tmp_path: Path) -> None:
    with keyed(tmp_path, {"first": ((Scope.READ,), ())}) as service:
        service.texts["second"] = added(tmp_path, "second", Scope.READ)
        assert service.get("second", "/v1/records?account=ACC1").status_code == 200
        key_file(tmp_path).revoke("second", now=NOW, by="ann")
        refused = service.get("second", "/v1/records?account=ACC1")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert "revoked" in refused.json()["detail"]
        assert service.get("first", "/v1/records").status_code == 200


def test_the_key_names_the_actor_whatever_the_client_says(tmp_path: Path) -> None:
    with keyed(tmp_path, {"desk-1": ((Scope.APPEND,), ())}) as service:
        sent = {"type": "OrderAccepted", "data": {}}
        assert service.append("desk-1", "order/ACC1/O-1", sent, actor="ann").status_code == 422
        (record,) = service.append("desk-1", "order/ACC1/O-1", sent).json()["records"]
        assert record["actor"] == "desk-1"


def test_the_command_shows_a_key_once(tmp_path: Path) -> None:
    seed(tmp_path)
    at = ("--data", str(tmp_path))
    made = run_here("api-keys", "add", *at, "--scope", "read", "--scope", "append", "--account", "ACC1", "desk")
    assert made.code == 0, made.err
    text = made.out.strip()
    assert id_of(text)
    assert text not in made.err
    listed = run_here("api-keys", "list", *at, "--json")
    assert text not in listed.out + listed.err
    (shown,) = map(json.loads, listed.out.splitlines())
    assert (shown["name"], shown["scopes"], shown["accounts"], shown["in_force"]) == (
        "desk",
        ["append", "read"],
        ["ACC1"],
        True,
    )
    assert "hash" not in shown
    assert run_here("api-keys", "revoke", *at, "desk").code == 0
    again = run_here("api-keys", "revoke", *at, "desk")
    assert again.code == 2
    assert "no key in force" in again.err
    wrong = run_here("api-keys", "add", *at, "--scope", "everything", "x")
    assert (wrong.code, "read, append, trade, audit, admin" in wrong.err) == (2, True)


def test_a_follower_is_sent_nothing_more_once_its_key_is_revoked(tmp_path: Path) -> None:
    keys = {"desk": ((Scope.READ,), ()), "writer": ((Scope.APPEND, Scope.READ), ())}
    with keyed(tmp_path, keys) as service:
        head = service.get("writer", "/v1/records?limit=1").json()["head"]
        headers = service.headers("desk")
        with service.served.client.stream("GET", "/v1/follow", headers=headers, params={"after": head}) as stream:
            lines = stream.iter_lines()
            accepted = {"type": "OrderAccepted", "data": {}}
            assert service.append("writer", "order/ACC1/O-1", accepted).status_code == 200
            assert next(line for line in lines if line == f"id: {head + 1}")
            key_file(tmp_path).revoke("desk", now=NOW, by="ann")
            assert service.append("writer", "order/ACC1/O-1", accepted).status_code == 200
            rest = list(lines)
        assert f"id: {head + 2}" not in rest
        assert "event: closed" in rest
        assert any("NotAuthenticated" in line for line in rest)


def socket_url(service: Keyed) -> str:
    return service.url.replace("http:", "ws:") + "/v1/ws"


def test_a_browser_sends_its_key_as_a_subprotocol(tmp_path: Path) -> None:
    with keyed(tmp_path, {"desk": ((Scope.READ,), ("ACC1",))}) as service:
        offered = [Subprotocol("eventstore"), Subprotocol(f"key.{service.texts['desk']}")]
        with connect(socket_url(service), subprotocols=offered, proxy=None) as socket:
            assert socket.subprotocol == "eventstore"
            socket.send(json.dumps({"action": "subscribe", "topic": "lockouts", "accounts": ["ACC1"]}))
            assert json.loads(socket.recv(30))["topic"] == "lockouts"
            socket.send(json.dumps({"action": "subscribe", "topic": "lockouts", "accounts": ["ACC2"]}))
            assert "NotAllowed" in {json.loads(socket.recv(30)).get("problem", {}).get("title") for _ in range(2)}
        wrong = [Subprotocol("eventstore"), Subprotocol("key.es_wrong")]
        with pytest.raises(InvalidStatus):
            connect(socket_url(service), subprotocols=wrong, proxy=None)


def test_a_socket_is_closed_once_its_key_is_revoked(tmp_path: Path) -> None:
    keys = {"desk": ((Scope.READ,), ()), "writer": ((Scope.ADMIN,), ())}
    with (
        keyed(tmp_path, keys) as service,
        connect(socket_url(service), additional_headers=service.headers("desk"), proxy=None) as socket,
    ):
        socket.send(json.dumps({"action": "subscribe", "topic": "records"}))
        assert json.loads(socket.recv(30))["type"] == "subscribed"
        key_file(tmp_path).revoke("desk", now=NOW, by="ann")
        assert service.append("writer", "order/ACC1/O-1", {"type": "OrderAccepted", "data": {}}).status_code == 200
        messages, code = rest_of(socket)
    assert code == 1008
    assert not [each for each in messages if "OrderAccepted" in each]


def rest_of(socket: ClientConnection) -> tuple[list[str], int]:
    """Return what a socket receives until it is closed, and the code that it is closed with."""
    messages: list[str] = []
    try:
        while True:
            messages.append(str(socket.recv(30)))
    except ConnectionClosed as e:
        return messages, 0 if e.rcvd is None else e.rcvd.code
