"""Rotating a log: what ends, what begins, and what is refused."""

import contextlib
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import (
    Batch,
    DuplicateEvent,
    EventStore,
    InvalidEvent,
    LogHasEnded,
    Overloaded,
    ReadOnly,
    TargetExists,
    Unavailable,
    UnsupportedFormat,
    rotation,
)
from eventstore.chains import ended_of
from eventstore.journals.memory import MemoryJournal
from eventstore.journals.sqlite import ReadOnlyJournal, SqliteJournal, schema
from eventstore.journals.sqlite.copying import copy
from eventstore.trading import (
    CashKind,
    CashMoved,
    LogContinued,
    LogEnded,
    OrderCanceled,
    OrderReported,
    StateCarried,
)
from projections.rotation import rotate
from tests.rotation.facts import CASH, SUBMITTED, Opened, filled

pytestmark = pytest.mark.in_each_place


def test_an_ended_log_takes_nothing_more_from_any_store_that_has_it_open(old: EventStore, opened: Opened) -> None:
    other = opened()
    done = rotate(old)
    assert (done.log, done.next, done.size, done.position) == ("main", "main.2", 4, 5)
    for store in (old, other):
        with pytest.raises(
            LogHasEnded, match=r"log main\.2 continues it: nothing was written; open the store"
        ) as caught:
            store.append("order/A/O-2", SUBMITTED)
        assert (caught.value.log, caught.value.next) == ("main", "main.2")
        assert isinstance(caught.value, ReadOnly)
        with pytest.raises(LogHasEnded):
            store.append_many([Batch(f"order/A/P-{number}", SUBMITTED, 0) for number in range(20)])
        assert store.head() == 5
        # What it has taken before is acknowledged again, as ever.
        assert store.append("account/A/-", CASH, key="cash")[0].position == 2
        with pytest.raises(DuplicateEvent):
            store.append("account/A/-", CashMoved(amount=Decimal(6), currency="USD", kind=CashKind.DEPOSIT), key="cash")
    pending = other.enqueue("order/A/O-1", OrderReported(broker_order_id="B-1"))
    with pytest.raises(LogHasEnded):
        pending.result()


def test_the_next_log_is_bound_to_the_old_one_by_its_root(old: EventStore, opened: Opened) -> None:
    size, root = old.root()
    done = rotate(old)
    assert (done.size, done.root) == (size, root.hex())
    new = opened()
    assert new.log_id != old.log_id
    [first] = new.alone().read(limit=1)
    assert first.position == first.version == 1
    continued = first.event
    assert isinstance(continued, LogContinued)
    assert continued.previous == uuid.UUID(bytes=old.log_id)
    assert (continued.size, continued.root, continued.name, continued.before) == (size, root.hex(), "main", 0)
    [*_, last] = old.read()
    assert last.event == LogEnded(next="main.2", next_id=uuid.UUID(bytes=new.log_id))
    carried = list(new.read(types=StateCarried))
    assert len(carried) <= done.carried == new.alone().head() - 1
    assert {record.event.position for record in carried if isinstance(record.event, StateCarried)} == {size}


def test_a_log_is_rotated_again_and_again(new: EventStore, opened: Opened) -> None:
    for number in range(3, 6):
        store = opened()
        store.append(f"order/A/O-{number}", SUBMITTED, expected=0)
        assert rotate(store).next == f"main.{number}"
        store.close()
    last = opened()
    assert last.log == "main.5"
    assert opened(log="main.3").log == "main.5"
    assert {record.log for record in last.read()} == {"main", "main.2", "main.3", "main.4", "main.5"}
    assert [record.position for record in last.read()] == list(range(1, last.head() + 1))
    assert last.append("account/A/-", CASH, key="cash")[0].position == 2
    assert [order.order_id for order in projections.open(last).orders.open("A")] == ["O-1", "O-3", "O-4", "O-5"]
    found = last.verify()
    assert found.ok
    assert found.checked == last.head()


def test_another_name_may_be_given(old: EventStore, opened: Opened) -> None:
    assert rotate(old, name="main-2026Q4").next == "main-2026Q4"
    new = opened()
    assert new.log == "main-2026Q4"
    assert rotate(new).next == "main-2026Q4.2"


