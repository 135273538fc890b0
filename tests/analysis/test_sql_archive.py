"""A query gives the same rows from a journal, its archive and both; DuckDB reads the archive's files itself."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import Event, EventReader, EventStore, ManualClock
from eventstore import event as registered
from eventstore.trading import LockoutSet
from projections import analysis
from projections.analysis import parquet_views
from tests.analysis.queried import QUOTED, START, fill
from tests.memory import directory_in_memory

DAY = 24 * 3_600 * 10**9
QUERIES = [
    "select * from order_filled order by position",
    "select * from events order by position",
    "select * from records order by position",
    "select account, symbol, count(*) n, sum(quantity * price) s from order_filled group by all order by all",
    "select position, entity, category, occurred_at from events where account = 'A1' order by position",
    "select * from order_filled where symbol = $quoted order by position",
    "select type, count(*) n, max(recorded_at) t from events where account in ('A0', 'A2') group by type order by type",
    "select * from lockout_set",
    "select * from order_accepted",
    "select count(*) n from events",
    "select sum(a.price * b.quantity) s from order_filled a join order_filled b using (position)",
    "select account, side, sum(quantity) q from fills group by all order by all",
]
# Texts have no sum, and that of floats depends on their order.
CASES = [(query, exact) for query in QUERIES for exact in (True, False, "text") if exact is True or "sum(" not in query]


@registered(name="SqlArchived")
class Archived(Event, frozen=True, kw_only=True):
    price: Decimal


def facts(store: EventStore, first: int, count: int) -> None:
    clock = store.clock
    assert isinstance(clock, ManualClock)
    store.append("lockout/A1/r", LockoutSet(rule_id="r"))
    for number in range(first, first + count):
        symbol = QUOTED if number % 5 == 0 else "ESZ5"
        stream = f"order/A{number % 3}/O%2F{number}"
        store.append(stream, fill(number, symbol=symbol, price=f"{number}.123456789"), occurred_at=START + number)
        clock.advance(DAY // 8)


@pytest.fixture(scope="module")
def logs() -> Iterator[tuple[EventReader, EventReader, EventReader]]:
    """A journal, its archive of all but the last days, and both as one."""
    with (
        directory_in_memory() as directory,
        eventstore.open(Path(directory) / "data", clock=ManualClock(START)) as store,
    ):
        folder = Path(directory) / "it's an archive"
        facts(store, 0, 40)
        analysis.archive(store, folder)
        facts(store, 40, 20)
        with analysis.ArchiveReader(folder) as archived, analysis.with_archive(store, folder) as both:
            assert 0 < archived.head() < store.head() == both.head()
            yield store, archived, both


@pytest.mark.untraced
@pytest.mark.parametrize(("query", "exact"), CASES)
def test_a_query_has_the_same_rows_from_each(
    logs: tuple[EventReader, EventReader, EventReader], query: str, *, exact: bool | str
) -> None:
    store, archived, both = logs
    parameters = {"quoted": QUOTED} if "$quoted" in query else None
    stop = next(iter(store.read(after=archived.head(), limit=1))).recorded_at
    for one, options in ((both, {}), (archived, {"stop": stop, "time": "recorded"})):
        expected = analysis.sql(store, query, exact=exact, parameters=parameters, **options)  # type: ignore[arg-type]
        found = analysis.sql(one, query, exact=exact, parameters=parameters, **options)  # type: ignore[arg-type]
        assert found.to_arrow().equals(expected.to_arrow())


def test_bounds_hold_in_the_archive_too(logs: tuple[EventReader, EventReader, EventReader]) -> None:
    for log in logs[0], logs[2]:
        found = analysis.sql(log, "select position from order_filled order by 1", start=START + 3, stop=START + 6)
        assert found.to_arrow().column(0).to_pylist() == [5, 6, 7]
        assert len(analysis.sql(log, "select * from events where account = 'A2'", account="A1")) == 0


def test_duckdb_reads_the_files_and_this_package_only_what_is_not_archived(
    logs: tuple[EventReader, EventReader, EventReader],
) -> None:
    store, archived, both = logs
    assert analysis.sql(archived, "select count(*), sum(price) from order_filled").records_read == 0
    late = store.head() - archived.head()
    assert analysis.sql(both, "select count(*), sum(price) from events").records_read == late
    plan = analysis.sql(archived, "explain select price from order_filled where account = 'A1'")
    (text,) = plan.to_arrow().column("explain_value").to_pylist()
    assert "READ_PARQUET" in text.upper()
    assert "account" in text


def test_what_has_to_be_decoded_is_read_by_this_package() -> None:
    with (
        directory_in_memory() as directory,
        eventstore.open(Path(directory) / "data", clock=ManualClock(START)) as store,
    ):
        store.append("news/-/x", [Archived(price=Decimal("1.5")), Archived(price=Decimal(2))])
        assert isinstance(store.clock, ManualClock)
        store.clock.advance(3 * DAY)
        folder = Path(directory) / "archive"
        analysis.archive(store, folder)

        @registered(name="SqlArchived")
        class Changed(Event, frozen=True, kw_only=True):
            price: Decimal
            size: Decimal = Decimal(7)

        Changed.__qualname__ = Archived.__qualname__
        with analysis.ArchiveReader(folder) as archived:
            for log in store, archived:
                found = analysis.sql(log, "select price, size from sql_archived order by position", exact=True)
                assert found.to_arrow().to_pylist() == [
                    {"price": Decimal("1.5"), "size": Decimal(7)},
                    {"price": Decimal(2), "size": Decimal(7)},
                ]


def test_a_folder_that_looks_like_a_pattern_is_read_by_this_package(
    logs: tuple[EventReader, EventReader, EventReader],
) -> None:
    archive = parquet_views.archive_of(logs[1])
    assert archive is not None
    folder = archive.folder.with_name("a[1]*")
    archive.folder.rename(folder)
    try:
        with analysis.ArchiveReader(folder) as moved:
            query = "select count(*) n, sum(price) s from order_filled"
            found = analysis.sql(moved, query, exact=True)
            assert found.records_read > 0
            archived_fills = logs[1].head() - 1
            expected = sum(Decimal(f"{number}.123456789") for number in range(archived_fills))
            assert found.to_arrow().to_pylist() == [{"n": archived_fills, "s": expected}]
    finally:
        folder.rename(archive.folder)


def test_a_missing_file_is_a_clear_error(logs: tuple[EventReader, EventReader, EventReader]) -> None:
    archive = parquet_views.archive_of(logs[1])
    assert archive is not None
    file = next(archive.folder.glob("order/*.parquet"))
    file.rename(file.with_suffix(".away"))
    try:
        with pytest.raises(analysis.QueryFailed, match=file.name):
            analysis.sql(logs[1], "select count(price) from order_filled")
    finally:
        file.with_suffix(".away").rename(file)
