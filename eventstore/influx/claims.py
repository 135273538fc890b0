"""Claims: which log a name in a bucket belongs to, and which journal, of its copies, may ship it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import msgspec

from eventstore import files
from eventstore.errors import Refused, TargetExists
from eventstore.influx.client import Shape
from eventstore.influx.points import LOGS, escaped
from eventstore.streams import check_name

if TYPE_CHECKING:
    from pathlib import Path

    from eventstore.influx.client import Client

HOME_FILE = "home.json"


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """A point of `logs`: from this time on (UNIX ns), the log's name is this id's, and this home ships it."""

    claimed_at: int
    home: str | None
    host: str | None
    symbols: bool | None
    log: str | None
    log_id: str | None


_CLAIMS: Shape[Claim] = Shape(Claim)
_SELECT = f'SELECT home, host, symbols, "log", log_id FROM {LOGS}'  # noqa: S608 - constant text


class Home(msgspec.Struct, frozen=True):
    """The file beside a journal that says which of its copies this is. A copy of the file has another inode."""

    home: str
    inode: int


def claims(client: Client, log: str | None = None) -> list[Claim]:
    """Return the claims of a log, or of all logs of the bucket, oldest first."""
    where = "" if log is None else " WHERE log = $log"
    rows = _CLAIMS.rows(client.fetch(_SELECT + where, {} if log is None else {"log": log}))
    return [claim for claim in rows if claim.home is not None and claim.log is not None and claim.log_id is not None]


def current(client: Client, log: str) -> Claim | None:
    """Return the newest claim of a log's name, None where nobody has made any."""
    found = claims(client, log)
    return max(found, key=lambda claim: (claim.claimed_at, claim.log_id), default=None)


def logs(client: Client) -> tuple[str, ...]:
    """Return the names of the logs that a bucket holds, sorted."""
    return tuple(sorted({claim.log for claim in claims(client) if claim.log is not None}))


def claim(client: Client, log: str, log_id: bytes, home: str, *, symbols: bool, at: int) -> None:
    """Write a claim. Twice the same is one."""
    host = "".join(sign for sign in socket.gethostname() if sign.isprintable())
    fields = f'home="{home}",host="{escaped(host)}",symbols={"true" if symbols else "false"}'
    client.write(f"{LOGS},log={log},log_id={log_id.hex()} {fields} {at}".encode())


def log_id_of(client: Client, log: str) -> bytes:
    """Return the id of a bucket's log; raise Refused, naming those that there are, where nobody claimed the name."""
    found = current(client, check_name("log", log))
    if found is None:
        there = ", ".join(logs(client)) or "none yet"
        msg = f"bucket {client.settings.bucket!r} has no log {log!r}: the logs there are {there}"
        raise Refused(msg)
    return bytes.fromhex(found.log_id or "")


def home_of(directory: Path) -> str:
    """Return which copy of its journal a log's folder holds, drawn at the first call; '' for a copied folder."""
    path = directory / HOME_FILE
    try:
        content, inode = path.read_bytes(), path.stat().st_ino
    except FileNotFoundError:
        return new_home(directory, only_if_missing=True)
    try:
        found = msgspec.json.decode(content, type=Home)
    except msgspec.MsgspecError:
        return ""
    return found.home if found.inode == inode else ""


def new_home(directory: Path, *, only_if_missing: bool = False) -> str:
    """Draw a new identity for this copy of a journal, and keep it beside it."""
    path = directory / HOME_FILE
    with files.temporary(path) as temporary:
        # The file keeps its inode when it is renamed, and no copy of it has the same.
        found = Home(os.urandom(16).hex(), temporary.stat().st_ino)
        temporary.write_bytes(msgspec.json.encode(found) + b"\n")
        try:
            files.publish(temporary, path, replacing=not only_if_missing)
        except TargetExists:  # another process drew one just now
            return home_of(directory)
    return found.home
