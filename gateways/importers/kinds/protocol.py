"""What each kind of row gives: the events of a row, and those that only the whole file gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from eventstore.streams import stream_of
from gateways.importers.base import PlannedEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from eventstore.events import Event
    from gateways.importers.base import TableRow
    from gateways.importers.cells import Cells


class RowKind(Protocol):
    """Turns the rows of one table into events."""

    key: ClassVar[str]
    """Beginning of the idempotency keys, unless the mapping has its own."""
    compares: ClassVar[str | None]
    """How the file's own profit and loss is compared: by "round trip", by "symbol", or not at all."""

    repeated: int
    """The number of rows that repeat an earlier one, and add nothing to it."""

    def __init__(self, cells: Cells) -> None: ...

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        """Return the events of a row, in the order they happened; raise BadRow for a malformed row."""

    def finish(self) -> Iterable[PlannedEvent]:
        """Return the events that only the whole file gives, after its last row."""


class EachRow:
    """Base of the kinds whose rows stand alone."""

    key: ClassVar[str] = ""
    compares: ClassVar[str | None] = None

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.repeated = 0
        self.prefix = cells.mapping.identity.key if cells.mapping.identity.key is not None else self.key

    def finish(self) -> Iterable[PlannedEvent]:
        """Return nothing: each row has given its events."""
        return ()


def planned(
    row: TableRow, stream: tuple[str, str, str], event: Event, key: str, at: int, *, reported: Decimal | None = None
) -> PlannedEvent:
    """Return an event of a row, in the stream of a category, an account and an entity."""
    return PlannedEvent(
        stream=stream_of(*stream), event=event, key=key, occurred_at=at, line=row.line, reported=reported
    )  # fmt: skip
