"""`mirror --check` and `--repair`: deleted, altered and foreign points are found and named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import CorruptJournal, InfluxSettings, Record
from eventstore.influx import status
from eventstore.influx.client import Client
from eventstore.influx.points import Encoder
from eventstore.influx.repair.check import Comparison, ComparisonResult
from eventstore.influx.ship.shipper import Shipper
from eventstore.journal import Query
from eventstore.journals.sqlite import SqliteJournal
from eventstore.side import FileSide
from eventstore.trading import OrderFilled, OrderSubmitted, Side
from tests.influx.api import Server

COUNT = 60
NS = 1_000_000_000


class Shipped:
    """A log of sixty fills, mirrored to InfluxDB."""

    def __init__(self, directory: Path, server: Server, bucket: str) -> None:
        self.settings = InfluxSettings(server.url, server.org, bucket, server.token)
        self.directory = directory / "main"
        self._server, self._bucket = server, bucket
        with eventstore.open(directory) as store:
            for number in range(COUNT):
                price = Decimal(6000) + Decimal(number) / 4
                side = Side.BUY if number % 2 else Side.SELL
                fill = OrderFilled(
                    trade_id=f"T-{number}", symbol="ES, Z=5", side=side, quantity=Decimal(1), price=price
                )
                store.append(f'order/ACC{number % 3}/O "{number}" \\', fill, note='said\n"so"\\')
        self.journal = SqliteJournal(self.directory / "journal.db")
        self.ship()
        self.client = Client(self.settings)
        self.records = list(self.journal.read(Query(limit=COUNT)))

    def ship(self) -> None:
        assert Shipper(self.journal, FileSide(self.directory), self.settings).run(once=True, patience_seconds=20) > 0

    def compare(self, *, repair: bool = False, shipped: int | None = None) -> ComparisonResult:
        cursor = status.read_cursor(FileSide(self.directory))
        assert cursor is not None
        position = cursor.position if shipped is None else shipped
        return Comparison(self.journal, self.client, shipped=position, symbols=True, repair=repair).run()

    def delete(self, record: Record) -> None:
        """Delete a point, which every token that may write may do."""
        at = instant(record.recorded_at)
        self._server.delete_points(self._bucket, '_measurement="events" AND log="main"', at, at)

    def line(self, record: Record) -> str:
        measures = {kind.name: kind.measures for kind in self.journal.types()}
        encoder = Encoder("main", self.journal.log_id, lambda type_, _schema: measures[type_])
        return encoder.lines([record])[0]

    def write(self, line: str) -> None:
        self._server.write(self._bucket, line.encode())

    def close(self) -> None:
        self.client.close()
        self.journal.close()


@pytest.fixture
def shipped(tmp_path: Path, server: Server, bucket: str) -> Iterator[Shipped]:
    found = Shipped(tmp_path, server, bucket)
    yield found
    found.close()


def instant(recorded_at: int) -> str:
    seconds, nanoseconds = divmod(recorded_at, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


@pytest.mark.container
def test_a_mirrored_log_has_no_differences(shipped: Shipped) -> None:
    found = shipped.compare()
    assert (found.ok, found.checked, found.points, found.differences) == (True, COUNT, COUNT, ())


@pytest.mark.parametrize("position", [1, 30, COUNT])
def test_a_deleted_point_is_listed_and_shipped_again(shipped: Shipped, position: int) -> None:
    shipped.delete(shipped.records[position - 1])
    found = shipped.compare()
    assert (found.ok, found.missing, found.altered, found.foreign) == (False, 1, 0, 0)
    assert found.first is not None
    assert (found.first.kind, found.first.position) == ("missing", position)
    assert shipped.compare(repair=True).repaired == 1
    assert shipped.compare().ok


def test_a_deleted_span_is_shipped_again_byte_for_byte(shipped: Shipped) -> None:
    for record in shipped.records[10:40]:
        shipped.delete(record)
    assert shipped.compare().missing == 30
    assert shipped.compare(repair=True).repaired == 30
    with eventstore.connect(settings=shipped.settings) as reader:
        assert list(reader.read()) == shipped.records


@pytest.mark.parametrize(
    ("member", "before", "after"),
    [
        ("price", "price=6007.0", "price=6008.0"),
        ("quantity", "quantity=1.0", "quantity=2.0"),
        ("data", "T-28", "T-29"),
        ("meta", "said", "sang"),
        ("occurred_at", "occurred_at=1", "occurred_at=2"),
        ("stream", 'stream="order/ACC1', 'stream="order/ACC2'),
        ("position", "position=29i", "position=30i"),
    ],
)
def test_an_altered_point_is_listed_with_its_member_and_left_as_it_is(
    shipped: Shipped, member: str, before: str, after: str
) -> None:
    line = shipped.line(shipped.records[28])
    changed = line.replace(before, after, 1)
    assert changed != line
    shipped.write(changed)
    for repair in (False, True):
        found = shipped.compare(repair=repair)
        assert (found.missing, found.altered, found.foreign, found.repaired) == (0, 1, 0, 0)
        assert found.first is not None
        assert (found.first.kind, found.first.position) == ("altered", 29)
        assert found.first.detail.endswith(f": {member}")


def test_an_added_field_is_an_alteration(shipped: Shipped) -> None:
    tags, fields = shipped.line(shipped.records[5]).split(" position=", 1)
    shipped.write(f"{tags} invented=1.5 {fields.rsplit(' ', 1)[1]}")
    found = shipped.compare()
    assert [(each.kind, each.position) for each in found.differences] == [("altered", 6)]
    assert found.differences[0].detail.endswith(": invented")


def test_foreign_points_are_listed_before_between_and_after_the_records(shipped: Shipped) -> None:
    last = shipped.records[-1].recorded_at
    for recorded_at in (5, shipped.records[20].recorded_at, shipped.records[20].recorded_at + 1, last + NS):
        shipped.write(f'events,account=X,category=order,log=main,type=Put position=7i,data="{{}}" {recorded_at}')
    found = shipped.compare(repair=True)
    assert (found.missing, found.altered, found.foreign, found.repaired) == (0, 0, 4, 0)
    assert [each.position for each in found.differences] == [0, 21, 0, 0]
    assert {each.kind for each in found.differences} == {"foreign"}
    assert "Put of no stream, with position 7" in found.differences[0].detail


def test_points_of_another_log_are_ignored(shipped: Shipped) -> None:
    shipped.write(f"events,account=X,category=order,log=other,type=Put position=7i {shipped.records[3].recorded_at}")
    assert shipped.compare().ok


def test_records_after_the_cursor_may_be_present_or_not(shipped: Shipped) -> None:
    shipped.delete(shipped.records[50])
    found = shipped.compare(shipped=40)
    assert (found.ok, found.checked) == (True, 40)
    assert not shipped.compare(shipped=51).ok


def test_records_shipped_during_a_comparison_are_not_a_difference(shipped: Shipped, tmp_path: Path) -> None:
    """They are neither missing nor foreign."""
    original = shipped.journal.head
    with eventstore.open(tmp_path) as store:

        def head() -> int:
            found = original()
            store.append("order/ACC1/late", OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1)))
            shipped.journal.head = original  # type: ignore[method-assign]
            shipped.ship()
            return found

        shipped.journal.head = head  # type: ignore[method-assign]
        found = shipped.compare(shipped=COUNT)
    assert (found.ok, found.points) == (True, COUNT + 1)


def test_an_altered_journal_is_not_compared(shipped: Shipped) -> None:
    shipped.journal._writer.execute("UPDATE event SET note = 'other' WHERE position = 17")
    with pytest.raises(CorruptJournal) as caught:
        shipped.compare()
    assert caught.value.position == 17
