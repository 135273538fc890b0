"""Which log is served: a request that is meant for another one is refused. Every answer says it: see `exchange`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.remote.identity import LOG_ID_HEADER
from gateways.http.answering import RequestRefused
from gateways.http.gate import refuse

if TYPE_CHECKING:
    from gateways.http.gate import ASGIApp, Receive, Scope, Send
    from gateways.http.served import LogService

_NAME = LOG_ID_HEADER.encode()
MISDIRECTED = 421


class LogIdentity:
    """ASGI middleware behind the gate: a client that was connected to another log neither appends here nor reads."""

    def __init__(self, app: ASGIApp, service: LogService) -> None:
        self._app = app
        self._id = service.store.log_id.hex().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meant = None
        if scope["type"] == "http":
            meant = next((value for name, value in scope["headers"] if name == _NAME), None)
        if meant is None or meant == self._id:
            await self._app(scope, receive, send)
            return
        error = RequestRefused(
            MISDIRECTED,
            "AnotherLog",
            f"this service has the log with id {self._id.decode()}, and the request is for another one",
            "Connect again, and decide again: nothing of another log holds here.",
        )
        await refuse(scope, send, error, scope["state"]["request_id"])
