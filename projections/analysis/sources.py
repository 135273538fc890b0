"""What a frame is read from: a store, InfluxDB, a data directory or an archive; and which of its records it has."""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

import eventstore
from eventstore import EventReader, InvalidEvent
from eventstore.arguments import filter_of, position_of
from eventstore.clock import to_ns
from eventstore.errors import shown
from eventstore.events.registry import by_name, registered_names

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from eventstore.clock import Times
    from eventstore.events import Event
    from projections.analysis.columns import Column, Exact

    Types: TypeAlias = Sequence[type[Event] | str] | type[Event] | str
    Source: TypeAlias = EventReader | str | os.PathLike[str]

OCCURRED, RECORDED = "occurred", "recorded"
AXES = (OCCURRED, RECORDED)


openers: list[Callable[[object], EventReader | None]] = []
"""What opens a path that is not a store's directory, or returns None: added by the modules that know such a folder."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a frame: past position `after` and up to `until`, and all that is given must fit.

    `occurred` bounds `occurred_at`, in UNIX ns: the first is included, the second is not. `until` is the log's head at
    the time of asking, so that all readings of one frame have the same records.
    """

    after: int
    until: int
    types: tuple[str, ...] | None = None
    account: str | None = None
    stream: str | None = None
    symbol: str | None = None
    occurred: tuple[int | None, int | None] = (None, None)


@runtime_checkable
class TypedSource(Protocol):
    """A source that has typed columns of its records, at least up to a position, so that no event is decoded."""

    @property
    def typed_until(self) -> int:
        """The last position that `batches` gives."""

    def batches(self, selection: Selection, columns: Sequence[Column], exact: Exact) -> Iterator[tuple[int, Any]]:
        """Yield batches of a frame of events, each with the last log position that it covers."""


@contextlib.contextmanager
def opened(store: Source) -> Iterator[EventReader]:
    """Give a reader: the one given, or of the data directory or archive at a path, closed afterwards."""
    if isinstance(store, EventReader):
        yield store
        return
    for recognize in openers:
        other = recognize(store)
        if other is not None:
            with other:
                yield other
            return
    # What is not a path is refused there.
    with eventstore.open(store, read_only=True) as reader:
        yield reader


def source_of(reader: EventReader) -> object:
    """Return what a reader reads from, which may give columns as well as records."""
    return reader._source  # noqa: SLF001 - readers have no public name for it


def selection_of(
    reader: EventReader,
    *,
    types: Types | None = None,
    account: str | None = None,
    stream: str | None = None,
    symbol: object = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    until: int | None = None,
) -> Selection:
    """Return what a frame is of; raise InvalidEvent for an argument that means nothing."""
    if time not in AXES:
        msg = f"time is {' or '.join(map(repr, AXES))}, not {shown(time)}"
        raise InvalidEvent(msg)
    if symbol is not None and (not isinstance(symbol, str) or not symbol):
        msg = f"symbol is a contract's name, not {shown(symbol)}"
        raise InvalidEvent(msg)
    query = filter_of(stream, account, types)
    head = reader.head()
    last = head if until is None else min(position_of("until", until), head)
    bounds = tuple(None if bound is None else to_ns(bound) for bound in (start, stop))
    first = 0
    if time == RECORDED:
        first = 0 if bounds[0] is None else reader.position_before(bounds[0])
        last = last if bounds[1] is None else min(last, reader.position_before(bounds[1]))
        bounds = (None, None)
    return Selection(
        after=first,
        until=last,
        types=None if query.types is None else known(query.types, reader),
        account=query.account,
        stream=query.stream,
        symbol=symbol,
        occurred=bounds,  # type: ignore[arg-type] # two of them
    )


def known(names: tuple[str, ...], reader: EventReader) -> tuple[str, ...]:
    """Return names of types; raise InvalidEvent, with the nearest one, for what neither the log nor a class has."""
    for name in names:
        if by_name(name) is None and name not in (written := types_in(reader)):
            close = difflib.get_close_matches(name, [*registered_names(), *written], n=1)
            hint = f": did you mean {close[0]}?" if close else ", and no class of that name is registered"
            msg = f"the log has no events of type {shown(name)}{hint}"
            raise InvalidEvent(msg)
    return names


def types_in(reader: EventReader) -> tuple[str, ...]:
    """Return the names of the types that a log has events of, sorted."""
    return tuple(sorted(reader.types()))
