"""The WebSockets: topics of accounts as they are and as they change, and the states of older state managers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litestar import WebSocket, websocket

from gateways.http.access import Scope
from gateways.http.live.state_socket import StateSocket
from gateways.http.live.topic_socket import TopicSocket
from gateways.http.routes.parameters import Calling, FromQuery, Live
from gateways.legacy.manager import ACCOUNT

if TYPE_CHECKING:
    from gateways.http.gate import Receive, Send


@websocket("/v1/ws", opt={"scope": Scope.READ})
async def look(socket: WebSocket[Any, Any, Any], hub: Live, caller: Calling) -> None:
    """Subscribe to topics of accounts: `{"action": "subscribe", "topic": "orders", "accounts": ["ACC1"]}`."""
    topics = TopicSocket(hub, cast("Any", socket.scope), caller)
    await topics.run(cast("Receive", socket.receive), cast("Send", socket.send))


@websocket("/ws", opt={"scope": Scope.READ})
async def look_at_states(
    socket: WebSocket[Any, Any, Any], hub: Live, caller: Calling, account: FromQuery[str] = ACCOUNT
) -> None:
    """Subscribe as with older state managers: `{"action": "subscribe", "topic": "states:position"}`."""
    caller.require(Scope.READ, account)
    states = StateSocket(hub, cast("Any", socket.scope), caller, account)
    await states.run(cast("Receive", socket.receive), cast("Send", socket.send))


ROUTES = (look, look_at_states)
