"""Edge cases of the mirror: split batches, damaged files, other processes, and one that does not start."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typing_extensions import override

import eventstore
from eventstore import CorruptJournal, EventStore, InfluxSettings, Refused, Unavailable
from eventstore.clock import ManualClock, SystemClock
from eventstore.influx import status
from eventstore.influx.client import Client
from eventstore.influx.ship import batches, history, mirror
from eventstore.influx.ship import shipper as shipping
from eventstore.influx.ship.batches import EncodedBatch
from eventstore.influx.ship.history import History, ResumePoint
from eventstore.influx.ship.sending import CircuitBreaker, send
from eventstore.influx.ship.shipper import Shipper
from eventstore.proofs.verify import tree_at
from eventstore.side import HOME, FileSide
from eventstore.watermarks import Watermark
from tests.influx import filling
from tests.influx.api import Server
from tests.influx.mirroring import WAIT_SECONDS, count, expected_points, fill, points, ship
from tests.influx.test_corners_of_http import BUCKETS, NOWHERE, QUERY, WRITE, Answer, answering
from tests.waiting import until

# Batches


class RejectingClient(Client):
    """Accepts or rejects each write with the status that `judge` returns; 0 accepts it."""

    def __init__(self, judge: Callable[[Sequence[str]], int]) -> None:
        super().__init__(NOWHERE)
        self._judge = judge
        self.asked = 0
        self.written: list[str] = []

    @override
    def write(self, lines: bytes) -> None:
        self.asked += 1
        found = lines.decode().split("\n")
        if code := self._judge(found):
            msg = "as planned"
            raise Refused(msg, status=code)
        self.written += found


def batch_of(size: int, types: Sequence[str]) -> EncodedBatch:
    lines = filling.lines_of(filling.records_at(filling.seconds(size)))
    return EncodedBatch(1, size, "", "", tuple(types), tuple(lines), ())


@pytest.mark.parametrize("types", [[], ["types,log=main a=1 1"]])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_server_that_accepts_few_lines_at_a_time_gets_each_once_and_in_order(most: int, types: list[str]) -> None:
    batch = batch_of(11, types)
    client = RejectingClient(lambda lines: 413 if len(lines) > most else 0)
    send(client, batch, CircuitBreaker())
    assert client.written == [*types, *batch.lines]


@pytest.mark.parametrize("plan", [[401], [413, 401], [413, 0, 401], [413, 0, 413, 401]])
def test_a_token_revoked_during_a_batch_is_not_blamed_on_a_record(plan: list[int]) -> None:
    left = iter(plan)
    client = RejectingClient(lambda _lines: next(left))
    with pytest.raises(Refused) as caught:
        send(client, batch_of(2, ["types,log=main a=1 1"]), CircuitBreaker())
    assert (caught.value.status, caught.value.position, client.asked) == (401, 0, len(plan))


def test_large_events_are_sent_in_smaller_batches(
    settings: InfluxSettings, data: Path, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = Client.write

    def write(client: Client, lines: bytes) -> None:
        sizes.append(lines.count(b"events,"))
        original(client, lines)

    monkeypatch.setattr(Client, "write", write)
    monkeypatch.setattr(batches, "BYTES_MAX", 300)
    with eventstore.open(data) as store:
        fill(store, 12)
        largest = max(len(record.data) for record in store.read())
        assert ship(data, settings) == 12
        assert points(server, bucket) == expected_points(store)
    assert sum(sizes) == 12
    assert 2 <= max(sizes) < 12
    assert largest < 300


def test_a_record_missing_from_the_journal_is_not_skipped(
    settings: InfluxSettings, data: Path, store: EventStore, server: Server, bucket: str
) -> None:
    shipper = Shipper(store._journal, FileSide(data / "main"), settings)
    assert repr(shipper) == "<Shipper of main at 0, idle>"
    store._journal._writer.execute("DELETE FROM event WHERE position = 5")  # type: ignore[attr-defined]
    with pytest.raises(CorruptJournal, match="the record is missing") as caught:
        shipper.run(once=True)
    assert caught.value.position == 5
    assert repr(shipper) == "<Shipper of main at 0, halted>"
    assert count(server, bucket) == 0


def test_a_tree_is_not_grown_from_an_incomplete_one(store: EventStore) -> None:
    fill(store, 290)
    assert tree_at(store._journal, 300).root() == store.root()[1]
    with pytest.raises(CorruptJournal, match="the record is missing") as caught:
        tree_at(store._journal, 301)
    assert caught.value.position == 301
    store._journal._writer.execute("DELETE FROM node")  # type: ignore[attr-defined]
    with pytest.raises(CorruptJournal, match="the stored tree is incomplete"):
        tree_at(store._journal, 300)


# What InfluxDB has of a journal


def test_a_cursor_past_the_journals_end_is_corruption(store: EventStore, settings: InfluxSettings) -> None:
    directory = store.directory
    assert directory is not None
    FileSide(directory).marks().write(status.CURSOR, Watermark(store.log_id.hex(), 11, bytes(32).hex()))
    with contextlib.closing(Client(settings)) as client, pytest.raises(CorruptJournal) as caught:
        History(store._journal, FileSide(directory).marks()).resume(client, is_new=False, routine=False, symbols=True)
    assert caught.value.position == 11


@pytest.mark.parametrize(("gone", "position"), [(0, 8), (1, 0), (4, 3), (5, 3), (8, 6), (9, 8)])
def test_without_a_cursor_shipping_resumes_before_the_first_gap(
    *, store: EventStore, settings: InfluxSettings, monkeypatch: pytest.MonkeyPatch, gone: int, position: int
) -> None:
    """Counted three at a time here, and the newest two may be unconfirmed."""
    monkeypatch.setattr(history, "COUNTED_MAX", 3)
    monkeypatch.setattr(history, "RECORDS_MAX", 2)
    lines = filling.lines_of(list(store.read()), log_id=store.log_id)
    assert store.directory is not None
    with contextlib.closing(Client(settings)) as client:
        client.write("\n".join(line for number, line in enumerate(lines, 1) if number != gone).encode())
        found = History(store._journal, FileSide(store.directory).marks()).resume(
            client, is_new=False, routine=False, symbols=True
        )
    assert found == ResumePoint(position)


# Which copy of a journal this is


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"home": 1, "inode": 2}'])
def test_a_damaged_home_file_identifies_no_copy(tmp_path: Path, content: bytes) -> None:
    home = FileSide(tmp_path).home()
    assert home
    assert FileSide(tmp_path).home() == home
    (tmp_path / HOME).write_bytes(content)
    assert FileSide(tmp_path).home() == ""


def test_processes_that_draw_a_home_at_once_get_the_same(tmp_path: Path) -> None:
    first = FileSide(tmp_path).home()
    assert FileSide(tmp_path)._draw_home(replacing=False) == first
    assert [path.name for path in tmp_path.iterdir()] == [HOME]
    assert FileSide(tmp_path).new_home() != first


# Shipping


def test_a_drain_ends_at_its_time_limit(
    *,
    settings: InfluxSettings,
    store: EventStore,
    data: Path,
    server: Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = ManualClock(filling.BEGAN_AT)

    class Slow(Client):
        @override
        def write(self, lines: bytes) -> None:
            super().write(lines)
            clock.advance(2 * filling.SECOND)

    fill(store, 490)
    monkeypatch.setattr(shipping, "Client", Slow)
    shipper = Shipper(store._journal, FileSide(data / "main"), settings, clock=clock)
    shipper.stop(drain_seconds=3.0)
    position = shipper.run()
    assert 0 < position < 500
    assert count(server, bucket) == position
    monkeypatch.undo()
    assert ship(data, settings) == 500
    assert points(server, bucket) == expected_points(store)


def test_shipping_once_is_done_if_another_process_has_shipped_everything(store: EventStore, data: Path) -> None:
    last = list(store.read())[-1]
    lock = FileSide(data / "main").lock(status.LOCK_FILE)
    assert lock.take()
    FileSide(data / "main").marks().write(status.CURSOR, Watermark(store.log_id.hex(), 10, last.digest.hex()))
    assert Shipper(store._journal, FileSide(data / "main"), NOWHERE).run(once=True, patience_seconds=WAIT_SECONDS) == 10
    lock.release()


def test_a_damaged_cursor_is_left_to_the_shipping_process(store: EventStore, data: Path) -> None:
    lock = FileSide(data / "main").lock(status.LOCK_FILE)
    assert lock.take()
    FileSide(data / "main").marks().write(status.CURSOR, Watermark(store.log_id.hex(), 10, ""))
    path = data / "main" / "watermarks" / status.CURSOR
    path.write_bytes(b"?")
    with pytest.raises(Unavailable, match="has not advanced from position 0"):
        Shipper(store._journal, FileSide(data / "main"), NOWHERE).run(once=True, patience_seconds=0.2)
    assert path.read_bytes() == b"?"
    lock.release()


def test_a_lock_can_be_taken_again_by_its_holder_only(tmp_path: Path) -> None:
    one, other = FileSide(tmp_path).lock(status.LOCK_FILE), FileSide(tmp_path).lock(status.LOCK_FILE)
    assert one.take()
    assert one.take()
    assert not other.take()
    one.release()
    assert other.take()
    other.release()


def test_a_claim_that_cannot_be_read_back_halts(store: EventStore, data: Path) -> None:
    nothing, kept = b'{"results":[{}]}', b'{"buckets":[{"name":"bucket","retentionRules":[]}]}'
    json = {"Content-Type": "application/json"}
    answers: dict[str, Answer] = {WRITE: (204, {}, b""), QUERY: (200, json, nothing), BUCKETS: (200, json, kept)}
    with answering(answers) as client, pytest.raises(Refused, match="does the token have read permission"):
        Shipper(store._journal, FileSide(data / "main"), client.settings).run(once=True, patience_seconds=0.2)
    assert status.read_cursor(FileSide(data / "main")) is None


# The process of a store


def test_a_process_that_cannot_be_started_is_reported_and_retried(
    data: Path, settings: InfluxSettings, server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(mirror, "RESTART_SECONDS_MAX", 0.1)
    with eventstore.open(data, influx=settings) as store:
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", str(data / "no-python"))
            assert store.mirror._process is not None
            store.mirror._process.kill()
            until(
                lambda: (
                    "the shipping process cannot be started (No such file" in (store.mirror.status.last_error or "")
                ),
                "the error is reported",
            )
            fill(store, 10)
            assert store.mirror.status.state == "stopped"
        assert store.mirror.wait(timeout=WAIT_SECONDS), "it is not retried"
        assert points(server, bucket) == expected_points(store)


def test_a_closed_mirror_starts_no_process(data: Path, settings: InfluxSettings) -> None:
    store = eventstore.open(data, influx=settings)
    store.close()
    before = store.mirror._process
    store.mirror._spawn(settings)
    assert store.mirror._process is before
    assert before is not None
    assert before.returncode is not None


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("importlib.util.find_spec", lambda _name: None, "pip install"),
        ("sys.executable", "", "run `eventstore mirror`"),
    ],
    ids=["no library", "no Python"],
)
def test_a_mirror_that_cannot_ship_names_the_fix_and_leaves_nothing(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, name: str, value: object, cure: str
) -> None:
    assert store.directory is not None
    with monkeypatch.context() as without:
        without.setattr(name, value)
        with pytest.raises((ImportError, Unavailable), match=cure):
            mirror.Mirror(store._journal, FileSide(store.directory), SystemClock(), settings=NOWHERE)
    assert not status.was_mirrored(FileSide(store.directory))
