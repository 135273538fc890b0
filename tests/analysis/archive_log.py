"""A log that is hard to archive: several days and categories, odd names and figures, types without a class."""

from __future__ import annotations

import datetime
import itertools
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

import eventstore
from benchmarks.workload import lives
from eventstore import Batch, Duration, Event, EventStore, Instant, ManualClock
from eventstore.clock import NANOSECONDS, parse_time
from eventstore.record import PreparedBatch
from eventstore.testing.drafts import draft
from projections.analysis.archive import layout

DAY = 86_400 * NANOSECONDS
BEGAN = parse_time("2025-11-19T22:00:00Z")
DAYS = 4


@eventstore.event(categories=("measured", "Measured.of"))
class Measured(Event, frozen=True, kw_only=True):
    """Every kind of member there is, and digits that no decimal128(38, 9) holds where `wei` is given."""

    amount: Decimal
    by: str = "somebody"
    symbol: str | None = None
    wei: Decimal | None = None
    day: datetime.date | None = None
    is_late: bool | None = None
    number: int = 7
    lasted: Duration | None = None
    at: Instant | None = None
    parts: tuple[int, ...] = ()
    named: dict[str, Decimal] = {}  # noqa: RUF012 - msgspec copies it


@eventstore.event(categories=("measured",))
class Divided(Event, frozen=True, kw_only=True):
    """A member of the same name as another type's, and of another kind."""

    by: Decimal


def write_log(directory: Path, orders: int = 300, turns: int = 2 * DAYS - 1) -> ManualClock:
    """Write some thousand records in two steps a day, and return the clock, which shows the time of the last."""
    clock = ManualClock(BEGAN)
    events = lives(random.Random(5), accounts=4, alive=20, fills_max=3)
    with eventstore.open(directory, clock=clock) as store:
        for turn in range(turns):
            store.append_many([Batch(stream, event) for stream, event in itertools.islice(events, orders)])
            odd_records(store, turn)
            if turn < turns - 1:
                clock.advance(DAY // 2)
    return clock


def odd_records(store: EventStore, turn: int) -> None:
    """Append what an archive might get wrong."""
    one = Measured(
        amount=Decimal("1234567890123.123456789"), symbol='E"S,', by="a\tb\nü\\", day=datetime.date(2025, 11, 19),
        is_late=False, lasted=1_000_000_001, at=BEGAN + 1, parts=(1, 2), named={"x": Decimal("1.10")},
    )  # fmt: skip
    store.append("measured/ACC1/a%2Fb ü", [one, Divided(by=Decimal("0.10"))], note="a note", actor="")
    store.append("Measured.of/-/x", Measured(amount=Decimal("0.1") + turn, by="", symbol="ESZ5"), key=f"key {turn}")
    store.append("measured/ACC1/big", Measured(amount=Decimal("12345678901.5")), causation_id=bytes(16))
    if turn == 2:
        store.append("measured/ACC2/wei", Measured(amount=Decimal(1), wei=Decimal("1E-18")))
    # What no class here reads: a type without one, a schema of the future, and data that does not fit.
    stream = "measured/ACC3/odd"
    strangers = [
        draft(stream, f"unknown {turn}", type="NotedElsewhere"),
        draft(stream, f"newer {turn}", type="Divided", schema=9, correlation_id=bytes(16)),
    ]
    (outcome,) = store._journal.commit([[PreparedBatch(stream, strangers)]])  # type: ignore[attr-defined]
    assert not isinstance(outcome, Exception)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of an archive with its bytes, but for the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != layout.LOCK
    }


def rewrite(folder: Path, path: str, changed: dict[str, pa.Array] | None = None, rows: list[int] | None = None) -> None:
    """Write a file again, some columns changed or with some rows alone, and let the table of contents agree."""
    file = pq.ParquetFile(folder / path)
    table, about = file.read(), file.schema_arrow.metadata
    for name, column in (changed or {}).items():
        table = table.set_column(table.column_names.index(name), name, column)
    if rows is not None:
        table = table.take(rows)
    target = folder / path
    target.unlink()
    with pq.ParquetWriter(
        str(target), table.schema.remove_metadata(), compression="zstd", store_schema=False
    ) as writer:
        writer.write_table(table.replace_schema_metadata())
        writer.add_key_value_metadata({layout.METADATA: about[layout.METADATA]})
    agree(folder, path)


def agree(folder: Path, path: str, **members: Any) -> None:  # noqa: ANN401 - members of all types
    """Let the table of contents say of a file what it is now."""
    catalog = layout.load(folder)
    members |= {"size": (folder / path).stat().st_size, "sha256": layout.digest_of(folder / path)}
    members |= {"footer": layout.footer_of(folder / path)}
    ranges = []
    for sealed in catalog.ranges:
        files = tuple(msgspec.structs.replace(file, **members) if file.path == path else file for file in sealed.files)
        ranges.append(msgspec.structs.replace(sealed, files=files))
    layout.save(folder, msgspec.structs.replace(catalog, ranges=tuple(ranges)))
