"""What the commands take alike: where the log lives, its name, JSON, the zone of times, and instants as text."""

from __future__ import annotations

import contextlib
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import eventstore
from eventstore import Clock, EventReader, EventStore, InvalidEvent, ReadOnly, Record, SystemClock, Unavailable
from eventstore.clock import parse_time
from eventstore.store import journal_path
from projections.replay import find_mark

Data = Annotated[
    Path,
    typer.Option(
        "--data", envvar="EVENTSTORE_DATA", metavar="DIR", help="The store's directory; to ask, also InfluxDB's URL."
    ),
]
Log = Annotated[str, typer.Option("--log", metavar="NAME", help="The log in it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or a line for each record.")]
Zone = Annotated[str, typer.Option("--zone", metavar="NAME", help="The zone of printed times, as America/Chicago.")]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account.")]
Note = Annotated[str, typer.Option("--note", help="A remark to keep with the record.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who says so; by default user@host/program.")]
OccurredAt = Annotated[
    str | None, typer.Option("--occurred-at", metavar="INSTANT", help="When it happened; by default now.")
]

DATA = Path("data")
LOG = "main"
UTC_NAME = "UTC"
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
INSTANT_HELP = "an ISO 8601 time with its zone, a position, or a mark's name"


class Instant(msgspec.Struct, frozen=True):
    """A point in a log: the last position that counts, when it was recorded, and when to ask for lockouts (UNIX ns)."""

    position: int
    at: int
    asked: int


@contextlib.contextmanager
def reading(data: Path, log: str) -> Iterator[EventReader]:
    """Open a log to ask: that of a directory, or, where DIR is InfluxDB's address, the one that is mirrored there."""
    url = url_of(data)
    if url:
        with eventstore.connect(url, log=log) as reader:
            yield reader
        return
    with opened(data, log) as store:
        yield store


def url_of(data: Path) -> str:
    """Return the address that was given in place of a directory, '' for a directory."""
    # A path does not keep two slashes in a row.
    scheme, colon, rest = str(data).partition(":/")
    return f"{scheme}://{rest.lstrip('/')}" if colon and scheme in {"http", "https"} else ""


@contextlib.contextmanager
def opened(data: Path, log: str) -> Iterator[EventStore]:
    """Open a journal that must be there: asking never creates one."""
    if url_of(data):
        msg = f"{url_of(data)} holds no journal, which this command needs: give --data DIR"
        raise Unavailable(msg)
    place = journal_path(data, log)
    if not place.is_file():
        others = sorted(found.parent.name for found in data.glob("*/journal.db"))
        there = f"the logs there are {', '.join(others)}" if others else "give --data DIR, or append or import first"
        msg = f"there is no log {log!r} in {data}: {there}"
        raise Unavailable(msg)
    with eventstore.open(data, log=log) as store:
        yield store


@contextlib.contextmanager
def writing(data: Path, log: str) -> Iterator[EventStore]:
    """Open a log to append to, created where there is none."""
    if url_of(data):
        msg = f"{url_of(data)} is a reading end: append where the journal is, with --data DIR"
        raise ReadOnly(msg)
    with eventstore.open(data, log=log) as store:
        yield store


def clock_of(store: EventReader) -> Clock:
    """Return the clock that says what is now."""
    return store.clock if isinstance(store, EventStore) else SystemClock()


def zone_of(name: str) -> tzinfo:
    """Return a zone by its name; raise InvalidEvent for one that nobody knows."""
    if name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as e:
        msg = f"there is no time zone {name!r}: write it like America/Chicago or UTC"
        raise InvalidEvent(msg) from e


def instant_of(store: EventReader, text: str) -> Instant:
    """Return the instant of the log that a position, a time of recording or a mark's name means."""
    if text.isdecimal() and text.isascii():
        return _at_position(store, int(text))
    try:
        at = parse_time(text)
    except InvalidEvent as e:
        return _at_mark(store, text, e)
    return Instant(store.position_at(at), at, at)


def time_of(store: EventReader, text: str) -> int:
    """Return the time in UNIX ns that a text means; of a position or a mark, when that record occurred."""
    if text.isdecimal() and text.isascii():
        position = int(text)
        return record_at(store, position).occurred_at if position else 0
    try:
        return parse_time(text)
    except InvalidEvent as e:
        return record_at(store, _at_mark(store, text, e).position).occurred_at


def record_at(store: EventReader, position: int) -> Record:
    """Return the record of a position; raise InvalidEvent where the log does not reach it."""
    for record in store.read(after=max(position - 1, 0), limit=1):
        if record.position == position:
            return record
    msg = f"position {position} is not in the log, which ends at {store.head()}"
    raise InvalidEvent(msg)


def _at_position(store: EventReader, position: int) -> Instant:
    return _at_record(record_at(store, position)) if position else Instant(0, 0, 0)


def _at_mark(store: EventReader, text: str, no_time: InvalidEvent) -> Instant:
    try:
        record = find_mark(store, text)
    except InvalidEvent as e:
        if _DATED.match(text):
            raise no_time from e
        msg = f"{no_time}; or give a position, or a mark's name: {e}"
        raise InvalidEvent(msg) from e
    return _at_record(record)


def _at_record(record: Record) -> Instant:
    # An imported or simulated day was recorded long after it happened, and its lockouts held while it did.
    return Instant(record.position, record.recorded_at, min(record.recorded_at, record.occurred_at))
