"""Check a bundle that `eventstore export --bundle` wrote.

Run it as: python verify_bundle.py FILE.zip --key VKEY

It is one file and needs Python's standard library alone, so that it can be read whole and run anywhere. Take it, and
the log's public key, from elsewhere than from the bundle. It ends with status 0 where everything is proved, 1 where
something is not as it was signed (with the position), and 2 where it cannot tell.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python looks for modules beside this file first, where a bundle may have been unpacked.
    del sys.path[0]

import argparse
import base64
import binascii
import calendar
import hashlib
import json
import os
import re
import struct
import time
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

FORMAT = "eventstore-bundle/1"
MANIFEST, MANIFEST_NOTE = "manifest.json", "manifest.note"
RECORDS, TABLE, STREAMS = "records.jsonl", "records.csv", "streams.csv"
PROOF, CHECKPOINT, KEYS = "proof.bin", "checkpoint.txt", "key.txt"
MANIFEST_TITLE = "eventstore bundle manifest"
GOOD, BAD, UNKNOWN = 0, 1, 2

SIZE_MAX = (1 << 63) - 1
NANOSECONDS = 1_000_000_000
HASH_BYTES = 32
SMALL_FILE_MAX, LINE_MAX, SIGNATURES_MAX, FILES_MAX = 16_000_000, 2_000_000, 64, 1_000
RATIO_MAX, RATIO_FROM = 150, 1_000_000
CHUNK = 1 << 18
CACHED_MAX = 20_000


class NotSo(Exception):
    """Something is not as it was recorded or signed; `position` is 0 where it belongs to no record."""

    def __init__(self, reason: str, position: int = 0) -> None:
        self.reason, self.position = reason, position
        super().__init__(reason)


class CannotTell(Exception):
    """What would be needed to decide is not there, or not known to this version."""


# --- Ed25519 (RFC 8032, section 5.1) --------------------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
# A point (x, y) as X/Z, Y/Z and X·Y/Z, with Z; the first is the neutral one.
ZERO: tuple[int, ...] = (0, 1, 1, 0)


def add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sum of two points (RFC 8032, section 5.1.4)."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    g, h = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(factor: int, point: tuple[int, ...]) -> tuple[int, ...]:
    """Return a multiple of a point."""
    total = ZERO
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def point_of(encoded: bytes) -> tuple[int, ...] | None:
    """Return the point that 32 bytes encode; None for none, and for any but the one encoding that a point has."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if len(encoded) != HASH_BYTES or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (not x and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def bytes_of(point: tuple[int, ...]) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(HASH_BYTES, "little")


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(HASH_BYTES, "little"))


def is_own(key: bytes) -> bool:
    """Return whether 32 bytes are a public key that only its owner can sign for.

    For one of small order signatures fit without any secret.
    """
    point = point_of(key)
    return point is not None and bytes_of(times(8, point)) != bytes_of(ZERO)


def is_ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether a signature is the key's (RFC 8032, section 5.1.7), in the one form that it has.

    Refused are keys of small order, and an S that is not below the order, which would make a second signature of one.
    """
    point = point_of(key)
    if point is None or len(signature) != 2 * HASH_BYTES or not is_own(key):
        return False
    r, s = signature[:HASH_BYTES], int.from_bytes(signature[HASH_BYTES:], "little")
    if s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % ORDER
    # S·B = R + k·A, with the points' own encodings compared.
    minus = (P - point[0], point[1], 1, P - point[3])
    return bytes_of(add(times(s, BASE or ZERO), times(k, minus))) == r


# --- Signed notes, keys and checkpoints (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature) --------------------


def base64_bytes(text: str, what: str) -> bytes:
    """Return what standard base64 stands for; other spellings of the same bytes are refused."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotSo(f"{what} is not base64") from error
    if base64.b64encode(content).decode() != text:
        raise NotSo(f"{what} is not in the standard form of base64")
    return content


class NoteKey:
    """A public key, NAME+HASH+BASE64: of a log (type 1), or of a witness that states its time (type 4)."""

    def __init__(self, line: str) -> None:
        self.line = line.strip()
        name, _, rest = self.line.partition("+")
        digits, _, encoded = rest.partition("+")
        content = base64_bytes(encoded, "the public key")
        if not name or any(sign.isspace() for sign in name) or len(content) != 1 + HASH_BYTES:
            raise NotSo("a public key is one line, NAME+HASH+BASE64")
        self.name, self.kind, self.raw = name, content[0], content[1:]
        self.id = hashlib.sha256(name.encode() + b"\n" + content).digest()[:4]
        if self.id.hex() != digits or self.kind not in {1, 4}:
            raise NotSo(f"the public key {name!a} does not have its own hash, or is of a kind not known here")

    def signs(self, text: str, signatures: list[tuple[str, bytes]]) -> str | None:
        """Return what this key's signature says, None without one; a false one that names this key is refused."""
        found = None
        for name, signed in signatures:
            if (name, signed[:4]) != (self.name, self.id):
                continue
            body, message, found = signed[4:], text.encode(), f"signed by {self.name}"
            if self.kind == 4:
                seconds, body = int.from_bytes(body[:8], "big"), body[8:]
                message = f"cosignature/v1\ntime {seconds}\n".encode() + message
                found = f"witnessed by {self.name} at {time_text(min(seconds * NANOSECONDS, SIZE_MAX))}"
            if not is_ed25519(self.raw, message, body):
                raise NotSo(f"the signature by {self.name!a} does not fit: the text or the signature was altered")
        return found


