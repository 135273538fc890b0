"""Deliveries: what is written to followers at once, and bodies that are taken whole, are never another request's."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateways.http import ServiceSettings
from gateways.http.access import Caller, Scope
from gateways.http.live.cutting import chunk_of
from tests.http.followed import Keys, bearer, followed
from tests.http.serving import Running, running
from tests.http.test_following import fill
from tests.waiting import until

WAIT_SECONDS = 30
FOLLOW = b"GET /v1/follow HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("delivered"), settings=ServiceSettings(body_bytes_max=5_000)) as found:
        yield found


@contextlib.contextmanager
def connected(service: Running) -> Iterator[socket.socket]:
    place = urlsplit(service.url)
    with socket.create_connection((place.hostname, place.port), WAIT_SECONDS) as connection:
        yield connection


def received(connection: socket.socket, *, until_it_has: bytes, times: int = 1) -> bytes:
    """Return what is received until it has some bytes so many times."""
    found = b""
    while found.count(until_it_has) < times:
        part = connection.recv(65_536)
        assert part, found
        found += part
    return found


def note(name: str, *, chunked: bool = False) -> bytes:
    """Return a request that appends one note, whose text is the name."""
    event = {"type": "NoteAdded", "data": {"target": "order/A/O-1", "text": name}}
    body = json.dumps({"events": [event]}).encode()
    head = b"POST /v1/streams/note/A/%b HTTP/1.1\r\nHost: localhost\r\n" % name.encode()
    if chunked:
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk_of(body) + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_key_that_is_not_valid_for_a_moment_leaves_no_gap(tmp_path: Path) -> None:
    reader = Caller("reader", frozenset({Scope.READ}), key="k1")
    keys = Keys(reader=reader)
    with running(tmp_path, authenticator=keys) as service, followed(service, headers=bearer("reader")) as stream:
        fill(service, 3)
        assert [each["position"] for each in stream.records(3)] == [1, 2, 3]
        del keys.callers["reader"]
        fill(service, 1, text="not for this key")
        ring_at = service.service.store.sync_store.head()
        # As soon as it would have been sent, not when keys are looked at next.
        until(lambda: service.service.open_streams == 0, "the follower is still there")
        keys.callers["reader"] = reader
        fill(service, 1)
        rest = stream.rest()
    assert [each.name for each in rest if each.name] == ["closed"]
    assert rest[-1].data["title"] == "NotAuthenticated"
    with running(tmp_path, authenticator=keys) as again, followed(again, headers=bearer("reader"), after=3) as stream:
        assert [each["position"] for each in stream.records(2)] == [ring_at, ring_at + 1]


def test_a_request_behind_a_follower_is_not_written_into(service: Running) -> None:
    before = service.service.store.sync_store.head()
    with connected(service) as connection:
        connection.sendall(FOLLOW + LIVE)
        until(lambda: service.service.open_streams == 1, "nobody follows")
        for _ in range(3):
            fill(service, 2)
            found = received(connection, until_it_has=b"event: record\n", times=2 + before)
            before = 0
            # What follows is within the first answer: no second head, and each chunk as long as it says.
            assert found.count(b"HTTP/1.1 200") <= 1
            assert b'"status"' not in found


def test_every_follower_is_sent_the_same_whole_chunks(service: Running) -> None:
    head = service.service.store.sync_store.head()
    asked = b"GET /v1/follow?after=%d%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(service)) for _ in range(3)]
        for client, wanted in zip(clients, (b"", b"", b"&account=ACC2"), strict=True):
            client.sendall(asked % (head, wanted))
            received(client, until_it_has=b"event: log")
        for number in range(5):
            fill(service, 1, account=f"ACC{number % 2 + 1}")
        answers = [
            received(client, until_it_has=b"event: record\n", times=n)
            for client, n in zip(clients, (5, 5, 2), strict=True)
        ]
    for answer, expected in zip(answers, ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [2, 4]), strict=True):
        assert [int(found) - head for found in re.findall(rb"id: (\d+)\nevent: record", answer)] == expected
        assert _chunks(answer)


def _chunks(data: bytes) -> list[bytes]:
    """Return the pieces of a streamed answer, from the first one that begins in these bytes; fail for torn ones."""
    data = data[re.search(rb"(?:^|\r\n)[0-9a-f]+\r\nid: ", data).start() :].lstrip(b"\r\n")  # type: ignore[union-attr]
    found = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        found.append(data[:length])
        assert data[length : length + 2] == b"\r\n"
        assert found[-1].endswith(b"\n\n")
        data = data[length + 2 :]
    return found


@pytest.mark.parametrize("chunked", [False, True])
def test_requests_in_one_piece_are_each_answered_by_their_own_body(service: Running, *, chunked: bool) -> None:
    names = [f"{'c' if chunked else 'l'}-{number}" for number in range(5)]
    with connected(service) as connection:
        connection.sendall(b"".join([note(name, chunked=chunked) for name in names]))
        answer = received(connection, until_it_has=b'"records":[{', times=len(names))
    assert re.findall(rb'"stream":"note/A/([^"]+)"', answer) == [name.encode() for name in names]
    assert re.findall(rb'"text":"([^"]+)"', answer) == [name.encode() for name in names]


def test_a_body_in_parts_is_taken_whole(service: Running) -> None:
    sent = note("parts")
    with connected(service) as connection:
        for first in range(0, len(sent), 50):
            connection.sendall(sent[first : first + 50])
        assert b'"text":"parts"' in received(connection, until_it_has=b'"records":[{')


def test_a_body_that_does_not_state_its_length_is_limited_too(service: Running) -> None:
    head = service.service.store.sync_store.head()
    with connected(service) as connection:
        connection.sendall(note("x" * 100 + "y" * 5_000, chunked=True))
        assert received(connection, until_it_has=b"\r\n\r\n")[9:12] == b"413"
    assert service.service.store.sync_store.head() == head
