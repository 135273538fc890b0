"""The import formats by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.errors import InvalidEvent
from gateways.importers.fills import FillsReader
from gateways.importers.lobster import LobsterReader
from gateways.importers.pyfolio import PyfolioReader
from gateways.importers.topstepx_orders import TopstepxOrdersReader
from gateways.importers.topstepx_trades import TopstepxTradesReader

if TYPE_CHECKING:
    from gateways.importers.base import Reader

_READERS: tuple[type[Reader[Any]], ...] = (
    LobsterReader,
    TopstepxTradesReader,
    TopstepxOrdersReader,
    PyfolioReader,
    FillsReader,
)
FORMATS = {reader.format: reader for reader in _READERS}


def reader_of(format: str) -> type[Reader[Any]]:
    """Return the reader of a format; raise InvalidEvent with the known formats."""
    try:
        return FORMATS[format]
    except KeyError:
        msg = f"unknown format {format!r}: choose one of {', '.join(FORMATS)}"
        raise InvalidEvent(msg) from None
