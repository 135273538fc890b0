"""An execution report that comes again without a key is its first record, whichever way it is appended."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path

import apsw
import pytest

import eventstore
from eventstore import Batch, EventStore, InvalidEvent, ManualClock, OutcomeUnknown, ReadOnly, Record, VersionConflict
from eventstore.clock import SystemClock
from eventstore.errors import CorruptJournal, StorageFull
from eventstore.journals import repetitions
from eventstore.journals.sqlite import SqliteJournal
from eventstore.record import PreparedBatch
from eventstore.testing.repetition_contract import STREAM, report, reports
from eventstore.trading import OrderFilled, OrderSubmitted, Side, TradeExecuted
from tests.places import Place
from tests.store.facts import AT, HOUR, ORDER, OTHER, filled, rejected


@pytest.fixture
def store(in_each_journal: EventStore) -> EventStore:
    return in_each_journal


def test_a_fill_that_comes_again_is_its_first_record(store: EventStore, clock: ManualClock) -> None:
    first = store.append(ORDER, filled(), note="at once")
    root = store.root()
    clock.advance(HOUR)
    assert store.append(ORDER, filled(), actor="another", note="after the reconnect") == first
    assert store.append_many([Batch(ORDER, [filled(), filled()]), Batch(ORDER, filled())]) == first * 3
    assert (store.root(), store.head(), store.verify().ok) == (root, 1, True)


def test_a_time_that_is_given_has_to_be_the_records(store: EventStore, clock: ManualClock) -> None:
    (first,) = store.append(ORDER, filled(), occurred_at=AT - HOUR)
    clock.advance(HOUR)
    assert store.append(ORDER, filled(), occurred_at=AT - HOUR) == [first]
    assert store.append(ORDER, filled()) == [first]
    (second,) = store.append(ORDER, filled(), occurred_at=AT - HOUR + 1)
    assert (second.position, second.occurred_at) == (2, AT - HOUR + 1)
    assert store.append(ORDER, filled()) == [first]


def test_a_time_from_the_clock_is_found_by_one_that_is_given(store: EventStore) -> None:
    first = store.append(ORDER, filled())
    assert store.append(ORDER, filled(), occurred_at=AT) == first


def test_each_batch_of_an_append_states_its_own_time_or_none(store: EventStore) -> None:
    first, second, again = store.append_many(
        [Batch(ORDER, filled(), occurred_at=AT), Batch(ORDER, filled(), occurred_at=AT + 1), Batch(ORDER, filled())]
    )
    assert (first.position, second.position, again) == (1, 2, first)


@pytest.mark.parametrize(("quantity", "price"), [("1", "4500.250"), ("1.0", "4500.25"), ("1E+0", "4500.25")])
def test_a_number_that_is_written_otherwise_is_the_same(store: EventStore, quantity: str, price: str) -> None:
    first = store.append(ORDER, filled())
    assert store.append(ORDER, filled(quantity, price)) == first


def test_a_default_that_is_stated_is_the_same_as_one_left_out(store: EventStore) -> None:
    first = store.append(ORDER, filled())
    (data,) = [record.data for record in first]
    stated = OrderFilled(
        trade_id="T-1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal("4500.25"), fee=Decimal("0.00")
    )
    assert store.append(ORDER, stated) == first
    assert b"fee" not in data


def test_a_fee_that_comes_later_makes_another_record(store: EventStore) -> None:
    store.append(ORDER, filled())
    (second,) = store.append(
        ORDER,
        OrderFilled(
            trade_id="T-1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal("4500.25"), fee=Decimal(2)
        ),
    )
    assert second.version == 2


def test_the_same_trade_as_another_type_or_in_another_stream_is_another_record(store: EventStore) -> None:
    store.append(ORDER, filled())
    trade = TradeExecuted(trade_id="T-1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal("4500.25"))
    store.append(ORDER, trade)
    store.append(OTHER, filled())
    assert store.head() == 3
    store.append_many([Batch(ORDER, [trade, filled()]), Batch(OTHER, filled())])
    assert store.head() == 3


def test_with_a_key_and_without_one_are_two_records(store: EventStore) -> None:
    (keyed,) = store.append(ORDER, filled(), key="T-1")
    (drawn,) = store.append(ORDER, filled())
    assert (keyed.position, drawn.position) == (1, 2)
    assert store.append(ORDER, filled(), key="T-1") == [keyed]
    assert store.append(ORDER, filled()) == [drawn]
    (other,) = store.append(ORDER, filled(), key="T-1 again")
    assert other.position == 3


def test_other_events_are_recorded_as_often_as_they_are_appended(store: EventStore) -> None:
    for number in (1, 2, 3):
        assert store.append(ORDER, rejected("busy"))[0].version == number


@eventstore.event(name="tested.Filled")
class TestedFilled(OrderFilled, frozen=True, kw_only=True):
    """A fill of one's own."""

    venue: str = ""


