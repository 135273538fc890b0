"""What a saved state consists of: for each of its parts the record that holds it, in one stream of versions.

Stream `portfolio/ACCOUNT/trading_state` has a record for each save; it names the records of the positions, the pairs'
states and the portfolio, those of earlier saves included where they are unchanged. So a save is there wholly or not at
all, and what one no longer names does not belong to the state.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import CorruptJournal
from eventstore.streams import ESCAPED_SLASH, stream_of
from gateways.legacy import documents
from gateways.legacy.values import Plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import EventReader, Record

NAME = "trading_state"
PORTFOLIO_ID = "portfolio_main"
POSITION, PAIR_STATE = "position", "pair"
"""The kinds of what has a pair's name, as older programs' ids of it begin."""
OTHER_KINDS, KIND_END = frozenset({"strategy", "configuration", "market_data"}), ":"
"""States beside the trading state, each in a stream of its own: the kind, this mark and the id are its entity."""
ID_BYTES_MAX = 100
_PART = "~"


class SavedItem(msgspec.Struct, frozen=True, array_like=True):
    """A position or a pair's state: its name, its id as the name of its stream, and the position of its record.

    In a stored record a position below zero counts back from this record: what was saved together with it.
    """

    name: Plain
    id: str
    position: int


class SavedContents(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One save of a whole state.

    `portfolio` is the position of the portfolio's record. `absent` names the members that the program did not give,
    `exists` False says that the state was deleted. `source` is what it was migrated from, `snapshot` a snapshot's id,
    `continued_in` the log that continues this one.
    """

    positions: tuple[SavedItem, ...] = ()
    pair_states: tuple[SavedItem, ...] = ()
    portfolio: int = 0
    exists: bool = True
    absent: tuple[str, ...] = ()
    source: str | None = None
    snapshot: str | None = None
    restored: str | None = None
    continued_in: str | None = None

    def items(self) -> dict[str, SavedItem]:
        """Return positions and pairs' states by id."""
        return {item.id: item for item in (*self.positions, *self.pair_states)}


class Current(msgspec.Struct, frozen=True):
    """The newest save of a log, its position, its stream's version and its time; none of them without one."""

    contents: SavedContents | None = None
    position: int = 0
    version: int = 0
    saved_at: int = 0
    actor: str = ""

    @property
    def state(self) -> SavedContents | None:
        """The contents, None if nothing is saved or what was is deleted."""
        return self.contents if self.contents is not None and self.contents.exists else None


NOTHING = Current()


def stream(account: str) -> str:
    """Return the stream of an account's saves."""
    return stream_of("portfolio", account, NAME)


def item_id(kind: str, name: Plain) -> str:
    """Return the id of a position or a pair's state; a name that no stream can have is replaced by its digest."""
    if isinstance(name, str) and _is_usable(name):
        return f"{kind}_{name}"
    return f"{kind}_{_PART}{hashlib.sha256(documents.text_of(name)).hexdigest()[:32]}"


def part_id(id_: str, number: int) -> str:
    """Return the id of a part of a value that takes several events."""
    return f"{id_}{_PART}{number}"


def _is_usable(name: str) -> bool:
    if not name.isprintable() or _PART in name or ESCAPED_SLASH in name:
        return False
    return len(name.replace("/", ESCAPED_SLASH).encode("utf-8", "surrogatepass")) <= ID_BYTES_MAX


def read(store: EventReader, record: Record) -> Current:
    """Return what a record of the stream of saves says."""
    plain = msgspec.json.decode(documents.read_text(store, record.position))
    try:
        contents = msgspec.convert(plain, SavedContents)
    except msgspec.ValidationError as e:
        raise CorruptJournal(record.position, f"this is not a saved trading state: {e}") from e
    absolute = {
        "positions": _absolute(contents.positions, record.position),
        "pair_states": _absolute(contents.pair_states, record.position),
        "portfolio": _place(contents.portfolio, record.position),
    }
    contents = msgspec.structs.replace(contents, **absolute)
    return Current(contents, record.position, record.version, record.occurred_at, record.actor)


def newest(store: EventReader, account: str, *, until: int | None = None, known: Current = NOTHING) -> Current:
    """Return the newest save of an account, now or up to a log position."""
    name = stream(account)
    if until is None and store.version(name) == known.version:
        return known
    found = last_record(store, name, store.head() if until is None else until)
    return NOTHING if found is None else read(store, found)


def plain(contents: SavedContents) -> Any:  # noqa: ANN401 - plain JSON
    """Return contents as plain JSON."""
    return msgspec.to_builtins(contents)


def last_record(store: EventReader, name: str, until: int) -> Record | None:
    """Return a stream's last record up to a position, by bisection: a long history is not read through."""
    low, high, found = 0, until, None
    while low < high:
        middle = (low + high) // 2
        record = next(store.read(stream=name, after=middle, until=until, limit=1), None)
        if record is None:
            high = middle
        else:
            found, low = record, record.position
    return found


def _absolute(items: Iterable[SavedItem], base: int) -> tuple[SavedItem, ...]:
    return tuple(SavedItem(item.name, item.id, _place(item.position, base)) for item in items)


def _place(position: int, base: int) -> int:
    return position if position >= 0 else base + position
