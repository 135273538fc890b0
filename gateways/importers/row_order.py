"""In which order a file's rows happened, by their times: newest first or oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateways.importers.mapping import RowOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateways.importers.base import PlannedEvent

MOST = 9
"""How many times as many rows must be older than the one above as are newer, for a file that is newest first."""


class OrderOfRows:
    """Counts how times go on from row to row of one account and symbol; rows with the same time follow them."""

    def __init__(self, stated: RowOrder | None) -> None:
        self._stated = stated
        self._last: dict[tuple[str, str | None], PlannedEvent] = {}
        self._newer = self._older = 0
        self._ties_matter = False

    def take(self, events: Sequence[PlannedEvent]) -> None:
        """Take in the events of a row."""
        item = events[-1]
        key = item.stream.split("/", 2)[1], getattr(events[0].event, "symbol", None)
        last = self._last.get(key)
        self._last[key] = item
        if last is None:
            return
        if item.occurred_at == last.occurred_at:
            self._ties_matter = self._ties_matter or _figures(item) != _figures(last)
        elif item.occurred_at > last.occurred_at:
            self._newer += 1
        else:
            self._older += 1

    @property
    def is_newest_first(self) -> bool:
        """Whether rows with the same time happened in the opposite order. As written, where they all say the same."""
        if self._stated is not None:
            return self._stated is RowOrder.NEWEST_FIRST
        return self._ties_matter and self._older > MOST * self._newer


def _figures(item: PlannedEvent) -> tuple[object, ...]:
    return tuple(getattr(item.event, name, None) for name in ("side", "quantity", "price"))
