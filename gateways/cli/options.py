"""What the commands take alike: where the log lives, its name, JSON, and the zone of times and how they are shown."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

import eventstore
from eventstore import (
    Clock,
    CorruptJournal,
    EventReader,
    EventStore,
    InvalidEvent,
    ReadOnly,
    StoreError,
    SystemClock,
    Unavailable,
)
from eventstore.journals.sqlite.schema import is_writable
from eventstore.locations import masked_url
from eventstore.store import journal_path
from eventstore.streams import check_name
from eventstore.trading import SessionOpened, SessionReset
from gateways.presenting.documents import plain
from gateways.presenting.presenter import Presenter
from gateways.presenting.times import zone_named
from projections.view import SHARED

Data = Annotated[
    Path,
    typer.Option(
        "--data", envvar="EVENTSTORE_DATA", metavar="DIR", help="Store directory, or the URL of InfluxDB to read there."
    ),
]


def _check_local(data: Path) -> Path:
    if url_of(data):
        msg = f"{masked_url(url_of(data))} holds no journal, which this command needs: give --data DIR"
        raise Unavailable(msg)
    return data


LocalData = Annotated[
    Path,
    typer.Option(
        "--data", envvar="EVENTSTORE_DATA", metavar="DIR", callback=_check_local, help="Store directory, not a URL."
    ),
]
Log = Annotated[str, typer.Option("--log", metavar="NAME", help="The log in it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or a line for each record.")]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone",
        envvar="EVENTSTORE_ZONE",
        metavar="NAME",
        help="Time zone of times typed and printed, as America/Chicago; by default the account's, else UTC.",
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Round nothing: all nine decimals of a second, every digit.")]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account.")]
ReadOnlyFlag = Annotated[
    bool,
    typer.Option("--read-only", help="Write nothing beside the log; the default where it cannot be written to."),
]
Note = Annotated[str, typer.Option("--note", help="Remark to keep with the record.")]
Actor = Annotated[
    str | None, typer.Option("--actor", help="Actor recorded with the event; by default user@host/program.")
]
OccurredAt = Annotated[
    str | None, typer.Option("--occurred-at", metavar="INSTANT", help="When it happened; by default now.")
]

DATA = Path("data")
LOG = "main"


@contextlib.contextmanager
def reading(data: Path, log: str, *, read_only: bool = False) -> Iterator[EventReader]:
    """Open a log to ask: that of a directory, or, where DIR is InfluxDB's address, the one that is mirrored there."""
    url = url_of(data)
    if url:
        with eventstore.connect(url, log=log) as reader:
            yield reader
        return
    with asking(data, log, read_only=read_only) as store:
        yield store


@contextlib.contextmanager
def asking(data: Path, log: str, *, read_only: bool = False) -> Iterator[EventStore]:
    """Open a journal to ask: read-only where that is wanted, or where it cannot be written to."""
    _existing(data, log)
    with _open(data, log, read_only=read_only or is_protected(data, log)) as store:
        yield store


def is_protected(data: Path, log: str) -> bool:
    """Tell whether a log is there to be read only: its directory or one of its files cannot be written to."""
    return not is_writable(journal_path(data, log))


def missing_tail(store: EventReader) -> dict[str, Any]:
    """Return the member of a JSON answer that names the records a copy is known to lack; none where it lacks none."""
    missing = store.missing_tail
    return {} if missing is None else {"missing_tail": {**plain(missing), "reason": str(missing)}}


def url_of(data: Path) -> str:
    """Return the address that was given in place of a directory, '' for a directory."""
    # A path does not keep two slashes in a row.
    scheme, colon, rest = str(data).partition(":/")
    return f"{scheme}://{rest.lstrip('/')}" if colon and scheme in {"http", "https"} else ""


@contextlib.contextmanager
def opened(data: Path, log: str) -> Iterator[EventStore]:
    """Open a journal that must be there, to append to it too."""
    _existing(data, log)
    with _open(data, log) as store:
        yield store


def _existing(data: Path, log: str) -> None:
    """Raise Unavailable where there is no journal: asking never creates one."""
    place = journal_path(data, log)
    if not place.is_file():
        others = sorted(found.parent.name for found in data.glob("*/journal.db"))
        there = f"the logs there are {', '.join(others)}" if others else "give --data DIR, or append or import first"
        msg = f"there is no log {log!r} in {data}: {there}"
        raise Unavailable(msg)


@contextlib.contextmanager
def writing(data: Path, log: str) -> Iterator[EventStore]:
    """Open a log to append to, created where there is none."""
    if url_of(data):
        msg = f"{masked_url(url_of(data))} is a reading end: append where the journal is, with --data DIR"
        raise ReadOnly(msg)
    with _open(data, log) as store:
        yield store


def _open(data: Path, log: str, *, read_only: bool = False) -> EventStore:
    """Open a journal; a refusal of a log that lost its tail says how to see what is left."""
    try:
        return eventstore.open(data, log=log, read_only=read_only)
    except CorruptJournal as e:
        if not read_only and lost_tail(data, log):
            e.add_note("To see what is left in it, use --read-only with verify, doctor, state or read")
        raise


def lost_tail(data: Path, log: str) -> bool:
    """Tell whether a log can be read that lacks records at its end, so that it is not opened to append."""
    try:
        with warnings.catch_warnings(action="ignore"), eventstore.open(data, log=log, read_only=True) as store:
            return store.missing_tail is not None
    except StoreError:
        return False


def clock_of(store: EventReader) -> Clock:
    """Return the clock that says what is now."""
    return store.clock if isinstance(store, EventStore) else SystemClock()


def zone_of(name: str | None) -> tzinfo | None:
    """Return the zone that was asked for, None where none was; raise InvalidEvent for an unknown one."""
    return zone_named(name) if name else None


def presenter(
    reader: EventReader, zone: str | None, account: str | None = None, *, exact: bool = False, usual: str | None = None
) -> Presenter:
    """Return how an answer is shown: in the zone asked for, else the account's own, else a usual one, else UTC."""
    stated = zone_of(zone)
    found = stated or account_zone(reader, account) or zone_of(usual) or UTC
    return Presenter(zone=found, stated=stated, exact=exact)


def account_zone(reader: EventReader, account: str | None) -> tzinfo | None:
    """Return the zone of an account's trading days, as its newest session has it; None where none has."""
    if account is None or account == SHARED:
        return None
    check_name("account", account)
    kinds = (SessionOpened, SessionReset)
    for record in reversed(list(reader.read(stream=f"session/{account}/", types=kinds))):
        # What is unknown or unreadable here counts as no zone: no answer may fail for it.
        with contextlib.suppress(InvalidEvent):
            event = record.event
            if isinstance(event, kinds) and event.zone is not None:
                return zone_named(event.zone)
    return None
