"""The history of any view: a row for each record that changed a partition's state."""

import json
import random
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from typing_extensions import override

from eventstore import Event, InvalidEvent, Record
from eventstore.trading import CashMoved, LockoutCleared, LockoutSet, OrderFilled, Side, TradeExecuted
from projections import PartitionParked, analysis
from projections.fold import Fold
from projections.views.lockouts.view import LockoutsView
from tests.analysis.scenes import Scene, at, column, rows
from tests.projections.histories import history, store_of


class Volume(msgspec.Struct):
    count: int = 0
    quantity: Decimal = Decimal(0)
    last_side: Side | None = None
    by_symbol: dict[str, Decimal] = {}
    position: str = ""


class VolumeView:
    """What an account has traded: a plain view, not derived from anything."""

    name: ClassVar[str] = "volume"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...]] = (TradeExecuted, OrderFilled, CashMoved)

    def initial(self) -> Volume:
        return Volume()

    def apply(self, state: Volume, event: Event, record: Record) -> None:
        if isinstance(event, TradeExecuted | OrderFilled):
            state.count += 1
            state.quantity += event.quantity
            state.last_side = event.side
            known = state.by_symbol.get(event.symbol, Decimal(0))
            state.by_symbol = {**state.by_symbol, event.symbol: known + event.quantity}
            state.position = record.entity


class FailingView(VolumeView):
    name: ClassVar[str] = "failing"

    @override
    def apply(self, state: Volume, event: Event, record: Record) -> None:
        msg = "no"
        raise ValueError(msg)


class ListView(VolumeView):
    name: ClassVar[str] = "list"

    @override
    def initial(self) -> Any:
        return []


COLUMNS = ["position", "recorded_at", "occurred_at", "partition"]
MEMBERS = ["count", "quantity", "last_side", "by_symbol", "state_position"]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ("lockout", "did you mean lockouts"),
        ("zzz", "the built-in ones are orders"),
        ("quotes", "not stored"),
        (VolumeView, "is not a view"),
        (3, "is not a view"),
        (ListView(), "must be a msgspec.Struct"),
    ],
)
def test_what_has_no_history_is_refused(view: Any, message: str) -> None:  # noqa: ANN401 - any argument of a frame
    with pytest.raises(InvalidEvent, match=message):
        analysis.history(Scene().store, view)


@pytest.mark.parametrize(
    "arguments",
    [
        {"members": ["nothing"]},
        {"members": []},
        {"members": "count"},
        {"members": 3},
        {"time": "now"},
        {"account": ""},
        {"start": "x"},
    ],
)
def test_an_argument_that_means_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        analysis.history(Scene().store, VolumeView(), **arguments)  # type: ignore[arg-type] # a plain view


def changes(scene: Scene, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any argument of a frame
    return rows(analysis.history(scene.store, VolumeView(), **asked))  # type: ignore[arg-type] # a plain view


def test_an_empty_log_gives_the_right_columns() -> None:
    frame = analysis.history(Scene(opened=None).store, VolumeView())  # type: ignore[arg-type] # a plain view
    assert (frame.columns, len(frame)) == ([*COLUMNS, *MEMBERS], 0)


def test_a_view_that_fails_says_so() -> None:
    scene = Scene()
    scene.buy("10:00:00", 1, 100)
    with pytest.raises(PartitionParked, match="failing"):
        analysis.history(scene.store, FailingView()).to_arrow()  # type: ignore[arg-type] # a plain view


def test_each_change_of_a_state_is_a_row_and_nothing_else_is() -> None:
    scene = Scene()
    first = scene.buy("10:00:00", 2, 100)
    scene.cash("10:30:00", 1)
    second = scene.sell("11:00:00", 1, 100, symbol="Y", account="B")
    third = scene.sell("11:30:00", 1, 100, symbol="Y")
    found = changes(scene, exact=True)
    assert [(row["position"], row["partition"], row["count"], row["quantity"], row["last_side"]) for row in found] == [
        (first.position, "A", 1, 2, "BUY"), (second.position, "B", 1, 1, "SELL"), (third.position, "A", 2, 3, "SELL"),
    ]  # fmt: skip
    assert json.loads(found[2]["by_symbol"]) == {"X": "2", "Y": "1"}
    assert (found[0]["occurred_at"], found[0]["state_position"]) == (at("10:00:00"), "T1")


def test_a_range_leaves_out_changes_but_not_what_they_rest_on() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    scene.buy("11:00:00", 3, 100)
    scene.buy("12:00:00", 4, 100, late="14:00:00")
    bounds = {"start": at("11:00:00"), "stop": at("13:00:00")}
    assert [row["quantity"] for row in changes(scene, **bounds)] == [5, 9]
    assert [row["quantity"] for row in changes(scene, **bounds, time="recorded")] == [5]


def test_of_the_members_asked_for_only_their_changes_count() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    scene.buy("11:00:00", 3, 100)
    scene.sell("12:00:00", 4, 100)
    assert [row["last_side"] for row in changes(scene, members=["last_side"])] == ["BUY", "SELL"]


def test_an_account_s_history_is_its_own() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    scene.buy("11:00:00", 3, 100, account="B")
    assert [row["partition"] for row in changes(scene, account="B")] == ["B"]
    assert column(analysis.history(scene.store, "contracts", account="B"), "partition") == ["-", "-"]
    # Contracts are defined in the shared partition of this view.
    assert set(column(analysis.history(scene.store, "executions", account="B"), "partition")) == {"B"}


def test_a_built_in_view_has_a_history_by_its_name() -> None:
    scene = Scene()
    scene.add("lockout/A/loss", LockoutSet(rule_id="loss"), at("10:00:00"))
    scene.add("lockout/A/loss", LockoutCleared(rule_id="loss"), at("11:00:00"))
    found = rows(analysis.history(scene.store, "lockouts", members=["active", "ended", "expired_to"]))
    assert [(len(json.loads(row["active"])), len(json.loads(row["ended"]))) for row in found] == [(1, 0), (0, 1)]


def test_the_last_row_of_each_partition_is_the_state_of_the_fold() -> None:
    store = store_of(history(random.Random(3), 200))
    found = {row["partition"]: row for row in rows(analysis.history(store, "lockouts"))}
    fold = Fold([LockoutsView()])
    fold.apply(list(store.read()))
    states = fold.slots["lockouts"].states
    assert found.keys() == {name for name, state in states.items() if state != LockoutsView().initial()} != set()
    for name, row in found.items():
        assert row["anomaly_count"] == states[name].anomaly_count
        assert json.loads(row["active"]).keys() == states[name].active.keys()


@pytest.mark.parametrize("view", ["orders", "executions", "equity", "limits", "sessions", "accounts", "bests", "rates"])
def test_every_built_in_view_can_be_asked(view: str) -> None:
    store = store_of(history(random.Random(5), 400))
    frame = analysis.history(store, view)
    positions = column(frame, "position")
    assert positions == sorted(positions) != []
