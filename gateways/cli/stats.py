"""`stats`: event counts of a log by type, category and account, its times, size and rate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from eventstore import EventReader, EventStore, Instant
from eventstore.clock import NANOSECONDS
from eventstore.journal import Hosted, Maintenance
from eventstore.journals.sqlite.schema import WAL_BYTES_MAX
from eventstore.journals.sqlite.wal import WriteAheadLog, write_ahead_log
from eventstore.locations import journal_path
from gateways.cli import options
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_query
from gateways.cli.wal_holders import holders_of
from gateways.presenting.documents import plain
from gateways.presenting.output import progress, put, put_json, put_table
from gateways.presenting.presenter import Presenter

_PROGRESS_EACH = 1_000


class Statistics(msgspec.Struct, kw_only=True):
    """Counts of a log. Times are those of the first and last record; `bytes` is its folder, or its tables, whole."""

    log: str
    log_id: bytes
    events: int = 0
    streams: int = 0
    types: Counter[str] = msgspec.field(default_factory=Counter)
    categories: Counter[str] = msgspec.field(default_factory=Counter)
    accounts: Counter[str] = msgspec.field(default_factory=Counter)
    first_recorded_at: Instant | None = None
    last_recorded_at: Instant | None = None
    first_occurred_at: Instant | None = None
    last_occurred_at: Instant | None = None
    bytes: int | None = None
    events_per_second: float | None = None
    bytes_per_event: float | None = None
    write_ahead_log: WriteAheadLog | None = None


@options.command(url=True, read_only=True, zone=True, exact=True)
def stats(common: CommonOptions, *, rows: options.Rows = options.ROWS) -> None:
    """Count events by type, category and account, with first and last times, size on disk and rate."""
    with open_query(common) as query:
        counted = _count(query.store)
        if common.as_json:
            put_json(plain(counted, query.shown.document_zone) | query.missing_tail)
        else:
            _put(counted, query.shown, rows)


def _count(store: EventReader) -> Statistics:
    counted = Statistics(log=store.log, log_id=store.log_id)
    head = store.head()
    with progress("counting") as step:
        for record in store.read(until=head):
            category, account, _ = record.stream.split("/", 2)
            counted.events += 1
            counted.streams += record.version == 1
            counted.types[record.type] += 1
            counted.categories[category] += 1
            counted.accounts[account] += 1
            if counted.first_recorded_at is None:
                counted.first_recorded_at = record.recorded_at
            counted.last_recorded_at = record.recorded_at
            occurred_at = record.occurred_at
            counted.first_occurred_at = min(occurred_at, counted.first_occurred_at or occurred_at)
            counted.last_occurred_at = max(occurred_at, counted.last_occurred_at or occurred_at)
            if counted.events % _PROGRESS_EACH == 0:
                step(counted.events, head)
    if isinstance(store, EventStore):
        _measure_size(counted, store.directory, store.journal)
    if counted.events:
        counted.bytes_per_event = None if counted.bytes is None else round(counted.bytes / counted.events, 1)
        lasted = (counted.last_recorded_at or 0) - (counted.first_recorded_at or 0)
        counted.events_per_second = round(counted.events * NANOSECONDS / lasted, 3) if lasted else None
    return counted


def _measure_size(counted: Statistics, directory: Path | None, journal: Maintenance) -> None:
    if isinstance(journal, Hosted):
        counted.bytes = journal.stored_bytes()
    if directory is not None:
        counted.write_ahead_log = write_ahead_log(journal_path(directory.parent, counted.log))
        counted.bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _put(counted: Statistics, shown: Presenter, rows: int) -> None:
    put(f"log {counted.log}, id {plain(counted.log_id)}")
    where = "the server" if counted.write_ahead_log is None else "disk"
    size = "kept on a server" if counted.bytes is None else f"{counted.bytes:,} bytes on {where}"
    put(f"{counted.events:,} events in {counted.streams:,} streams, {size}")
    if counted.events:
        put(f"recorded {shown.time(counted.first_recorded_at)} to {shown.time(counted.last_recorded_at)}")
        put(f"occurred {shown.time(counted.first_occurred_at)} to {shown.time(counted.last_occurred_at)}")
        rates = []
        if counted.events_per_second is not None:
            rates.append(f"{counted.events_per_second:,} events/s over that time")
        if counted.bytes_per_event is not None:
            rates.append(f"{counted.bytes_per_event:,} bytes per event")
        put(", ".join(rates))
    wal = counted.write_ahead_log
    if wal is not None:
        held = f", {holders_of(wal)}" if wal.bytes > WAL_BYTES_MAX else ""
        put(f"{wal.bytes:,} bytes in the write-ahead log{held}")
    put()
    for title, counts in (("type", counted.types), ("category", counted.categories), ("account", counted.accounts)):
        lines = [(name, f"{count:,}", f"{100 * count / counted.events:.1f} %") for name, count in counts.most_common()]
        put_table(f"By {title}", (title, ">events", ">share"), lines, shown=rows)
