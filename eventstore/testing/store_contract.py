"""What every store promises to those who append and read: one short test for each promise."""

from __future__ import annotations

import datetime as dt
import pickle  # noqa: TID251 - errors cross processes by it, and these bytes are made here
import threading
import time
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import pytest

from eventstore.batch import Batch
from eventstore.errors import (
    AccountChanged,
    AppendError,
    Closed,
    EventTooLarge,
    InvalidEvent,
    StoreError,
    VersionConflict,
)
from eventstore.events import QUEUED
from eventstore.proofs.merkle import EMPTY_ROOT
from eventstore.record import Unchanged
from eventstore.record_errors import DuplicateEvent
from eventstore.testing.threads import in_time
from eventstore.trading import AccountUpdated, OrderAccepted, OrderFilled, OrderSubmitted, OrderType, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Self, Unpack

    from eventstore.batch import AppendOptions, EnqueueOptions, Id
    from eventstore.events import Durability, Event
    from eventstore.journal import Verification
    from eventstore.reader import FollowOptions, ReadOptions
    from eventstore.record import Record

ORDER = "order/ACC1/O-1"
OTHER = "order/ACC1/O-10"
FOREIGN = "order/ACC2/O-1"
ACCOUNT = "account/ACC1/-"
THREADS = 8
EACH = 5
WAKING_SECONDS = 0.1
"""In so long a follower has a new record, in the best of several attempts: a machine may be busy."""
LONG_TEXT = "x" * 70_000


class PendingResult(Protocol):
    """What `enqueue` returns."""

    def result(self, timeout: float | None = None) -> list[Record]:
        """Return the records."""


class TestedStore(Protocol):
    """What of an `EventStore` is tested, wherever its log is, and however its methods are called."""

    @property
    def log(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def waiting(self) -> int: ...
    def append(
        self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]
    ) -> list[Record]: ...
    def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = ..., unchanged: Unchanged | None = None
    ) -> list[Record]: ...
    def enqueue(
        self, stream: str, events: Event | Sequence[Event], **options: Unpack[EnqueueOptions]
    ) -> PendingResult: ...
    def flush(self) -> None: ...
    def read(self, **options: Unpack[ReadOptions]) -> Iterator[Record]: ...
    def follow(
        self, *, cancel: threading.Event | None = None, **options: Unpack[FollowOptions]
    ) -> Iterator[Record]: ...
    def head(self) -> int: ...
    def version(self, stream: str) -> int: ...
    def find(self, id: Id) -> Record | None: ...
    def wait(self, position: int, timeout: float) -> bool: ...
    def root(self, size: int | None = None) -> tuple[int, bytes]: ...
    def verify(self, *, after: int = 0, root: bytes | str | None = None, size: int | None = None) -> Verification: ...
    def doctor(self) -> list[str]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def order(symbol: str = "ESZ5") -> OrderSubmitted:
    return OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=Decimal(1), order_type=OrderType.MARKET)


def fill(trade_id: str, price: str = "5000.25") -> OrderFilled:
    return OrderFilled(trade_id=trade_id, symbol="ESZ5", side=Side.BUY, quantity=Decimal(1), price=Decimal(price))


def balance(amount: int) -> AccountUpdated:
    return AccountUpdated(balance=Decimal(amount))


