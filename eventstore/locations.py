"""Where a log or a file is to be: a path of this machine, never a URL that would become a directory of its name."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path

from eventstore.errors import InvalidEvent, shown
from eventstore.streams import check_name

_NUMBERED = re.compile(r"(?P<stem>.+)\.(?P<number>[1-9][0-9]{0,8})")
SUPPORTED = "give a directory on this machine; eventstore.connect takes the URL of a service, or of InfluxDB to read"
# A path collapses two slashes into one, so one is enough. A scheme of one letter is a Windows drive.
_URL = re.compile(r"\s*(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):[/\\]")
_DRIVE = re.compile(r"\s*[A-Za-z]:(?:[/\\]|$)")
# Written without a slash as well, and hardly meant as a directory's name.
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})
"""What the URL of a PostgreSQL server begins with."""
_SCHEMES = POSTGRES_SCHEMES | frozenset({
    "duckdb", "file", "http", "https", "influx", "influxdb", "jdbc", "memory", "mysql",
    "redis", "s3", "sqlite", "sqlite3",
})  # fmt: skip


def local_path(given: str | os.PathLike[str], what: str = "the store's directory") -> Path:
    """Return a path of this machine; raise InvalidEvent for a URL, an empty text and anything that is not a path.

    The message names a URL's scheme alone: what follows it may hold a password.
    """
    try:
        text = os.fspath(given)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        msg = f"{what} is a path, not {shown(given)}: {SUPPORTED}"
        raise InvalidEvent(msg)
    if not is_utf8(text):
        msg = f"{what} {shown(given)} is not UTF-8, which SQLite needs in file names: rename or name another"
        raise InvalidEvent(msg)
    scheme = scheme_of(text)
    if scheme:
        msg = f"{what} cannot be at a URL ({scheme}:…): {SUPPORTED}"
        raise InvalidEvent(msg)
    if os.name != "nt" and _DRIVE.match(text):
        msg = f"{what} cannot be on a Windows drive, {shown(text)}: {SUPPORTED}"
        raise InvalidEvent(msg)
    path = Path(text)
    # ./file:/x is a path, and stays one where it is passed on without its first two signs.
    return path.absolute() if scheme_of(str(path)) else path


def journal_path(directory: str | os.PathLike[str], log: str) -> Path:
    """Return where a log's journal lives: each log has its own folder. Raises InvalidEvent for a URL."""
    return local_path(directory) / check_name("log", log) / "journal.db"


def next_name(log: str) -> str:
    """Return the name of the log after one: main, main.2, main.3."""
    found = _NUMBERED.fullmatch(log)
    return f"{found['stem']}.{int(found['number']) + 1}" if found else f"{log}.2"


def postgres_url(given: object) -> str | None:
    """Return what names a PostgreSQL server by its URL; None for anything else."""
    return given if isinstance(given, str) and scheme_of(given) in POSTGRES_SCHEMES else None


def is_utf8(text: str) -> bool:
    """Return whether text can be written as UTF-8: it has no lone surrogates."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def scheme_of(text: str) -> str:
    """Return the scheme of what looks like a URL, in lower case, '' for a path."""
    found = _URL.match(text)
    scheme = found["scheme"] if found else text.strip().lstrip(":").partition(":")[0]
    known = scheme.lower()
    return known if found or (":" in text and known in _SCHEMES) else ""


def masked_url(url: str) -> str:
    """Return a URL as it may be shown: what stands before an @, or after a ?, may be a password or a token."""
    head, slashes, rest = url.partition("//")
    if not slashes:
        head, rest = "", url
    _, at, host = rest.rpartition("@")
    place, mark, _ = host.partition("?")
    return head + slashes + ("***@" if at else "") + place + ("?***" if mark else "")
