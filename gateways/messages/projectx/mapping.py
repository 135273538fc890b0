"""The mapping of a ProjectX gateway's messages: which kind a message is, and what its arguments hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from eventstore.errors import InvalidEvent, shown
from eventstore.events import encode
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import MappedEvent, Unmapped
from gateways.messages.notes import note_of
from gateways.messages.projectx import accounts, market, orders, positions, requests, trades
from gateways.messages.projectx.settings import SOURCE, Settings

if TYPE_CHECKING:
    from gateways.messages.mapped import FieldNames

Events = tuple[MappedEvent, ...]

FIELDS: FieldNames = {
    "GatewayUserAccount": accounts.FIELDS,
    "GatewayUserOrder": orders.FIELDS,
    "GatewayUserPosition": positions.FIELDS,
    "GatewayUserTrade": trades.FIELDS,
    "GatewayQuote": market.QUOTE_FIELDS,
    "GatewayTrade": market.PRINT_FIELDS,
    "GatewayDepth": {},
    "Contract/search": market.CONTRACT_FIELDS,
    "Order/place": requests.REQUEST_FIELDS | requests.ANSWER_FIELDS,
}
"""What each field becomes. Answers with lists of accounts, orders, trades and positions have the fields of the hub."""
LEFT_OUT: FieldNames = {
    "GatewayUserAccount": accounts.LEFT_OUT,
    "GatewayUserOrder": orders.LEFT_OUT,
    "GatewayUserPosition": positions.LEFT_OUT,
    "GatewayUserTrade": trades.LEFT_OUT,
    "GatewayQuote": market.QUOTE_LEFT_OUT,
    "GatewayTrade": market.PRINT_LEFT_OUT,
    "GatewayDepth": market.DEPTH_LEFT_OUT,
    "Contract/search": market.CONTRACT_LEFT_OUT,
    "Order/place": requests.REQUEST_LEFT_OUT,
}
_LISTS = {
    "Account/search": ("accounts", "GatewayUserAccount"),
    "Order/search": ("orders", "GatewayUserOrder"),
    "Order/searchOpen": ("orders", "GatewayUserOrder"),
    "Trade/search": ("trades", "GatewayUserTrade"),
    "Position/searchOpen": ("positions", "GatewayUserPosition"),
    "Contract/search": ("contracts", "Contract"),
    "Contract/available": ("contracts", "Contract"),
    "Contract/searchById": ("contract", "Contract"),
}
"""The answers that list objects: under which name, and of which kind."""
_REQUESTS = {
    "Order/place": requests.place_events,
    "Order/modify": requests.modify_events,
    "Order/cancel": requests.cancel_events,
}
_MARKET = frozenset({"GatewayQuote", "GatewayTrade", "GatewayDepth"})


PART_OBJECTS = 5
"""How many objects of an answer are recorded at once beside an event loop, in about a millisecond."""


def message(target: str, *arguments: object) -> dict[str, object]:
    """Return a message as a mapping takes it: a hub's method or a path of the REST interface, and its arguments.

    A hub's handler gets its arguments as they are. Of a request give its path and its answer; of Order/place,
    Order/modify and Order/cancel the request's body before the answer.
    """
    return {"target": target, "arguments": list(arguments)}


class ProjectX(Settings, frozen=True):
    """Maps messages of one gateway; `message` makes them of what a hub or the REST interface delivers."""

    @property
    def source(self) -> str:
        return SOURCE

    def events(self, message: Mapping[str, object]) -> Events:
        """Return a message's events: SignalR's invocation, `{"target": ..., "arguments": [...]}`."""
        target, arguments = _parts(message)
        if target in _REQUESTS:
            return self._answered(target, arguments, message)
        if target in _LISTS:
            return self._listed(target, arguments, message)
        if target in _MARKET:
            return self._of_market(target, arguments, message)
        if target in _KINDS:
            return self._each(target, arguments, message)
        raise Unmapped(SOURCE, target, "is not a kind of message that is known here", message)

    def parts(self, message: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
        """Return an answer that lists many objects as several answers of a few."""
        try:
            target, arguments = _parts(message)
        except Unmapped:
            return (message,)
        name, _ = _LISTS.get(target, ("", ""))
        answer = arguments[-1]
        if not isinstance(answer, Mapping):
            return (message,)
        listed = answer.get(name)
        if not isinstance(listed, list) or len(listed) <= PART_OBJECTS:
            return (message,)
        starts = range(0, len(listed), PART_OBJECTS)
        return [_answer(target, {**answer, name: listed[start : start + PART_OBJECTS]}) for start in starts]

    def _of_market(self, target: str, arguments: list[object], whole: object) -> Events:
        """Return market data: the hub's first argument is the contract's id, the second the data, prints as a list."""
        contract_id = arguments.pop(0) if arguments and isinstance(arguments[0], str) else None
        if target == "GatewayDepth":
            return ()
        convert = market.quote_events if target == "GatewayQuote" else market.print_events
        known = contract_id if isinstance(contract_id, str) else None
        return self._of_objects(
            target, arguments, whole, lambda fields, _: convert(fields, known, self), is_market=True
        )  # fmt: skip

    def _each(self, kind: str, objects: list[object], whole: object) -> Events:
        convert = _KINDS[kind]
        return self._of_objects(kind, objects, whole, lambda fields, action: convert(fields, self, action))

    def _of_objects(
        self,
        kind: str,
        objects: list[object],
        whole: object,
        convert: Callable[[MessageFields, object], Events],
        *,
        is_market: bool = False,
    ) -> Events:
        """Return the events of objects, plain or in an envelope; one that cannot be mapped keeps no other back."""
        found: list[MappedEvent] = []
        items = [item for each in objects for item in (each if isinstance(each, list) else [each])]
        for item in items:
            data, action = _opened(item)
            try:
                # The only object of a message is kept with all that surrounds it.
                fields = MessageFields(SOURCE, kind, data, whole if len(items) == 1 else item, is_market=is_market)
                found += _storable(fields, convert(fields, action))
            except Unmapped as error:
                if len(items) == 1:
                    raise
                found.append(note_of(error))
        return tuple(found)

    def _listed(self, target: str, arguments: list[object], whole: object) -> Events:
        name, kind = _LISTS[target]
        answer = _successful(target, arguments, whole)
        listed = answer.get(name)
        if listed is None:
            answer.refuse(name, "is missing: expected what was asked for")
        return self._each(kind, listed if isinstance(listed, list) else [listed], whole)

    def _answered(self, target: str, arguments: list[object], whole: object) -> Events:
        if len(arguments) != 2:  # noqa: PLR2004 - the body and the answer
            raise Unmapped(SOURCE, target, "expected the body of the request and its answer", whole)
        request, answer = (MessageFields(SOURCE, target, each, whole) for each in arguments)
        return _storable(request, _REQUESTS[target](request, answer, self))


_answer = message
"""Inside the mapping a message is what is given."""
_KINDS: dict[str, Callable[[MessageFields, Settings, object], Events]] = {
    "GatewayUserAccount": accounts.account_events,
    "GatewayUserOrder": lambda fields, settings, _: orders.order_events(fields, settings),
    "GatewayUserPosition": positions.position_events,
    "GatewayUserTrade": lambda fields, settings, _: trades.trade_events(fields, settings),
    "Contract": lambda fields, settings, _: market.contract_events(fields, settings),
}


def _parts(message: Mapping[str, object]) -> tuple[str, list[object]]:
    """Return a message's target and arguments; raise Unmapped if it has none."""
    fields = MessageFields(SOURCE, "message", message)
    target, arguments = fields.text("target"), fields.get("arguments")
    if not isinstance(arguments, list | tuple):
        fields.refuse("arguments", "is not a list")
    if not arguments:
        raise Unmapped(SOURCE, target, "it has no arguments", message)
    return target, list(arguments)


def _opened(item: object) -> tuple[object, object]:
    """Return an object and the action of its envelope: `{action, data}` is received, the documents show it plain."""
    if isinstance(item, Mapping) and "data" in item and "action" in item:
        return item["data"], item["action"]
    return item, None


def _storable(fields: MessageFields, events: Events) -> Events:
    """Return an object's events; refuse it if one cannot be stored, such as a figure of 300 digits."""
    try:
        for each in events:
            encode(each.event)
    except InvalidEvent as e:
        fields.refuse_all(str(e))
    return events


def _successful(target: str, arguments: list[object], whole: object) -> MessageFields:
    """Return the answer to a request; raise Unmapped if the request failed, which HTTP 200 does not rule out."""
    answer = MessageFields(SOURCE, target, arguments[-1], whole)
    if answer.optional_flag("success") is False:
        reason = f"{answer.get('errorCode')} {shown(answer.get('errorMessage'))}"
        raise Unmapped(SOURCE, target, f"the request failed: {reason}", whole)
    return answer
