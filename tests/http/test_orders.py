"""Checking and submitting orders over HTTP: what a rule or a lockout forbids, what is sent twice, and races."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from eventstore import ManualClock
from eventstore.trading import OrderSubmitted, Side
from gateways.presenting.documents import plain
from projections import risk
from projections.risk import Cancel, Proposal
from tests.http.desk import Desk, by, done, lock, open_account
from tests.http.serving import Running, running

BUY = {"symbol": "ES", "side": "BUY", "quantity": "1"}
NOON = 1_795_186_800_000_000_000


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, clock=ManualClock(NOON), authenticator=Desk()) as found:
        open_account(found, maximum_position={"limit": "2"})
        yield found


def body(order_id: str = "O-1", type: str = "OrderSubmitted", **members: object) -> dict[str, object]:
    """Return the body of an order; without `data` it buys one ES."""
    return {"order_id": order_id, "type": type, "data": BUY, **members}


def submit(service: Running, order_id: str = "O-1", **members: object) -> httpx.Response:
    return service.client.post("/v1/orders/A/submit", json=body(order_id, **members))  # type: ignore[arg-type]


def check(service: Running, order_id: str = "O-1", **members: object) -> httpx.Response:
    return service.client.post("/v1/orders/A/check", json=body(order_id, **members))  # type: ignore[arg-type]


def head(service: Running) -> int:
    found: int = done(service.client.get("/v1/records"))["head"]
    return found


@pytest.mark.parametrize("route", ["check", "submit"])
@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"type": "OrderFilled"}, "/type"),
        ({"data": {**BUY, "side": "BUX"}}, "/data/side"),
        ({"data": {"symbol": "ES"}}, "/data"),
        ({"data": {**BUY, "reduceOnly": True}}, "/data/reduceOnly"),
        ({"schema": 99}, "/schema"),
        ({"caused_by": "R1"}, "/caused_by"),
        ({"protective_stop": "six"}, "/protective_stop"),
        ({"actor": "somebody"}, ""),
    ],
)
def test_a_malformed_order_is_refused_with_its_path(
    service: Running, route: str, members: dict[str, object], path: str
) -> None:
    before = head(service)
    answer = service.client.post(f"/v1/orders/A/{route}", json=body(**members))  # type: ignore[arg-type]
    assert answer.status_code == 422, answer.text
    assert answer.json().get("path", "") == path
    assert head(service) == before


@pytest.mark.parametrize("account", ["-", "@desk", "A%20B"])
@pytest.mark.parametrize("route", ["check", "submit"])
def test_a_name_that_is_not_an_account_is_refused(service: Running, account: str, route: str) -> None:
    answer = service.client.post(f"/v1/orders/{account}/{route}", json=body())
    assert (answer.status_code, answer.json()["path"]) == (422, "/account")


def test_an_account_that_nobody_opened_is_rejected_in_words(service: Running) -> None:
    answer = done(service.client.post("/v1/orders/AX/check", json=body()))
    assert (answer["passed"], answer["verdict"]) == (False, "REJECT")
    assert "was never opened" in answer["sentence"]


def test_a_replacement_and_a_cancel_need_the_id_of_their_order(service: Running) -> None:
    for kind in ("OrderReplaceRequested", "OrderCancelRequested"):
        answer = service.client.post("/v1/orders/A/check", json={"type": kind, "data": {}})
        assert (answer.status_code, answer.json()["path"]) == (422, "/order_id")


def test_a_cancel_is_checked_and_not_submitted(service: Running) -> None:
    answer = done(check(service, type="OrderCancelRequested", data={}))
    assert (answer["passed"], answer["sentence"]) == (True, "Cancel allowed")
    assert submit(service, type="OrderCancelRequested", data={}).status_code == 422


def test_an_order_that_passes_is_recorded_by_the_caller(service: Running) -> None:
    answer = done(submit(service))
    assert (answer["passed"], answer["verdict"], answer["lockouts"]) == (True, "PASS", [])
    (record,) = answer["records"]
    assert (record["stream"], record["type"], record["actor"]) == ("order/A/O-1", "OrderSubmitted", "desk")
    assert [(each["rule_id"], each["figure"], each["limit"]) for each in answer["verdicts"]] == [
        ("maximum-position", "1", "2")
    ]


def test_an_order_that_a_rule_rejects_is_answered_with_the_record_of_that(service: Running) -> None:
    answer = done(submit(service, data={**BUY, "quantity": "3"}))
    assert (answer["passed"], answer["verdict"], answer["rule_id"]) == (False, "REJECT", "maximum-position")
    (record,) = answer["records"]
    assert (record["type"], record["actor"], record["data"]["reason"]) == (
        "RiskChecked",
        "desk",
        answer["sentence"],
    )
    assert "position 3 of at most 2" in answer["sentence"]


def test_an_order_that_a_lockout_forbids_is_answered_with_that_lockout(service: Running) -> None:
    until = NOON + 3_600_000_000_000
    lock(service, until=until)
    answer = submit(service)
    assert answer.status_code == 423
    problem = answer.json()
    (held,) = problem["lockouts"]
    assert (held["rule_id"], held["until"], held["reason"]) == ("desk", "2026-11-20T16:00:00.000000000Z", "go home")
    assert (problem["answer"]["verdict"], problem["answer"]["records"][0]["type"]) == ("REJECT", "RiskChecked")
    assert "go home" in problem["detail"]
    checked = done(check(service))
    assert (checked["passed"], checked["lockouts"], checked["records"]) == (False, problem["lockouts"], [])


def test_a_rule_that_rejects_names_no_lockout_that_another_symbol_has_by_it(service: Running) -> None:
    done(service.append("contract/-/NQ", {"type": "ContractDefined", "data": {"symbol": "NQ", "multiplier": "20"}}))
    lock(service, rule_id="maximum-position", scope="symbol:NQ")
    answer = done(submit(service, data={**BUY, "quantity": "3"}))
    assert (answer["rule_id"], answer["lockouts"]) == ("maximum-position", [])
    assert submit(service, "O-2", data={**BUY, "symbol": "NQ"}).status_code == 423


def test_an_order_that_cannot_be_understood_is_rejected_for_that_although_the_account_is_locked(
    service: Running,
) -> None:
    lock(service)
    for answer in (done(submit(service, protective_stop="NaN")), done(check(service, protective_stop="NaN"))):
        assert (answer["verdict"], answer["rule_id"], answer["lockouts"]) == ("REJECT", "input", [])


def test_an_order_sent_again_under_its_key_is_recorded_once(service: Running) -> None:
    first = done(submit(service, key="k-1"))
    before = head(service)
    lock(service)
    again = done(submit(service, key="k-1"))
    assert again["passed"]
    assert again["records"] == first["records"]
    assert head(service) == before + 1
    # Without its key it is another order of the same id.
    assert submit(service).status_code == 423


def test_another_order_under_a_known_key_is_a_conflict(service: Running) -> None:
    done(submit(service, key="k-1"))
    answer = submit(service, key="k-1", data={**BUY, "side": "SELL"})
    assert (answer.status_code, answer.json()["title"]) == (409, "DuplicateEvent")


def test_a_replacement_is_checked_with_its_larger_total_and_recorded(service: Running) -> None:
    done(submit(service))
    too_large = done(submit(service, type="OrderReplaceRequested", data={"quantity": "3"}))
    assert (too_large["passed"], too_large["rule_id"]) == (False, "maximum-position")
    answer = done(submit(service, type="OrderReplaceRequested", data={"quantity": "2"}))
    assert (answer["passed"], answer["records"][0]["version"]) == (True, 2)


def test_an_answer_is_that_of_the_book(service: Running) -> None:
    done(submit(service))
    book = service.service.book.sync_book
    order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(5))
    expected = risk.check(book, Proposal.of("A", order, order_id="O-9"), NOON)
    answer = done(check(service, "O-9", data={**BUY, "quantity": "5"}))
    assert answer["verdicts"] == plain(expected.findings)
    assert (answer["verdict"], answer["sentence"], answer["rule_id"]) == (
        expected.verdict,
        expected.reason,
        expected.rule_id,
    )
    cancel = risk.check(book, Cancel(account="A", order_id="O-1"), NOON)
    assert done(check(service, type="OrderCancelRequested", data={}))["passed"] == cancel.passed


def test_of_racing_clients_no_more_pass_than_the_limit_allows(tmp_path: Path) -> None:
    clients, orders, limit = 4, 6, 5
    with running(tmp_path, authenticator=Desk()) as service:
        open_account(service, maximum_position={"limit": str(limit)})
        together = threading.Barrier(clients)
        passed: list[str] = []

        def race(number: int) -> None:
            with httpx.Client(
                base_url=service.url, timeout=60, trust_env=False, headers=by(f"desk-{number}")
            ) as client:
                together.wait(60)
                for each in range(orders):
                    answer = client.post("/v1/orders/A/submit", json=body(f"O-{number}-{each}"))
                    if done(answer)["passed"]:
                        passed.append(f"order/A/O-{number}-{each}")

        threads = [threading.Thread(target=race, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        records = done(service.client.get("/v1/records?types=OrderSubmitted"))["records"]
        assert len(passed) == limit
        assert sorted(record["stream"] for record in records) == sorted(passed)
        assert {record["actor"] for record in records} <= {f"desk-{number}" for number in range(clients)}
        rejected = done(service.client.get("/v1/records?types=RiskChecked"))["records"]
        assert len(rejected) == clients * orders - limit
