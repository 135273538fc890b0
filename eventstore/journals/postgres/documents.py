"""The small documents beside a log in PostgreSQL, in its table `document`; one of them identifies the log's place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from eventstore.side import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Values = Sequence[Any] | Mapping[str, Any]

PART_BYTES = 262_144
"""From what size on a document that is appended to gets another part."""
KEEP = "INSERT INTO document VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET content = excluded.content"
_DRAW = "INSERT INTO document VALUES (%s, %s) ON CONFLICT DO NOTHING"
# A dump that is restored elsewhere differs in it, a standby that becomes the primary does not.
_PLACE = (
    "SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()), "
    "(SELECT oid FROM pg_database WHERE datname = current_database()), "
    "(SELECT oid FROM pg_namespace WHERE nspname = current_schema()))"
)
# A document that grows has parts, so that an append writes no more than one of them again: `NAME`, `NAME/00000002`, …
_ADD = (
    "WITH last AS (SELECT name, octet_length(content) AS size FROM document "
    "WHERE name = %(name)s OR starts_with(name, %(name)s || '/') ORDER BY name DESC LIMIT 1), "
    "part AS (SELECT CASE WHEN size < %(most)s THEN name WHEN name = %(name)s THEN %(name)s || '/00000002' "
    "ELSE %(name)s || '/' || lpad((right(name, 8)::int + 1)::text, 8, '0') END AS name FROM last) "
    "INSERT INTO document SELECT coalesce((SELECT name FROM part), %(name)s), %(content)s "
    "ON CONFLICT (name) DO UPDATE SET content = document.content || excluded.content"
)
_END = (
    "SELECT substring(content FROM greatest(octet_length(content) - %(length)s, 0)::int + 1), "
    "(sum(octet_length(content)) OVER ())::bigint FROM document "
    "WHERE name = %(name)s OR starts_with(name, %(name)s || '/') ORDER BY name DESC LIMIT %(parts)s"
)


class PlaceOfLog(msgspec.Struct, frozen=True):
    """The document that identifies a log: `place` is the schema's, in its database, on its server."""

    home: str
    place: str


class DocumentTables(Protocol):
    """What asks and changes the tables beside a log, as documents need it."""

    def asked(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer."""

    def changed(self, sql: str, values: Values) -> None:
        """Change something."""


class Documents:
    """The documents of one log."""

    def __init__(self, tables: DocumentTables) -> None:
        self._tables = tables

    def keep(self, name: str, content: bytes) -> None:
        """Replace a document."""
        self._tables.changed(KEEP, (name, content))

    def add(self, name: str, content: bytes) -> None:
        """Append to a document, or begin it."""
        self._tables.changed(_ADD, {"name": name, "content": content, "most": PART_BYTES})

    def end(self, name: str, length: int) -> tuple[bytes, bool]:
        """Return a document's end, at most so many bytes, and whether that is all of it."""
        # All but the newest part are full.
        asked = {"name": name, "length": length, "parts": length // PART_BYTES + 2}
        found = self._tables.asked(_END, asked)
        content = b"".join([part for part, _ in reversed(found)])
        return content[-length:], not found or found[0][1] <= length

    def named(self, prefix: str) -> dict[str, bytes]:
        """Return the documents whose names begin with a prefix."""
        return dict(self._tables.asked("SELECT name, content FROM document WHERE starts_with(name, %s)", (prefix,)))

    def home(self) -> str:
        """Return the identity of the log, drawn at the first call; '' if its tables were copied from elsewhere."""
        if (content := self.named(HOME).get(HOME)) is None:
            self._tables.changed(_DRAW, (HOME, self._drawn()))
            # Of two processes that draw one at the same time, the first one's counts.
            content = self.named(HOME)[HOME]
        try:
            found = msgspec.json.decode(content, type=PlaceOfLog)
        except msgspec.MsgspecError:
            return ""
        return found.home if found.place == self._place() else ""

    def new_home(self) -> str:
        """Draw a new identity, and return it."""
        self.keep(HOME, self._drawn())
        return self.home()

    def _drawn(self) -> bytes:
        return msgspec.json.encode(PlaceOfLog(os.urandom(16).hex(), self._place()))

    def _place(self) -> str:
        return str(self._tables.asked(_PLACE)[0][0])