class EventStoreContract:
    """Subclass it with a fixture `store`: empty, and of log 'main'."""

    # Before anything is appended

    def test_a_new_store_is_empty(self, store: TestedStore) -> None:
        assert (store.log, store.head(), list(store.read()), store.version(ORDER)) == ("main", 0, [], 0)
        assert store.root() == (0, EMPTY_ROOT)
        assert store.find(bytes(16)) is None
        assert store.verify().ok

    @pytest.mark.parametrize(
        "refused",
        [
            lambda store: store.append("order/ACC1", order()),
            lambda store: store.append("orders/ACC1/O-1", order()),
            lambda store: store.append(ORDER, "OrderSubmitted"),
            lambda store: store.append(ORDER, order(), expected=-1),
            lambda store: store.append(ORDER, order(), key=""),
            lambda store: store.append(ORDER, order(), key=["a", "b"]),
            lambda store: store.append(ORDER, order(), occurred_at=dt.datetime(2025, 1, 1)),  # noqa: DTZ001 - the point
            lambda store: store.append(ORDER, order(), causation_id=b"short"),
            lambda store: store.append(ORDER, order(), note="\0"),
            lambda store: store.append(ORDER, order(), durability=QUEUED),
            lambda store: store.append(ORDER, order(), unchanged=Unchanged(accounts="ACC1", since=0)),
            lambda store: store.append(ORDER, order(), unchanged=Unchanged(accounts=("ACC1",), since=7)),
            lambda store: store.append_many([Batch(ORDER, order()), Batch("order//O-1", order())]),
            lambda store: store.enqueue(ORDER, order()),
            lambda store: store.read(stream="order//"),
            lambda store: store.version("order/ACC1"),
        ],
    )
    def test_what_is_malformed_is_refused_and_nothing_is_written(
        self, store: TestedStore, refused: Callable[[TestedStore], object]
    ) -> None:
        with pytest.raises(InvalidEvent):
            refused(store)
        assert (store.head(), store.waiting) == (0, 0)

    def test_an_event_over_its_limit_says_its_size_and_the_limit(self, store: TestedStore) -> None:
        with pytest.raises(EventTooLarge) as large:
            store.append(ORDER, [order(), order(LONG_TEXT)])
        assert large.value.size > large.value.limit > 0
        assert store.head() == 0

    # Appending

    def test_an_appended_event_is_its_record(self, store: TestedStore) -> None:
        (record,) = store.append(ORDER, order())
        assert (record.stream, record.version, record.position, record.log) == (ORDER, 1, 1, "main")
        assert (record.event, record.actor, record.note) == (order(), store.actor, "")
        assert list(store.read()) == [record]
        assert (store.find(record.id), store.find(uuid.UUID(bytes=record.id))) == (record, record)

    def test_what_is_given_is_what_is_recorded(self, store: TestedStore) -> None:
        correlation, causation = uuid.UUID(int=1), (2).to_bytes(16, "big")
        at = dt.datetime(2025, 7, 21, 16, 0, 0, 123_456, dt.UTC)
        (record,) = store.append(
            ORDER, order(), occurred_at=at, note="by hand – ü", correlation_id=correlation, causation_id=causation,
            actor=store.actor,
        )  # fmt: skip
        assert (record.occurred_at, record.note) == (1_753_113_600_123_456_000, "by hand – ü")
        assert (record.correlation_id, record.causation_id) == (correlation.bytes, causation)
        (other,) = store.append(ORDER, OrderAccepted(), occurred_at="2025-07-21T16:00:00.000000001Z")
        assert other.occurred_at == 1_753_113_600_000_000_001

    def test_nothing_to_append_is_nothing(self, store: TestedStore) -> None:
        assert store.append(ORDER, []) == []
        assert store.append_many([]) == []
        assert store.head() == 0

    def test_batches_are_written_together_in_their_order(self, store: TestedStore) -> None:
        records = store.append_many(
            [Batch(ORDER, [order(), OrderAccepted()], 0), Batch(FOREIGN, order(), note="n"), Batch(ORDER, fill("T"), 2)]
        )
        assert [(record.position, record.stream, record.version) for record in records] == [
            (1, ORDER, 1), (2, ORDER, 2), (3, FOREIGN, 1), (4, ORDER, 3)
        ]  # fmt: skip
        assert [record.note for record in records] == ["", "", "n", ""]
        assert list(store.read()) == records

    def test_many_events_are_written_together(self, store: TestedStore) -> None:
        batches = [Batch(f"order/ACC1/O-{number}", [order()] * 10, 0) for number in range(50)]
        records = store.append_many(batches)
        assert [record.position for record in records] == list(range(1, 501))
        assert list(store.read()) == records

    # Expected versions and unchanged accounts

    def test_a_stale_writer_changes_nothing(self, store: TestedStore) -> None:
        store.append(ORDER, [order(), OrderAccepted()])
        with pytest.raises(VersionConflict) as conflict:
            store.append_many([Batch(OTHER, order()), Batch(ORDER, fill("T"), 1)])
        assert (conflict.value.stream, conflict.value.expected, conflict.value.found) == (ORDER, 1, 2)
        assert (store.head(), store.version(OTHER)) == (2, 0)

    def test_a_decision_on_what_has_changed_is_not_written(self, store: TestedStore) -> None:
        store.append(ORDER, order())
        store.append(FOREIGN, order())
        with pytest.raises(AccountChanged) as changed:
            store.append(OTHER, order(), unchanged=Unchanged(accounts=("ACC1", "ACC2"), since=1))
        assert (changed.value.accounts, changed.value.since, changed.value.found) == (("ACC1", "ACC2"), 1, 2)
        assert (changed.value.stream, changed.value.expected) == ("", 1)
        (record,) = store.append(OTHER, order(), unchanged=Unchanged(accounts=("ACC1",), since=1))
        assert record.position == 3

    # Once

    def test_a_fact_under_its_key_is_recorded_once(self, store: TestedStore) -> None:
        first = store.append(ORDER, [order(), OrderAccepted()], key=["a", "b"], expected=0)
        store.append(ORDER, fill("T"))
        assert store.append(ORDER, [order(), OrderAccepted()], key=["a", "b"], expected=0) == first
        assert store.head() == 3

    def test_other_content_under_a_known_key_is_refused_with_the_record(self, store: TestedStore) -> None:
        (first,) = store.append(ORDER, order(), key="a")
        for events, keys in (([order("NQZ5")], ["a"]), ([order(), OrderAccepted()], ["a", "b"])):
            with pytest.raises(DuplicateEvent) as duplicate:
                store.append(ORDER, events, key=keys)
            assert (duplicate.value.id, duplicate.value.record) == (first.id, first)
        with pytest.raises(DuplicateEvent) as twice:
            store.append(OTHER, [order(), order()], key=["c", "c"])
        assert twice.value.record is None
        assert store.head() == 1

    def test_a_repeated_execution_report_is_its_first_record(self, store: TestedStore) -> None:
        (first,) = store.append(ORDER, fill("T-1"))
        found = store.append(ORDER, [fill("T-1"), fill("T-2")], expected=1)
        assert (found[0], found[1].position) == (first, 2)
        (corrected,) = store.append(ORDER, fill("T-1", "5000.50"))
        assert corrected.position == 3

    # Soon

    def test_what_is_enqueued_comes_before_what_is_appended_later(self, store: TestedStore) -> None:
        pending = [store.enqueue(ACCOUNT, balance(number)) for number in range(20)]
        (record,) = store.append(ORDER, order())
        assert [each.result(10.0)[0].position for each in pending] == list(range(1, 21))
        assert record.position == 21
        store.flush()
        assert store.waiting == 0

    def test_a_conflict_of_what_was_enqueued_is_raised_where_its_result_is_asked_for(self, store: TestedStore) -> None:
        pending = store.enqueue(ACCOUNT, balance(1), expected=7)
        with pytest.raises(VersionConflict) as conflict:
            pending.result(10.0)
        assert (conflict.value.stream, conflict.value.expected, conflict.value.found) == (ACCOUNT, 7, 0)
        store.flush()

    def test_a_conflict_that_nobody_asked_for_is_raised_by_flush(self, store: TestedStore) -> None:
        store.enqueue(ACCOUNT, balance(1), expected=7)
        store.enqueue(ACCOUNT, balance(2))
        with pytest.raises(VersionConflict):
            store.flush()
        assert [record.event for record in store.read()] == [balance(2)]

    # Reading

    def test_filters_and_bounds_give_what_fits_and_nothing_else(self, store: TestedStore) -> None:
        records = store.append_many(
            [
                Batch(ORDER, [order(), fill("T")]),
                Batch(OTHER, order()),
                Batch(FOREIGN, order()),
                Batch(ACCOUNT, balance(1)),
            ]
        )
        wanted: list[tuple[ReadOptions, list[int]]] = [
            ({"stream": ORDER}, [1, 2]),
            ({"stream": "order/ACC1/"}, [1, 2, 3]),
            ({"stream": "order/"}, [1, 2, 3, 4]),
            ({"account": "ACC2"}, [4]),
            ({"stream": ORDER, "account": "ACC2"}, []),
            ({"types": OrderFilled}, [2]),
            ({"types": ["OrderFilled", AccountUpdated]}, [2, 5]),
            ({"types": []}, []),
            ({"after": 2, "limit": 2}, [3, 4]),
            ({"after": 1, "until": 3}, [2, 3]),
            ({"limit": 0}, []),
            ({"after": 99}, []),
            ({"start": records[1].recorded_at, "stop": records[3].recorded_at}, [2, 3]),
        ]
        for options, positions in wanted:
            assert list(store.read(**options)) == [records[position - 1] for position in positions], options
        assert [store.version(stream) for stream in (ORDER, OTHER, "order/ACC1/O-2")] == [2, 1, 0]

    def test_a_follower_has_the_history_and_then_what_comes(self, store: TestedStore) -> None:
        store.append(ORDER, [order(), OrderAccepted()])
        store.append(FOREIGN, order())
        cancel = threading.Event()
        following = store.follow(after=1, account="ACC1", cancel=cancel)
        assert in_time(lambda: next(following)).position == 2
        delays = []
        for number in range(10):
            came: list[tuple[float, Record]] = []
            thread = threading.Thread(target=lambda came=came: came.append((time.perf_counter(), next(following))))
            thread.start()
            began = time.perf_counter()
            (record,) = store.append(ORDER, fill(f"T-{number}"))
            thread.join(10.0)
            ended = time.perf_counter()
            assert came
            assert came[0][1] == record
            delays.append(ended - began)
        assert min(delays) < WAKING_SECONDS
        cancel.set()
        assert in_time(lambda: list(following)) == []

    def test_who_waits_wakes_when_something_is_appended(self, store: TestedStore) -> None:
        assert store.wait(0, 0.05) is False
        later = threading.Timer(0.05, lambda: store.append(ORDER, order()))
        later.start()
        assert in_time(lambda: store.wait(0, 9.0)) is True
        later.join()

    # Proof

    def test_the_root_continues_and_anything_else_is_found(self, store: TestedStore) -> None:
        store.append_many([Batch(f"order/ACC1/O-{number}", [order()] * 30) for number in range(10)])
        size, root = store.root()
        store.append(ORDER, order())
        assert store.root(size) == (size, root)
        assert store.verify(root=root, size=size).ok
        assert store.verify(root=root.hex(), size=size, after=size).checked == 1
        verdict = store.verify(root=bytes(32), size=size)
        assert (verdict.ok, verdict.first_bad) == (False, 1)
        verdict = store.verify(root=root, size=size + 5)
        assert (verdict.ok, verdict.first_bad) == (False, size + 2)
        assert store.doctor() == []

    # Threads

    def test_what_threads_append_is_there_once_and_in_each_ones_order(self, store: TestedStore) -> None:
        barrier = threading.Barrier(THREADS)
        failures: list[BaseException] = []

        def write(number: int) -> None:
            try:
                barrier.wait(10.0)
                for turn in range(EACH):
                    store.append(f"order/ACC1/{number}", fill(f"{number}/{turn}"), expected=turn)
                    store.append(ORDER, fill(f"{number}/{turn}"))
            except BaseException as e:  # noqa: BLE001 - compared below
                failures.append(e)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        records = list(store.read())
        assert [record.position for record in records] == list(range(1, 2 * THREADS * EACH + 1))
        found = [(record.stream, record.event.trade_id) for record in records]  # type: ignore[attr-defined]
        assert len(set(found)) == len(found)
        for number in range(THREADS):
            mine = [trade for stream, trade in found if stream == ORDER and trade.startswith(f"{number}/")]
            assert mine == [f"{number}/{turn}" for turn in range(EACH)]

    # Errors

    def test_errors_are_pickled_with_their_data(self, store: TestedStore) -> None:
        store.append(ORDER, order(), key="a")
        failing: list[Callable[[], Any]] = [
            lambda: store.append(ORDER, order(), expected=7),
            lambda: store.append(ORDER, order("NQZ5"), key="a"),
            lambda: store.append(ORDER, order(), unchanged=Unchanged(since=0)),
            lambda: store.append(ORDER, order(), unchanged=Unchanged(since=9)),
        ]
        for call in failing:
            with pytest.raises(AppendError) as raised:
                call()
            error: StoreError = raised.value
            twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
            assert (type(twin), str(twin), twin.__dict__) == (type(error), str(error), error.__dict__)

    # Closing

    def test_a_closed_store_says_so(self, store: TestedStore) -> None:
        store.append(ORDER, order())
        store.close()
        for call in (store.head, lambda: store.append(ORDER, order()), lambda: list(store.read()), store.root):
            with pytest.raises(Closed):
                call()
        store.close()
