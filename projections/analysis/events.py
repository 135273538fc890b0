"""Events as a frame: the records of a log with the members of their events as typed columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.events.registry import by_name
from projections.analysis.ahead import ahead
from projections.analysis.columns import (
    OF_RECORDS,
    RECORD,
    TEXT_DECIMALS,
    Column,
    Kind,
    exact_of,
    members_of,
    united,
)
from projections.analysis.cutting import arrays_of_lines
from projections.analysis.decoding import PageDecoder
from projections.analysis.frame import Frame
from projections.analysis.libraries import arrow, compute
from projections.analysis.progress import Progress
from projections.analysis.sources import OCCURRED, TypedSource, opened, selection_of, source_of, types_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import EventReader
    from eventstore.clock import Times
    from eventstore.journal import JoinedPage
    from projections.analysis.columns import Exact
    from projections.analysis.sources import Selection, Source, Types

SYMBOL, OCCURRED_AT = "symbol", "occurred_at"
_PLAIN = re.compile(r"[A-Za-z0-9 ._:@#=+^-]+", re.ASCII)
"""Texts that JSON has as they are."""


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
    with opened(store) as reader, Progress(selection.until - selection.after, progress) as shown_progress:
        for last, _, batch in read_batches(reader, selection, columns, exact):
            shown_progress.at(last - selection.after)
            if batch.num_rows:
                yield batch


def read_batches(
    reader: EventReader, selection: Selection, columns: Sequence[Column], exact: Exact
) -> Iterator[tuple[int, int, Any]]:
    """Yield batches of a selection, each with the last log position and the number of records that were read for it.

    Typed columns are taken as they are where a source has them; what lies past them is decoded.
    """
    read, kept = _with_filters(columns, selection)
    after = selection.after
    source = source_of(reader)
    if isinstance(source, TypedSource):
        after = max(after, min(source.typed_until, selection.until))
        for position, batch in source.batches(replace(selection, until=after), read, exact):
            yield position, batch.num_rows, _filtered(batch, selection).select(kept)
    decoder = PageDecoder(read, exact)
    wanted: Any = {
        "stream": selection.stream,
        "account": selection.account,
        "types": selection.types,
        "containing": _bytes_of(selection, reader),
    }

    def of_columns(page: list[list[Any]]) -> tuple[int, int, Any]:
        return page[0][-1], len(page[0]), _filtered(_batch_of(page, decoder, selection), selection).select(kept)

    def of_lines(lines: JoinedPage) -> tuple[int, int, Any]:
        try:
            batch = decoder.batch(arrays_of_lines(lines, names))
        except ValueError:
            # A value has line breaks, is not text, or does not fit: single values are read, or refused by position.
            (page,) = reader.columns(decoder.members, after=lines.after, until=lines.until, **wanted)
            return of_columns(page)
        return lines.until, lines.rows, _filtered(batch, selection).select(kept)

    names = ("position", *decoder.members)
    joined = reader.lines(names, after=after, until=selection.until, **wanted)
    if joined is not None:
        yield from ahead(of_lines, joined)
    else:
        yield from ahead(of_columns, reader.columns(decoder.members, after=after, until=selection.until, **wanted))


def _batch_of(page: list[list[Any]], decoder: PageDecoder, selection: Selection) -> Any:  # noqa: ANN401 - a batch
    """Return a page as a batch; what does not fit is an error only in a row that a selection wants."""
    try:
        return decoder.batch(page)
    except InvalidEvent:
        filters = [column for column in decoder.columns if column.name in {SYMBOL, OCCURRED_AT}]
        own = PageDecoder(filters, TEXT_DECIMALS)
        mask = _mask_of(
            own.batch([page[0], *(page[1 + decoder.members.index(name)] for name in own.members)]), selection
        )
        if mask is None:
            raise
        rows = [row for row, is_selected in enumerate(mask.to_pylist()) if is_selected]
        if not rows:
            return arrow().RecordBatch.from_pylist([], schema=decoder.schema)
        return decoder.batch([[values[row] for row in rows] for values in page])


def _bytes_of(selection: Selection, reader: EventReader) -> bytes | None:
    """Return bytes that the data of each event of a symbol has, so that a journal need not give the others.

    None if the data may have the symbol in another form, or not at all, as in older schemas.
    """
    symbol = selection.symbol
    if symbol is None or _PLAIN.fullmatch(symbol) is None:
        return None
    for name in types_in(reader) if selection.types is None else selection.types:
        kind = by_name(name)
        found = [member for member in members_of(name) if member.column.name == SYMBOL]
        if found and (
            kind is None or kind.schema > 1 or found[0].column.kind is not Kind.TEXT or found[0].default == symbol
        ):
            return None
    return b'"%s"' % symbol.encode()


def _with_filters(columns: Sequence[Column], selection: Selection) -> tuple[list[Column], list[str]]:
    """Return the columns to read, those of the filters among them, and the names of the ones to give."""
    read = {column.name: column for column in columns}
    if selection.occurred != (None, None):
        read.setdefault(OCCURRED_AT, OF_RECORDS[OCCURRED_AT])
    if selection.symbol is not None:
        read.setdefault(SYMBOL, Column(SYMBOL, Kind.TEXT))
    return list(read.values()), [column.name for column in columns]


def _filtered(batch: Any, selection: Selection) -> Any:  # noqa: ANN401 - batches of Arrow's
    """Return the rows of a batch that a selection wants: the log's indexes know neither symbol nor occurrence."""
    mask = _mask_of(batch, selection)
    return batch if mask is None else batch.filter(mask)


def _mask_of(batch: Any, selection: Selection) -> Any:  # noqa: ANN401 - a batch and an array of Arrow's
    """Return which rows of a batch a selection wants, None if it wants all."""
    pa, pc = arrow(), compute()
    masks = []
    for bound, fits in zip(selection.occurred, (pc.greater_equal, pc.less), strict=True):
        if bound is not None:
            masks.append(fits(batch.column(OCCURRED_AT), pa.scalar(bound, pa.timestamp("ns", tz="UTC"))))
    if selection.symbol is not None:
        # In a class of somebody's own it may be an enum, or a number.
        masks.append(pc.equal(batch.column(SYMBOL).cast(pa.string()), selection.symbol))
    for mask in masks[1:]:
        masks[0] = pc.and_kleene(masks[0], mask)
    return masks[0] if masks else None
