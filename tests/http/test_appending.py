"""Appending over HTTP: what is refused, what is answered, and that it is the store that says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.serving import Running, running

ORDER = {"type": "OrderSubmitted", "data": {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("served")) as found:
        yield found


def test_an_appended_event_is_answered_as_its_record(service: Running) -> None:
    answer = service.append("order/ACC1/O-1", ORDER, expected=0)
    assert answer.status_code == 200
    (record,) = answer.json()["records"]
    assert (record["stream"], record["version"], record["data"]) == ("order/ACC1/O-1", 1, ORDER["data"])


def test_another_version_than_expected_is_a_conflict_with_both(service: Running) -> None:
    service.append("order/ACC1/O-2", ORDER)
    answer = service.append("order/ACC1/O-2", ORDER, expected=0)
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["title"], problem["expected"], problem["found"]) == ("VersionConflict", 0, 1)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"type": "OrderSubmited", "data": {}}, "/events/0/type"),
        ({"type": "OrderSubmitted", "data": {**ORDER["data"], "side": "BUX"}}, "/events/0/data/side"),  # type: ignore[dict-item]
        ({**ORDER, "keey": "x"}, "/events/0"),
        ({**ORDER, "id": "00000000-0000-4000-8000-000000000000"}, "/events/0/id"),
    ],
)
def test_a_malformed_member_is_named_by_its_path(service: Running, event: dict[str, Any], path: str) -> None:
    head = service.client.get("/v1/records").json()["head"]
    answer = service.append("order/ACC1/O-3", event)
    assert answer.status_code == 422
    assert answer.json()["path"] == path
    assert service.client.get("/v1/records").json()["head"] == head


def test_a_body_that_is_not_json_is_a_bad_request(service: Running) -> None:
    answer = service.client.post("/v1/streams/order/ACC1/O-4", content=b"{")
    assert answer.status_code == 400


def test_what_is_served_is_read_as_it_was_stored(tmp_path: Path) -> None:
    with running(tmp_path) as served:
        served.append("order/ACC1/O%252F1", {**ORDER, "key": "k"}, note="by hand")
        (record,) = served.client.get("/v1/records").json()["records"]
    assert (record["stream"], record["note"]) == ("order/ACC1/O%2F1", "by hand")
