"""Holds one contract at a ProjectX gateway: PROJECTX="URL HUB TOKEN DIRECTORY ACCOUNT ID CONTRACT" (MESSAGES.md)."""

import contextlib
import json
import os
import time
from decimal import Decimal
from typing import Any

import requests
import websocket

import eventstore
import projections
from eventstore.trading import OrderSubmitted, Side
from gateways.messages import Recorder
from gateways.messages.projectx import ProjectX, catch_up, message

URL, HUB, TOKEN, DATA, ACCOUNT, ID, CONTRACT = os.environ["PROJECTX"].split()
AUTH, END, MAPPING = {"Authorization": f"Bearer {TOKEN}"}, "\x1e", ProjectX(accounts={ID: ACCOUNT})
BODY = {"accountId": int(ID), "contractId": CONTRACT, "type": 2, "side": 0, "size": 1}


def ask(path: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
    return requests.post(f"{URL}/api/{path}", json=body, headers=AUTH, timeout=9).json()


with eventstore.open(DATA) as store, projections.open(store) as book, Recorder(book, MAPPING) as recorder:
    while True:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            hub = websocket.create_connection(f"{HUB}?access_token={TOKEN}", timeout=30)
            hub.send('{"protocol": "json", "version": 1}' + END)
            for each, ids in {"Accounts": [], "Orders": [int(ID)], "Positions": [int(ID)], "Trades": [int(ID)]}.items():
                hub.send(json.dumps({"type": 1, "target": f"Subscribe{each}", "arguments": ids}) + END)
            projections.reconciliation.record(book, ACCOUNT, catch_up(recorder, MAPPING, ID, ask), actor="bot")
            while True:
                if not book.positions.get(ACCOUNT, CONTRACT).quantity and not book.orders.open(ACCOUNT):
                    order = OrderSubmitted(symbol=CONTRACT, side=Side.BUY, quantity=Decimal(1))
                    projections.risk.submit(book, ACCOUNT, f"bot-{book.position}", order, book.now_ns())
                for tag in [found.order_id for found in book.orders.open(ACCOUNT) if found.broker_order_id is None]:
                    recorder.record(message("Order/place", new := BODY | {"customTag": tag}, ask("Order/place", **new)))
                for received in [one for one in map(json.loads, str(hub.recv()).split(END)[:-1]) if "target" in one]:
                    recorder.record(received)
                hub.send('{"type": 6}' + END)
        time.sleep(1)
