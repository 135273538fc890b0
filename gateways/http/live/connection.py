"""What followers of both kinds share: waking up, and noticing a client that left, takes nothing, or lost its key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateways.http.answering import problem, request_id_of

if TYPE_CHECKING:
    from gateways.http.access import Caller
    from gateways.http.gate import Message, Scope, Send
    from gateways.http.live.delivery import Delivery
    from gateways.http.live.hub import Hub


class LiveConnection:
    """A client that is sent what is new; one task writes to it, another one notices what it sends, or that it left."""

    def __init__(self, hub: Hub, scope: Scope, caller: Caller) -> None:
        self.hub, self.scope, self.caller = hub, scope, caller
        self.ending: dict[str, Any] | None = None
        """Why it ends: a problem document."""
        self.has_left = False
        self._sending_since: float | None = None
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Look for what is new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def deliver(self, delivery: Delivery) -> None:
        """Send what is new, or have the task do it."""
        self.wake()

    def end(self, document: dict[str, Any]) -> None:
        """End soon, with a problem document that says why."""
        if self.ending is None:
            self.ending = document | {"instance": f"urn:uuid:{request_id_of(self.scope)}"}
        self.wake()

    def leave(self) -> None:
        """Note that the client has left."""
        self.has_left = True
        self.wake()

    def check(self, now: float) -> None:
        """Cut off a client that takes nothing; end one whose key is no longer valid."""
        most = self.hub.service.settings.send_seconds_max
        if self._sending_since is not None and now - self._sending_since > most:
            detail = f"nothing of what was sent was taken for {most:g} s"
            self.end(problem("", 408, "SlowReader", detail, "Resume from the last position, and read faster."))
            self.cut()
        elif not self.hub.service.authenticator.is_valid(self.caller):
            self.end_without_key()

    def end_without_key(self) -> None:
        """End soon, because the key is no longer valid."""
        detail = "the key that the stream was opened with is no longer valid for it"
        self.end(problem("", 401, "NotAuthenticated", detail, "Connect again with a valid key."))

    def cut(self) -> None:
        """Close the connection at once, saying why it ends as far as the client takes it."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Return whether nothing more is to be sent."""
        return self.has_left or self.ending is not None

    async def put(self, send: Send, message: Message) -> None:
        """Send a message, and wait until what was sent before is taken; `check` ends this wait.

        Once the key is no longer valid, it is not sent, and the connection ends: what was left out is not passed over.
        """
        if self.ending is None and not self.hub.service.authenticator.is_valid(self.caller):
            self.end_without_key()
            return
        self._sending_since = asyncio.get_running_loop().time()
        try:
            await send(message)
        finally:
            self._sending_since = None

    @property
    def is_idle(self) -> bool:
        """Whether the task waits: it has sent all that there was."""
        return self._waiter is not None and not self._waiter.done()

    async def waiting(self) -> None:
        """Wait until somebody wakes this connection."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
