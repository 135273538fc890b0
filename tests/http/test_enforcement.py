"""Limits and enforcement over HTTP: one of several claims a request, and answers it once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventstore import ManualClock
from gateways.http.access import Scope
from gateways.http.routes.enforcement import ROUTES
from gateways.presenting.documents import plain
from tests.http.desk import Desk, ask, by, done, fill, lock, open_account
from tests.http.serving import Running, running

NOON = 1_795_186_800_000_000_000
SECOND = 1_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock) -> Iterator[Running]:
    with running(tmp_path, clock=clock, authenticator=Desk()) as found:
        open_account(found, maximum_position={"limit": "2"}, daily_loss={"limit": "500"})
        ask(found)
        yield found


def claim(service: Running, caller: str = "desk-1", request_id: str = "R1", **members: object) -> httpx.Response:
    url = f"/v1/enforcement/A/{request_id}/claim"
    return service.client.post(url, json=members, headers=by(caller))


def answer(service: Running, caller: str = "desk-1", *, success: bool = True, **members: object) -> httpx.Response:
    url = "/v1/enforcement/A/R1/answer"
    return service.client.post(url, json={"success": success, **members}, headers=by(caller))


def problem(response: httpx.Response, status: int = 409) -> Any:  # noqa: ANN401 - what JSON holds
    assert response.status_code == status, response.text
    return response.json()


def recorded(service: Running, *types: str) -> list[tuple[str, str]]:
    """Return type and actor of each record of some types."""
    names = "&".join(f"types={each}" for each in types)
    return [(each["type"], each["actor"]) for each in done(service.client.get(f"/v1/records?{names}"))["records"]]


def test_what_nobody_asked_for_is_not_found_with_the_ids_close_to_it(service: Running) -> None:
    assert "similar names are R1" in problem(claim(service, request_id="r2"), 404)["detail"]
    assert problem(service.client.get("/v1/enforcement/B"), 404)["detail"].endswith("known names are A")
    assert problem(service.client.get("/v1/limits/AA"), 404)["detail"].endswith("similar names are A")


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"lease_seconds": 0}, "/lease_seconds"),
        ({"lease_seconds": 61}, "/lease_seconds"),
        ({"claim_id": "R1"}, "/claim_id"),
        ({"claimant": "x" * 201}, "/claimant"),
    ],
)
def test_a_malformed_claim_is_refused_with_its_path(service: Running, members: dict[str, Any], path: str) -> None:
    assert problem(claim(service, **members), 422)["path"] == path
    assert recorded(service, "EnforcementClaimed") == []


def test_a_second_claimant_is_answered_with_the_first_and_until_when(service: Running, clock: ManualClock) -> None:
    first = done(claim(service, claimant="worker-1"))
    assert (first["claimant"], first["lease_until"], first["lease_left"]) == (
        "desk-1/worker-1",
        "2026-11-20T15:00:10.000000000Z",
        "10.000",
    )
    refused = problem(claim(service, "desk-2"))
    assert (refused["title"], refused["claimant"], refused["lease_until"], refused["claim_id"]) == (
        "AlreadyClaimed",
        "desk-1/worker-1",
        first["lease_until"],
        first["claim_id"],
    )
    clock.advance(11 * SECOND)
    assert done(claim(service, "desk-2"))["claimant"] == "desk-2"
    assert recorded(service, "EnforcementClaimed") == [
        ("EnforcementClaimed", "desk-1"),
        ("EnforcementClaimed", "desk-2"),
    ]


def test_a_claim_is_extended_by_its_owner_alone(service: Running, clock: ManualClock) -> None:
    first = done(claim(service))
    assert problem(claim(service, "desk-2", claim_id=first["claim_id"]))["title"] == "NotClaimed"
    clock.advance(5 * SECOND)
    longer = done(claim(service, claim_id=first["claim_id"], lease_seconds=30))
    assert longer["lease_until"] == "2026-11-20T15:00:35.000000000Z"
    # The first one is over: it was extended by another record.
    assert problem(answer(service, claim_id=first["claim_id"]))["title"] == "AlreadyClaimed"
    assert done(answer(service, claim_id=longer["claim_id"]))["request"]["success"] is True


def test_who_has_lost_a_claim_cannot_answer(service: Running, clock: ManualClock) -> None:
    first = done(claim(service))
    clock.advance(11 * SECOND)
    done(claim(service, "desk-2"))
    refused = problem(answer(service, claim_id=first["claim_id"]))
    assert (refused["title"], refused["claimant"]) == ("AlreadyClaimed", "desk-2")
    assert recorded(service, "EnforcementTaken") == []


def test_an_answer_without_a_claim_is_refused_while_another_one_holds_it(service: Running) -> None:
    done(claim(service))
    assert problem(answer(service, "desk-2"))["title"] == "AlreadyClaimed"
    assert problem(answer(service, "desk-2", claim_id="01a23163-d949-75c4-9b98-2956793b76c0"))["title"] == "NotClaimed"
    assert recorded(service, "EnforcementTaken") == []


def test_an_answer_sent_again_is_recorded_once(service: Running) -> None:
    held = done(claim(service))
    sent = {"claim_id": held["claim_id"], "details": {"cancelled": ["O-1"]}}
    first = done(answer(service, **sent))
    assert (first["request"]["taken"], first["request"]["taken_by"]) == (True, "desk-1")
    assert done(answer(service, **sent)) == first
    assert problem(answer(service, success=False, **sent))["title"] == "AlreadyAnswered"
    assert problem(answer(service, "desk-2", **sent))["title"] == "NotClaimed"
    assert problem(answer(service, "desk-2"))["title"] == "AlreadyAnswered"
    assert recorded(service, "EnforcementTaken") == [("EnforcementTaken", "desk-1")]


def test_what_nobody_claimed_is_claimed_and_answered_at_once(service: Running) -> None:
    done(answer(service, success=False, details="the broker did not answer"))
    assert recorded(service, "EnforcementClaimed", "EnforcementTaken") == [
        ("EnforcementClaimed", "desk-1"),
        ("EnforcementTaken", "desk-1"),
    ]


def test_what_a_cleared_lockout_asked_for_is_not_pending(service: Running) -> None:
    lock(service, rule_id="other")
    ask(service, request_id="R2")
    done(service.append("lockout/A/desk", {"type": "LockoutSet", "data": {"rule_id": "desk"}}))
    ask(service, request_id="R3")
    done(service.append("lockout/A/desk", {"type": "LockoutCleared", "data": {"by": "me", "rule_id": "desk"}}))
    assert problem(claim(service, request_id="R3"))["title"] in {"NotPending", "Superseded"}


def test_of_many_that_claim_at_once_one_gets_it(tmp_path: Path) -> None:
    clients = 6
    with running(tmp_path, authenticator=Desk()) as service:
        open_account(service)
        ask(service)
        together = threading.Barrier(clients)
        statuses: list[int] = []

        def race(number: int) -> None:
            with httpx.Client(base_url=service.url, timeout=60, trust_env=False, headers=by(f"d-{number}")) as client:
                together.wait(60)
                statuses.append(client.post("/v1/enforcement/A/R1/claim", json={}).status_code)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(statuses) == [200] + [409] * (clients - 1)
        assert len(recorded(service, "EnforcementClaimed")) == 1


def test_pending_requests_are_those_of_the_book(service: Running) -> None:
    done(claim(service))
    found = done(service.client.get("/v1/enforcement/A"))
    book = service.service.book.sync_book
    assert found["pending"] == plain(book.enforcement.pending("A", NOON))
    assert (found["log_position"], found["pending"][0]["claimant"]) == (book.position, "desk-1")


def test_limits_have_their_headroom_and_who_enforces_them(service: Running) -> None:
    fill(service, "A", 1)
    found = done(service.client.get("/v1/limits/A"))
    book = service.service.book.sync_book
    headroom = plain(book.limits.headroom("A", NOON))
    by_rule = {each["rule_id"]: each for each in found["limits"]}
    assert set(by_rule) == {"daily-loss", "maximum-position"}
    assert sorted([each["headroom"]["rule_id"] for each in found["limits"]]) == sorted(by_rule)
    assert [by_rule[each["rule_id"]]["headroom"] for each in headroom] == headroom
    assert by_rule["maximum-position"]["headroom"]["left"] == "1"
    assert (found["enforcement"], by_rule["daily-loss"]["enforcement"]) == ("not enforced", "not enforced")
    assert "only checked before each order" in found["notes"][0]


def test_a_limit_that_nobody_can_judge_says_so(service: Running) -> None:
    """Of a contract in a currency without a rate, the figure is not known."""
    contract = {"symbol": "FDAX", "multiplier": "25", "currency": "EUR"}
    done(service.append("contract/-/FDAX", {"type": "ContractDefined", "data": contract}))
    for side, price in (("BUY", "24000"), ("SELL", "23990")):
        figures = {"symbol": "FDAX", "side": side, "quantity": "1", "price": price, "trade_id": f"T-{side}"}
        done(service.append(f"order/A/O-{side}", {"type": "OrderFilled", "data": figures}))
    found = {each["rule_id"]: each for each in done(service.client.get("/v1/limits/A"))["limits"]}
    assert found["daily-loss"]["headroom"]["status"] == "UNKNOWN"
    assert "EUR" in found["daily-loss"]["headroom"]["why"]
    assert found["maximum-position"]["headroom"]["status"] == "KNOWN"


def test_who_may_only_read_cannot_claim() -> None:
    scopes = {handler.opt["scope"] for handler in ROUTES if handler.http_methods == {"POST"}}
    assert scopes == {Scope.TRADE}
