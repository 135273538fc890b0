"""Events as a frame: the records of a log with the members of their events as typed columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.errors import shown
from projections.analysis.ahead import ahead
from projections.analysis.columns import OF_RECORDS, RECORD, Column, Kind, exact_of, united
from projections.analysis.decoding import PageDecoder
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, compute
from projections.analysis.progress import Progress
from projections.analysis.sources import OCCURRED, TypedSource, opened, selection_of, source_of, types_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.sources import Selection, Source, Types

SYMBOL = "symbol"


class EventSet(Frame):
    """The events of a history as rows, in the order of the log."""


def events(
    store: Source,
    *,
    types: Types | None = None,
    account: str | None = None,
    symbol: str | None = None,
    stream: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    exact: Exact = False,
    columns: Sequence[str] | None = None,
    progress: bool | None = None,
) -> EventSet:
    """Return the events of a store, of InfluxDB or of an archive, a row each, with typed columns.

    `types` are event classes or their names; None means all that the log has. The columns are the record's members
    and those of the types, whatever the rows hold; a member that is called like a record's is `event_` and its name.
    `start` is included, `stop` is not; both are of `time`, "occurred" or "recorded". `symbol` leaves out events
    without one. `exact`: decimals as float64 (False), as decimal128(38, 9) (True), or as they are written ("text").
    `columns` chooses some, among them stream, schema, id, correlation_id, causation_id, digest and data, which are
    left out otherwise. `progress`: None shows it in a terminal and a notebook after two seconds, False never.

    The rows are those that the log has now. Raises InvalidEvent for arguments that mean nothing, and at reading for a
    number that `exact=True` cannot hold.
    """
    asked = exact_of(exact)
    with opened(store) as reader:
        selection = selection_of(
            reader, types=types, account=account, stream=stream, symbol=symbol, start=start, stop=stop, time=time
        )
        chosen = columns_of(reader, selection, columns)
    return EventSet(
        chosen,
        lambda: event_batches(store, selection, chosen, exact=asked, progress=progress),
        exact=asked,
        title="events",
    )


def columns_of(reader: EventReader, selection: Selection, names: Sequence[str] | None) -> tuple[Column, ...]:
    """Return the columns of a frame of events, or those that are named; raise InvalidEvent for one it has not."""
    types = types_in(reader) if selection.types is None else selection.types
    members = united(types)
    if names is None:
        return (*RECORD, *members.values())
    known = {**OF_RECORDS, **members}
    if isinstance(names, str) or (unknown := [name for name in names if name not in known]):
        msg = f"no columns {shown(names if isinstance(names, str) else unknown)}: there are {', '.join(known)}"
        raise InvalidEvent(msg)
    return tuple(known[name] for name in dict.fromkeys(names))


def event_batches(
    store: Source, selection: Selection, columns: Sequence[Column], *, exact: Exact, progress: bool | None
) -> Iterator[Any]:
    """Yield batches of these columns of a selection's events, in the order of the log."""
    read, kept = _with_filters(columns, selection)
    with opened(store) as reader, Progress(selection.until - selection.after, progress) as shown_progress:
        for position, rows in _read(reader, selection, read, exact):
            shown_progress.at(position - selection.after)
            batch = rows.select(kept)
            if batch.num_rows:
                yield batch


def _read(
    reader: EventReader, selection: Selection, columns: Sequence[Column], exact: Exact
) -> Iterator[tuple[int, Any]]:
    """Yield the wanted rows, with the last position they cover: typed columns where a source has them, else decoded."""
    after = selection.after
    source = source_of(reader)
    if isinstance(source, TypedSource):
        after = max(after, min(source.typed_until, selection.until))
        for position, batch in source.batches(replace(selection, until=after), columns, exact):
            yield position, _filtered(batch, selection)
    decoder = PageDecoder(columns, exact)

    def decoded(page: list[list[Any]]) -> Any:  # noqa: ANN401 - a batch of Arrow's
        return page[0][-1], _filtered(decoder.batch(page), selection)

    pages = reader.columns(
        decoder.members,
        after=after,
        until=selection.until,
        stream=selection.stream,
        account=selection.account,
        types=selection.types,
    )
    yield from ahead(decoded, pages)


def _with_filters(columns: Sequence[Column], selection: Selection) -> tuple[list[Column], list[str]]:
    """Return the columns to read, those of the filters among them, and the names of the ones to give."""
    read = {column.name: column for column in columns}
    if selection.occurred != (None, None):
        read.setdefault("occurred_at", OF_RECORDS["occurred_at"])
    if selection.symbol is not None:
        read.setdefault(SYMBOL, Column(SYMBOL, Kind.TEXT))
    return list(read.values()), [column.name for column in columns]


def _filtered(batch: Any, selection: Selection) -> Any:  # noqa: ANN401 - batches of Arrow's
    """Return the rows of a batch that a selection wants: the log's indexes know neither symbol nor occurrence."""
    pa, pc = arrow(), compute()
    masks = []
    for bound, fits in zip(selection.occurred, (pc.greater_equal, pc.less), strict=True):
        if bound is not None:
            masks.append(fits(batch.column("occurred_at"), pa.scalar(bound, pa.timestamp("ns", tz="UTC"))))
    if selection.symbol is not None:
        masks.append(pc.equal(batch.column(SYMBOL), selection.symbol))
    for mask in masks[1:]:
        masks[0] = pc.and_kleene(masks[0], mask)
    return batch.filter(masks[0]) if masks else batch