TestedFilled.__test__ = False  # type: ignore[attr-defined] # pytest collects what is named Test


def test_a_subclass_of_a_fill_is_a_type_of_its_own(store: EventStore) -> None:
    event = TestedFilled(trade_id="T-1", symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(1))
    store.append(ORDER, event)
    assert store.append(ORDER, event)[0].position == 2


def test_expected_is_asked_of_what_remains(store: EventStore) -> None:
    first = store.append(ORDER, filled(), expected=0)
    assert store.append(ORDER, filled(), expected=0) == first
    with pytest.raises(VersionConflict):
        store.append(ORDER, [filled(), filled("2")], expected=0)
    again, second = store.append(ORDER, [filled(), filled("2")], expected=1)
    assert ([again], second.position, second.version) == (first, 2, 2)


def test_an_order_and_its_fill_are_appended_without_the_fill_that_is_known(store: EventStore) -> None:
    (known,) = store.append(ORDER, filled())
    submitted = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1))
    records = store.append_many([Batch(OTHER, submitted), Batch(ORDER, [rejected("a"), filled(), rejected("b")])])
    assert [(record.position, record.version) for record in records] == [(2, 1), (3, 2), (1, 1), (4, 3)]
    assert records[2] == known


def test_after_a_restart_a_fill_is_found(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        first = store.append(ORDER, [filled(), rejected("a")])
    with eventstore.open(tmp_path) as store:
        assert store.append(ORDER, filled()) == first[:1]
        assert store.head() == 2


@pytest.mark.in_each_place
def test_what_another_process_appended_in_between_is_found(place: Place) -> None:
    with eventstore.open(place) as here, eventstore.open(place) as there:
        for quantity in range(1, 6):
            first = here.append(ORDER, filled(quantity))
            assert there.append(ORDER, filled(quantity)) == first
            other = there.append(OTHER, filled(quantity))
            assert here.append(OTHER, filled(quantity)) == other
        assert here.head() == 10


@pytest.mark.in_each_place
def test_what_another_process_reported_of_an_order_that_this_one_began_is_found(place: Place) -> None:
    with eventstore.open(place) as here, eventstore.open(place) as there:
        here.append(ORDER, rejected("a"))
        first = there.append(ORDER, filled())
        here.append(ORDER, rejected("b"))
        assert here.append(ORDER, filled()) == first
        here.append(OTHER, rejected("a"))
        there.append(OTHER, rejected("b"))
        first = here.append(OTHER, filled())
        assert there.append(OTHER, filled()) == first
        assert here.head() == 6


def test_an_enqueued_report_resolves_with_the_first_record(store: EventStore) -> None:
    # The vocabulary's reports have to be appended, so this is asked of what the store enqueues with.
    committer = store.committer
    first, again, other = [committer.enqueue([reports(draft)], 1) for draft in (report(), report(), report("T-2"))]
    store.flush()
    assert first.result() == again.result()
    assert [record.position for record in first.result() + other.result()] == [1, 2]
    assert committer.enqueue([reports(report("T-2"))], 1).result() == other.result()
    with pytest.raises(InvalidEvent, match="append it"):
        store.enqueue(ORDER, filled())


@pytest.mark.in_each_place
def test_a_store_that_only_reads_refuses_it_as_any_other(place: Place) -> None:
    with eventstore.open(place) as store:
        store.append(ORDER, filled())
    with eventstore.open(place, read_only=True) as store, pytest.raises(ReadOnly):
        store.append(ORDER, filled())


# What was never stored is not remembered


@pytest.mark.parametrize("error", [MemoryError("none left"), StorageFull("full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["_store", "_commit"])
@pytest.mark.parametrize("between", [0, 1])
def test_a_report_of_a_failed_transaction_was_not_recorded(
    tmp_path: Path, error: BaseException, step: str, between: int
) -> None:
    with eventstore.open(tmp_path) as store:
        journal = store._journal
        assert isinstance(journal, SqliteJournal)
        store.append(ORDER, [filled(1), filled(2)])
        store.append(ORDER, filled(1))

        def fail(*_: object) -> None:
            journal._rollback()
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, step, fail)
            with pytest.raises((OutcomeUnknown, StorageFull, KeyboardInterrupt)):
                store.append(ORDER, [filled(1), filled(3), filled(4)])
        for _ in range(between):
            store.append(OTHER, rejected())
        head = store.head()
        assert head == 2 + between
        records = store.append(ORDER, [filled(2), filled(4), filled(3)])
        assert [record.position for record in records] == [2, head + 1, head + 2]
        assert store.verify().ok


@pytest.mark.parametrize("step", ["_store", "_commit"])
def test_an_order_that_was_not_recorded_says_nothing_of_its_stream(tmp_path: Path, step: str) -> None:
    with eventstore.open(tmp_path) as here, eventstore.open(tmp_path) as there:
        journal = here._journal
        assert isinstance(journal, SqliteJournal)

        def fail(*_: object) -> None:
            journal._rollback()
            raise StorageFull

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, step, fail)
            with pytest.raises(StorageFull):
                here.append(ORDER, rejected())
        first = there.append(ORDER, filled())
        assert here.append(ORDER, filled()) == first


def test_a_refused_index_repeats_the_search_from_what_is_stored(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    keyed = PreparedBatch("order/ACC1/K", [report("K", stream="order/ACC1/K", key="K")])
    journal.commit([[keyed], [reports(report("T-0"))]])
    outcomes = journal.commit([[reports(report("T-1"))], [reports(report("T-1"))], [keyed], [reports(report("T-1"))]])
    found = [[record.position for record in outcome] for outcome in outcomes if isinstance(outcome, list)]
    assert found == [[3], [3], [1], [3]]
    assert journal.version(STREAM) == 2
    journal.close()


def test_a_report_that_cannot_be_read_is_reported_where_another_one_is_appended(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        store.append_many([Batch(ORDER, filled()), Batch(OTHER, filled())])
        with contextlib.closing(apsw.Connection(str(tmp_path / "main" / "journal.db"))) as connection:
            connection.execute("UPDATE event SET actor = CAST(x'ff' AS TEXT) WHERE position = 1")
        with pytest.raises(CorruptJournal, match=f"a record of {ORDER} has text that is not UTF-8"):
            store.append(ORDER, filled())
        assert store.append(OTHER, filled("2"))[0].position == 3


# What a journal remembers is bounded


def test_streams_that_were_not_used_for_longest_are_forgotten_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repetitions, "REMEMBERED_MAX", 10)
    journal = SqliteJournal(tmp_path / "journal.db", clock=SystemClock())
    streams = [f"order/ACC1/O-{number}" for number in range(8)]
    for turn in range(3):
        for stream in streams:
            facts = [report(f"T-{number}", stream=stream) for number in range(3)]
            (outcome,) = journal.commit([[reports(*facts)]])
            assert isinstance(outcome, list)
            assert [record.version for record in outcome] == [1, 2, 3], turn
            assert journal._tails._size <= 10
    assert journal.head() == 24
    journal.close()


def test_what_lies_beyond_the_newest_is_forgotten(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    for number in range(5):
        journal.commit([[reports(*(report(f"{number}/{each}") for each in range(repetitions.REPORTS_MAX)))]])
    tail = journal._tails.take(STREAM)
    assert (tail.version, tail.count) == (5 * repetitions.REPORTS_MAX,) * 2
    assert tail.kept == sum(map(len, tail._by_trade.values())) < 2 * repetitions.REPORTS_MAX
    journal.close()


def test_a_stream_is_read_once_however_many_reports_it_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    asked: list[tuple[str, int]] = []
    recent = journal._recent_reports

    def counted(stream: str, version: int) -> list[Record]:
        asked.append((stream, version))
        return recent(stream, version)

    monkeypatch.setattr(journal._tails, "recent", counted)
    both = [(stream, number) for number in range(100) for stream in (STREAM, OTHER)]
    groups = [[reports(report(f"T-{number}", stream=stream))] for stream, number in both]
    for _ in range(2):
        journal.commit(groups)
        assert (asked, journal.head()) == ([(STREAM, 0), (OTHER, 0)], 200)
    accepted = report(stream=OTHER, type="OrderAccepted")
    journal.commit([[reports(accepted)], [reports(report("new", stream=OTHER))]])
    journal.commit([[reports(report("newer", stream=OTHER))]])
    assert asked[2:] == [(OTHER, 100)]
    journal.close()


def test_an_order_that_this_journal_began_is_not_read_for_its_first_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    monkeypatch.setattr(journal._tails, "recent", lambda *_: pytest.fail("the stream was read"))
    journal.commit([[reports(report(type="OrderSubmitted"), report(type="OrderAccepted"))]])
    journal.commit([[reports(report(type="OrderReported"))]])
    first = journal.commit([[reports(report())]])
    assert journal.commit([[reports(report())]]) == first
    journal.close()


def test_more_orders_than_a_journal_remembers_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetitions, "WITHOUT_MAX", 5)
    journal = SqliteJournal(tmp_path / "journal.db")
    streams = [f"order/ACC1/O-{number}" for number in range(12)]
    for kind in ("OrderSubmitted", "OrderFilled", "OrderFilled"):
        for stream in streams:
            journal.commit([[reports(report(type=kind, stream=stream))]])
            assert len(journal._tails._without) <= 5
    assert journal.head() == 24
    journal.close()
