"""The way past the router answers as the route would: the same statuses, problems and records."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from eventstore.ids import new_ids
from gateways.http import create_app
from gateways.http.access import Caller, Scope
from gateways.http.application import Routed
from gateways.http.bodies import NO_BODY
from gateways.http.gate import Gate
from gateways.http.identity import LogIdentity
from gateways.http.settings import ServiceSettings
from tests.http.callers import ByName
from tests.http.desk import done
from tests.http.serving import Running, running

ORDER = {"type": "OrderSubmitted", "data": {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"}}
JSON = {"content-type": "application/json"}
OWN, ALL, READER, ADMIN = "own", "all", "reader", "admin"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    callers = ByName(
        Caller(OWN, frozenset({Scope.APPEND, Scope.TRADE}), frozenset({"ACC1"})),
        Caller(ALL, frozenset({Scope.APPEND, Scope.TRADE})),
        Caller(READER, frozenset({Scope.READ})),
        Caller(ADMIN, frozenset({Scope.ADMIN})),
    )
    settings = ServiceSettings(body_bytes_max=100_000)
    with running(tmp_path_factory.mktemp("express"), authenticator=callers, settings=settings) as found:
        yield found


def asked(service: Running, app: Any, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - ASGI's, httpx's
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=service.url) as client:
            return await client.post(path, **request)

    return asyncio.run_coroutine_threadsafe(ask(), service.loop).result(60)


def both(service: Running, path: str, **request: Any) -> tuple[httpx.Response, httpx.Response]:  # noqa: ANN401 - httpx's
    """Return the answers past the router, and by it."""
    router: Any = Routed(service.service)
    by_router = Gate(LogIdentity(router, service.service), service.service)
    return asked(service, create_app(service.service), path, **request), asked(service, by_router, path, **request)


def shape(answer: httpx.Response) -> dict[str, Any]:
    """Return what does not differ from one request to another."""
    body = answer.json()
    body.pop("instance", None)
    return {"status": answer.status_code, "type": answer.headers["content-type"], "body": body,
            "wanted": answer.headers.get("www-authenticate")}  # fmt: skip


def sent(key: str | None, *events: Any, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a request with a key and a body."""
    named = {} if key is None else {"authorization": f"Bearer {key}"}
    return {"json": {"events": list(events), **more}, "headers": {**named, **(headers or {})}}


def raw(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"authorization": f"Bearer {OWN}", **JSON}}


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "no key": ("order/ACC1/O-1", sent(None, ORDER)),
    "a false key": ("order/ACC1/O-1", sent("x", ORDER)),
    "another account": ("order/ACC2/O-1", sent(OWN, ORDER)),
    "another scope": ("order/ACC1/O-1", sent(READER, ORDER)),
    "not JSON": ("order/ACC1/O-1", raw(b"{")),
    "not UTF-8": ("order/ACC1/O-1", raw(b'"\xff"')),
    "another shape": ("order/ACC1/O-1", raw(b"[1]")),
    "an unknown member": ("order/ACC1/O-1", sent(OWN, ORDER, evnts=[])),
    "no events": ("order/ACC1/O-1", sent(OWN)),
    "a misspelt type": ("order/ACC1/O-1", sent(OWN, {**ORDER, "type": "OrderSubmited"})),
    "an unknown category": ("ordr/ACC1/O-1", sent(OWN, ORDER)),
    "a malformed account": ("order/A B/O-1", sent(ALL, ORDER)),
    "a stale version": ("order/ACC1/O-0", sent(OWN, ORDER, expected=0)),
    "too large": ("order/ACC1/O-1", raw(b" " * 200_000)),
    "another log": ("order/ACC1/O-1", sent(OWN, ORDER, headers={"eventstore-log": "0" * 32})),
    "an empty part": ("order//O-1", sent(ALL, ORDER)),
    "a fourth part": ("order/ACC1/O-1/x", sent(ALL, ORDER)),
    "another account in the query": ("order/ACC1/O-1?account=ACC2", sent(OWN, ORDER)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_as_by_the_route(service: Running, name: str) -> None:
    asked(service, create_app(service.service), "/v1/streams/order/ACC1/O-0", **sent(OWN, ORDER))
    path, request = REFUSED[name]
    head = service.service.store.sync_store.head()
    ours, by_router = both(service, f"/v1/streams/{path}", **request)
    assert shape(ours) == shape(by_router)
    assert ours.status_code >= 400
    assert service.service.store.sync_store.head() == head


def test_what_is_appended_is_answered_as_by_the_route(service: Running) -> None:
    (id_,) = new_ids(1, service.service.store.clock.now_ns())
    # The second one repeats the first under its id: it is answered with the same record.
    ours, by_router = both(service, "/v1/streams/order/ACC1/O%252F7", **sent(OWN, {**ORDER, "id": id_.hex()}))
    assert ours.status_code == 200
    assert shape(ours) == shape(by_router)
    assert ours.json()["records"][0]["stream"] == "order/ACC1/O%2F7"


def test_an_empty_body_is_refused_in_words(service: Running) -> None:
    ours, by_router = both(service, "/v1/streams/order/ACC1/O-1", headers={"authorization": f"Bearer {OWN}", **JSON})
    assert shape(ours)["body"]["detail"] == shape(by_router)["body"]["detail"] == NO_BODY
    assert (ours.status_code, by_router.status_code) == (422, 422)


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/groups"])
def test_so_it_is_on_every_route(service: Running, path: str) -> None:
    answer = service.client.post(path, headers={"authorization": f"Bearer {ALL}"})
    assert (answer.status_code, answer.json()["detail"]) == (422, NO_BODY)


def order(caller: str | None, **members: object) -> dict[str, Any]:
    """Return a request to submit an order."""
    named = {} if caller is None else {"authorization": f"Bearer {caller}"}
    return {"json": {"order_id": "S-1", **ORDER, **members}, "headers": named}


REFUSED_ORDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "no key": ("ACC1", order(None)),
    "another account": ("ACC2", order(OWN)),
    "another scope": ("ACC1", order(READER)),
    "another account in the query": ("ACC1/submit?account=ACC2", order(OWN)),
    "not JSON": ("ACC1", raw(b"{")),
    "an unknown member": ("ACC1", order(OWN, note="x")),
    "another type": ("ACC1", order(OWN, type="OrderFilled")),
    "a malformed member": ("ACC1", order(OWN, data={**ORDER["data"], "side": "BUX"})),  # type: ignore[dict-item]
    "not an account": ("-", order(ALL)),
    "not a name": ("A B", order(ALL)),
    "no account": ("", order(ALL)),
    "not a UUID": ("ACC1", order(OWN, caused_by="x")),
}