def test_nothing_changes_where_a_rotation_is_refused(
    old: EventStore, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(log="other").append("order/B/O-1", SUBMITTED)
    with pytest.raises(TargetExists, match=r"log other .*name"):
        rotate(old, name="other")
    with pytest.raises(InvalidEvent, match="has no records"):
        rotate(opened(log="empty"))
    with pytest.raises(ReadOnly):
        rotate(opened(read_only=True))
    with pytest.raises(InvalidEvent, match="in memory"):
        rotate(EventStore(MemoryJournal()))
    other = opened()
    assert other.side is not None
    lock = other.side.lock(rotation.LOCK)
    assert lock.take()
    with pytest.raises(Overloaded, match="another process rotates"):
        rotate(old)
    lock.release()

    def appending() -> tuple[int, list[tuple[str, StateCarried]]]:
        position = old.head()
        old.append("order/A/O-1", OrderCanceled())
        return position, []

    with pytest.raises(Overloaded, match="nothing was changed, stop them"):
        rotation.rotate(old, appending)
    from projections.views.orders.view import OrdersView

    def fails(*_: object) -> None:
        msg = "a fault of this test"
        raise RuntimeError(msg)

    monkeypatch.setattr(OrdersView, "apply", fails)
    with pytest.raises(InvalidEvent, match="figures would be missing in the next log, so nothing was changed"):
        rotate(old)
    old.append("order/A/O-2", SUBMITTED)
    assert opened().log == "main"
    with pytest.raises(Unavailable):
        opened(log="main.2", read_only=True)
    assert [record.account for record in opened(log="other").read()] == ["B"]


@pytest.mark.in_directory
def test_a_folder_of_the_next_ones_name_is_left_alone(old: EventStore, tmp_path: Path) -> None:
    (tmp_path / "main.2").mkdir()
    with pytest.raises(TargetExists, match=r"there is a log main\.2"):
        rotate(old)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["main", "main.2"]


@pytest.mark.in_directory
def test_a_version_from_before_rotations_refuses_the_ended_log_as_of_a_newer_format(
    old: EventStore, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(old)
    old.close()
    place = tmp_path / "main" / "journal.db"
    with contextlib.closing(ReadOnlyJournal(place)) as journal:
        assert (journal.head(), list(journal.integrity())) == (5, [])
    with contextlib.closing(SqliteJournal(place)) as journal:
        assert ended_of(journal) == LogEnded(next="main.2", next_id=uuid.UUID(bytes=opened().log_id))
    # As far as it read then.
    monkeypatch.setattr(schema, "ENDED_FORMAT", schema.FORMAT)
    for kind in (SqliteJournal, ReadOnlyJournal):
        with pytest.raises(UnsupportedFormat, match=r"is a journal of format 2, .*: update eventstore"):
            kind(place)


@pytest.mark.in_directory
def test_a_copy_of_the_ended_log_that_is_made_of_its_records_has_its_format(
    old: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a backup from PostgreSQL and a log that is restored from InfluxDB are made."""
    rotate(old)
    place = tmp_path / "copy" / "main" / "journal.db"
    with contextlib.closing(ReadOnlyJournal(tmp_path / "main" / "journal.db")) as ended:
        copy(ended, place, created_at=ended.created_at())
    with contextlib.closing(SqliteJournal(place)) as journal:
        assert (journal.head(), list(journal.integrity())) == (5, [])
    monkeypatch.setattr(schema, "ENDED_FORMAT", schema.FORMAT)
    with pytest.raises(UnsupportedFormat, match=r"is a journal of format 2, .*: update eventstore"):
        SqliteJournal(place)


def test_what_is_appended_while_the_next_log_is_made_is_carried_on(old: EventStore, opened: Opened) -> None:
    carried = iter([True, False])
    book = projections.open(old)

    def carrying() -> tuple[int, list[tuple[str, StateCarried]]]:
        book.refresh()
        position = book.position
        if next(carried):
            old.append("order/A/O-2", SUBMITTED)
        return position, []

    done = rotation.rotate(old, carrying)
    assert done.size == 5
    assert [record.type for record in opened().read(after=4, limit=2)] == ["OrderSubmitted", "LogEnded"]


def test_only_a_rotation_ends_a_log(old: EventStore) -> None:
    ended = LogEnded(next="other", next_id=uuid.uuid5(uuid.NAMESPACE_DNS, "x"))
    continued = LogContinued(previous=ended.next_id, size=1, root="0" * 64, carried=0)
    carried = StateCarried(
        previous=ended.next_id, position=1, view="orders", revision=1, schema="0" * 64, part=1, parts=1, state="{}"
    )
    for stream, event in (("log/-/-", ended), ("log/-/-", continued), ("carried/A/orders", carried)):
        with pytest.raises(InvalidEvent, match="appended by `eventstore rotate` alone"):
            old.append(stream, event)
    old.append("log/-/-", LogContinued(previous=ended.next_id, size=1, root="0" * 64))


def test_a_book_of_the_new_log_answers_what_the_old_one_did(old: EventStore, opened: Opened) -> None:
    before = projections.open(old)
    rotate(old)
    after = projections.open(opened(), snapshots=False)
    assert after.orders.get("A", "O-1") == before.orders.get("A", "O-1")
    assert after.positions.get("A", "ES") == before.positions.get("A", "ES")
    assert after.positions.get("A", "ES").lots == before.positions.get("A", "ES").lots
    assert after.accounts.balance("A") == before.accounts.balance("A") == 1_005
    assert after.trades.of("A") == before.trades.of("A")
    after.append("order/A/O-1", filled("T-2"))
    order = after.orders.get("A", "O-1")
    assert order is not None
    assert (order.cumulative, order.first_position) == (Decimal(2), 3)
