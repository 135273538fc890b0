"""Members of a group in this process, each with a service of its own, for tests; and servers that are not members."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import httpx
from typing_extensions import override

import eventstore
from eventstore import EventStore
from eventstore.trading import AccountOpened, GroupDefined, LimitsSet, OrderSubmitted, Side
from gateways.http.access import Authenticator
from gateways.http.member import open_member_service
from gateways.http.owners import LIVE
from gateways.http.serving import LOOPBACK, bound
from gateways.http.threaded import ThreadedService
from projections.group_worker import GroupWorker
from projections.membership import GroupMember
from tests.postgres.desks import ACCOUNTS, GROUP, Desk
from tests.postgres.following import LockEvery

WAIT_SECONDS = 60


def opened(store: EventStore) -> None:
    """Open accounts, each with a limit and an order; two of them are judged together."""
    for account in ACCOUNTS:
        store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"})
        store.append(f"limits/{account}/daily-loss", limit, actor="risk@desk")
        order = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1))
        store.append(f"order/{account}/O-1", order)
    store.append("group/-/pair", GroupDefined(accounts=tuple(ACCOUNTS[:2])), actor="risk@desk")


class ServedMember:
    """A member that serves at `url`; `client` asks it."""

    def __init__(self, worker: GroupWorker, url: str) -> None:
        self.worker, self.url = worker, url
        self.id = worker.member.id
        self.client = httpx.Client(base_url=url, timeout=WAIT_SECONDS, trust_env=False)

    def orders(self, account: str, **headers: str) -> httpx.Response:
        return self.client.get("/v1/state/orders", params={"account": account}, headers=headers)


class ServedDesk:
    """Members of one group, each with stores and a service of its own."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self._stack = url, stack
        self.store = stack.enter_context(eventstore.open(url))

    def member(
        self, id: str, *, url: str | None = None, authenticator: Authenticator | None = None, log_url: str | None = None
    ) -> ServedMember:
        """Start a member; `url`: what other members are given, by default its own."""
        log_url = log_url or self.url
        enter = self._stack.enter_context
        store = enter(eventstore.open(log_url))
        listening = enter(contextlib.closing(bound(LOOPBACK, 0)))
        own = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        member = GroupMember(store, GROUP, id=id, url=own if url is None else url)
        worker = GroupWorker(member, store, lambda: [LockEvery()]).start()
        self._stack.callback(Desk.ended, worker)
        service = functools.partial(open_member_service, log_url, worker, authenticator=authenticator)
        enter(ThreadedService(service, listening))
        served = ServedMember(worker, own)
        self._stack.callback(served.client.close)
        return served


class Stranger(http.server.BaseHTTPRequestHandler):
    """Some other server: it notes what it is sent, and gives a prepared answer."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str | None]]
    """The path and the key of each request."""
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
    alive: dict[str, str] | None = None
    """Headers of its answer to the question whether it lives, if that is another one."""
    wait: threading.Event | None = None

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("authorization")))
        if self.wait is not None:
            self.wait.wait(WAIT_SECONDS)
        status, headers, body = self.answer
        if self.alive is not None and self.path == LIVE:
            status, headers, body = 200, self.alive, b"{}"
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to stderr."""


@contextlib.contextmanager
def stranger(members: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve as some other server on a free port, as `members` say then; yield its URL and what it is asked."""
    asked: list[tuple[str, str | None]] = []

    def handler(*given: Any) -> Stranger:  # noqa: ANN401 - the library's
        found: Stranger = type("ScriptedStranger", (Stranger,), {"asked": asked, **members})(*given)
        return found

    with http.server.ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