@pytest.mark.parametrize("name", REFUSED_ORDERS)
def test_an_order_that_is_refused_is_refused_as_by_the_route(service: Running, name: str) -> None:
    account, request = REFUSED_ORDERS[name]
    head = service.service.store.sync_store.head()
    path = account if "?" in account else f"{account}/submit"
    ours, by_router = both(service, f"/v1/orders/{path}", **request)
    assert shape(ours) == shape(by_router)
    assert ours.status_code >= 400
    assert service.service.store.sync_store.head() == head


def verdict(answer: httpx.Response) -> dict[str, Any]:
    """Return the shape of an answer about an order; its records are those of one request."""
    found = shape(answer)
    for each in (found["body"], found["body"].get("answer", {})):
        each["records"] = [
            (record["type"], record["stream"], record["actor"], record["data"]) for record in each.pop("records", ())
        ]
    return found


def test_a_verdict_about_an_order_is_that_of_the_route(service: Running) -> None:
    path = "/v1/orders/ACC1/submit"
    ours, by_router = both(service, path, **order(OWN, order_id="S-2"))
    assert verdict(ours) == verdict(by_router)
    assert (ours.json()["verdict"], ours.json()["passed"]) == ("REJECT", False)
    for stream, event in (
        ("contract/-/ESZ5", {"type": "ContractDefined", "data": {"symbol": "ESZ5", "multiplier": "50"}}),
        ("account/ACC1/-", {"type": "AccountOpened", "data": {"starting_balance": "50000", "currency": "USD"}}),
    ):
        done(asked(service, create_app(service.service), f"/v1/streams/{stream}", **sent(ADMIN, event)))
    # Sent again under its key by the other way, it finds the order that the first one recorded.
    ours, by_router = both(service, path, **order(OWN, order_id="S-3", key="S-3"))
    assert ours.json()["records"] == by_router.json()["records"]
    assert (ours.json()["passed"], by_router.json()["passed"]) == (True, True)
    lockout = {"type": "LockoutSet", "data": {"rule_id": "desk", "reason": "go home"}}
    done(asked(service, create_app(service.service), "/v1/streams/lockout/ACC1/desk", **sent(OWN, lockout)))
    ours, by_router = both(service, path, **order(OWN, order_id="S-4"))
    assert verdict(ours) == verdict(by_router)
    assert (ours.status_code, ours.json()["answer"]["lockouts"][0]["rule_id"]) == (423, "desk")
