"""After the loss of a disk: a journal rebuilt from InfluxDB, verified, with what is missing reported."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import eventstore
from eventstore import MIRRORED, CorruptJournal, Gap, InfluxSettings, Refused, TargetExists, Unproved
from eventstore.influx.repair.restore import Restored, adopt, restore
from eventstore.influx.ship.shipper import Shipper
from eventstore.journals.sqlite import SqliteJournal
from eventstore.side import FileSide
from eventstore.trading import OrderFilled, Side
from eventstore.watermarks import Watermark, Watermarks
from tests.influx.api import Server
from tests.influx.test_checking import instant

COUNT = 700


def fills(first: int, count: int) -> list[OrderFilled]:
    return [
        OrderFilled(trade_id=f"T-{n}", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(n))
        for n in range(first, first + count)
    ]


def ship(data: Path, settings: InfluxSettings) -> int:
    journal = SqliteJournal(data / "main" / "journal.db")
    try:
        return Shipper(journal, FileSide(data / "main"), settings).run(once=True, patience_seconds=20)
    finally:
        journal.close()


@pytest.fixture
def settings(server: Server, bucket: str) -> InfluxSettings:
    return InfluxSettings(server.url, server.org, bucket, server.token)


@pytest.fixture
def data(tmp_path: Path, settings: InfluxSettings) -> Path:
    """A directory with a mirrored log."""
    with eventstore.open(tmp_path / "data") as store:
        for first in range(0, COUNT, 100):
            store.append(f"order/ACC{first // 100}/O-1", fills(first, 100), key=[f"K{n}" for n in range(100)])
    ship(tmp_path / "data", settings)
    return tmp_path / "data"


@pytest.mark.container
def test_a_restored_log_is_the_log(data: Path, settings: InfluxSettings, tmp_path: Path) -> None:
    found = restore(settings, tmp_path / "new" / "main", "main")
    with eventstore.open(data) as old, eventstore.open(tmp_path / "new") as new:
        assert new.log_id == old.log_id
        assert list(new.read()) == list(old.read())
        assert new.root() == old.root()
        assert new.verify().ok
        assert new.doctor() == []
        assert (found.position, found.root, found.acknowledged) == (COUNT, new.root()[1].hex(), COUNT)
    assert found.proved > 0
    with eventstore.connect(settings=settings) as reader:
        assert (reader.verify().ok, reader.root()) == (True, (COUNT, bytes.fromhex(found.root)))


def test_a_restored_log_continues_and_ships_once_it_is_adopted(
    data: Path, settings: InfluxSettings, tmp_path: Path
) -> None:
    restore(settings, tmp_path / "new" / "main", "main")
    with eventstore.open(tmp_path / "new") as new:
        # An event that was appended before is known: the ids are restored with the records.
        assert new.append("order/ACC1/O-1", fills(100, 1), key="K0")[0].position == 101
        assert new.append("order/ACC1/O-1", fills(900, 1), expected=100)[0].position == COUNT + 1
        with pytest.raises(Refused, match="eventstore adopt"):
            ship(tmp_path / "new", settings)
        adopt(settings, FileSide(tmp_path / "new" / "main"), "main", new.log_id)
    assert ship(tmp_path / "new", settings) == COUNT + 1
    with pytest.raises(Refused, match="eventstore adopt"):
        ship(data, settings)
    with (
        eventstore.connect(settings=settings) as reader,
        eventstore.open(tmp_path / "new", influx=settings) as new,
    ):
        last = new.append("order/ACC1/O-1", fills(901, 1), durability=MIRRORED)
        assert list(reader.read(after=COUNT + 1)) == last


def test_measures_are_restored_without_the_events_classes(
    data: Path, settings: InfluxSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SqliteJournal(data / "main" / "journal.db")
    monkeypatch.setattr("eventstore.events.registry._by_name", {})
    restore(settings, tmp_path / "new" / "main", "main")
    after = SqliteJournal(tmp_path / "new" / "main" / "journal.db")
    assert list(after.types()) == list(before.types())
    assert after.types()[0].measures
    before.close()
    after.close()


def test_acknowledged_records_that_are_lost_are_reported(data: Path, settings: InfluxSettings, tmp_path: Path) -> None:
    with eventstore.open(data) as store:
        store.append("order/ACC9/O-1", fills(0, 5))
    (data / "main" / "journal.db").unlink()
    for left in (data / "main").glob("journal.db-*"):
        left.unlink()
    found = restore(settings, data / "main", "main")
    assert (found.position, found.acknowledged, found.witness) == (COUNT, COUNT + 5, "the watermark head")
    with eventstore.open(data) as store:
        assert store.head() == COUNT
    assert (data / "main" / "watermarks.lost" / "head").exists()


def test_watermarks_kept_elsewhere_are_checked(data: Path, settings: InfluxSettings, tmp_path: Path) -> None:
    with eventstore.open(data) as store:
        record = next(store.read(after=COUNT // 2, limit=1))
        log_id = store.log_id.hex()
    kept = Watermarks(tmp_path / "kept")
    kept.write("signed", Watermark(log_id, record.position, record.digest.hex()))
    fewer = restore(settings, tmp_path / "one" / "main", "main")
    more = restore(settings, tmp_path / "two" / "main", "main", watermarks=tmp_path / "kept")
    assert more.proved == fewer.proved + 1
    kept.write("signed", Watermark(log_id, record.position, bytes(32).hex()))
    with pytest.raises(CorruptJournal, match="the watermark signed has another digest") as caught:
        restore(settings, tmp_path / "three" / "main", "main", watermarks=tmp_path / "kept")
    assert caught.value.position == record.position
    assert not (tmp_path / "three").exists(), "a failed restore leaves a folder"
    kept.write("signed", Watermark(bytes(16).hex(), record.position, record.digest.hex()))
    with pytest.raises(Refused, match="to another log"):
        restore(settings, tmp_path / "three" / "main", "main", watermarks=tmp_path / "kept")


def test_an_altered_point_does_not_match_the_roots_of_the_mirror(
    data: Path, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    dumped = server.influxql(bucket, "SELECT * FROM events WHERE log = 'main' AND \"position\" = 350")
    series = dumped["results"][0]["series"][0]
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    changed = row["data"].replace("T-349", "T-350").replace('"', '\\"')
    tags = f"account={row['account']},category=order,log=main,symbol=ESZ5,type=OrderFilled"
    server.write(bucket, f'events,{tags} data="{changed}" {row["time"]}'.encode())
    with pytest.raises(CorruptJournal, match="the mirror has another digest or root here: points were altered"):
        restore(settings, tmp_path / "new" / "main", "main")
    with eventstore.connect(settings=settings) as reader:
        found = reader.verify()
    assert (found.ok, found.first_bad) == (False, 1)
    assert "do not give the root that was left: one was changed" in (found.reason or "")


@pytest.mark.usefixtures("impatient")
def test_a_gap_is_reported_and_what_comes_before_it_can_be_restored(
    data: Path, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    with eventstore.open(data) as store:
        at = instant(next(store.read(after=399, limit=1)).recorded_at)
    server.delete_points(bucket, '_measurement="events" AND log="main"', at, at)
    with pytest.raises(Gap) as caught:
        restore(settings, tmp_path / "new" / "main", "main")
    assert (caught.value.after, caught.value.found) == (399, 401)
    assert not (tmp_path / "new").exists(), "a failed restore leaves a folder"
    found = restore(settings, tmp_path / "new" / "main", "main", up_to=399)
    assert (found.position, found.acknowledged, found.witness) == (399, COUNT, "the mirror")


@pytest.mark.parametrize("left", ["nothing", "a root of position 0", "the watermark of an empty log"])
def test_an_unproved_log_is_restored_only_if_that_is_accepted(
    *, left: str, data: Path, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    server.delete_points(bucket, '_measurement="mirror"')
    with eventstore.open(data) as store:
        log_id = store.log_id.hex()
    new, marks = tmp_path / "new", tmp_path / "marks"
    if left == "a root of position 0":
        server.write(bucket, b'mirror,log=main position=0i,head=0i,tree="0:00" 1')
    if left == "the watermark of an empty log":
        Watermarks(marks / "watermarks").directory.parent.mkdir()
        Watermarks(marks / "watermarks").write("head", Watermark(log_id, 0, ""))
    given = marks / "watermarks" if marks.exists() else None
    with pytest.raises(Unproved, match=r"nothing proves that bucket .* holds log 'main'"):
        restore(settings, new / "main", "main", watermarks=given)
    assert not new.exists(), "a failed restore leaves a folder"
    found = restore(settings, new / "main", "main", watermarks=given, unproved=True)
    assert (found.position, found.proved, found.proved_to) == (COUNT, 0, 0)
    with eventstore.open(data) as old, eventstore.open(new) as restored:
        assert restored.root() == old.root()


def test_a_log_without_events_and_roots_is_not_restored_as_an_empty_one(
    data: Path, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    server.delete_points(bucket, '_measurement="events"')
    found = restore(settings, tmp_path / "one" / "main", "main")
    assert (found.position, found.acknowledged, found.witness) == (0, COUNT, "the mirror")
    server.delete_points(bucket, '_measurement="mirror"')
    with pytest.raises(Unproved):
        restore(settings, tmp_path / "two" / "main", "main")


def test_one_watermark_is_proof_up_to_its_position(
    data: Path, settings: InfluxSettings, server: Server, bucket: str, tmp_path: Path
) -> None:
    server.delete_points(bucket, '_measurement="mirror"')
    with eventstore.open(data) as store:
        record = next(store.read(after=399, limit=1))
        mark = Watermark(store.log_id.hex(), record.position, record.digest.hex())
    (tmp_path / "kept").mkdir()
    Watermarks(tmp_path / "kept" / "watermarks").write("signed", mark)
    found = restore(settings, tmp_path / "new" / "main", "main", watermarks=tmp_path / "kept" / "watermarks")
    assert (found.position, found.proved, found.proved_to) == (COUNT, 1, 400)


def test_a_folder_without_watermarks_is_refused(data: Path, settings: InfluxSettings, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no watermarks"):
        restore(settings, tmp_path / "new" / "main", "main", watermarks=tmp_path / "misspelt")
    assert not (tmp_path / "new").exists()


def test_an_existing_journal_is_not_overwritten(data: Path, settings: InfluxSettings) -> None:
    before = (data / "main" / "journal.db").read_bytes()
    with pytest.raises(TargetExists):
        restore(settings, data / "main", "main")
    assert (data / "main" / "journal.db").read_bytes() == before
    assert (data / "main" / "watermarks").is_dir()


def test_a_log_that_was_never_shipped_is_not_adopted(data: Path, settings: InfluxSettings, server: Server) -> None:
    other = server.make_bucket()
    elsewhere = msgspec.structs.replace(settings, bucket=other)
    with pytest.raises(Refused, match="there is nothing to adopt"):
        adopt(elsewhere, FileSide(data / "main"), "main", bytes(16))
    with pytest.raises(Refused, match="not a copy of this one"):
        adopt(settings, FileSide(data / "main"), "main", bytes(16))
    server.delete_bucket(other)


def test_an_empty_log_is_restored_empty(tmp_path: Path, settings: InfluxSettings) -> None:
    eventstore.open(tmp_path / "data").close()
    ship(tmp_path / "data", settings)
    found = restore(settings, tmp_path / "new" / "main", "main")
    assert found == Restored(0, found.root, 0, 0, "")
    with eventstore.open(tmp_path / "data") as old, eventstore.open(tmp_path / "new") as new:
        assert (new.log_id, new.head()) == (old.log_id, 0)


def test_an_empty_bucket_gets_the_log_again(data: Path, settings: InfluxSettings, server: Server, bucket: str) -> None:
    """Another bucket, or the same after its loss: it has no claim of the log, so the whole log is shipped."""
    server.delete_points(bucket)
    assert ship(data, settings) == COUNT
    with eventstore.connect(settings=settings) as reader, eventstore.open(data) as store:
        assert list(reader.read()) == list(store.read())


def test_a_moved_folder_continues_to_ship(data: Path, settings: InfluxSettings, tmp_path: Path) -> None:
    shutil.move(data, tmp_path / "moved")
    with eventstore.open(tmp_path / "moved") as store:
        store.append("order/ACC9/O-1", fills(0, 5))
    assert ship(tmp_path / "moved", settings) == COUNT + 5
