"""Tiers: whether decoded, compressed or only in the log, a lookup returns what the fold of the log gives."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

import eventstore
import projections
from eventstore import Event, EventStore, Record
from eventstore.streams import stream_of
from eventstore.trading import OrderCanceled, OrderReplaced, OrderStatus, TradeBusted
from projections import tiers as module
from projections.tiers import Stats, TierSettings
from projections.views.orders.joining import fold_order
from projections.views.orders.view import Order, OrdersState, OrdersView, tiers_of
from tests.projections.examples import filled, in_thread, submitted
from tests.views.order_folding import OrderFolding, event_of, fill, submit
from tests.views.test_order_laws import EVENTS

ACCOUNTS = st.sampled_from(["A", "B"])
NAMES = st.sampled_from(["X", "Y", "Z", "W", "V/1"])
STEPS = st.one_of(
    st.tuples(st.just("tell"), ACCOUNTS, NAMES, EVENTS),
    st.tuples(st.just("ask"), ACCOUNTS, NAMES, st.just("")),
    st.tuples(st.just("restart"), ACCOUNTS, NAMES, st.just("")),
)
SETTINGS = st.builds(
    TierSettings,
    decoded_max=st.integers(0, 2),
    compressed_max=st.integers(0, 6),
    compressed_bytes_max=st.sampled_from([0, 300, 1 << 20]),
    block_orders=st.integers(1, 3),
)


def tiered(closed_max: int = 0, **settings: int) -> OrderFolding:
    held = tiers_of(TierSettings(**settings))
    return OrderFolding(OrdersView(closed_max=closed_max, unknown_max=closed_max, tiers=held), held)


def close(folding: OrderFolding, *names: str, account: str = "A") -> None:
    for name in names:
        folding.deliver(folding.record(f"order/{account}/{name}", submit()))
        folding.deliver(folding.record(f"order/{account}/{name}", fill("t", "10")))


def from_log(folding: OrderFolding, account: str, name: str) -> Order | None:
    stream = stream_of("order", account, name)
    orders = [order for _, order in fold_order(record for record in folding.records if record.stream == stream)]
    return orders[-1] if orders else None


def hits(stats: Stats) -> tuple[int, int, int, int]:
    return stats.live, stats.decoded, stats.compressed, stats.log


def follow(steps: list[tuple[str, str, str, str]], settings: TierSettings, closed_max: int) -> None:
    held = tiers_of(settings)
    folding = OrderFolding(OrdersView(closed_max=closed_max, unknown_max=closed_max, tiers=held), held)
    asked = 0
    everything = [("ask", account, name, "") for account in "AB" for name in ("X", "Y", "Z", "W", "V/1")]
    for what, account, name, words in [*steps, *everything, *everything]:
        if what == "tell":
            folding.deliver(folding.record(stream_of("order", account, name), event_of(words)))
        elif what == "restart":
            for each, state in folding.states.items():
                folding.states[each] = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=OrdersState)
        elif account in folding.states:
            asked += 1
            assert folding.orders.get(account, name) == from_log(folding, account, name)
        stats = folding.orders.tiers
        assert stats.orders <= settings.decoded_max + settings.compressed_max
        assert stats.bytes <= settings.compressed_bytes_max
        assert sum(hits(stats)) + stats.absent == asked
    still_open = {name for name in ("X", "Y", "Z", "W", "V/1") if (o := from_log(folding, "A", name)) and o.is_open}
    assert {order.order_id for order in folding.orders.open("A")} == still_open


@given(steps=st.lists(STEPS, max_size=60), settings=SETTINGS, closed_max=st.integers(0, 2))
def test_every_lookup_tells_what_the_log_tells(
    steps: list[tuple[str, str, str, str]], settings: TierSettings, closed_max: int
) -> None:
    follow(steps, settings, closed_max)


@given(steps=st.lists(STEPS, max_size=60), settings=SETTINGS, kinds=st.integers(1, 3))
def test_it_does_so_where_all_keys_have_a_few_hashes(
    steps: list[tuple[str, str, str, str]], settings: TierSettings, kinds: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_hashed", lambda key: hash(key) % kinds + 1 << 32)
        follow(steps, settings, 0)


def test_an_order_is_found_live_decoded_compressed_and_in_the_log() -> None:
    folding = tiered(closed_max=1, decoded_max=1, compressed_max=4, block_orders=2)
    close(folding, "X1", "X2", "X3", "X4", "X5", "X6", "X7")
    found = []
    for name in ("X7", "X3", "X3", "X1", "X1"):
        assert folding.orders.get("A", name) == from_log(folding, "A", name)
        found.append(hits(folding.orders.tiers))
    assert found == [(1, 0, 0, 0), (1, 0, 1, 0), (1, 1, 1, 0), (1, 1, 1, 1), (1, 2, 1, 1)]
    assert folding.reads == 1
    assert folding.orders.get("A", "nothing") is None
    stats = folding.orders.tiers
    assert (stats.absent, stats.evictions, stats.blocks, stats.orders) == (1, 2, 2, 5)
    assert stats.hit_rate == 0.8
    assert repr(folding.orders._tiers) == "<Tiers of 5 orders in 2 blocks>"


def test_nothing_was_missed_before_the_first_lookup() -> None:
    assert tiered().orders.tiers == Stats()
    assert OrderFolding().orders.tiers.hit_rate == 1.0


def test_live_lookups_are_counted_without_tiers_too_and_looking_does_not_count() -> None:
    folding = OrderFolding()
    folding.add("X", submit())
    for looks in range(1, 4):
        assert folding.orders.tiers == folding.orders.tiers == Stats(live=2 * looks - 1)
        folding.orders.get("A", "X")
        folding.orders.get("A", "X")


@pytest.mark.parametrize("tier", ["decoded", "compressed", "log"])
def test_an_order_that_is_touched_again_is_never_returned_as_it_was(tier: str) -> None:
    folding = tiered(decoded_max=int(tier == "decoded"), compressed_max=0 if tier == "log" else 9, block_orders=1)
    close(folding, "X")
    before = folding.orders.get("A", "X")
    assert folding.orders.get("A", "X") == before
    assert getattr(folding.orders.tiers, tier) >= 1
    folding.deliver(folding.record("order/A/X", OrderReplaced(quantity=Decimal(20))))
    after = folding.orders.get("A", "X")
    assert before is not None
    assert after is not None
    assert (before.status, after.status) == (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED)
    assert folding.orders.open("A") == (after,)
    folding.deliver(folding.record("order/A/X", OrderCanceled()))
    assert folding.orders.get("A", "X") == from_log(folding, "A", "X") != after
    assert folding.orders.open("A") == ()


def test_the_other_orders_of_its_block_stay_and_an_empty_block_goes() -> None:
    folding = tiered(decoded_max=0, compressed_max=9, block_orders=2)
    close(folding, "X", "Y")
    assert (folding.orders.tiers.blocks, folding.orders.tiers.orders) == (1, 2)
    folding.deliver(folding.record("order/A/X", OrderCanceled()))
    assert folding.orders.get("A", "Y") == from_log(folding, "A", "Y")
    assert (folding.orders.tiers.compressed, folding.orders.tiers.orders) == (1, 1)
    folding.deliver(folding.record("order/A/Y", OrderCanceled()))
    assert (folding.orders.tiers.blocks, folding.orders.tiers.bytes, folding.orders.tiers.orders) == (0, 0, 0)


class Moving(dict[str, Order]):
    """A place where an order is not found the first time: it has gone to another, and comes back."""

    misses = 1

    @override
    def get(self, key: str, default: Any = None) -> Any:
        self.misses -= 1
        return super().get(key, default) if self.misses < 0 else default


def test_an_order_that_moves_while_it_is_looked_for_is_found_and_not_kept() -> None:
    folding = tiered(closed_max=9)
    order = folding.add("X", submit())
    before = folding.orders.tiers
    folding.states["A"].open = Moving(folding.states["A"].open)
    assert folding.orders.get("A", "X") == order
    stats = folding.orders.tiers
    assert (stats.live - before.live, stats.log, stats.orders, folding.reads) == (1, 0, 0, 0)


class Ahead(OrderFolding):
    """A book that keeps folding while the log is read: states are ahead of what the book says it is at."""

    reached = 0
    meanwhile: tuple[str, Event] | None = None

    @property
    @override
    def position(self) -> int:
        return self.reached

    @override
    def read(
        self, *, stream: str | None = None, account: str | None = None, types: tuple[type[Event], ...] | None = None
    ) -> Iterator[Record]:
        found = list(super().read(stream=stream, account=account, types=types))
        if self.meanwhile is not None:
            at, event = self.meanwhile
            self.meanwhile = None
            self.deliver(self.record(at, event))
        yield from [record for record in found if record.position <= self.reached]


@pytest.mark.parametrize("before", [True, False])
def test_what_the_log_recorded_while_the_fold_went_on_is_not_kept(before: bool) -> None:
    held = tiers_of(TierSettings())
    folding = Ahead(OrdersView(closed_max=0), None)
    close(folding, "X")
    folding.orders = type(folding.orders)(folding, held)
    folding.reached = 2
    change = ("order/A/X", OrderReplaced(quantity=Decimal(20)))
    if before:
        folding.deliver(folding.record(*change))
    else:
        folding.meanwhile = change
    # The book has not come to the change yet, so either answer would be right now, and only the later one afterwards.
    answers = folding.orders.get("A", "X"), folding.orders.open("A")
    folding.reached = 3
    now = from_log(folding, "A", "X")
    assert answers[0] != now
    assert folding.orders.get("A", "X") == now
    assert folding.orders.open("A") == (now,)


def test_an_order_that_was_read_from_the_log_stays_in_memory_until_enough_others_were_used() -> None:
    # Orders that were evicted before there were tiers, as before a restart.
    held = tiers_of(TierSettings(decoded_max=1, compressed_max=1, block_orders=1))
    folding = OrderFolding(OrdersView(closed_max=0), held)
    close(folding, "X", "Y", "Z")
    found = []
    for name in ("X", "Y", "X", "Z", "Y"):
        assert folding.orders.get("A", name) == from_log(folding, "A", name)
        found.append(hits(folding.orders.tiers)[2:])
    assert found == [(0, 1), (0, 2), (1, 2), (1, 3), (1, 4)]
    assert folding.orders.tiers.evictions == 3


@pytest.mark.parametrize("block_orders", [1, 64])
def test_one_view_in_two_books_keeps_apart_what_each_has_folded(
    monkeypatch: pytest.MonkeyPatch, block_orders: int
) -> None:
    monkeypatch.setattr(module, "_hashed", lambda _: 1 << 32)
    held = tiers_of(TierSettings(decoded_max=0, block_orders=block_orders))
    view = OrdersView(closed_max=0, tiers=held)
    first, second = OrderFolding(view, held), OrderFolding(view, held)
    close(first, "X")
    second.deliver(second.record("order/A/X", submit("99")))
    second.deliver(second.record("order/A/X", OrderCanceled()))
    assert first.orders.get("A", "X") == from_log(first, "A", "X")
    assert second.orders.get("A", "X") == from_log(second, "A", "X") != first.orders.get("A", "X")


SMALL = TierSettings(decoded_max=20, compressed_max=100, block_orders=8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data") as opened:
        yield opened


def fill_store(store: EventStore, count: int) -> None:
    batches = [
        eventstore.Batch(f"order/A/X{number}", [submitted(1), filled(f"T{number}", 1)]) for number in range(count)
    ]
    store.append_many(batches)


def test_a_book_starts_again_with_empty_tiers_and_fills_them_from_the_log(store: EventStore) -> None:
    fill_store(store, 1_500)
    with projections.open(store, tiers=SMALL) as book:
        was = [book.orders.get("A", f"X{number}") for number in (0, 200, 300, 1_499)]
        assert 90 <= book.orders.tiers.orders <= 120
        assert book.snapshot()
    with projections.open(store, tiers=SMALL) as book:
        assert (book.recovery.tail, book.orders.tiers) == (0, Stats())
        for logged in (3, 0):
            assert [book.orders.get("A", f"X{number}") for number in (0, 200, 300, 1_499)] == was
            assert book.orders.tiers.log == 3, logged
        assert hits(book.orders.tiers) == (2, 3, 0, 3)
        book.append("order/A/X0", TradeBusted(trade_id="T0"))
        late = book.orders.get("A", "X0")
        assert late is not None
        assert (late.status, late.cumulative) == (OrderStatus.FILLED, Decimal(0))


def test_a_view_built_again_is_not_distinguished_from_what_the_old_one_left(store: EventStore) -> None:
    fill_store(store, 1_500)
    with projections.open(store, snapshots=False, tiers=SMALL) as book:
        for _ in range(2):
            assert book.orders.get("A", "X0") is not None
        before = book.orders.tiers.log
        book.rebuild(OrdersView(closed_max=5))
        book.append("order/A/X0", TradeBusted(trade_id="T0"))
        order = book.orders.get("A", "X0")
        assert order is not None
        assert (order.status, order.cumulative) == (OrderStatus.FILLED, Decimal(0))
        assert book.orders.tiers.log == before + 1


def test_a_past_book_tells_the_past_beside_a_present_one(store: EventStore) -> None:
    fill_store(store, 1_500)
    with projections.open(store, snapshots=False, tiers=SMALL) as book:
        before = store.head()
        old = book.orders.get("A", "X0")
        book.append("order/A/X0", TradeBusted(trade_id="T0"))
        assert projections.as_of(store, position=before).orders.get("A", "X0") == old != book.orders.get("A", "X0")


@pytest.mark.untraced
def test_threads_that_ask_while_another_folds_never_see_an_order_go_back(store: EventStore) -> None:
    view = OrdersView(closed_max=0)
    settings = TierSettings(decoded_max=3, compressed_max=20, block_orders=4)
    book = projections.open(store, views=[view], snapshots=False, tiers=settings)
    known: dict[str, int] = {}
    ended, asked = threading.Event(), [0, 0, 0]

    def ask(reader: int) -> None:
        while not ended.wait(0.0001):
            for name, position in list(known.items())[:: reader + 1]:
                order = book.orders.get("A", name)
                assert order is not None
                assert order.order_id == name
                assert order.last_position >= position
                asked[reader] += 1

    joins = [in_thread(lambda reader=reader: ask(reader)) for reader in range(3)]  # type: ignore[misc]
    try:
        for number in range(60):
            names = [f"X{number}", f"X{number * 7 % (number + 1)}", f"X{number // 2}"]
            known[names[0]] = book.append(f"order/A/{names[0]}", [submitted(2), filled(f"T{number}", 2)])[-1].position
            for name in names[1:]:
                known[name] = book.append(f"order/A/{name}", OrderCanceled())[-1].position
    finally:
        ended.set()
        for join in joins:
            join()
    assert min(asked) > 0
    for name in known:
        (*_, (_, order)) = book.orders.history("A", name)
        assert book.orders.get("A", name) == order
    stats = book.orders.tiers
    assert stats.orders <= 23
    assert sum(hits(stats)) == sum(asked) + len(known)