def split_note(content: bytes, what: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text of a note and its signatures by name; a checkpoint that nobody signed has none."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotSo(f"{what} is not UTF-8") from error
    if any(sign < " " and sign != "\n" for sign in text):
        raise NotSo(f"{what} holds control characters")
    body, blank, lines = text.rpartition("\n\n")
    if not blank:
        body, lines = text.removesuffix("\n"), "\n"
    found = lines[:-1].split("\n") if lines != "\n" else []
    if not lines.endswith("\n") or len(found) > SIGNATURES_MAX:
        raise NotSo(f"{what} was cut off, or has too many signatures")
    signatures = []
    for line in found:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "\N{EM DASH}" or not name:
            raise NotSo(f"{what} has a line that is not a signature")
        signatures.append((name, base64_bytes(encoded, f"a signature of {what}")))
    return body + "\n", signatures


def checkpoint_of(text: str) -> tuple[str, int, bytes]:
    """Return a checkpoint's origin, size and root."""
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines) or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1], re.ASCII):
        raise NotSo(f"{CHECKPOINT} is not a checkpoint: an origin, a size, a root, each on its line")
    root = base64_bytes(lines[2], "the checkpoint's root")
    if len(root) != HASH_BYTES or int(lines[1]) > SIZE_MAX:
        raise NotSo(f"{CHECKPOINT} has a size or a root that no log has")
    return lines[0], int(lines[1]), root


# --- The tree (RFC 6962, section 2.1) -------------------------------------------------------------------------------


def blocks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield level and number of the largest complete subtrees that consecutive leaves consist of, left to right."""
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


class PartialTree:
    """A tree of which some leaves are known; `node(level, number)` gives the subtrees in between, in order.

    So the records of a bundle have one proof together: the hashes that they do not give themselves.
    """

    def __init__(self, node: Callable[[int, int], bytes]) -> None:
        self.size = 0
        self._node, self._levels, self._hashes = node, list[int](), list[bytes]()

    def add(self, position: int, leaf: bytes) -> None:
        """Take the leaf of a position past all before it."""
        if self.size < position - 1:
            self.fill(position - 1)
        self._push(0, leaf)

    def fill(self, size: int) -> None:
        """Take all leaves up to a size from the proof."""
        for level, number in blocks(self.size, size):
            self._push(level, self._node(level, number))

    def _push(self, level: int, found: bytes) -> None:
        levels, hashes, sha256 = self._levels, self._hashes, hashlib.sha256
        self.size += 1 << level
        while levels and levels[-1] == level:
            found = sha256(b"\1" + hashes.pop() + found).digest()
            level = levels.pop() + 1
        levels.append(level)
        hashes.append(found)

    def root(self) -> bytes:
        root = self._hashes[-1] if self._hashes else hashlib.sha256().digest()
        for left in reversed(self._hashes[:-1]):
            root = hashlib.sha256(b"\1" + left + root).digest()
        return root


# --- A record as a line of JSON, as bytes that are hashed, and as a row of CSV ----------------------------------------

_TEXT = r'("[^"\\]*(?:\\.[^"\\]*)*")'
_ORDINARY = re.compile(r'"[ !#-\[\]-~]*"')
_NUMBER = r"(0|[1-9][0-9]{0,18})"
_TIME = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])\.([0-9]{9})Z"'
_ID = r'"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"'
# The members in this order, spelled in one way: a number has no leading zero, a text the escapes of `json.dumps`. So
# no reader of JSON finds other values in a line than the ones hashed here.
_LINE = re.compile(
    r'\{"position":' + _NUMBER + r',"recorded_at":' + _TIME + r',"occurred_at":' + _TIME + r',"stream":' + _TEXT
    + r',"version":' + _NUMBER + r',"type":' + _TEXT + r',"schema":' + _NUMBER + r',"actor":' + _TEXT
    + r',"note":' + _TEXT + r',"id":(' + _ID + r'),"correlation_id":(null|' + _ID + r'),"causation_id":(null|' + _ID
    + r'),"digest":"([0-9a-f]{64})","data":(.+)\}',
    re.DOTALL,
)  # fmt: skip
COLUMNS = (
    "position", "recorded_at", "occurred_at", "account", "stream", "version", "type", "schema", "actor", "note", "id",
    "correlation_id", "causation_id", "data",
)  # fmt: skip
TABLE_HEAD = (",".join(COLUMNS) + "\r\n").encode()
# Where a spreadsheet begins to read a cell: at its start, and after what some take for the end of a cell or a line.
_FORMULA = re.compile("(?:^|(?<=[;|\t\r\n]))(?=[ \"']{0,16}[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20])")
_HARMLESS = frozenset("{[abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_PLACE = struct.Struct(">IQIQIqIqI16sI").pack


def cell(text: str) -> str:
    """Return text as a cell of CSV, in quotes; an apostrophe makes a text of what would be a formula."""
    if text[:1] not in _HARMLESS or ";" in text or "|" in text or "\t" in text or "\r" in text or "\n" in text:
        # What begins with an apostrophe gets another one, so that no two texts become the same cell.
        text = ("'" if text[:1] == "'" else "") + _FORMULA.sub("'", text)
    return '"' + text.replace('"', '""') + '"'


def time_text(instant: int) -> str:
    """Return UNIX nanoseconds as a time in UTC with all nine digits."""
    seconds, rest = divmod(instant, NANOSECONDS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def json_line(
    numbers: tuple[int, int, int, int, int],
    texts: tuple[str, str, str, str],
    ids: tuple[str | None, ...],
    digest: bytes,
    data: bytes,
) -> bytes:
    """Return a record's line, as `Lines` reads it.

    `numbers` are position, version, schema, recorded_at and occurred_at; `texts` stream, type, actor and note.
    """
    position, version, schema, recorded_at, occurred_at = numbers
    stream, type_, actor, note = map(json.dumps, texts)
    id_, correlation, causation = ["null" if each is None else f'"{each}"' for each in ids]
    head = (
        f'{{"position":{position},"recorded_at":"{time_text(recorded_at)}","occurred_at":"{time_text(occurred_at)}",'
        f'"stream":{stream},"version":{version},"type":{type_},"schema":{schema},"actor":{actor},"note":{note},'
        f'"id":{id_},"correlation_id":{correlation},"causation_id":{causation},'
        f'"digest":"{digest.hex()}","data":'
    )
    return head.encode() + (data if is_plain(data) else json.dumps(data.decode()).encode()) + b"}\n"


def is_plain(data: bytes) -> bool:
    """Return whether an event's data is one JSON object on one line in which no name stands twice."""
    try:
        found = _parse(data.decode())
    except (ValueError, RecursionError):
        return False
    return type(found) is dict and data[:1] == b"{" and data[-1:] == b"}" and b"\n" not in data and b"\r" not in data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_parse = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode
