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
        ({"type": "OrderSubmitted", "data": {**ORDER["data"], "limitprice": "5"}}, "/events/0/data/limitprice"),  # type: ignore[dict-item]
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


# What a book completes or refuses

FILL = {
    "type": "OrderFilled",
    "data": {"symbol": "ESZ5", "side": "BUY", "quantity": "2", "price": "5000.25", "trade_id": "T-1"},
}
BUST = {"type": "TradeBusted", "data": {"trade_id": "T-1"}}


@pytest.mark.parametrize(
    ("rule_id", "parameters", "named"),
    [
        ("daily-lose", {"limit": "500"}, "daily-loss"),
        ("daily-loss", {"limmit": "500"}, "limmit"),
        ("daily-loss", {"limit": "five"}, "limit"),
    ],
)
def test_a_limit_that_none_can_judge_is_refused(
    service: Running, rule_id: str, parameters: dict[str, str], named: str
) -> None:
    head = service.client.get("/v1/records").json()["head"]
    limit = {"type": "LimitsSet", "data": {"rule_id": rule_id, "parameters": parameters}}
    answers = [
        service.append(f"limits/ACC5/{rule_id}", limit),
        service.client.post(
            "/v1/batches",
            json={
                "batches": [
                    {"stream": "order/ACC5/O-1", "events": [ORDER]},
                    {"stream": f"limits/ACC5/{rule_id}", "events": [limit]},
                ]
            },
        ),
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert [answer.json()["path"] for answer in answers] == ["/events", "/batches/1/events"]
    assert all(named in answer.json()["detail"] for answer in answers)
    assert service.client.get("/v1/records").json()["head"] == head


def test_a_misspelt_limit_is_taken_out_of_force(service: Running) -> None:
    disabled = {"type": "LimitsSet", "data": {"rule_id": "daily-lose", "parameters": {"enabled": False}}}
    assert service.append("limits/ACC5/daily-lose", disabled).status_code == 200


def test_an_account_in_use_is_not_reopened(service: Running) -> None:
    opened = {"type": "AccountOpened", "data": {"currency": "USD", "starting_balance": "50000"}}
    service.append("account/ACC6/-", opened)
    service.append("order/ACC6/O-1", FILL)
    reopened = {"type": "AccountReopened", "data": {"starting_balance": "50000", "reason": "reset"}}
    answer = service.append("account/ACC6/-", reopened)
    assert answer.status_code == 422
    assert "ESZ5 open" in answer.json()["detail"]
    flat = {"type": "OrderFilled", "data": {**FILL["data"], "side": "SELL", "trade_id": "T-2"}}  # type: ignore[dict-item]
    service.append("order/ACC6/O-2", flat)
    keyed = {**reopened, "key": "reset-1"}
    first = service.append("account/ACC6/-", keyed)
    assert first.status_code == 200
    # Used again since: the same request, sent again, is still the one that was recorded.
    service.append("order/ACC6/O-3", {"type": "OrderFilled", "data": {**FILL["data"], "trade_id": "T-3"}})  # type: ignore[dict-item]
    assert service.append("account/ACC6/-", keyed).json() == first.json()


@pytest.mark.parametrize("named", [{"key": "bust-1"}, {"id": "01980000-0000-7000-8000-00000000b057"}])
def test_a_bust_is_completed_from_its_trade_and_recorded_once(service: Running, named: dict[str, str]) -> None:
    account = "ACC7" if "key" in named else "ACC8"
    service.append(f"order/{account}/O-1", FILL)
    answers = [service.append(f"order/{account}/O-1", BUST | named) for _ in range(2)]
    (record,) = answers[0].json()["records"]
    said = {name: record["data"][name] for name in ("symbol", "side", "quantity", "price")}
    assert said == {"symbol": "ESZ5", "side": "BUY", "quantity": "2", "price": "5000.25"}
    assert answers[1].json() == answers[0].json()
    assert service.client.get("/v1/records", params={"stream": f"order/{account}/"}).json()["records"][1:] == [record]


def test_a_bust_of_no_known_trade_is_recorded_as_it_is(service: Running) -> None:
    (record,) = service.append("order/ACC9/O-1", BUST).json()["records"]
    assert record["data"] == BUST["data"]


def test_what_a_client_library_sends_is_appended_as_a_store_does(service: Running) -> None:
    service.append("order/ACC10/O-1", FILL)
    group = {"batches": [{"stream": "order/ACC10/O-1", "events": [BUST]}]}
    (outcome,) = service.client.post("/v1/groups", json={"groups": [group]}).json()["outcomes"]
    assert outcome["records"][0]["data"] == BUST["data"]
