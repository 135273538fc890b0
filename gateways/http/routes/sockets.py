"""The WebSocket of topics: what accounts show, as they are and as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litestar import WebSocket, websocket

from gateways.http.access import Scope
from gateways.http.live.topic_socket import TopicSocket
from gateways.http.routes.parameters import Calling, Live

if TYPE_CHECKING:
    from gateways.http.gate import Receive, Send


@websocket("/v1/ws", opt={"scope": Scope.READ})
async def look(socket: WebSocket[Any, Any, Any], hub: Live, caller: Calling) -> None:
    """Subscribe to topics of accounts: `{"action": "subscribe", "topic": "orders", "accounts": ["ACC1"]}`."""
    topics = TopicSocket(hub, cast("Any", socket.scope), caller)
    await topics.run(cast("Receive", socket.receive), cast("Send", socket.send))


ROUTES = (look,)