_parse_first = json.JSONDecoder(parse_constant=_no_constant).raw_decode


def _check_object(text: str) -> None:
    """Raise ValueError unless a text that begins with a brace is one JSON object in which no name stands twice."""
    found, end = _parse_first(text)
    # Each pair has a colon: with no more colons than names, there are no more pairs than names. It is quicker to see.
    if end != len(text) or text.count(":") != len(found):
        _parse(text)


class Lines:
    """Reads the lines of records.jsonl: each record's digest, its row of CSV, and what the query is compared with."""

    def __init__(self, log_id: bytes) -> None:
        self._head = b"\0" + _member(log_id)
        self._streams: dict[str, tuple[bytes, str, str, str]] = {}
        self._writers: dict[tuple[str, ...], tuple[bytes, str, str, str]] = {}
        self._days: dict[str, int] = {}
        self._seconds: dict[str, int] = {}

    def rows(self, records: BundledFile, report: BundleReport, total: int, progress: Any) -> Iterator[Row]:
        """Yield the records of a file, counting them in a report."""
        for number, line in enumerate(records.lines(), 1):
            yield self.record(line, number)
            report.records = number
            if progress is not None and not number % 10_000:
                progress(number, total)

    def record(self, line: bytes, number: int) -> Row:
        """Return the record of a line; raise NotSo where it is spelled in another way, or was changed."""
        try:
            match = _LINE.fullmatch(line.decode())
        except UnicodeDecodeError as error:
            raise NotSo(f"line {number} of {RECORDS}: {error}", _position_in(line)) from error
        if match is None:
            raise NotSo(f"line {number} of {RECORDS} is not a record in the one form that it has", _position_in(line))
        (position, recorded, nano, occurred, nano_, stream, version, type_, schema, actor, note, id_, correlation,
         causation, stated, data) = match.groups()  # fmt: skip
        row = Row()
        row.position, row.version = int(position), int(version)
        try:
            row.recorded_at = (self._seconds.get(recorded) or self._second(recorded)) + int(nano)
            occurred_at = (self._seconds.get(occurred) or self._second(occurred)) + int(nano_)
            beginning, row.stream, row.account, stream_cells = self._streams.get(stream) or self._stream(stream)
            writer = (type_, schema, actor, note)
            middle, row.type, type_cells, cells = self._writers.get(writer) or self._writer(writer)
            first, first_cell = _optional_id(correlation)
            second, second_cell = _optional_id(causation)
            content = (text := _data(data)).encode()
            place = _PLACE(
                8, row.position, 8, row.version, 8, row.recorded_at, 8, occurred_at, 16, _id_bytes(id_), len(content)
            )
        except (ValueError, RecursionError, OverflowError, struct.error) as error:
            raise NotSo(f"line {number} of {RECORDS}: {error}", row.position) from error
        found = hashlib.sha256(b"".join((beginning, middle, first, second, place, content)))
        if found.hexdigest() != stated:
            raise NotSo("the record does not have its digest: it was changed after it was recorded", row.position)
        row.digest = found.digest()
        row.csv = (
            f"{position},{recorded}.{nano}Z,{occurred}.{nano_}Z,{stream_cells},"
            f"{version},{type_cells},{cells},{id_[1:-1]},{first_cell},{second_cell},{cell(text)}\r\n"
        )
        return row

    def instant(self, second: str, nano: str) -> int:
        """Return UNIX nanoseconds of YYYY-MM-DDTHH:MM:SS and nine digits; raise ValueError for no day of a calendar."""
        return (self._seconds.get(second) or self._second(second)) + int(nano)

    def _second(self, text: str) -> int:
        day, _, clock = text.partition("T")
        seconds = self._days.get(day)
        if seconds is None:
            year, month, date = map(int, day.split("-"))
            seconds = calendar.timegm((year, month, date, 0, 0, 0))
            if time_text(seconds * NANOSECONDS)[:10] != day or not 1970 <= year <= 2261:
                raise ValueError("a time that is not a day of the calendar, or not from 1970 to 2261")
            self._days[day] = seconds
        hour, minute, second = map(int, clock.split(":"))
        if len(self._seconds) >= CACHED_MAX:
            self._seconds.clear()
        found = self._seconds[text] = (seconds + hour * 3600 + minute * 60 + second) * NANOSECONDS
        return found

    def _stream(self, raw: str) -> tuple[bytes, str, str, str]:
        """Return the beginning of the digests of a stream, its name and account, and its cells."""
        stream = _text(raw)
        account = stream.split("/")[1] if stream.count("/") == 2 else ""
        if len(self._streams) >= CACHED_MAX:
            self._streams.clear()
        found = self._head + _member(stream.encode()), stream, account, f"{cell(account)},{cell(stream)}"
        self._streams[raw] = found
        return found

    def _writer(self, raw: tuple[str, ...]) -> tuple[bytes, str, str, str]:
        """Return what records of one type, schema, actor and note share: the digest's next members, type and cells."""
        type_, actor, note = [_text(raw[index]) for index in (0, 2, 3)]
        members = [type_.encode(), int(raw[1]).to_bytes(8, "big"), actor.encode(), note.encode()]
        if len(self._writers) >= CACHED_MAX:
            self._writers.clear()
        cells = f"{cell(type_)},{int(raw[1])}", f"{cell(actor)},{cell(note)}"
        found = b"".join(map(_member, members)), type_, *cells
        self._writers[raw] = found
        return found


