"""The socket of older state managers, `/ws`: states as they are saved, by topic."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from typing_extensions import override

from eventstore import InvalidEvent, StoreError
from eventstore.errors import shown
from gateways.http.answering import document_of
from gateways.http.live.commands import decoded_command
from gateways.http.live.filters import RecordFilter
from gateways.http.live.sockets import RecordCursor, Socket
from gateways.legacy.history import StateType
from gateways.legacy.state_log import StateLog
from gateways.legacy.states import States
from gateways.legacy.values import Codec

if TYPE_CHECKING:
    from eventstore import Record
    from gateways.http.access import Caller
    from gateways.http.gate import Scope
    from gateways.http.live.hub import Hub

ALL, OF_TYPE, OF_ID = "states", "states:", "state:"
TOPICS_MAX = 1_000


class StateCommand(msgspec.Struct, frozen=True):
    """One message of a client of the older interface."""

    action: Literal["subscribe", "unsubscribe"]
    topic: str


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(StateCommand)


class StateSocket(Socket):
    """Sends each version of a state as it is saved, once for each topic that it belongs to.

    A topic counts for what is saved after it was subscribed to, also where an earlier record is still to be read.
    """

    def __init__(self, hub: Hub, scope: Scope, caller: Caller, account: str) -> None:
        super().__init__(hub, scope, caller)
        self._topics: dict[str, int] = {}
        self._wanted = RecordFilter(accounts=frozenset({account}), categories=frozenset({"pair", "portfolio"}))
        self._cursor: RecordCursor | None = None
        store = hub.service.store.sync_store
        self._states = States(StateLog(store, account, owned=False), Codec())
        self._updates: deque[bytes] = deque()

    @override
    async def next_message(self) -> bytes:
        while self._cursor is not None and not self._updates and not self.is_over():
            try:
                record = await self._cursor.next()
                if record is None:
                    return b""
                if self._topics:
                    self._updates.extend(await self._updates_of(record))
            except StoreError as e:
                self.end(document_of(e, ""))
        return self._updates.popleft() if self._updates else b""

    @override
    async def take(self, text: str) -> bytes:
        command = decoded_command(_decoder, text)
        if command.action == "subscribe":
            self._check_topic(command.topic)
            head = await self.hub.service.store.head()
            self._topics.setdefault(command.topic, head)
            if self._cursor is None:
                self._cursor = RecordCursor(self.hub, self._wanted, head)
            return _encode({"type": "subscription_confirmed", "topic": command.topic})
        self._topics.pop(command.topic, None)
        return _encode({"type": "unsubscription_confirmed", "topic": command.topic})

    @override
    def trouble(self, document: dict[str, Any]) -> bytes:
        return _encode({"type": "error", "detail": document["detail"]})

    def _check_topic(self, topic: str) -> None:
        is_known = topic == ALL or (topic.startswith(OF_ID) and topic != OF_ID)
        if not is_known and topic not in {f"{OF_TYPE}{each}" for each in StateType}:
            msg = (
                f"topic {shown(topic)}: the topics are states, states:TYPE with one of {', '.join(StateType)}, state:ID"
            )
            raise InvalidEvent(msg)
        if len(self._topics) >= TOPICS_MAX:
            msg = f"a socket has at most {TOPICS_MAX:,} topics: unsubscribe from others first"
            raise InvalidEvent(msg)

    async def _updates_of(self, record: Record) -> list[bytes]:
        store = self.hub.service.store
        version = await store.threads.page(lambda: self._states.version(store.sync_store, record))
        if version is None:
            return []
        bare = version.state_id.partition("_")[2] if version.state_type in _PREFIXED else version.state_id
        topics = {ALL, f"{OF_TYPE}{version.state_type}", f"{OF_ID}{version.state_id}", f"{OF_ID}{bare}"}
        update = {
            "type": "state_update",
            "state_id": version.state_id,
            "state_type": version.state_type,
            "operation": version.operation,
            "data": version.data,
            "timestamp": version.timestamp,
        }
        wanted = [topic for topic in topics if self._topics.get(topic, record.position) < record.position]
        return [_encode(update)] * len(wanted)


_PREFIXED = {StateType.POSITION, StateType.PAIR_STATE}
