"""A book on a mirrored store folds what is durable, whether InfluxDB has it yet or not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import eventstore
import projections
from eventstore import MIRRORED, InfluxSettings, NotMirrored
from eventstore.trading import OrderFilled, Side
from tests.influx.api import Server

FILL = OrderFilled(trade_id="T", symbol="ESZ5", side=Side.BUY, quantity=Decimal(2), price=Decimal(6000))


def test_records_that_influxdb_has_not_confirmed_are_folded(tmp_path: Path) -> None:
    unreachable = InfluxSettings("http://127.0.0.1:9", "org", "bucket", "token", wait_seconds=0.2)
    with eventstore.open(tmp_path, influx=unreachable) as store, projections.open(store) as book:
        with pytest.raises(NotMirrored) as caught:
            book.append("order/ACC1/O-1", FILL, durability=MIRRORED)
        assert [record.position for record in caught.value.records] == [1]
        assert book.positions.get("ACC1", "ESZ5").quantity == 2
        assert book.position == store.head() == 1


def test_a_repeated_report_is_confirmed_as_its_first_record_and_folded_once(tmp_path: Path) -> None:
    unreachable = InfluxSettings("http://127.0.0.1:9", "org", "bucket", "token", wait_seconds=0.2)
    another = msgspec.structs.replace(FILL, trade_id="U")
    with eventstore.open(tmp_path, influx=unreachable) as store, projections.open(store) as book:
        book.append("order/ACC1/O-1", FILL)
        with pytest.raises(NotMirrored, match="up to position 2 are durable") as caught:
            book.append("order/ACC1/O-1", [another, FILL], durability=MIRRORED)
        assert [record.position for record in caught.value.records] == [2, 1]
        with pytest.raises(NotMirrored, match="up to position 1 are durable"):
            book.append("order/ACC1/O-1", FILL, durability=MIRRORED)
        assert book.positions.get("ACC1", "ESZ5").quantity == 4
        assert book.position == store.head() == 2


def test_a_book_from_influxdb_equals_the_store_s(tmp_path: Path, server: Server, bucket: str) -> None:
    settings = InfluxSettings(server.url, server.org, bucket, server.token)
    with eventstore.open(tmp_path, influx=settings) as store, projections.open(store) as book:
        book.append("order/ACC1/O-1", FILL, durability=MIRRORED)
        with eventstore.connect(settings=settings) as reader, projections.open(reader) as there:
            assert there.positions.of("ACC1") == book.positions.of("ACC1")
            assert there.position == 1
