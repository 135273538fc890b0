"""The log that a command works on, opened to read, to append, or to ship."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import eventstore
from eventstore import (
    CorruptJournal,
    EventReader,
    EventStore,
    NoSuchLog,
    ReadOnly,
    StoreError,
    Unavailable,
)
from eventstore.chains import followed
from eventstore.journal import Maintenance
from eventstore.journals import opening
from eventstore.journals.sqlite import ReadOnlyJournal
from eventstore.journals.sqlite.schema import is_writable
from eventstore.locations import journal_path, masked_url
from eventstore.opening import DEFAULT_LOG
from eventstore.side import FileSide, LogSide
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain

if TYPE_CHECKING:
    from gateways.http.keys import StoredKeys

KEY = "EVENTSTORE_KEY"
"""The environment variable with the API key of a service: not an option, which other users' `ps` would show."""


@contextlib.contextmanager
def open_reader(common: CommonOptions) -> Iterator[EventReader]:
    """Open a log to read: in the directory; if a URL was given, of a service where there is a key, else in InfluxDB."""
    if is_service(common):
        with _connected(common) as store:
            yield store
        return
    if common.url:
        with eventstore.connect(common.url, log=common.log) as reader:
            yield reader
        return
    with open_local_reader(common) as store:
        yield store


@contextlib.contextmanager
def open_local_reader(common: CommonOptions) -> Iterator[EventStore]:
    """Open a log on this machine to read: read-only if asked for, or if it is not writable."""
    check_exists(common)
    with _open(common, read_only=common.read_only or is_protected(common)) as store:
        yield store


@contextlib.contextmanager
def open_existing(common: CommonOptions) -> Iterator[EventStore]:
    """Open a log to append to, here or of a service; raise Unavailable if there is none."""
    if common.url:
        with _connected(common) as store:
            yield store
        return
    check_exists(common)
    with _open(common) as store:
        yield store


@contextlib.contextmanager
def open_or_create(common: CommonOptions) -> Iterator[EventStore]:
    """Open a log to append to, here or of a service; here it is created if there is none."""
    with _connected(common) if common.url else _open(common) as store:
        yield store


@contextlib.contextmanager
def open_journal(common: CommonOptions) -> Iterator[tuple[Maintenance, LogSide]]:
    """Open the journal of a log that exists, and what lies beside it, to ship its records.

    One that a rotation has ended is only read.
    """
    with open_existing(common):
        pass
    journal, side = _opened_journal(common)
    try:
        yield journal, side
    finally:
        journal.close()


def _opened_journal(common: CommonOptions) -> tuple[Maintenance, LogSide]:
    place, log = common.place
    if common.postgres is None and followed(common.data, common.log) != common.log:
        path = journal_path(place, log)
        return ReadOnlyJournal(path, log=common.log), FileSide(path.parent)
    address = common.postgres or str(journal_path(place, log).parent)
    return opening.open_journal(address, None if log is DEFAULT_LOG else log)


@contextlib.contextmanager
def open_keys(common: CommonOptions, *, is_watched: bool = False) -> Iterator[StoredKeys]:
    """Open the API keys beside a log; those on a server are watched by a thread if asked for."""
    from gateways.http.keys import KeyDocument, KeyFile

    place, log = common.place
    # They move on with a rotation, to the last log.
    if common.postgres is None:
        yield KeyFile(journal_path(place, followed(common.data, common.log)).parent)
        return
    with _last_side(common.postgres, None if log is DEFAULT_LOG else log) as side:
        keys = KeyDocument(side)
        with keys.watched() if is_watched else contextlib.nullcontext():
            yield keys


@contextlib.contextmanager
def _last_side(url: str, log: str | None) -> Iterator[LogSide]:
    """Open what lies beside a log in PostgreSQL, or beside the last one that continues it."""
    from eventstore.chains.tables import last_journal
    from eventstore.journals.postgres import Location, PostgresSide

    location = Location.of(url, log)
    with contextlib.suppress(NoSuchLog), contextlib.closing(last_journal(location, None, read_only=True)) as last:
        location = last.location
    with contextlib.closing(PostgresSide(location, read_only=False)) as side:
        yield side


def is_protected(common: CommonOptions) -> bool:
    """Return whether a log can only be read: its directory or one of its files is not writable."""
    return common.postgres is None and not is_writable(_journal(common))


def lacks_tail(common: CommonOptions) -> bool:
    """Return whether a log is readable but lacks records at its end, so that it does not open to append."""
    try:
        with warnings.catch_warnings(action="ignore"), common.opened(read_only=True) as store:
            return store.missing_tail is not None
    except StoreError:
        return False


def missing_tail(store: EventReader) -> dict[str, Any]:
    """Return the JSON member that names the records a log is known to lack; empty if it lacks none."""
    missing = store.missing_tail
    return {} if missing is None else {"missing_tail": {**plain(missing), "reason": str(missing)}}


def is_service(common: CommonOptions) -> bool:
    """Return whether --data is the URL of a service: then the environment has a key for it, which may be empty."""
    return bool(common.url) and KEY in os.environ


def _connected(common: CommonOptions) -> EventStore:
    """Connect to the service whose URL was given, to append as well as to read."""
    if not is_service(common):
        msg = (
            f"{masked_url(common.url)} is only read, as InfluxDB: append to the journal itself, with --data DIR, or to "
            f"its service, with an API key in {KEY} (empty for a service without keys)"
        )
        raise ReadOnly(msg)
    return eventstore.connect(common.url, key=os.environ[KEY], log=common.log)


def exists(common: CommonOptions) -> bool:
    """Return whether there is a log in the directory, or in PostgreSQL."""
    if common.postgres is not None:
        try:
            common.opened(read_only=True).close()
        except NoSuchLog:
            return False
        return True
    return not common.url and _journal(common).is_file()


def check_exists(common: CommonOptions) -> None:
    """Raise Unavailable if there is no journal: reading never creates one."""
    if common.postgres is not None:
        common.opened(read_only=True).close()
    elif not _journal(common).is_file():
        others = sorted(found.parent.name for found in common.data.glob("*/journal.db"))
        hint = f"the logs there are {', '.join(others)}" if others else "give --data DIR, or append or import first"
        msg = f"there is no log {common.log!r} in {common.data}: {hint}"
        raise Unavailable(msg)


def _journal(common: CommonOptions) -> Path:
    """Return where the journal of the log is, or of the one that continues it."""
    return journal_path(common.data, followed(common.data, common.log))


def _open(common: CommonOptions, *, read_only: bool = False) -> EventStore:
    """Open a log; the error for one that lost its tail says how to read what is left."""
    try:
        return common.opened(read_only=read_only)
    except CorruptJournal as e:
        if not read_only and lacks_tail(common):
            e.add_note("To see what is left in it, use --read-only with verify, doctor, state or read")
        raise
