"""Records as a client library takes them: MessagePack, which holds bytes and times as they are, in rows or columns."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec.structs import astuple

from eventstore.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERS = tuple(name for name in Record.__struct_fields__ if name != "log")
"""A record's members in their order, without the log's name: all records of an answer are of one log."""
CHUNK = 500
"""How many records one page of columns has: so many are read at a time, and an answer has any number of pages."""
IDS_MAX = 200
"""The most ids that are looked up at once."""
NODES_MAX = 10_000
"""The most nodes of the tree that are asked for at once."""

Row: TypeAlias = tuple[
    bytes, str, str, int, int, bytes, str, str, bytes | None, bytes | None, int, int, int, bytes
]  # fmt: skip
Columns: TypeAlias = tuple[
    list[bytes], list[str], list[str], list[int], list[int], list[bytes], list[str], list[str],
    list[bytes | None], list[bytes | None], list[int], list[int], list[int], list[bytes],
]  # fmt: skip


class PackedOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of a group: the rows of its records, or the problem document, as JSON, of what kept it out."""

    records: list[Row] | None = None
    problem: bytes = b""


_outcomes = msgspec.msgpack.Decoder(list[PackedOutcome])
_pages = msgspec.msgpack.Decoder(list[Columns])
_any_pages = msgspec.msgpack.Decoder(list[list[list[Any]]])
_encode = msgspec.msgpack.Encoder().encode


def packed_outcome(records: Sequence[Record]) -> PackedOutcome:
    """Return the outcome of a group that was written."""
    return PackedOutcome([astuple(record)[:-1] for record in records])


def packed(outcomes: Sequence[PackedOutcome]) -> bytes:
    """Return outcomes as they are sent."""
    return _encode(outcomes)


def unpacked_outcomes(body: bytes) -> list[PackedOutcome]:
    """Return what `packed` made; raise msgspec.MsgspecError for anything else."""
    return _outcomes.decode(body)


def packed_page(columns: Sequence[Sequence[object]]) -> msgspec.Raw:
    """Return a page of columns as a part of an answer."""
    return msgspec.Raw(_encode(columns))


def packed_pages(pages: Sequence[msgspec.Raw]) -> bytes:
    """Return an answer of pages."""
    return _encode(pages)


def records_of(rows: Sequence[Row], log: str) -> list[Record]:
    """Return the records that rows hold."""
    return [Record(*row, log) for row in rows]


def unpacked_records(body: bytes, log: str) -> list[Record]:
    """Return the records of pages with all MEMBERS; raise msgspec.MsgspecError and ValueError for anything else."""
    found: list[Record] = []
    for page in _pages.decode(body):
        # Every column is of the same length: `strict` has no way to say so with the endless name of the log.
        if len({len(column) for column in page}) != 1:
            msg = "the columns of a page differ in length"
            raise ValueError(msg)
        found += map(Record, *page, itertools.repeat(log))
    return found


def unpacked_columns(body: bytes, count: int) -> list[list[Any]]:
    """Return the columns of pages, joined; raise msgspec.MsgspecError and ValueError for anything else."""
    joined: list[list[Any]] = [[] for _ in range(count)]
    for page in _any_pages.decode(body):
        if len(page) != count or len({len(column) for column in page}) > 1:
            msg = "a page has other columns than were asked for"
            raise ValueError(msg)
        for column, part in zip(joined, page, strict=True):
            column.extend(part)
    return joined
