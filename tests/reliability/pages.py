"""SQLite's file format, as far as editing a journal by its bytes needs it (sqlite.org/fileformat2.html).

Pages are taken apart into cells and put together again without a trace: no check of the pages' layout sees that
anything was changed, so what is found is found by its content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE = 2, 5, 10, 13
HEADER_BYTES = 100
Value = None | int | float | str | bytes

_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
REAL = 7


class Cell(NamedTuple):
    """A cell: its left child, where there is one, its rowid, in a table, and its record."""

    child: int | None
    rowid: int | None
    payload: bytes


class Page(NamedTuple):
    """A page of a b-tree. `number` counts from 1; `right` is the last child of an interior one."""

    number: int
    kind: int
    cells: list[Cell]
    right: int | None


class Column(NamedTuple):
    """A column of a record: its serial type and its bytes."""

    serial: int
    body: bytes


def varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return the number that is encoded at a place, and the place after it."""
    value = 0
    for count in range(8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value << 8 | data[at + 8], at + 9


def to_varint(value: int) -> bytes:
    """Return a number as SQLite encodes it, of less than 2^56."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


class File:
    """A database file's bytes, its pages without overflow."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        (self.page_bytes,) = struct.unpack_from(">H", data, 16)

    def pages(self, root: int) -> Iterator[Page]:
        """Yield the pages of a b-tree, from its root on."""
        page = self.page(root)
        yield page
        for child in [cell.child for cell in page.cells] + [page.right]:
            if child is not None:
                yield from self.pages(child)

    def page(self, number: int) -> Page:
        start, at = self._places(number)
        data = self.data
        kind, count = data[at], struct.unpack_from(">H", data, at + 3)[0]
        is_interior = kind in {INTERIOR_INDEX, INTERIOR_TABLE}
        right = struct.unpack_from(">I", data, at + 8)[0] if is_interior else None
        pointers = struct.unpack_from(f">{count}H", data, at + (12 if is_interior else 8))
        return Page(number, kind, [self._cell(kind, start + pointer) for pointer in pointers], right)

    def _places(self, number: int) -> tuple[int, int]:
        start = (number - 1) * self.page_bytes
        return start, start + (HEADER_BYTES if number == 1 else 0)

    def _cell(self, kind: int, at: int) -> Cell:
        child = rowid = None
        if kind in {INTERIOR_INDEX, INTERIOR_TABLE}:
            (child,) = struct.unpack_from(">I", self.data, at)
            at += 4
        if kind == INTERIOR_TABLE:
            return Cell(child, varint(self.data, at)[0], b"")
        size, at = varint(self.data, at)
        if kind == LEAF_TABLE:
            rowid, at = varint(self.data, at)
        most = self.page_bytes - 35 if kind == LEAF_TABLE else (self.page_bytes - 12) * 64 // 255 - 23
        assert size <= most, "a record of these tests must not need overflow pages"
        return Cell(child, rowid, bytes(self.data[at : at + size]))

    def put(self, page: Page) -> bool:
        """Rewrite a page's cells, laid out as SQLite does; return whether they fit."""
        start, at = self._places(page.number)
        is_interior = page.right is not None
        first = at + (12 if is_interior else 8)
        end = start + self.page_bytes
        encoded = [_encoded(page.kind, cell) for cell in page.cells]
        if first + 2 * len(encoded) + sum(map(len, encoded)) > end:
            return False
        pointers = []
        self.data[first:end] = bytes(end - first)
        for cell in encoded:
            end -= len(cell)
            self.data[end : end + len(cell)] = cell
            pointers.append(end - start)
        struct.pack_into(">BHHHB", self.data, at, page.kind, 0, len(encoded), end - start, 0)
        if page.right is not None:
            struct.pack_into(">I", self.data, at + 8, page.right)
        struct.pack_into(f">{len(pointers)}H", self.data, first, *pointers)
        return True


def _encoded(kind: int, cell: Cell) -> bytes:
    child = b"" if cell.child is None else struct.pack(">I", cell.child)
    if kind == INTERIOR_TABLE:
        return child + to_varint(cell.rowid or 0)
    rowid = b"" if cell.rowid is None else to_varint(cell.rowid)
    encoded = child + to_varint(len(cell.payload)) + rowid + cell.payload
    # No cell is smaller than four bytes, so that a freed one can hold a free block's header.
    return encoded.ljust(4, b"\0")


def columns(payload: bytes) -> list[Column]:
    """Take a record apart."""
    header_end, at = varint(payload, 0)
    body, found = header_end, []
    while at < header_end:
        serial, at = varint(payload, at)
        size = _size(serial)
        found.append(Column(serial, payload[body : body + size]))
        body += size
    return found


def record(parts: Sequence[Column]) -> bytes:
    """Put a record together."""
    serials = b"".join([to_varint(part.serial) for part in parts])
    assert len(serials) < 0x7F, "a header of one byte's length is enough for these tables"
    return to_varint(len(serials) + 1) + serials + b"".join([part.body for part in parts])


def _size(serial: int) -> int:
    if serial >= 12:
        return (serial - 12) // 2
    return 8 if serial == REAL else _INTEGERS.get(serial, 0)


def column(value: Value) -> Column:
    """Encode a value as SQLite does, with as few bytes as it needs."""
    if value is None:
        return Column(0, b"")
    if isinstance(value, str):
        return Column(2 * len(value.encode()) + 13, value.encode())
    if isinstance(value, bytes):
        return Column(2 * len(value) + 12, value)
    if isinstance(value, float):
        return Column(REAL, struct.pack(">d", value))
    if value in {0, 1}:
        return Column(8 + value, b"")
    return next(
        wide(value, serial) for serial, size in _INTEGERS.items() if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1
    )


def wide(value: int, serial: int = 6) -> Column:
    """Encode an integer with the bytes of a serial type, by default the widest."""
    return Column(serial, value.to_bytes(_INTEGERS[serial], "big", signed=True))


def value_of(part: Column) -> Value:
    """Decode a column."""
    serial, body = part
    if serial >= 12:
        return body.decode() if serial % 2 else body
    if serial == REAL:
        return float(struct.unpack(">d", body)[0])
    return {0: None, 8: 0, 9: 1}.get(serial, int.from_bytes(body, "big", signed=True))
