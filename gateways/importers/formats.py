"""The import formats by name: readers in code, and the mappings of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from eventstore.errors import InvalidEvent
from gateways.importers.lobster import LobsterReader
from gateways.importers.mapped import MappedReader
from gateways.importers.mapping_files import MappingFile, presets
from gateways.importers.pyfolio import PyfolioReader

if TYPE_CHECKING:
    from pathlib import Path

    from gateways.importers.base import Options, Reader

FILLS = "fills"
"""The format whose columns are named with --map."""
_FIRST = ("topstepx-trades", "topstepx-orders")


class Format(Protocol):
    """A format: what it is called, which options it takes beside the account, and what reads its files."""

    @property
    def format(self) -> str:
        """Its name."""

    @property
    def takes(self) -> frozenset[str]:
        """The options that it takes, apart from the account."""

    def __call__(self, path: Path, options: Options) -> Reader[Any]:
        """Return what reads a file; raise InvalidEvent if a required option is missing."""


class MappedFormat:
    """A format that is a mapping."""

    def __init__(self, file: MappingFile) -> None:
        self.file = file
        self.format = file.name
        takes = {"contracts", "symbol", "answers"}
        self.takes = frozenset(takes | {"mapping"} if file.name == FILLS else takes)

    def __call__(self, path: Path, options: Options) -> MappedReader:
        return MappedReader(path, options, self.file)


def _formats() -> dict[str, Format]:
    mapped = {name: MappedFormat(file) for name, file in presets().items()}
    fills = mapped.pop(FILLS)
    first = {name: mapped.pop(name) for name in _FIRST}
    return {LobsterReader.format: LobsterReader, **first, **mapped, PyfolioReader.format: PyfolioReader, FILLS: fills}


FORMATS: dict[str, Format] = _formats()


def format_named(format: str) -> Format:
    """Return a format; raise InvalidEvent with the known ones."""
    try:
        return FORMATS[format]
    except KeyError:
        msg = f"unknown format {format!r}: choose one of {', '.join(FORMATS)}"
        raise InvalidEvent(msg) from None
