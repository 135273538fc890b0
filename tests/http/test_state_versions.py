"""The older state API: its refusals in its own shape, and the same states as the managers in Python have."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventstore import EventStore
from eventstore.trading import NoteAdded
from gateways.http.access import Caller, Scope
from gateways.legacy.unified import UnifiedStateManager
from tests.http.followed import Keys, bearer
from tests.http.serving import Running, running

RESPONSE = {"state_id", "state_type", "data", "version_id", "timestamp", "user_id", "description"}
POSITION = {"direction": "LONG", "volume1": 0.1, "ticket1": 7}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def store_of(service: Running) -> EventStore:
    return service.service.store.sync_store


def saved(service: Running, id_: str, type_: str = "position", **members: Any) -> httpx.Response:  # noqa: ANN401
    body = {"state_id": id_, "state_type": type_, "data": POSITION, **members}
    return service.client.post("/states", json=body)


def read(service: Running, id_: str, type_: str = "position", **asked: str) -> httpx.Response:
    return service.client.get(f"/states/{id_}", params={"state_type": type_, **asked})


def detail_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json().keys() == {"detail"}, answer.text
    return answer.status_code, answer.json()["detail"]


def test_what_is_not_there_is_answered_in_the_older_shape(service: Running) -> None:
    assert detail_of(read(service, "position_X")) == (404, "State position_X of type position not found")
    gone = service.client.delete("/states/position_X", params={"state_type": "position"})
    assert detail_of(gone)[0] == 404
    assert detail_of(service.client.post("/snapshots/nothing/restore"))[0] == 422
    assert detail_of(service.client.post("/snapshots", json={"snapshot_id": "s"}))[0] == 422
    assert service.client.get("/states/position_X/history").json() == {"total_count": 0, "versions": []}
    assert store_of(service).head() == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state_id": "x", "state_type": "position"},
        {"state_id": "x", "state_type": "position", "data": [1]},
        {"state_id": "x", "state_type": "positions", "data": {}},
        {"state_id": "x", "state_type": "strategy", "data": {}, "operation": "delete"},
        {"state_id": "x", "state_type": "strategy", "data": {}, "operation": "?"},
        {"state_id": "", "state_type": "strategy", "data": {}},
        {"state_id": "a~1", "state_type": "strategy", "data": {}},
        {"state_id": "x" * 200, "state_type": "configuration", "data": {}},
        {"state_id": "other", "state_type": "portfolio", "data": {}},
        {"state_id": "portfolio_main", "state_type": "portfolio", "data": {"pair_states": {}}},
    ],
)
def test_a_malformed_state_is_refused(service: Running, body: dict[str, Any]) -> None:
    assert detail_of(service.client.post("/states", json=body))[0] == 422
    assert store_of(service).head() == 0


def test_a_query_without_a_type_or_with_a_wrong_limit_is_refused(service: Running) -> None:
    assert detail_of(service.client.get("/states/x"))[0] == 422
    assert detail_of(read(service, "x", "nonsense"))[0] == 422
    for asked in ({"limit": 0}, {"limit": 1_001}, {"start_time": "yesterday"}, {"end_time": "2025-01-01"}):
        assert detail_of(service.client.get("/states/x/history", params=asked))[0] == 422, asked


def test_a_body_that_is_not_json_is_refused(service: Running) -> None:
    assert detail_of(service.client.post("/states", content=b"{"))[0] == 400


def test_health_has_the_older_shape(service: Running) -> None:
    answer = service.client.get("/health").json()
    assert answer.keys() == {"status", "timestamp"}
    assert answer["status"] == "healthy"
    datetime.datetime.fromisoformat(answer["timestamp"])


@pytest.mark.parametrize(
    ("id_", "type_"),
    [
        ("position_EURUSD", "position"),
        ("EURUSD", "position"),
        ("pair_AAA-BBB", "pair_state"),
        ("portfolio_main", "portfolio"),
        ("mean-reversion", "strategy"),
        ("limits", "configuration"),
        ("EURUSD", "market_data"),
        ("position_" + "long" * 60, "position"),
    ],
)
def test_a_state_is_saved_read_updated_listed_and_deleted(service: Running, id_: str, type_: str) -> None:
    first = saved(service, id_, type_, user_id="alice", description="opened").json()
    assert first.keys() == RESPONSE
    assert (first["state_id"], first["state_type"], first["data"]) == (id_, type_, POSITION)
    assert (first["user_id"], first["description"]) == ("alice", "opened")
    assert read(service, id_, type_).json() == first
    data = {"data": {**POSITION, "nested": {"a": [1, 2.5, None, True, "x"]}}, "description": "moved"}
    second = service.client.put(f"/states/{id_}", params={"state_type": type_}, json=data).json()
    assert read(service, id_, type_).json() == second != first
    assert second["data"] == data["data"]
    assert read(service, id_, type_, version_id=first["version_id"]).json() == first
    assert detail_of(read(service, id_, type_, version_id="none"))[0] == 404
    history = service.client.get(f"/states/{id_}/history", params={"state_type": type_}).json()
    assert history == {"total_count": 2, "versions": [second, first]}
    late = service.client.get(f"/states/{id_}/history", params={"start_time": second["timestamp"]}).json()
    assert late["versions"] == [second]
    limited = service.client.get(f"/states/{id_}/history", params={"limit": 1, "end_time": first["timestamp"]}).json()
    assert limited["versions"] == [first]
    answer = service.client.delete(f"/states/{id_}", params={"state_type": type_})
    assert answer.json() == {"message": f"State {id_} deleted successfully"}
    assert detail_of(read(service, id_, type_))[0] == 404
    assert service.client.get(f"/states/{id_}/history").json()["total_count"] == 3


def test_types_of_one_id_are_different_states(service: Running) -> None:
    saved(service, "EURUSD", "market_data", data={"a": 1})
    saved(service, "EURUSD", "strategy", data={"a": 2})
    saved(service, "EURUSD", "pair_state", data={"a": 3})
    assert [
        read(service, "EURUSD", type_).json()["data"]["a"] for type_ in ("market_data", "strategy", "pair_state")
    ] == [1, 2, 3]
    assert service.client.get("/states/EURUSD/history").json()["total_count"] == 3


def test_what_is_saved_over_http_is_what_the_manager_in_python_reads(service: Running) -> None:
    saved(service, "position_EURUSD")
    saved(service, "pair_EURUSD", "pair_state", data={"cooldown": 3})
    saved(service, "portfolio_main", "portfolio", data={"total_value": 10_000.5})
    saved(service, "s", "strategy", data={"a": 1})
    with UnifiedStateManager(place=store_of(service)) as manager:
        assert manager.load_trading_state() == {
            "active_positions": {"EURUSD": POSITION},
            "pair_states": {"EURUSD": {"cooldown": 3}},
            "total_value": 10_000.5,
        }
        found = {each["state_id"]: each["version_id"] for each in manager.get_state_history()}
    assert found.keys() == {"position_EURUSD", "pair_EURUSD", "portfolio_main", "s"}
    assert found["s"] == read(service, "s", "strategy").json()["version_id"]


def test_what_the_manager_in_python_saves_is_read_over_http(service: Running) -> None:
    at = datetime.datetime(2025, 1, 2, 3, 4, tzinfo=datetime.UTC)
    with UnifiedStateManager(place=store_of(service)) as manager:
        position = {**POSITION, "entry_time": at, "size": Decimal("0.10"), "tags": {"a"}, "pair": ("x", 1)}
        manager.save_trading_state({"A": position, "B": POSITION}, {"A": {"cooldown": 1}}, {"peak": 5}, user_id="bot")
        manager.save_trading_state({"A": position}, {"A": {"cooldown": 1}})
    found = read(service, "position_A").json()
    assert found["user_id"] == "bot"
    assert found["data"] == {**POSITION, "entry_time": at.isoformat(), "size": "0.10", "tags": ["a"], "pair": ["x", 1]}
    assert read(service, "portfolio_main", "portfolio").json()["data"] == {"peak": 5}
    assert detail_of(read(service, "position_B"))[0] == 404


def test_a_snapshot_is_restored_in_the_same_log(service: Running) -> None:
    saved(service, "position_A", data={"q": 1})
    made = service.client.post("/snapshots", json={"snapshot_id": "before", "description": "as it was"})
    assert made.json() | {"timestamp": ""} == {
        "snapshot_id": "before", "success": True, "message": "Snapshot created successfully", "timestamp": "",
    }  # fmt: skip
    assert detail_of(service.client.post("/snapshots", json={"snapshot_id": "before"}))[0] == 422
    saved(service, "position_A", data={"q": 2})
    saved(service, "position_B", data={"q": 3})
    head = store_of(service).head()
    answer = service.client.post("/snapshots/before/restore")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert read(service, "position_A").json()["data"] == {"q": 1}
    assert detail_of(read(service, "position_B"))[0] == 404
    assert store_of(service).head() > head
    assert service.client.get("/states/position_A/history").json()["total_count"] == 3
    marks = service.client.get("/states/SNAPSHOT/history").json()["versions"]
    assert [each["version_id"] for each in marks] == ["before", "before"]


def test_a_state_that_another_log_continues_is_read_and_not_written(service: Running) -> None:
    saved(service, "position_A", data={"q": 1})
    service.client.post("/snapshots", json={"snapshot_id": "s"})
    with UnifiedStateManager(place=store_of(service)) as manager:
        manager.restore_snapshot("s")
        manager.save_position("A", {"q": 5})
    assert read(service, "position_A").json()["data"] == {"q": 5}
    status, detail = detail_of(saved(service, "position_A"))
    assert (status, "main.2" in detail) == (409, True)


def test_several_clients_save_at_once_and_nothing_is_lost(service: Running) -> None:
    def save(number: int) -> None:
        for count in range(5):
            with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
                body = {"state_id": f"position_P{number}-{count}", "state_type": "position", "data": {"q": count}}
                assert client.post("/states", json=body).status_code == 200

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with UnifiedStateManager(place=store_of(service)) as manager:
        state = manager.load_trading_state()
    assert state is not None
    assert len(state["active_positions"]) == 20


def test_keys_decide_who_may_do_what_and_whose_name_is_recorded(tmp_path: Path) -> None:
    keys = Keys(
        reader=Caller("reader", frozenset({Scope.READ})),
        bot=Caller("bot", frozenset({Scope.APPEND, Scope.READ})),
        foreign=Caller("foreign", frozenset(Scope), frozenset({"ACC1"})),
    )
    with running(tmp_path, authenticator=keys) as service:
        client, body = service.client, {"state_id": "x", "state_type": "position", "data": {}, "user_id": "somebody"}
        for key in ("reader", "foreign"):
            assert detail_of(client.post("/states", json=body, headers=bearer(key)))[0] == 403
        assert client.post("/states", json=body, headers=bearer("bot")).json()["user_id"] == "bot"
        asked = {"state_type": "position"}
        assert client.get("/states/x", params=asked, headers=bearer("reader")).status_code == 200
        assert detail_of(client.get("/states/x", params=asked, headers=bearer("foreign")))[0] == 403
        assert detail_of(client.get("/states/x/history", headers=bearer("foreign")))[0] == 403
        assert detail_of(client.delete("/states/x", params=asked, headers=bearer("bot")))[0] == 403
        assert detail_of(client.delete("/states/x", params=asked, headers=bearer("foreign")))[0] == 403
        client.post("/snapshots", json={"snapshot_id": "s"}, headers=bearer("bot"))
        for key in ("bot", "foreign"):
            assert detail_of(client.post("/snapshots/s/restore", headers=bearer(key)))[0] == 403
        assert client.get("/health").status_code == 200


def test_a_state_of_another_kind_does_not_disturb_the_log(service: Running) -> None:
    store_of(service).append("note/A/1", NoteAdded(target="order/A/O-1", text="x"))
    saved(service, "position_A")
    assert store_of(service).verify().ok
    book = service.service.book
    assert not book.parked
