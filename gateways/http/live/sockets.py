"""A follower by WebSocket: what its client looks at, and the one task that writes to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore import StoreError
from eventstore.remote.wire import sent_record
from gateways.http.access import NotAllowed
from gateways.http.answering import RequestRefused, document_of, problem, request_id_of
from gateways.http.live.connection import LiveConnection
from gateways.http.live.cutting import cut_of

if TYPE_CHECKING:
    from eventstore import Record
    from gateways.http.access import Caller
    from gateways.http.gate import Receive, Scope, Send
    from gateways.http.live.filters import RecordFilter
    from gateways.http.live.hub import Hub

COMMANDS_PER_SECOND, COMMANDS_AT_ONCE = 20.0, 100.0
REPLIES_MAX = 200
"""So many replies wait at most: a client that asks on and on without reading is cut off."""
POLICY, STOPPING, SLOW = 1008, 1012, 1013
"""Why a socket is closed (RFC 6455 §7.4.1 and its registry)."""
_CODES = {"Closed": STOPPING, "SlowReader": SLOW, "TooManyStreams": SLOW}
_REASON_MAX = 120
_encode = msgspec.json.Encoder().encode


class Socket(LiveConnection):
    """A socket: what every kind of it does. Its kinds say what a message means, and what is new for it."""

    def __init__(self, hub: Hub, scope: Scope, caller: Caller) -> None:
        super().__init__(hub, scope, caller)
        self._replies: deque[bytes] = deque()
        self._allowance, self._asked_at = COMMANDS_AT_ONCE, asyncio.get_running_loop().time()

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve a socket until one of both sides ends it."""
        await receive()
        try:
            await self.hub.join(self)
        except RequestRefused as e:
            document = document_of(e, request_id_of(self.scope))
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": _code(document), "reason": _reason(document)})
            return
        listening: asyncio.Task[None] | None = None
        try:
            await send({"type": "websocket.accept"})
            listening = asyncio.get_running_loop().create_task(self._listen(receive))
            while not self.is_over():
                message = self._replies.popleft() if self._replies else await self.next_message()
                if message:
                    await self.put(send, {"type": "websocket.send", "text": message.decode()})
                elif not self.is_over() and not self._replies:
                    await self.waiting()
            await self._close(send)
        finally:
            self.left()
            self.hub.leave(self)
            if listening is not None:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening

    async def next_message(self) -> bytes:
        """Return what is new for the client, nothing if nothing is."""
        raise NotImplementedError

    async def take(self, text: str) -> bytes:
        """Do what a message says, and return the reply; raise StoreError, NotAllowed or RequestRefused."""
        raise NotImplementedError

    def trouble(self, document: dict[str, Any]) -> bytes:
        """Return the message that says why one of the client's was refused."""
        return _encode({"type": "error", "problem": document})

    def left(self) -> None:
        """Let go of what the client looked at."""

    @override
    def cut(self) -> None:
        assert self.ending is not None
        cut_of(self.scope)(_code(self.ending), _reason(self.ending))
        self.leave()
        self.left()
        self.hub.leave(self)

    async def _close(self, send: Send) -> None:
        if not self.has_left and self.ending is not None:
            await self.put(
                send, {"type": "websocket.close", "code": _code(self.ending), "reason": _reason(self.ending)}
            )

    async def _listen(self, receive: Receive) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if not self._may_ask():
                detail = f"more than {COMMANDS_PER_SECOND:g} messages per second"
                self.end(problem("", 429, "TooManyRequests", detail, "Send fewer messages."))
                return
            self._replies.append(await self._reply(message.get("text")))
            if len(self._replies) > REPLIES_MAX:
                detail = f"{REPLIES_MAX} replies wait to be read"
                self.end(problem("", 408, "SlowReader", detail, "Read the replies before asking again."))
                return
            self.wake()
        self.leave()

    async def _reply(self, text: str | None) -> bytes:
        try:
            return await self.take(_text_of(text))
        except (StoreError, NotAllowed, RequestRefused) as e:
            return self.trouble(document_of(e, request_id_of(self.scope)))

    def _may_ask(self) -> bool:
        now = asyncio.get_running_loop().time()
        earned = (now - self._asked_at) * COMMANDS_PER_SECOND
        self._asked_at, self._allowance = now, min(self._allowance + earned, COMMANDS_AT_ONCE) - 1
        return self._allowance >= 0


class RecordCursor:
    """Records past a position, one at a time, for sockets that send each as a message."""

    def __init__(self, hub: Hub, wanted: RecordFilter, after: int) -> None:
        self._hub, self.wanted, self.position = hub, wanted, after
        self._found: deque[Record] = deque()

    async def next(self) -> Record | None:
        """Return the next record that is asked for, None if there is none now."""
        while not self._found:
            before = self.position
            try:
                segments = self._hub.ring.past(before)
            except LookupError:
                records, upto = await self._hub.records(self.wanted, before)
            else:
                records = [record for segment in segments[:1] for record in segment.records]
                records = [each for each in records if each.position > before and self.wanted.matches(each)]
                upto = max([before, *(segment.last for segment in segments[:1])])
            self.position = upto
            self._found.extend(records)
            if upto == before and not records:
                return None
        return self._found.popleft()


def record_message(record: Record) -> bytes:
    """Return the message of a record."""
    head = {"type": "record", "topic": "records", "account": record.account, "log_position": record.position}
    return _encode(head | {"record": sent_record(record)})


def _text_of(text: str | None) -> str:
    if text is None:
        raise RequestRefused(415, "UnsupportedMediaType", "a binary message", "Send JSON as a text message.")
    return text


def _code(document: dict[str, Any]) -> int:
    return _CODES.get(document["title"], POLICY)


def _reason(document: dict[str, Any]) -> str:
    text = f"{document['title']}: {document['detail']}"
    return text.encode()[:_REASON_MAX].decode(errors="ignore")
