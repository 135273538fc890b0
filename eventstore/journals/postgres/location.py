"""Where a log in PostgreSQL is: a connection URI (PostgreSQL's documentation, "Connection Strings") and three settings.

What is the store's own stands among the URI's parameters and is taken out before libpq reads it: `log`, the log's name;
`durability`, `synced` or `replicated`, of the log that this URI creates; `schema`, where its tables are.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from typing_extensions import override

from eventstore.errors import InvalidEvent, shown
from eventstore.events import REPLICATED, SYNCED
from eventstore.locations import POSTGRES_SCHEMES, masked_url, next_name
from eventstore.streams import check_name

if TYPE_CHECKING:
    from eventstore.events import Durability

PREFIX = "eventstore_"
IDENTIFIER_BYTES_MAX = 63
"""PostgreSQL cuts longer names off, silently."""
_OWN = ("log", "durability", "schema")
_DURABILITIES = {"synced": SYNCED, "replicated": REPLICATED}
_HALF_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT, _PORT_MAX = re.compile(r"[0-9]{1,5}"), 65_535
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_.:@-]*")


class Location(NamedTuple):
    """One log in one database. `uri` is what libpq takes, with the password if it has one."""

    uri: str
    log: str
    schema: str
    durability: Durability | None = None
    """What a log that is created here promises; None: what it is, or SYNCED for a new one."""

    @classmethod
    def of(cls, url: str, log: str | None = None) -> Location:
        """Read a URL; `log` is the name that was given beside it, None for none.

        Raises InvalidEvent for a malformed URL, two different names, and a parameter of the store's with an unknown
        value. No message repeats a password.
        """
        try:
            parts = urlsplit(url.strip())
            pairs = _pairs(parts.query)
        except ValueError as e:
            raise _not_a_url(url) from e
        is_whole = url.strip().partition(":")[2].startswith("//")
        if parts.scheme.lower() not in POSTGRES_SCHEMES or not is_whole or "\0" in unquote(url):
            raise _not_a_url(url)
        # libpq would refuse these too, with what is wrong in its message: of a password, the password.
        if _HALF_ESCAPED.search(parts.netloc + parts.path) or not _has_ports(parts.netloc):
            raise _not_a_url(url)
        own = _own(pairs)
        name = check_name("log", own.get("log", "main" if log is None else log))
        if log is not None and log != name:
            msg = f"the URL names log {name!r}, and log={log!r} was given beside it: leave out one of them"
            raise InvalidEvent(msg)
        rest = "&".join(f"{quote(key)}={quote(value)}" for key, value in pairs if key not in _OWN)
        uri = f"postgresql://{parts.netloc}{parts.path}{'?' if rest else ''}{rest}"
        return cls(uri, name, _schema_of(own.get("schema"), name), _durability_of(own.get("durability")))

    @property
    def url(self) -> str:
        """The location as `of` reads it again, password included: never to be shown."""
        own = {"log": self.log, "schema": self.schema}
        if self.durability is not None:
            own["durability"] = self.durability.name.lower()
        added = "&".join(f"{key}={quote(value)}" for key, value in own.items())
        return f"{self.uri}{'&' if urlsplit(self.uri).query else '?'}{added}"

    def on_primary(self) -> Location:
        """Return the same log where no standby is read, which may lack what is acknowledged."""
        # The last of several values counts.
        sign = "&" if urlsplit(self.uri).query else "?"
        return self._replace(uri=f"{self.uri}{sign}target_session_attrs=primary")

    def continued_by(self, log: str) -> Location:
        """Return where the log is that continues this one after a rotation, in the same database.

        Its schema follows from this one's, as its name does; where that is not the usual one of a name, neither is it.
        """
        if self.schema == _schema_of(None, self.log):
            schema = _schema_of(None, log)
        else:
            schema = _fitting(next_name(self.schema) if log == next_name(self.log) else f"{self.schema}_{log}")
        return self._replace(log=log, schema=schema)

    def of_log(self, log: str, schema: str | None) -> Location:
        """Return where another log of this database is, in the schema that is given, or the usual one of its name."""
        return self._replace(log=log, schema=_schema_of(schema, log))

    def hosts(self) -> list[Location]:
        """Return a location for each of the hosts that are named before the database, in their order."""
        parts = urlsplit(self.uri)
        user, at, names = parts.netloc.rpartition("@")
        if "," not in names:
            return [self]
        return [self._replace(uri=parts._replace(netloc=user + at + name).geturl()) for name in names.split(",")]

    @override
    def __str__(self) -> str:
        return f"log {self.log} at {masked_url(self.uri)}"

    @override
    def __repr__(self) -> str:
        return f"<Location {self}>"


def _not_a_url(url: str) -> InvalidEvent:
    advice = "write postgresql://USER@HOST:PORT/DATABASE?log=NAME"
    return InvalidEvent(f"{masked_url(url)} is not a URL of PostgreSQL: {advice}")


def _has_ports(netloc: str) -> bool:
    """Return whether what follows the hosts' colons, of several that are named with commas between them, are ports."""
    hosts = netloc.rpartition("@")[2].split(",")
    # An IPv6 address has colons of its own, within brackets.
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    return all(not port or (_PORT.fullmatch(port) is not None and 0 < int(port) <= _PORT_MAX) for port in ports)


def _pairs(query: str) -> list[tuple[str, str]]:
    """Return a query's parameters as libpq reads them, for which a plus is a plus; raise ValueError for half of one."""
    pairs = []
    for each in filter(None, query.split("&")):
        key, equals, value = each.partition("=")
        if not key or not equals:
            msg = f"{each!r} is not a parameter"
            raise ValueError(msg)
        pairs.append((unquote(key), unquote(value)))
    return pairs


def _own(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters that are the store's."""
    own: dict[str, str] = {}
    for key, value in pairs:
        if key in _OWN and own.setdefault(key, value) != value:
            msg = f"the URL states {key} twice, as {shown(own[key])} and {shown(value)}: leave out one of them"
            raise InvalidEvent(msg)
    return own


def _durability_of(given: str | None) -> Durability | None:
    if given is None:
        return None
    found = _DURABILITIES.get(given.lower())
    if found is None:
        msg = f"durability={shown(given)} in the URL: a log is {' or '.join(_DURABILITIES)}"
        raise InvalidEvent(msg)
    return found


def _schema_of(given: str | None, log: str) -> str:
    """Return the schema of a log's tables: the one given, else `eventstore_` and its name.

    A name over PostgreSQL's 63 bytes ends with the first 16 digits of its SHA-256 instead.
    """
    if given is not None:
        if not _SCHEMA.fullmatch(given) or len(given) > IDENTIFIER_BYTES_MAX or given.startswith("pg_"):
            msg = f"schema={shown(given)} in the URL: a schema's name has at most {IDENTIFIER_BYTES_MAX} signs"
            raise InvalidEvent(msg)
        return given
    return _fitting(PREFIX + log, log)


def _fitting(name: str, hashed: str = "") -> str:
    if len(name) <= IDENTIFIER_BYTES_MAX:
        return name
    digits = hashlib.sha256((hashed or name).encode()).hexdigest()[:16]
    return f"{name[: IDENTIFIER_BYTES_MAX - 17]}_{digits}"
