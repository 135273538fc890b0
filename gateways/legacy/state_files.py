"""The files of older managers: a state, the positions kept when a database failed, or versions exported from one."""

from __future__ import annotations

import csv
import enum
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

BYTES_MAX = 256_000_000
FALLBACK_NAME = "position_fallback.json"
POSITIONS, PAIR_STATES = "active_positions", "pair_states"
_VERSION_MEMBERS = frozenset({"state_id", "state_type", "data"})
SUFFIXES = frozenset({".json", ".jsonl", ".csv"})


class FileKind(enum.StrEnum):
    """What a file of an older manager holds."""

    STATE = "state"
    FALLBACK = "fallback"
    VERSIONS = "versions"


class UnreadableState(InvalidEvent):
    """A file is cut off, damaged, or not a state. `line` and `column` say where, from 1, 0 for the file as a whole.

    `is_other`: it is whole, and something else, such as settings.
    """

    def __init__(self, file: Path, why: str, line: int = 0, column: int = 0, *, is_other: bool = False) -> None:
        self.file, self.line, self.column, self.why, self.is_other = file, line, column, why, is_other
        place = f", line {line}, column {column}" if line else ""
        super().__init__(f"{file}{place}: {why}{_offer(file)}")


class StateFile(msgspec.Struct, frozen=True):
    """A file as it was read. `digest` is of its bytes: the same content is migrated once, whatever its name."""

    path: Path
    kind: FileKind
    document: Any
    digest: str


def read_state_file(path: Path) -> StateFile:
    """Return what a file holds; raise UnreadableState, with the position, for one that is cut off or something else."""
    content = _content(path)
    text = _text(path, content)
    if path.suffix.lower() == ".csv":
        document: Any = _rows(path, text)
    elif path.suffix.lower() == ".jsonl":
        # JSON may have other separators of lines than a line feed within its texts.
        document = [_json(path, line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    else:
        document = _json(path, text, 1)
    return StateFile(path, _kind_of(path, document), document, hashlib.sha256(content).hexdigest())


def is_copy(path: Path) -> bool:
    """Return whether a file's name says that it is a copy: FILE.backup, FILE.backup.20250101_120000, FILE.migrated."""
    return any(f"{mark}." in f"{path.name}." for mark in (".backup", ".migrated"))


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise UnreadableState(path, f"the file has more than {BYTES_MAX:,} bytes, too many for a state")
        return path.read_bytes()
    except OSError as e:
        msg = f"{path} cannot be read: {e.strerror}"
        raise InvalidEvent(msg) from e


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        column = e.start - content.rfind(b"\n", 0, e.start)
        raise UnreadableState(path, f"byte {e.start:,} is not UTF-8", line, column) from e


def _json(path: Path, text: str, first_line: int) -> Any:  # noqa: ANN401 - any JSON
    try:
        # Python's own reader: the older programs wrote NaN and Infinity, which JSON does not have.
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as e:
        cut = "the file ends in the middle of its JSON" if e.pos >= len(text.rstrip()) else f"it is not JSON ({e.msg})"
        if text.rstrip().startswith("{") and not text.rstrip().endswith("}"):
            cut = f"the file is cut off ({e.msg})"
        raise UnreadableState(path, cut, first_line + e.lineno - 1, e.colno) from e
    except (ValueError, RecursionError) as e:
        raise UnreadableState(path, f"it cannot be read as a state: {e}") from e


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            msg = f"the member {name!r:.80} is there twice in one object"
            raise ValueError(msg)
        members[name] = value
    return members


def _rows(path: Path, text: str) -> list[dict[str, Any]]:
    """Return the rows of a table of versions as CSV, with their data read as JSON."""
    rows = []
    table = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for row in table:
            data = row.get("data")
            rows.append(row | {"data": _json(path, data, table.line_num) if data else None})
    except csv.Error as e:
        raise UnreadableState(path, f"it is not CSV: {e}", table.line_num, 1) from e
    return rows


def _kind_of(path: Path, document: object) -> FileKind:
    if isinstance(document, list):
        if document and all(isinstance(row, dict) and set(row) >= _VERSION_MEMBERS for row in document):
            return FileKind.VERSIONS
    elif isinstance(document, dict):
        if not document or {POSITIONS, PAIR_STATES} & set(document):
            return _checked_state(path, document)
        if all(isinstance(value, dict) and "timestamp" in value for value in document.values()):
            return FileKind.FALLBACK
    why = f"this is not a state: it has neither {POSITIONS} nor {PAIR_STATES}, and is not a table of versions"
    raise UnreadableState(path, f"{why} or of positions with a timestamp each", is_other=True)


def _checked_state(path: Path, document: dict[str, Any]) -> FileKind:
    for name in (POSITIONS, PAIR_STATES):
        if not isinstance(document.get(name, {}), dict):
            raise UnreadableState(path, f"{name} is not an object by pair")
    return FileKind.FALLBACK if not document and path.name == FALLBACK_NAME else FileKind.STATE


def _offer(path: Path) -> str:
    """Return which copies of a file could be read instead."""
    backup = path.with_name(f"{path.name}.backup")
    if path.name.endswith(".backup") or not backup.is_file():
        return ""
    return f". Its copy from before the last save is there: eventstore migrate {backup}"
