"""Messages of a ProjectX gateway as the hubs deliver them, with the documents' fields and whatever a test changes."""

from __future__ import annotations

from typing import Any

from gateways.messages.projectx import message

ACCOUNT_ID = 4711
ACCOUNT = str(ACCOUNT_ID)
CONTRACT_ID = "CON.F.US.MNQ.Z26"
AT = "2026-11-30T14:30:00.268009+00:00"


def at(seconds: int) -> str:
    """Return a time of the session, as the gateway writes times."""
    return f"2026-11-30T{14 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.268009+00:00"


def account(**members: object) -> dict[str, Any]:
    base = {"id": ACCOUNT_ID, "name": "50KTC-V2-1", "balance": 50000.5, "canTrade": True, "isVisible": True}
    return base | {"simulated": True} | members


def order(id_: object = 9056, **members: object) -> dict[str, Any]:
    return {
        "id": id_, "accountId": ACCOUNT_ID, "contractId": CONTRACT_ID, "symbolId": "F.US.MNQ",
        "creationTimestamp": AT, "updateTimestamp": AT, "status": 1, "type": 1, "side": 0, "size": 2,
        "limitPrice": 21000.25, "stopPrice": None, "fillVolume": 0, "filledPrice": None, "customTag": None,
    } | members  # fmt: skip


def trade(id_: object = 101112, **members: object) -> dict[str, Any]:
    return {
        "id": id_, "accountId": ACCOUNT_ID, "contractId": CONTRACT_ID, "creationTimestamp": AT, "price": 21000.25,
        "profitAndLoss": None, "fees": 0.37, "side": 0, "size": 1, "voided": False, "orderId": 9056,
    } | members  # fmt: skip


def position(**members: object) -> dict[str, Any]:
    return {
        "id": 6124, "accountId": ACCOUNT_ID, "contractId": CONTRACT_ID, "creationTimestamp": AT, "type": 1, "size": 1,
        "averagePrice": 21000.25,
    } | members  # fmt: skip


def quote(**members: object) -> dict[str, Any]:
    return {
        "symbol": "F.US.MNQ", "symbolName": "Micro E-mini Nasdaq-100", "lastPrice": 21000.25, "bestBid": 21000.0,
        "bestAsk": 21000.5, "change": 25.5, "changePercent": 0.14, "open": 20900.0, "high": 21100.0, "low": 20890.0,
        "volume": 12000, "lastUpdated": AT, "timestamp": AT,
    } | members  # fmt: skip


def contract(**members: object) -> dict[str, Any]:
    return {
        "id": CONTRACT_ID, "name": "MNQZ6", "description": "Micro E-mini Nasdaq-100: December 2026", "tickSize": 0.25,
        "tickValue": 0.5, "activeContract": True, "symbolId": "F.US.MNQ",
    } | members  # fmt: skip


def user(kind: str, data: object, action: int | None = None) -> dict[str, Any]:
    """Return a message of the user hub, plain or in its envelope."""
    return message(f"GatewayUser{kind}", data if action is None else {"action": action, "data": data})


def answer(target: str, **members: object) -> dict[str, Any]:
    """Return a message of an answer of the REST interface."""
    return message(target, {"success": True, "errorCode": 0, "errorMessage": None} | members)
