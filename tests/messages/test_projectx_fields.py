"""Every field of the documents is mapped or left out: a mapped one makes a difference, one left out does not."""

from __future__ import annotations

from typing import Any

import pytest

from gateways.messages.projectx import FIELDS, LEFT_OUT, ProjectX, message
from tests.messages.projectx_messages import (
    AT,
    CONTRACT_ID,
    account,
    answer,
    contract,
    order,
    position,
    quote,
    trade,
    user,
)

PRINT = {"symbolId": "F.US.MNQ", "price": 5.5, "timestamp": AT, "type": 0, "volume": 3}
DEPTH = {"timestamp": AT, "type": 5, "price": 5.5, "volume": 3, "currentVolume": 1}
LINKS = {"parentOrderId": 1, "linkedOrderId": 2, "trailDistance": 3, "trailPrice": 4.5, "customTag": "O-1"}
REQUEST = {
    "accountId": 4711, "contractId": CONTRACT_ID, "type": 2, "side": 0, "size": 1, "limitPrice": None,
    "stopPrice": None, "trailPrice": None, "customTag": "O-1", "stopLossBracket": None, "takeProfitBracket": None,
    "orderId": 9056,
}  # fmt: skip
FAILED = {"orderId": 9056, "success": False, "errorCode": 2, "errorMessage": "no"}
SHEET: dict[str, dict[str, Any]] = {
    "GatewayUserAccount": account(),
    "GatewayUserOrder": order(status=1, fillVolume=1, filledPrice=5.5, stopPrice=5.25, **LINKS),
    "GatewayUserPosition": position(),
    "GatewayUserTrade": trade(profitAndLoss=1.5),
    "GatewayQuote": quote(),
    "GatewayTrade": PRINT,
    "GatewayDepth": DEPTH,
    "Contract/search": contract(),
    "Order/place": REQUEST | FAILED,
}
"""Each kind of message with all the fields that the documents and clients know."""
OTHER: dict[str, object] = {
    "accountId": 815, "contractId": "CON.F.US.EP.Z26", "creationTimestamp": "2026-11-30T15:00:00Z", "voided": True,
    "updateTimestamp": "2026-11-30T15:00:00Z", "timestamp": "2026-11-30T15:00:00Z", "canTrade": False, "type": 2,
    "lastUpdated": "2026-11-30T15:00:00Z", "name": "X", "description": "X", "customTag": "O-2", "symbolId": "X",
    "symbol": "X", "success": True, "errorMessage": "other", "side": 1,
}  # fmt: skip
ONLY_WITHOUT = {
    ("GatewayUserOrder", "creationTimestamp"): "updateTimestamp",
    ("GatewayQuote", "lastUpdated"): "timestamp",
    ("GatewayQuote", "symbol"): "contract",
    ("GatewayTrade", "symbolId"): "contract",
}
"""Fields that count where another one is missing."""


def mapped(kind: str, fields: dict[str, Any], *, contract_id: str | None = CONTRACT_ID) -> object:
    if kind.startswith("GatewayUser"):
        return ProjectX().events(user(kind.removeprefix("GatewayUser"), fields))
    if kind == "Contract/search":
        return ProjectX().events(answer(kind, contracts=[fields]))
    if kind.startswith("Order/"):
        answered = {name: fields[name] for name in FAILED}
        return [ProjectX().events(message(each, fields, answered)) for each in (kind, "Order/modify", "Order/cancel")]
    return ProjectX().events(message(kind, *([] if contract_id is None else [contract_id]), fields))


def changed(kind: str, name: str) -> tuple[object, object]:
    """Return what a message becomes, and what it becomes with another value of a field."""
    fields, other = dict(SHEET[kind]), OTHER.get(name, 7)
    without = ONLY_WITHOUT.get((kind, name))
    if without is not None:
        fields.pop(without, None)
    contract_id = None if without == "contract" else CONTRACT_ID
    if kind == "Order/place" and name in {"size", "limitPrice", "stopPrice"}:
        fields["success"] = True
    if kind == "Order/place" and name == "orderId":
        fields["success"] = True
    return mapped(kind, fields, contract_id=contract_id), mapped(kind, fields | {name: other}, contract_id=contract_id)


@pytest.mark.parametrize("kind", FIELDS)
def test_every_field_of_the_documents_is_listed(kind: str) -> None:
    assert {*SHEET[kind]} == {*FIELDS[kind], *LEFT_OUT.get(kind, {})}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, fields in FIELDS.items() for name in fields])
def test_a_mapped_field_makes_a_difference(kind: str, name: str) -> None:
    before, after = changed(kind, name)
    assert before != after


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, fields in LEFT_OUT.items() for name in fields])
def test_a_field_that_is_left_out_makes_none(kind: str, name: str) -> None:
    before, after = changed(kind, name)
    assert before == after
