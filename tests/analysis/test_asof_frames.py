"""Several past instants in one frame: what `as_of` answers for each."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import EventReader, InvalidEvent, Record
from eventstore.trading import LockoutSet, OrderCanceled, OrderFilled, OrderSubmitted, Side
from projections import analysis
from tests.analysis.scenes import Scene, at, column, prices, rows
from tests.analysis.test_pasts import instants_around
from tests.projections.histories import history, store_of


@pytest.mark.parametrize("what", ["fills", None, 3, "position"])
def test_what_is_not_a_frame_of_the_past_is_refused(what: Any) -> None:  # noqa: ANN401 - any argument of a frame
    with pytest.raises(InvalidEvent, match="what is one of positions, equity"):
        analysis.asof(Scene().store, [at("10:00:00")], what)


def test_instants_that_are_none_are_refused() -> None:
    for times in ("noon", 12, 1.5, ["noon"], None):
        with pytest.raises(InvalidEvent):
            analysis.asof(Scene().store, times)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["positions", "equity", "orders", "headroom", "lockouts"])
def test_no_instants_and_no_records_give_the_right_columns(what: str) -> None:
    for scene, times in ((Scene(), []), (Scene(opened=None), [at("10:00:00")])):
        frame = analysis.asof(scene.store, times, what)
        assert (frame.columns[:2], len(frame)) == (["at", "account"], 0)


def test_orders_are_those_that_worked_then() -> None:
    scene = Scene()
    order = OrderSubmitted(symbol="X", side=Side.BUY, quantity=Decimal(5), limit_price=Decimal(99))
    fill = OrderFilled(trade_id="F1", symbol="X", side=Side.BUY, quantity=Decimal(2), price=Decimal(99))
    scene.add("order/A/O-1", order, at("10:00:00"))
    scene.add("order/A/O-1", fill, at("11:00:00"))
    scene.add("order/A/O-1", OrderCanceled(), at("12:00:00"))
    times = [at(f"{hour:02}:30:00") for hour in (9, 10, 11, 12)]
    found = rows(analysis.asof(scene.store, times, "orders", exact=True))
    assert [(row["at"], row["order_id"], row["leaves"]) for row in found] == [
        (times[1], "O-1", 5),
        (times[2], "O-1", 3),
    ]


def test_lockouts_are_those_in_force_then() -> None:
    scene = Scene()
    scene.add("lockout/A/loss", LockoutSet(rule_id="loss", until=at("12:00:00")), at("10:00:00"))
    times = [at(f"{hour:02}:30:00") for hour in (9, 10, 11, 12)]
    assert column(analysis.asof(scene.store, times, "lockouts"), "at") == times[1:3]


def test_equity_of_the_past_takes_prices() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    frame = analysis.asof(
        scene.store, [at("11:00:00")], "equity", account="A", prices=prices(("11:00:00", "X", 103)), exact=True
    )
    assert column(frame, "equity") == [10_006]


def test_the_orders_of_random_histories_are_those_of_as_of() -> None:
    for seed in range(3):
        chance = random.Random(seed)
        store = store_of(history(chance, 150))
        for axis in ("occurred", "recorded"):
            times = instants_around(chance, store, axis, 5)
            found = [
                (row["at"], row["account"], row["order_id"], row["status"], row["last_record"])
                for row in rows(analysis.asof(store, times, "orders", time=axis))
            ]
            expected = []
            for instant in times:
                past = projections.as_of(store, **{f"{axis}_at": instant})  # type: ignore[arg-type]
                for name in past.accounts.known():
                    expected += [
                        (instant, name, each.order_id, each.status.value, each.last_position)
                        for each in past.orders.open(name)
                    ]
            assert found == expected


def test_many_instants_read_the_log_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    for minute in range(50):
        scene.buy(f"10:{minute:02}:00", 1, 100)
    times = [at(f"10:{minute:02}:30") for minute in range(50)]
    counts = []
    read = EventReader.read

    def counted(self: EventReader, **asked: Any) -> Iterator[Record]:  # noqa: ANN401 - any argument of a frame
        for record in read(self, **asked):
            counts.append(record.position)
            yield record

    monkeypatch.setattr(EventReader, "read", counted)
    frame = analysis.asof(scene.store, times, account="A")
    assert column(frame, "quantity") == list(range(1, 51))
    # The first one is looked at once more: it says whether this log continues another.
    assert len(counts) <= scene.store.head() + 1
