"""Following by server-sent events: what is refused, who is cut off and why, and that nothing is missed."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from eventstore import Record, Unavailable
from eventstore.trading import GroupDefined, Marked, NoteAdded, OrderSubmitted, Side
from gateways.http import ServiceSettings, connections
from gateways.http.access import Caller, Scope
from gateways.http.live import cutting, ring
from gateways.http.live.frames import record_event
from tests.http.followed import Keys, bearer, followed, reader_of
from tests.http.serving import Running, running
from tests.waiting import until

WAIT_SECONDS = 60
ORDER = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))


def fill(service: Running, count: int, *, account: str = "ACC1", text: str = "x") -> None:
    """Append notes directly to the store that is served."""
    store = service.service.store.sync_store
    for first in range(0, count, 500):
        notes = [NoteAdded(target="order/A/O-1", text=text) for _ in range(min(500, count - first))]
        store.append(f"note/{account}/{time.monotonic_ns()}", notes)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("followed"), settings=ServiceSettings(heartbeat_seconds=0.2)) as found:
        found.service.store.sync_store.append("order/ACC1/O-1", ORDER)
        fill(found, 300)
        fill(found, 300, account="ACC2")
        found.service.store.sync_store.append("order/ACC2/O-1", ORDER)
        yield found


def test_a_position_past_the_head_is_refused_with_both(service: Running) -> None:
    answer = service.client.get("/v1/follow", params={"after": 999_999})
    assert answer.status_code == 409
    assert (answer.json()["title"], answer.json()["expected"]) == ("PositionAhead", 999_999)


def test_the_position_of_another_log_is_refused(service: Running) -> None:
    answer = service.client.get("/v1/follow", params={"log_id": "01890000-0000-7000-8000-000000000000"})
    assert (answer.status_code, answer.json()["title"]) == (409, "OtherLog")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 40, ""])
def test_a_malformed_last_id_is_refused(service: Running, last: str) -> None:
    answer = service.client.get("/v1/follow", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["path"]) == (422, "/Last-Event-ID")


@pytest.mark.parametrize("asked", [{"stream": "order"}, {"account": "a/b"}, {"types": "a b"}, {"category": "*"}])
def test_a_malformed_filter_is_refused(service: Running, asked: dict[str, str]) -> None:
    assert service.client.get("/v1/follow", params=asked).status_code == 422


def test_the_last_id_wins_over_the_position_asked_for(service: Running) -> None:
    with followed(service, headers={"Last-Event-ID": "600"}, after=1) as stream:
        first = stream.next("record")
    assert (first.id, first.data["position"]) == (601, 601)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"account": "ACC2"},
        {"account": ["ACC1", "ACC2"]},
        {"stream": "order/"},
        {"stream": "order/ACC2/O-1"},
        {"category": "order"},
        {"types": "OrderSubmitted"},
        {"category": ["order", "note"], "account": "ACC1", "types": ["NoteAdded", "OrderFilled"]},
    ],
)
def test_history_and_what_is_new_is_what_the_store_has(service: Running, asked: dict[str, str | list[str]]) -> None:
    def is_asked_for(record: Record) -> bool:
        stream = str(asked.get("stream", record.stream))
        return (
            record.account in asked.get("account", record.account)
            and record.category in asked.get("category", record.category)
            and record.type in asked.get("types", record.type)
            and (record.stream.startswith(stream) if stream.endswith("/") else record.stream == stream)
        )

    store = service.service.store.sync_store
    with followed(service, **asked) as stream:  # type: ignore[arg-type]
        # The first half is history, the second one is appended while it is followed.
        store.append("order/ACC2/O-1", ORDER)
        store.append("order/ACC1/O-1", ORDER)
        fill(service, 20)
        expected = [record.position for record in store.read() if is_asked_for(record)]
        assert [record["position"] for record in stream.records(len(expected))] == expected


def test_the_cursor_of_a_filtered_follower_moves(service: Running) -> None:
    with followed(service, after=0, account="NOBODY") as stream:
        moved = stream.next()
        assert moved.name == "position"
        assert moved.id == moved.data["position"] == service.service.store.sync_store.head()
        assert stream.next().name == ""


def test_a_client_that_left_leaves_nothing_behind(service: Running) -> None:
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    def count() -> int:
        return asyncio.run_coroutine_threadsafe(tasks(), service.loop).result(WAIT_SECONDS)

    until(lambda: service.service.open_streams == 0, "an earlier follower is still there")
    service.client.get("/health/live")
    before = count()
    with followed(service) as stream:
        stream.records(1)
        assert service.service.open_streams == 1
        assert count() > before
    until(lambda: service.service.open_streams == 0, "the follower is still there")
    until(lambda: count() <= before, "a task is still there")


def test_as_many_followers_as_allowed_and_no_more(tmp_path: Path) -> None:
    with running(tmp_path, settings=ServiceSettings(streams_max=1)) as service:
        with followed(service):
            answer = service.client.get("/v1/follow")
            assert (answer.status_code, answer.json()["title"]) == (503, "TooManyStreams")
            assert int(answer.headers["retry-after"]) >= 1
        until(lambda: service.service.open_streams == 0, "the place is not free")
        with followed(service):
            pass


def test_a_reader_that_takes_nothing_is_cut_off_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This client begins to read late, on a machine that may be busy.
    monkeypatch.setattr(cutting, "GRACE_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr(connections, "STALL_GRACE_SECONDS", WAIT_SECONDS)
    settings = ServiceSettings(send_seconds_max=0.3)
    with running(tmp_path, settings=settings) as service:
        place = urlsplit(service.url)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.settimeout(WAIT_SECONDS)
            client.connect((place.hostname, place.port))
            client.sendall(b"GET /v1/follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: service.service.open_streams == 1, "nobody follows")
            fill(service, 4_000, text="x" * 2_000)
            with followed(service) as quick:
                # Others are not kept waiting by the slow one.
                assert len(quick.records(4_000)) == 4_000
            until(lambda: service.service.open_streams == 0, "the slow reader is still served")
            received = b"".join(iter(lambda: client.recv(1_000_000), b""))
    assert b'"title":"SlowReader"' in received[received.rindex(b"event: closed") :]
    assert received.endswith(b"0\r\n\r\n")


def test_a_reader_that_takes_nothing_at_all_does_not_keep_the_connection(tmp_path: Path) -> None:
    with running(tmp_path, settings=ServiceSettings(send_seconds_max=0.3)) as service:
        place = urlsplit(service.url)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect((place.hostname, place.port))
            client.sendall(b"GET /v1/follow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: service.service.open_streams == 1, "nobody follows")
            fill(service, 4_000, text="x" * 2_000)
            until(lambda: service.service.open_streams == 0, "the slow reader is still served")
            peer = f"{client.getsockname()[1]:04X}"
            # Also the kernel's side of it is gone: the connection was reset, not left to time out.
            until(lambda: not _is_established(peer), "the connection is still open")


def _is_established(peer: str) -> bool:
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(row.split()[2].endswith(f":{peer}") and row.split()[3] == "01" for row in rows)


def test_the_end_of_the_service_is_sent_to_each_follower(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        follower = followed(service)
        stream = follower.__enter__()
    *_, last = stream.rest()
    follower.__exit__(None, None, None)
    assert (last.name, last.data["title"], last.data["status"]) == ("closed", "Closed", 503)


def test_a_log_that_cannot_be_read_ends_the_followers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as service, followed(service) as stream:

        async def refuse(_: object) -> int:
            msg = "the disk does not answer"
            raise Unavailable(msg)

        monkeypatch.setattr(service.service.store, "grown", refuse)
        fill(service, 1)
        *_, last = stream.rest()
        monkeypatch.undo()
        assert (last.name, last.data["title"]) == ("closed", "Unavailable")
        with followed(service) as again:
            assert len(again.records(1)) == 1


def test_a_key_for_one_account_is_sent_that_account_alone(tmp_path: Path) -> None:
    keys = Keys(own=reader_of("ACC1"), all=Caller("all", frozenset({Scope.READ})))
    with running(tmp_path, authenticator=keys) as service:
        for account in ("ACC2", "ACC1", "-"):
            fill(service, 1, account=account)
        store = service.service.store.sync_store
        store.append("group/-/desk", GroupDefined(accounts=("ACC1", "ACC2")), actor="ana@desk/tool")
        store.append("mark/-/close", Marked(name="close"))
        # A note and a group may name another account, though they belong to none.
        with followed(service, headers=bearer("own")) as stream:
            assert [record["stream"][:6] for record in stream.records(2)] == ["note/A", "mark/-"]
        with followed(service, headers=bearer("own"), account="-") as stream:
            assert [record["stream"] for record in stream.records(1)] == ["mark/-/close"]
        with followed(service, headers=bearer("all")) as stream:
            assert len(stream.records(5)) == 5
        for asked in ({"account": "ACC2"}, {"account": ["ACC1", "ACC2"]}, {"account": ["ACC2", "ACC1"]}):
            answer = service.client.get("/v1/follow", params=asked, headers=bearer("own"))
            assert answer.status_code == 403, asked
        with followed(service, headers=bearer("own"), stream="note/ACC2/") as stream:
            fill(service, 1, account="ACC2")
            fill(service, 1, account="ACC1")
            del keys.callers["own"]
            names = [found.name for found in stream.rest()]
    assert "record" not in names


def test_a_follower_whose_key_is_revoked_is_ended(tmp_path: Path) -> None:
    keys = Keys(own=reader_of("ACC1"))
    with running(tmp_path, authenticator=keys) as service, followed(service, headers=bearer("own")) as stream:
        del keys.callers["own"]
        *_, last = stream.rest()
    assert (last.name, last.data["title"]) == ("closed", "NotAuthenticated")


def test_a_follower_who_falls_behind_what_is_in_memory_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "RECORDS_MAX", 300)
    with running(tmp_path) as service, followed(service) as late, followed(service) as prompt:
        # More than the connection holds: the first one is not sent anything for a while.
        fill(service, 4_000, text="x" * 2_000)
        assert [record["position"] for record in prompt.records(4_000)] == list(range(1, 4_001))
        assert [record["position"] for record in late.records(4_000)] == list(range(1, 4_001))


def test_data_with_line_feeds_stays_one_event() -> None:
    record = Record(
        bytes(16), "note/A/1", "NoteAdded", 1, 0, b'{\r\n"target":\r"x",\n"text":"y"}', "a", "", None, None,
        7, 1, 0, bytes(32), "main",
    )  # fmt: skip
    sent = record_event(record)
    assert sent.endswith(b"\n\n")
    assert all(line.startswith((b"id: ", b"event: ", b"data: ")) for line in sent[:-2].split(b"\n"))