class Row:
    """A record of a bundle."""

    __slots__ = ("account", "csv", "digest", "position", "recorded_at", "stream", "type", "version")
    position: int
    version: int
    recorded_at: int
    stream: str
    type: str
    account: str
    digest: bytes
    csv: str


_NO_ID = bytes(4)


def _member(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _id_bytes(text: str) -> bytes:
    return bytes.fromhex(text[1:-1].replace("-", ""))


def _optional_id(text: str) -> tuple[bytes, str]:
    """Return an id or null as it is hashed, and its cell."""
    return (_NO_ID, "") if text == "null" else (_member(_id_bytes(text)), text[1:-1])


def _data(raw: str) -> str:
    """Return the data as they were hashed: an object stands as it is, all else as a JSON string."""
    if raw[:1] != "{":
        return _text(raw)
    _check_object(raw)
    return raw


def _text(raw: str) -> str:
    """Return what a JSON string says; raise ValueError unless it is spelled as json.dumps spells it."""
    if _ORDINARY.fullmatch(raw):
        return raw[1:-1]
    found = json.loads(raw)
    if type(found) is not str or json.dumps(found) != raw:
        raise ValueError("a text is not spelled as json.dumps spells it")
    return found


def _position_in(line: bytes) -> int:
    found = re.match(rb'\{"position":([1-9][0-9]{0,18}),', line)
    return int(found[1]) if found else 0


# --- The file -------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_STORED, _DEFLATED = 0, 8
# Nothing of a zip's headers is left open: made by version 2.0 on Unix, on 1 January 1980, a file of its owner alone.
_MADE_BY, _NEEDED, _TIME_OF_DAY, _DAY, _MODE = 3 << 8 | 20, 20, 0, 33, 0o100600 << 16


def is_name(name: str) -> bool:
    """Return whether a file of a bundle can have this name."""
    return _NAME.fullmatch(name) is not None


class ZipEntry:
    """A file's place in the zip."""

    def __init__(self, name: str, method: int, crc: int, sizes: tuple[int, int], start: int) -> None:
        self.name, self.method, self.crc, self.start = name, method, crc, start
        self.packed, self.size = sizes


class Archive:
    """A zip that every program unpacks alike: flat names, each once, one after another, and nothing in between.

    It is read here without the library's reader, so that each of its bytes is looked at.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - as long as this object
        self.entries: dict[str, ZipEntry] = {}
        try:
            self._read()
        except (struct.error, UnicodeDecodeError) as error:
            self.close()
            raise NotSo(f"this is not a whole zip file: {error}") from error
        except NotSo:
            self.close()
            raise

    def _read(self) -> None:
        whole = self._file.seek(0, os.SEEK_END)
        count, size, start = self._end(whole)
        self._file.seek(start)
        central, at, end = self._file.read(size), 0, 0
        for _ in range(count):
            (_, _, _, _, method, _, _, crc, packed, full, length, _, _, _, _, _, offset) = _CENTRAL.unpack_from(
                central, at
            )
            own = central[at + _CENTRAL.size : at + _CENTRAL.size + length]
            name = own.decode("ascii")
            middle = (0, method, _TIME_OF_DAY, _DAY, crc, packed, full, length)
            expected = _CENTRAL.pack(b"PK\1\2", _MADE_BY, _NEEDED, *middle, 0, 0, 0, 0, _MODE, end) + own
            if central[at : at + len(expected)] != expected or not is_name(name) or method not in {_STORED, _DEFLATED}:
                raise NotSo(f"{name[:100]!a} is not stored as a bundle's files are")
            self._file.seek(offset)
            header = _LOCAL.pack(b"PK\3\4", _NEEDED, *middle, 0) + own
            if self._file.read(len(header)) != header:
                raise NotSo(f"{name} has a header that is not the one in the zip's table of contents")
            if name.lower() in {known.lower() for known in self.entries}:
                raise NotSo(f"{name} is in the zip twice")
            # Many records may be alike; they are read line by line, and nothing that was read is kept.
            if name not in {RECORDS, TABLE} and full > max(RATIO_FROM, RATIO_MAX * packed):
                raise NotSo(f"{name} becomes {full:,} bytes of {packed:,}: no bundle's file does")
            self.entries[name] = ZipEntry(name, method, crc, (packed, full), end + len(header))
            at, end = at + len(expected), end + len(header) + packed
        if (at, end) != (size, start):
            raise NotSo("the zip holds something that is not among its entries")

    def _end(self, whole: int) -> tuple[int, int, int]:
        """Return how many entries there are, and size and place of their table, as the last bytes say."""
        self._file.seek(max(whole - _END.size, 0))
        found = self._file.read(_END.size)
        _, _, _, count, _, size, start, _ = _END.unpack(found)
        if found != _END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0) or start + size + _END.size != whole:
            raise NotSo("this is not a whole zip file: it was cut off, or something was added to it")
        if count > FILES_MAX or size > SMALL_FILE_MAX:
            raise NotSo("the zip has more files than any bundle")
        return count, size, start

    def chunks(self, name: str, packed: str | None) -> Iterator[bytes]:
        """Yield a file's content; raise NotSo where it is damaged, or packed in another way than is stated."""
        entry, found = self.entries[name], hashlib.sha256()
        unpack = zlib.decompressobj(-15)
        at, left, crc, size = entry.start, entry.packed, 0, 0
        try:
            while left:
                self._file.seek(at)
                raw = self._file.read(min(left, CHUNK))
                if not raw:
                    raise NotSo(f"{name} was cut off while it was read")
                found.update(raw)
                at, left = at + len(raw), left - len(raw)
                while raw:
                    chunk, raw = (
                        (raw, b"")
                        if entry.method == _STORED
                        else (unpack.decompress(raw, CHUNK), unpack.unconsumed_tail)
                    )
                    crc, size = zlib.crc32(chunk, crc), size + len(chunk)
                    if chunk:
                        yield chunk
        except zlib.error as error:
            raise NotSo(f"{name} is damaged: {error}") from error
        if entry.method == _DEFLATED and (not unpack.eof or unpack.unused_data):
            raise NotSo(f"{name} is damaged: what is packed does not end where it should")
        if (crc, size) != (entry.crc, entry.size) or packed not in {None, found.hexdigest()}:
            raise NotSo(f"{name} is damaged: it is not what was packed")

    def small(self, name: str) -> bytes:
        """Return a short file; the manifest, which cannot say how it is packed itself, is stored as it is."""
        if name not in self.entries:
            raise NotSo(f"the bundle has no {name}")
        if self.entries[name].size > SMALL_FILE_MAX or (
            name in {MANIFEST, MANIFEST_NOTE} and self.entries[name].method
        ):
            raise NotSo(f"{name} is larger than any bundle's, or packed")
        return b"".join(self.chunks(name, None))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class BundledFile:
    """A file of the bundle as it is read: counted, hashed, and compared with the manifest at the end."""

    def __init__(self, archive: Archive, name: str, stated: dict[str, Any]) -> None:
        self.name, self._stated = name, stated
        self._chunks = archive.chunks(name, stated["packed"])
        self._hash, self._size = hashlib.sha256(), 0
        self._waiting, self._at = b"", 0

    def more(self) -> bytes:
        """Return the next bytes, none at the end."""
        chunk = next(self._chunks, b"")
        self._hash.update(chunk)
        self._size += len(chunk)
        return chunk

    def take(self, count: int) -> bytes:
        """Return the next bytes, so many if there are as many."""
        while len(self._waiting) - self._at < count and (chunk := self.more()):
            self._waiting, self._at = self._waiting[self._at :] + chunk, 0
        self._at += count
        return self._waiting[self._at - count : self._at]

    def lines(self) -> Iterator[bytes]:
        """Yield the lines without their ends; raise NotSo for one that has none, or is too long."""
        waiting = b""
        while chunk := self.more():
            found = (waiting + chunk).split(b"\n")
            waiting = found.pop()
            yield from found
            if len(waiting) > LINE_MAX:
                break
        if waiting:
            raise NotSo(f"{self.name} ends within a line, or has one that is too long", _position_in(waiting))

    def finish(self) -> None:
        """Raise NotSo unless the file was read to its end and is the one that the manifest names."""
        if self._at < len(self._waiting) or self.more():
            raise NotSo(f"{self.name} has more than the records of the bundle give")
        if (self._size, self._hash.hexdigest()) != (self._stated["bytes"], self._stated["sha256"]):
            raise NotSo(f"{self.name} is not the file that the manifest names: its size or SHA-256 is another one")


# --- What a bundle says of itself -----------------------------------------------------------------------------------


class Manifest:
    """manifest.json: what was asked for, and the SHA-256 of each file."""

    def __init__(self, content: bytes) -> None:
        try:
            stated = _parse(content.decode())
        except (ValueError, RecursionError) as error:
            raise NotSo(f"{MANIFEST} is not JSON: {error}") from error
        if type(stated) is dict and stated.get("format") != FORMAT and str(stated.get("format"))[:18] == FORMAT[:18]:
            raise CannotTell(f"the bundle is of format {str(stated['format'])[:40]!a}, newer than this program")
        try:
            self._take(stated)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotSo(f"{MANIFEST} is not one of this format: {error!a}") from error

    def _take(self, stated: Any) -> None:
        self.stated = stated
        self.log, self.log_id = _is(str, stated["log"]), bytes.fromhex(_is(str, stated["log_id"]))
        self.first, self.last, self.records = [_is(int, stated[name]) for name in ("first", "last", "records")]
        query = stated["query"]
        self.account, self.stream = [
            query[name] if query[name] is None else _is(str, query[name]) for name in ("account", "stream")
        ]
        self.types = (
            None if query["types"] is None else frozenset([_is(str, each) for each in _is(list, query["types"])])
        )
        self.start, self.stop = [
            query[name] if query[name] is None else instant_of(query[name]) for name in ("start", "stop")
        ]
        checkpoint = stated["checkpoint"]
        self.checkpoint = (
            checkpoint["origin"],
            _is(int, checkpoint["size"]),
            base64_bytes(checkpoint["root"], "the root"),
        )
        self.files = {_is(str, name): _is(dict, each) for name, each in stated["files"].items()}
        if (
            stated["format"] != FORMAT
            or len(self.log_id) != 16
            or not (1 <= self.first <= self.last + 1 <= SIZE_MAX)
            or self.records < 0
        ):
            raise ValueError("a format, a log id, positions or counts that no bundle has")
        for each in self.files.values():
            _is(int, each["bytes"]), _is(str, each["sha256"]), _is(str, each["packed"])

    @property
    def is_whole(self) -> bool:
        """Whether all records of the positions are here, whatever they are."""
        return self.account is None and self.stream is None and self.types is None

    def check(self, row: Row) -> None:
        """Raise NotSo for a record that was not asked for."""
        if not (
            self.first <= row.position <= self.last
            and (self.account is None or row.account == self.account)
            and (self.types is None or row.type in self.types)
            and (self.start is None or row.recorded_at >= self.start)
            and (self.stop is None or row.recorded_at < self.stop)
            and (
                self.stream is None
                or row.stream == self.stream
                or (self.stream[-1:] == "/" and row.stream.startswith(self.stream))
            )
        ):
            raise NotSo("the record does not belong to what the manifest says was asked for", row.position)


def _is(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value


def instant_of(text: str) -> int:
    """Return a time as UNIX nanoseconds."""
    match = re.fullmatch(_TIME, json.dumps(text))
    if match is None:
        raise ValueError("not a time with nine digits in UTC")
    return Lines(b"").instant(*match.groups())


def manifest_text(origin: str, manifest: bytes) -> str:
    """Return what the log's key signs of a manifest; no checkpoint begins like this."""
    return f"{MANIFEST_TITLE}\n{origin}\nsha256 {hashlib.sha256(manifest).hexdigest()}\n"


class StreamVersions:
    """Which versions of each stream a bundle has: a gap between two is a record that was left out."""

    def __init__(self, *, are_whole: bool) -> None:
        self._are_whole = are_whole
        self._known: dict[str, list[int]] = {}

    def add(self, row: Row) -> None:
        known = self._known.get(row.stream)
        if known is None:
            self._known[row.stream] = [row.version, row.version, 1]
            return
        if row.version <= known[1] or (self._are_whole and row.version != known[1] + 1):
            raise NotSo(
                f"version {row.version} of {row.stream!a} follows version {known[1]}: a record was left out",
                row.position,
            )
        known[1], known[2] = row.version, known[2] + 1

    def table(self) -> Iterator[str]:
        """Yield the rows of streams.csv."""
        yield "stream,first_version,last_version,records,gapless\r\n"
        for name, (first, last, count) in sorted(self._known.items()):
            yield f"{cell(name)},{first},{last},{count},{'yes' if count == last - first + 1 else 'no'}\r\n"

    def __len__(self) -> int:
        return len(self._known)


def statements(manifest: Manifest, streams: int) -> tuple[list[str], list[str]]:
    """Return what a bundle proves, given its checkpoint, and what it cannot prove."""
    size = manifest.checkpoint[1]
    proved = [f"{manifest.records} records are, unchanged, in the log that the checkpoint of {size} records is of"]
    missing = []
    if manifest.is_whole:
        proved.append(f"all records of positions {manifest.first} to {manifest.last} are here, of every stream")
    elif manifest.types is None:
        proved.append(f"of {streams} streams all versions between the first and the last in {STREAMS} are here")
        missing.append(f"that there are no further streams, and no versions before or after those in {STREAMS}")
    else:
        missing.append(f"that no further records of these types exist: {STREAMS} shows which versions are not here")
    if manifest.start is not None or manifest.stop is not None:
        missing.append(f"that positions {manifest.first} to {manifest.last} are all that was recorded in that time")
    if manifest.last < size:
        missing.append(f"what was recorded after position {manifest.last}")
    missing += [
        "that the facts are true, and their times: they are as the log took them, in its order",
        "that the owner of the key did not write another log with it: compare with checkpoints that others have kept",
        f"the log's name, and what files other than {RECORDS}, {TABLE} and {STREAMS} say: the manifest's signer does",
    ]
    return proved, missing


# --- The verdict ----------------------------------------------------------------------------------------------------


class BundleReport:
    """What was found: `status` is GOOD, BAD or UNKNOWN, `position` the first bad one, 0 where it is none's."""

    def __init__(self) -> None:
        self.status, self.reason, self.position = GOOD, "", 0
        self.records, self.log, self.origin, self.size = 0, "", "", 0
        self.signed: list[str] = []
        self.stated: list[str] = []
        self.unknown: list[str] = []
        self.proved: list[str] = []
        self.not_proved: list[str] = []

    def lines(self) -> Iterator[str]:
        if self.origin:
            yield f"log {self.log!a}, origin {self.origin!a}, checkpoint of {self.size} records"
        yield from self.signed
        if self.status == BAD:
            yield f"bad{f' at position {self.position}' if self.position else ''}: {self.reason}"
            return
        yield from [f"proved: {each}" for each in self.proved]
        yield from [f"not proved: {each}" for each in self.not_proved]
        if self.size:
            yield f"not proved: what was recorded after the checkpoint of {self.size} records: a newer one shows it"
        yield from [f"the checkpoint states: {each}" for each in self.stated]
        yield from [f"cannot tell: {each}" for each in self.unknown]
        if self.status == GOOD:
            yield f"good: {self.records} records"


def verify(path: str, keys: list[str], witnesses: list[str], log_id: str = "", progress: Any = None) -> BundleReport:
    """Check a bundle with the public keys of its log and of witnesses; return what was found, whatever it is."""
    report = BundleReport()
    try:
        trusted, cosigners = [list(map(_key_of, given)) for given in (keys, witnesses)]
        archive = Archive(path)
        try:
            manifest = _check_bundle(archive, report, trusted, cosigners, log_id)
            _check_records(archive, manifest, report, progress)
            _check_others(archive, manifest)
        finally:
            archive.close()
    except NotSo as error:
        report.status, report.reason, report.position = BAD, error.reason, error.position
    except (CannotTell, OSError) as error:
        report.unknown.append(str(error))
    except Exception as error:  # noqa: BLE001 - it is said, and nothing passes for proved
        # Whatever a file made of this program, it proved nothing.
        report.unknown.append(f"this program failed: {error!a}")
    if report.status == GOOD and report.unknown:
        report.status = UNKNOWN
    return report


# A file could have the name of a key, and hold another one.
_VKEY = re.compile(r"[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*", re.ASCII)


def _key_of(text: str) -> NoteKey:
    """Return the key that was given: itself or, only where it is none, in a file."""
    try:
        if _VKEY.fullmatch(text.strip()) is None:
            with open(text, encoding="utf-8") as stream:
                text = stream.read(10_000)
        return NoteKey(text)
    except (NotSo, OSError, ValueError) as error:
        raise CannotTell(f"the key given cannot be used: {error}") from error


def _check_bundle(
    archive: Archive, report: BundleReport, keys: list[NoteKey], witnesses: list[NoteKey], log_id: str
) -> Manifest:
    """Check what a bundle says of itself, and who signed it; return its manifest."""
    content = archive.small(MANIFEST)
    manifest = Manifest(content)
    expected = {MANIFEST, *manifest.files} | {MANIFEST_NOTE} & set(archive.entries)
    if set(archive.entries) != expected or {MANIFEST, MANIFEST_NOTE} & set(manifest.files):
        differing = ", ".join(sorted(set(archive.entries) ^ expected))
        raise NotSo(f"the zip has other files than the manifest names: {differing[:200]}")
    text, signatures = split_note(archive.small(CHECKPOINT), CHECKPOINT)
    report.origin, report.size, root = checkpoint_of(text)
    # Such as that the log was put back to an earlier state, and does not continue what was signed before.
    report.stated = text[:-1].split("\n")[3:]
    report.log = manifest.log
    if (report.origin, report.size, root) != manifest.checkpoint:
        raise NotSo(f"the manifest is of another checkpoint than {CHECKPOINT}")
    named = re.fullmatch("eventstore/.+/([0-9a-f]{32})", report.origin, re.ASCII)
    if (named and named[1] != manifest.log_id.hex()) or (
        log_id and log_id.replace("-", "").lower() != manifest.log_id.hex()
    ):
        raise NotSo("the bundle is of another log than its origin, or --log-id, names")
    _check_signatures(archive, report, content, (text, signatures), keys)
    for key in witnesses:
        found = key.signs(text, signatures)
        (report.signed if found else report.unknown).append(
            found or f"witness {key.name!a} has not signed the checkpoint"
        )
    return manifest


def _check_others(archive: Archive, manifest: Manifest) -> None:
    for name in sorted(set(manifest.files) - {RECORDS, TABLE, STREAMS, PROOF}):
        member = BundledFile(archive, name, manifest.files[name])
        while member.more():
            pass
        member.finish()


def _check_signatures(
    archive: Archive,
    report: BundleReport,
    manifest: bytes,
    checkpoint: tuple[str, list[tuple[str, bytes]]],
    keys: list[NoteKey],
) -> None:
    """Check who signed checkpoint and manifest: with the keys given or, which proves nothing, with the bundle's own."""
    given, origin = bool(keys), report.origin
    if not given:
        report.unknown.append("who signed: give the log's public key, from elsewhere than this bundle, with --key")
        keys = (
            [NoteKey(line) for line in archive.small(KEYS).decode("utf-8", "replace").split("\n") if line]
            if KEYS in archive.entries
            else []
        )
    own = [key for key in keys if key.name == origin and key.kind == 1]
    notes = [(CHECKPOINT, *checkpoint)]
    if MANIFEST_NOTE in archive.entries:
        text, signatures = split_note(archive.small(MANIFEST_NOTE), MANIFEST_NOTE)
        if text != manifest_text(origin, manifest):
            raise NotSo(f"{MANIFEST_NOTE} is of another manifest or another log")
        notes.append((MANIFEST_NOTE, text, signatures))
    else:
        report.unknown.append(
            "whether records were left out or files changed: the log's key has not signed the manifest"
        )
    for name, text, signatures in notes:
        signers = [found for key in own if (found := key.signs(text, signatures))]
        if signers:
            report.signed.append(
                f"{name}: {signers[0]}" + ("" if given else ", by the key that the bundle itself brings")
            )
        elif given and signatures:
            raise NotSo(f"{name} is not signed by a key given for {origin!a}")
        elif given:
            report.unknown.append(f"who vouches for the log: {name} is not signed")


def _check_records(archive: Archive, manifest: Manifest, report: BundleReport, progress: Any) -> None:
    missing = [name for name in (RECORDS, TABLE, STREAMS, PROOF) if name not in manifest.files]
    if missing:
        raise NotSo(f"the bundle has no {missing[0]}")
    records, table, streams, proof = [
        BundledFile(archive, name, manifest.files[name]) for name in (RECORDS, TABLE, STREAMS, PROOF)
    ]
    tree = PartialTree(lambda _level, _number: _hash_of(proof))
    versions, rows = StreamVersions(are_whole=manifest.types is None), TableRows(table)
    _read_records(
        Lines(manifest.log_id).rows(records, report, manifest.records, progress), manifest, versions, rows, tree
    )
    tree.fill(report.size)
    if tree.root() != manifest.checkpoint[2]:
        raise NotSo("the records and the proof do not give the checkpoint's root: one of them is not the log's")
    rows.compare()
    for text in versions.table():
        if streams.take(len(text.encode())) != text.encode():
            raise NotSo(f"{STREAMS} has other versions than the records")
    for member in (records, table, streams, proof):
        member.finish()
    report.proved, report.not_proved = statements(manifest, len(versions))
    if [report.proved, report.not_proved] != [manifest.stated.get("proved"), manifest.stated.get("not_proved")]:
        raise NotSo(f"{MANIFEST} says that something else is proved than what is")


def _read_records(
    found: Iterator[Row], manifest: Manifest, versions: StreamVersions, rows: TableRows, tree: PartialTree
) -> None:
    last, count, size = Row(), 0, manifest.checkpoint[1]
    last.position, last.recorded_at = manifest.first - 1, -1
    for row in found:
        _check_order(row, last, manifest, size)
        versions.add(row)
        tree.add(row.position, row.digest)
        rows.add(row)
        last, count = row, count + 1
    if count != manifest.records or (manifest.is_whole and last.position != manifest.last):
        raise NotSo(f"the manifest names {manifest.records} records, and {RECORDS} has {count}", last.position + 1)


def _check_order(row: Row, last: Row, manifest: Manifest, size: int) -> None:
    if not last.position < row.position <= size or row.version < 1:
        raise NotSo(
            f"position {row.position} follows position {last.position}, in a log of {size} records", row.position
        )
    if row.recorded_at <= last.recorded_at:
        raise NotSo("it was not recorded after the one before it", row.position)
    manifest.check(row)
    if manifest.is_whole and row.position != last.position + 1:
        raise NotSo("the record is missing", last.position + 1)


def _hash_of(proof: BundledFile) -> bytes:
    found = proof.take(HASH_BYTES)
    if len(found) != HASH_BYTES:
        raise NotSo(f"{PROOF} has too few hashes: it is of other records, or was cut off")
    return found


class TableRows:
    """Compares records.csv with the rows that the records give."""

    def __init__(self, table: BundledFile) -> None:
        self._table, self._rows, self._size = table, [(0, TABLE_HEAD.decode())], 0

    def add(self, row: Row) -> None:
        self._rows.append((row.position, row.csv))
        self._size += len(row.csv)
        if self._size > CHUNK:
            self.compare()

    def compare(self) -> None:
        expected = "".join([row for _, row in self._rows]).encode()
        found = self._table.take(len(expected))
        at = 0
        for position, text in self._rows if found != expected else ():
            row = text.encode()
            if found[at : at + len(row)] != row:
                raise NotSo(f"{TABLE} shows something else than {RECORDS}", position)
            at += len(row)
        self._rows, self._size = [], 0


def main(arguments: list[str] | None = None) -> int:
    """Check the bundle named on the command line; return the status to exit with."""
    parser = argparse.ArgumentParser(prog="verify_bundle.py", description="Check a bundle of an event log's records.")
    parser.add_argument("bundle", help="the zip file")
    parser.add_argument("--key", action="append", default=[], metavar="VKEY", help="the log's public key, or its file")
    parser.add_argument(
        "--witness", action="append", default=[], metavar="VKEY", help="a witness that must have signed"
    )
    parser.add_argument("--log-id", default="", metavar="HEX", help="the id of the log that it must be of")
    given = parser.parse_args(arguments)
    report = verify(given.bundle, given.key, given.witness, given.log_id)
    for line in report.lines():
        # What a terminal would obey stays visible text.
        print("".join([sign if " " <= sign <= "~" else ascii(sign)[1:-1] for sign in line]))
    return report.status


if __name__ == "__main__":
    sys.exit(main())
