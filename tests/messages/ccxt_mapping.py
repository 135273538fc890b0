"""The mapping that the tests of CCXT's structures use."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateways.messages import MappedEvent
from gateways.messages.ccxt import Ccxt

MAPPING = Ccxt(exchange="binance", account="A")


def events(message: Mapping[str, object], mapping: Ccxt = MAPPING) -> tuple[MappedEvent, ...]:
    return mapping.events(message)


def only(message: Mapping[str, object], mapping: Ccxt = MAPPING) -> Any:  # noqa: ANN401 - any event
    (found,) = events(message, mapping)
    return found.event


def with_settings(**settings: object) -> Ccxt:
    return msgspec.structs.replace(MAPPING, **settings)
