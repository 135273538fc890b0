"""The clients of the simulated week's service: they ask, append, follow and look, and leave."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
from typing import TYPE_CHECKING

from websockets.sync.client import connect

from benchmarks.week_setting import ACCOUNTS
from eventstore.clock import NANOSECONDS, format_time

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random

    from benchmarks.week_setting import WeekClock

WAIT_SECONDS = 600.0
ORDERS = 10
FOLLOWERS = 5
_ORDER = {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "MARKET"}
_NOW = (
    "/v1/state/positions?account={account}",
    "/v1/state/orders?account={account}",
    "/v1/state/lockouts?account={account}",
    "/v1/state/headroom?account={account}",
    "/v1/accounts",
    "/v1/records?account={account}&after={after}&limit=200",
    "/v1/timeline?account={account}&after={after}&limit=50",
    "/v1/charts/{account}?start={then}&stop={now}",
    "/v1/proofs/record/{after}",
    "/metrics",
)
_PAST = (
    "/v1/state/positions?account={account}&known_by={then}",
    "/v1/state/orders?account={account}&known_by={then}&at={then}",
)


class Clients:
    """Come to a service each hour: each on a connection of its own, which ends with it."""

    def __init__(self, port: int, clock: WeekClock, rng: Random) -> None:
        self._port, self._clock, self._rng = port, clock, rng
        self._numbers = itertools.count()

    def come(self, head: int) -> None:
        """Ask, append, follow and look for an hour; the log's head is at least the one given."""
        account = f"ACC{self._rng.randrange(ACCOUNTS):03}"
        now = self._clock.now_ns()
        then = format_time(now - self._rng.randrange(1, 3_600) * NANOSECONDS)
        for path in (*_NOW, *_PAST):
            after = self._rng.randrange(head // 2, head)
            self._ask("GET", path.format(account=account, after=after, then=then, now=format_time(now)))
        for _ in range(ORDERS):
            self._order(account)
        self._follow(head)
        self._look(account)

    def _order(self, account: str) -> None:
        """Send an order and cancel it."""
        order_id = f"S-{next(self._numbers)}"
        sent = {"type": "OrderSubmitted", "order_id": order_id, "data": _ORDER, "key": f"{order_id}-submitted"}
        # 423: a lockout forbids it, since this process observes no quotes and some accounts have limits on equity.
        self._ask("POST", f"/v1/orders/{account}/submit", sent, {200, 423})
        canceled = {"events": [{"type": "OrderCanceled", "data": {}, "key": f"{order_id}-canceled"}]}
        self._ask("POST", f"/v1/streams/order/{account}/{order_id}", canceled)

    def _ask(self, method: str, path: str, body: object = None, expected: Collection[int] = (200,)) -> None:
        with contextlib.closing(self._connection()) as connection:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {} if sent is None else {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status in expected, (method, path, text[:500])

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_SECONDS)

    def _follow(self, head: int) -> None:
        """Let several followers take what is newest, and leave together."""
        with contextlib.ExitStack() as leaving:
            for number in range(FOLLOWERS):
                connection = leaving.enter_context(contextlib.closing(self._connection()))
                connection.request("GET", f"/v1/follow?after={head - 100 - number}")
                answer = connection.getresponse()
                assert answer.status == 200
                while not answer.readline().startswith(b"event: record"):
                    pass

    def _look(self, account: str) -> None:
        """Look at the topics of an account through sockets, and leave."""
        with contextlib.ExitStack() as leaving:
            for topic in ("orders", "positions", "lockouts", "headroom", "trades"):
                socket = leaving.enter_context(connect(f"ws://127.0.0.1:{self._port}/v1/ws", proxy=None))
                socket.send(json.dumps({"action": "subscribe", "topic": topic, "accounts": [account]}))
                socket.recv(WAIT_SECONDS)
