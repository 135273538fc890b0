"""A value of a state in the log: one event where it fits into one, else its text compressed, in several events."""

from __future__ import annotations

import base64
import hashlib
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import CorruptJournal, EventTooLarge, InvalidEvent
from eventstore.trading import PairStateSaved, PortfolioSaved
from gateways.legacy.values import TYPE, Plain

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import EventReader, Record

INLINE_BYTES_MAX, INLINE_DEPTH_MAX = 50_000, 48
"""What is larger or nested deeper is stored as compressed text, so that it fits into events of 60 KB and 64 levels."""
PART_CHARACTERS = 50_000
STATE_BYTES_MAX = 32_000_000
"""The most that one position, pair's state or portfolio may take as JSON."""
PACKED, PART, DELETED = "packed", "part", "deleted"
GONE: Plain = {TYPE: DELETED}
"""The state of what is there no longer: readers of the pair's stream must not take it for active."""


def text_of(plain: Plain) -> bytes:
    """Return a value's JSON; equal values have the same if their members have the same order."""
    try:
        return msgspec.json.encode(plain)
    except (RecursionError, msgspec.MsgspecError, ValueError) as e:
        msg = f"the state cannot be written as JSON: {e}"
        raise InvalidEvent(msg) from e


def states_of(text: bytes, what: str) -> list[Plain]:
    """Return the states of the events that hold a value: its parts, if it has any, and last the one to read it by."""
    if len(text) > STATE_BYTES_MAX:
        raise EventTooLarge(what, len(text), STATE_BYTES_MAX)
    plain = msgspec.json.decode(text)
    if len(text) <= INLINE_BYTES_MAX and not _is_deeper(plain, INLINE_DEPTH_MAX):
        return [plain]
    packed = base64.b64encode(zstd.compress(text)).decode()
    pieces = [packed[start : start + PART_CHARACTERS] for start in range(0, len(packed), PART_CHARACTERS)]
    head = {TYPE: PACKED, "parts": len(pieces) - 1, "bytes": len(text), "data": pieces[-1]}
    head["sha256"] = hashlib.sha256(text).hexdigest()
    return [{TYPE: PART, "data": piece} for piece in pieces[:-1]] + [head]


def read_text(store: EventReader, position: int) -> bytes:
    """Return the JSON of the value whose last event is at a log position."""
    state = state_of(record_at(store, position))
    if not (isinstance(state, dict) and state.get(TYPE) == PACKED):
        return text_of(state)
    parts = store.read(after=position - 1 - state["parts"], until=position - 1) if state["parts"] else ()
    data = "".join([state_of(part)["data"] for part in parts] + [state["data"]])
    try:
        # No more than was written, whatever the data expands to.
        text = zstd.ZstdDecompressor().decompress(base64.b64decode(data), state["bytes"] + 1)
    except (zstd.ZstdError, ValueError) as e:
        raise CorruptJournal(position, f"the parts of a saved state do not belong together: {e}") from e
    if hashlib.sha256(text).hexdigest() != state["sha256"]:
        raise CorruptJournal(position, "the parts of a saved state do not give what was saved")
    return text


def record_at(store: EventReader, position: int) -> Record:
    """Return the record at a log position; raise CorruptJournal where the log has none."""
    record = next(store.read(after=position - 1, until=position, limit=1), None)
    if record is None:
        raise CorruptJournal(position, "a saved state refers to this record, and the log does not have it")
    return record


def state_of(record: Record) -> Any:  # noqa: ANN401 - whatever a strategy saved
    """Return the state in a record of a saved pair or portfolio."""
    event = record.event
    if not isinstance(event, PairStateSaved | PortfolioSaved):
        raise CorruptJournal(record.position, f"a saved state refers to this record, which is a {record.type}")
    return event.state


def kind_of(state: object) -> object:
    """Return what a stored state is, if it is not simply a value: PACKED, PART or DELETED."""
    return state.get(TYPE) if isinstance(state, dict) else None


def _is_deeper(plain: Plain, levels: int) -> bool:
    level: Sequence[Plain] = [plain]
    for _ in range(levels):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(plain: Plain) -> Sequence[Plain]:
    if isinstance(plain, dict):
        return list(plain.values())
    return plain if isinstance(plain, list) else ()
