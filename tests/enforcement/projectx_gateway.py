"""Plays a ProjectX gateway's REST interface on 127.0.0.1 from a recorded session, and notes each exchange."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override

from eventstore.clock import format_time

SESSION = Path(__file__).with_name("projectx_session.json")
TOKEN = "a token"
OPEN, FILLED, CANCELLED = 1, 2, 3
MARKET = 2
_FAILED = {2: "Order not found", 8: "Contract not found", 9: "customTag is already in use"}


class RecordedGateway:
    """One account as the session has it at first. Market orders are filled at once, or by `fill` while `holds_fills`.

    `position` may become anything, as at a real gateway: an order that closes twice opens the other side.
    """

    def __init__(self, now_ns: Callable[[], int], session: Path = SESSION) -> None:
        recorded = json.loads(session.read_text("utf-8"))
        self.now_ns = now_ns
        self.account_id: int = recorded["accountId"]
        self.orders: list[dict[str, Any]] = recorded["orders"]
        self.trades: list[dict[str, Any]] = recorded["trades"]
        self.held: dict[str, int] = recorded["held"]
        self.names = set(self.held)
        """The contracts that the gateway knows."""
        self.price: float = recorded["price"]
        self.holds_fills = False
        self.exchanges: list[dict[str, Any]] = []
        self.before: Callable[[str, dict[str, Any]], None] | None = None
        """Called before a request has any effect, with its path and body."""
        self.after: Callable[[str, dict[str, Any]], None] | None = None
        """Called when it has had its effect, and before it is answered."""
        self._lock = threading.RLock()

    @property
    def placed(self) -> list[dict[str, Any]]:
        """The orders that were placed since the session began."""
        return [order for order in self.orders if order.get("customTag")]

    @property
    def position(self) -> int:
        return sum(self.held.values())

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        if self.before is not None:
            self.before(path, body)
        with self._lock:
            if body["accountId"] != self.account_id:
                answer = {"success": False, "errorCode": 1, "errorMessage": "Account not found"}
            else:
                answer = {"success": True, "errorCode": 0, "errorMessage": None, **_PATHS[path](self, body)}
            self.exchanges.append({"path": path, "body": body, "answer": json.loads(json.dumps(answer))})
        if self.after is not None:
            self.after(path, body)
        return answer

    def fill(self) -> None:
        """Fill the market orders that work."""
        with self._lock:
            for order in self.orders:
                if order["type"] == MARKET and order["status"] == OPEN:
                    self._execute(order)

    def _execute(self, order: dict[str, Any]) -> None:
        order |= {"status": FILLED, "fillVolume": order["size"], "filledPrice": self.price}
        sign = 1 if order["side"] == 0 else -1
        self.held[order["contractId"]] = self.held.get(order["contractId"], 0) + sign * order["size"]
        self.trades.append({
            "id": 9000 + len(self.trades), "accountId": self.account_id, "contractId": order["contractId"],
            "creationTimestamp": format_time(self.now_ns()), "price": self.price, "profitAndLoss": None, "fees": 1.11,
            "side": order["side"], "size": order["size"], "voided": False, "orderId": order["id"],
        })  # fmt: skip

    def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"orders": [dict(order) for order in self.orders]}

    def _search_open(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"orders": [dict(order) for order in self.orders if order["status"] == OPEN]}

    def _trades(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"trades": [dict(trade) for trade in self.trades]}

    def _positions(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [
            {
                "id": 700, "accountId": self.account_id, "contractId": contract_id, "averagePrice": self.price,
                "creationTimestamp": "2026-09-21T14:00:00Z", "type": 1 if held > 0 else 2, "size": abs(held),
            }
            for contract_id, held in self.held.items() if held
        ]  # fmt: skip
        return {"positions": found}

    def _cancel(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [each for each in self.orders if each["id"] == body["orderId"] and each["status"] == OPEN]
        for order in found:
            order["status"] = CANCELLED
        return {} if found else _failure(2)

    def _place(self, body: dict[str, Any]) -> dict[str, Any]:
        if any(order.get("customTag") == body["customTag"] for order in self.orders):
            return _failure(9)
        if body["contractId"] not in self.names:
            return _failure(8)
        order = {"id": 5000 + len(self.orders), "creationTimestamp": format_time(self.now_ns()), **body}
        nothing = dict.fromkeys(("limitPrice", "stopPrice", "filledPrice"))
        self.orders.append(order | {"status": OPEN, "fillVolume": 0, **nothing})
        if not self.holds_fills:
            self.fill()
        return {"orderId": order["id"]}


def _failure(code: int) -> dict[str, Any]:
    return {"success": False, "errorCode": code, "errorMessage": _FAILED[code]}


_PATHS: dict[str, Callable[[RecordedGateway, dict[str, Any]], dict[str, Any]]] = {
    "/api/Order/search": RecordedGateway._search,
    "/api/Order/searchOpen": RecordedGateway._search_open,
    "/api/Order/cancel": RecordedGateway._cancel,
    "/api/Order/place": RecordedGateway._place,
    "/api/Position/searchOpen": RecordedGateway._positions,
    "/api/Trade/search": RecordedGateway._trades,
}


class _Handler(BaseHTTPRequestHandler):
    server: GatewayServer

    def do_POST(self) -> None:
        """Answer with JSON; HTTP 200 also where `success` is false, as the gateway does."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_known = self.path in _PATHS and self.headers["Authorization"] == f"Bearer {TOKEN}"
        data = json.dumps(self.server.gateway.post(self.path, body) if is_known else {}).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @override
    def log_message(self, *_: object) -> None: ...


class GatewayServer(ThreadingHTTPServer):
    """Serves a gateway on a free port, in threads of its own."""

    daemon_threads = True

    def __init__(self, gateway: RecordedGateway) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway = gateway
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that was killed does not read its answer."""

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
