"""Claims: which log owns a name in a bucket, and which copy of its journal may ship it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

from eventstore.errors import Refused
from eventstore.influx.client import ResponseDecoder
from eventstore.influx.points import LOGS, escape_string
from eventstore.streams import check_name

if TYPE_CHECKING:
    from eventstore.influx.client import Client


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """A point of `logs`: from `claimed_at` (UNIX ns) on, the log's name stands for this id, and this home ships it."""

    claimed_at: int
    home: str | None
    host: str | None
    symbols: bool | None
    log: str | None
    log_id: str | None


_DECODER: ResponseDecoder[Claim] = ResponseDecoder(Claim)
_SELECT = f'SELECT home, host, symbols, "log", log_id FROM {LOGS}'  # noqa: S608 - constant text


def read(client: Client, log: str | None = None) -> list[Claim]:
    """Return the claims of a log, or of all logs in the bucket, oldest first."""
    where = "" if log is None else " WHERE log = $log"
    rows = _DECODER.rows(client.fetch(_SELECT + where, {} if log is None else {"log": log}))
    # A point may be seen before all its fields are there.
    return [claim for claim in rows if claim.home is not None and claim.log is not None and claim.log_id is not None]


def current(client: Client, log: str) -> Claim | None:
    """Return the newest claim of a log's name, None if it was never claimed."""
    # Two journals may claim a name in the same nanosecond: the id decides, so that both see the same winner.
    return max(read(client, log), key=lambda claim: (claim.claimed_at, claim.log_id), default=None)


def logs(client: Client) -> tuple[str, ...]:
    """Return the names of the logs in a bucket, sorted."""
    return tuple(sorted({claim.log for claim in read(client) if claim.log is not None}))


def write(client: Client, log: str, log_id: bytes, home: str, *, symbols: bool, at: int) -> None:
    """Write a claim; writing the same one again changes nothing."""
    host = "".join(sign for sign in socket.gethostname() if sign.isprintable())
    fields = f'home="{home}",host="{escape_string(host)}",symbols={"true" if symbols else "false"}'
    client.write(f"{LOGS},log={log},log_id={log_id.hex()} {fields} {at}".encode())


def log_id_of(client: Client, log: str) -> bytes:
    """Return the id of a log in the bucket; raise Refused, naming the logs that exist, if there is no such log."""
    found = current(client, check_name("log", log))
    if found is None:
        names = ", ".join(logs(client)) or "none"
        msg = f"bucket {client.settings.bucket!r} has no log {log!r}: its logs are {names}"
        raise Refused(msg)
    return bytes.fromhex(found.log_id or "")
