"""A service of a rotated log: its routes go on from the positions before, and a connection to it is refused."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import EventStore, InvalidEvent, StoreError
from eventstore.trading import AccountUpdated
from gateways.alerting.verifying import TailCheck
from projections.rotation import rotate
from tests.http.serving import running
from tests.rotation.facts import Opened


def test_a_service_of_a_rotated_log_continues(old: EventStore, opened: Opened, tmp_path: Path) -> None:
    rotate(old)
    old.close()
    new = opened()
    head = new.head()
    assert new.chain is not None
    offset = new.chain.offset
    new.close()
    with running(tmp_path) as service:
        assert service.client.get("/v1/head").json()["head"] == head
        answer = service.append("order/A/O-1", {"type": "OrderCanceled", "data": {}}, expected=2)
        assert answer.status_code in {200, 201}, answer.text
        assert service.client.get("/v1/head").json()["head"] == head + 1
        records = service.client.get("/v1/records", params={"stream": "order/A/O-1"}).json()["records"]
        assert [each["version"] for each in records] == [1, 2, 3]
        assert [each["position"] for each in records] == [3, 4, head + 1]
        assert records[-1]["position"] > offset
        state = service.client.get("/v1/state/positions", params={"account": "A"})
        assert state.status_code == 200, state.text
        with pytest.raises(StoreError, match="continues another one"):
            eventstore.connect(service.url, key="")


def test_a_store_alone_is_refused_to_a_book(old: EventStore, opened: Opened) -> None:
    """Its first records would seem to be all: it is a log by its own positions, in no directory."""
    import projections

    rotate(old)
    with pytest.raises((InvalidEvent, StoreError), match="continues log main, and is read here without it"):
        projections.open(opened().alone())


def test_a_table_of_a_rotated_log_has_the_rows_of_all_of_its_logs(
    old: EventStore, opened: Opened, tmp_path: Path
) -> None:
    rotate(old)
    old.close()
    new = opened()
    rotate(new)
    new.close()
    newest = opened()
    newest.append("account/A/-", AccountUpdated(balance=Decimal(7)))
    expected = [[str(each.position), each.stream, str(each.version), each.type] for each in newest.read()]
    newest.close()
    with running(tmp_path) as service:
        answer = service.client.get("/v1/export.csv")
        assert answer.status_code == 200, answer.text
        rows = list(csv.DictReader(answer.text.splitlines()))
    assert [[row[name] for name in ("position", "stream", "version", "type")] for row in rows] == expected


def test_what_alerts_read_back_of_a_rotated_log_is_as_it_was_written(old: EventStore, opened: Opened) -> None:
    rotate(old)
    check = TailCheck(opened())
    check.update()
    assert check.fault is None
