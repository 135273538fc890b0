"""A desk for the tests of the service: accounts, a contract and limits, appended as a client does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from gateways.http.access import Caller, Scope
from tests.http.serving import Running

CONTRACT = {"type": "ContractDefined", "data": {"symbol": "ES", "multiplier": "50", "currency": "USD"}}
OPENED = {"type": "AccountOpened", "data": {"starting_balance": "50000", "currency": "USD"}}


class Desk:
    """Callers by what they send: `Bearer desk-1` is for all accounts, `Bearer desk-1/A` for A; none is `desk`."""

    needs_key = True

    def caller(self, headers: Mapping[str, str]) -> Caller:
        name, _, account = headers.get("authorization", "Bearer desk").removeprefix("Bearer ").partition("/")
        return Caller(name, frozenset(Scope), frozenset({account}) if account else None)

    def is_valid(self, caller: Caller) -> bool:
        return True


def by(name: str) -> dict[str, str]:
    """Return the headers of a caller."""
    return {"authorization": f"Bearer {name}"}


def open_account(service: Running, account: str = "A", **limits: dict[str, Any]) -> None:
    """Open an account that trades ES, with limits by the names of their kinds: `maximum_position={"limit": "3"}`."""
    done(service.append("contract/-/ES", {**CONTRACT, "key": "ES"}))
    done(service.append(f"account/{account}/-", OPENED))
    for name, parameters in limits.items():
        rule_id = name.replace("_", "-")
        event = {"type": "LimitsSet", "data": {"rule_id": rule_id, "parameters": parameters}}
        done(service.append(f"limits/{account}/{rule_id}", event))


def fill(service: Running, account: str, number: int, side: str = "BUY", price: str = "6000") -> None:
    """Send an order for one contract and fill it."""
    figures = {"symbol": "ES", "side": side, "quantity": "1"}
    done(
        service.append(
            f"order/{account}/F-{number}",
            {"type": "OrderSubmitted", "data": figures},
            {"type": "OrderFilled", "data": {**figures, "trade_id": f"T-{account}-{number}", "price": price}},
        )
    )


def lock(service: Running, account: str = "A", rule_id: str = "desk", **members: object) -> None:
    """Lock an account."""
    event = {"type": "LockoutSet", "data": {"rule_id": rule_id, "reason": "go home", **members}}
    done(service.append(f"lockout/{account}/{rule_id}", event))


def ask(service: Running, account: str = "A", request_id: str = "R1", action: str = "CANCEL_ORDERS") -> None:
    """Ask for enforcement."""
    event = {
        "type": "EnforcementRequested",
        "data": {"rule_id": "desk", "action": action, "reason": "go home", "request_id": request_id},
    }
    done(service.append(f"enforcement/{account}/{request_id}", event))


def done(answer: httpx.Response) -> Any:  # noqa: ANN401 - what JSON holds
    """Return the answer to what must succeed."""
    assert answer.status_code == 200, answer.text
    return answer.json()
