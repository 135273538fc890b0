"""Positions at past instants are those that the book of that instant has."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, UnknownContract
from eventstore.trading import ContractDefined, PositionSide
from projections import Book, analysis
from projections.analysis import folding, questions
from projections.analysis.pasts import pasts
from projections.views.executions.positions import Position
from tests.analysis.scenes import SECOND, Scene, at, column, rows
from tests.analysis.test_pasts import instants_around
from tests.projections.histories import history, store_of
from tests.proving import rounds

COLUMNS = [
    "at", "account", "symbol", "side", "quantity", "average_price", "average_cost", "realized", "fees", "currency",
    "status",
]  # fmt: skip


def test_an_empty_log_gives_the_right_columns_and_no_rows() -> None:
    scene = Scene(opened=None)
    for asked in ({}, {"every": "1h"}, {"every": "day"}, {"every": "trade"}, {"at": at("10:00:00"), "account": "A"}):
        frame = analysis.positions(scene.store, **asked)
        assert (frame.columns, len(frame)) == (COLUMNS, 0)
        assert list(frame.to_pandas().columns) == COLUMNS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": "yesterday"}, "ISO 8601"),
        ({"at": datetime(2025, 6, 16)}, "no time zone"),  # noqa: DTZ001 - that is what is refused
        ({"at": 1_750_000_000}, "before 1990"),
        ({"at": 3.5}, "instants are"),
        ({"every": "5x"}, "every is"),
        ({"every": timedelta(0)}, "every is"),
        ({"every": 60}, "every is"),
        ({"every": "1h", "at": at("10:00:00")}, "not both"),
        ({"every": "day", "calendar": "CME"}, "calendar is"),
        ({"time": "now"}, "time is"),
        ({"symbol": ""}, "symbol is"),
        ({"account": ""}, "account"),
        ({"exact": "yes"}, "exact is"),
        ({"start": "tomorrow"}, "ISO 8601"),
        ({"every": "1s", "start": "1990-01-01T00:00Z"}, "more than 1,000,000 instants"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(arguments: dict[str, Any], message: str) -> None:
    scene = Scene()
    with pytest.raises(InvalidEvent, match=message):
        analysis.positions(scene.store, **arguments).to_arrow()


def test_without_a_contract_what_was_realized_is_null_and_the_status_unknown() -> None:
    scene = Scene(opened=None)
    scene.buy("10:00:00", 2, 100)
    scene.sell("11:00:00", 1, 110)
    (row,) = rows(analysis.positions(scene.store, exact=True))
    assert (row["quantity"], row["realized"], row["currency"], row["status"]) == (1, None, None, "UNKNOWN")


def test_a_late_fill_is_true_before_it_is_known() -> None:
    scene = Scene()
    scene.buy("10:00:00", 3, 100)
    scene.sell("10:30:00", 1, 101, late="12:00:00")
    instants = [at("10:45:00"), at("12:00:01")]
    by_time = {
        time: column(analysis.positions(scene.store, at=instants, time=time), "quantity")
        for time in ("occurred", "recorded")
    }
    assert by_time == {"occurred": [2, 2], "recorded": [3, 2]}


def test_by_default_it_is_the_newest_instant() -> None:
    scene = Scene()
    scene.buy("10:00:00", 3, 100)
    scene.buy("11:00:00", 1, 100, account="B")
    found = rows(analysis.positions(scene.store))
    assert [(row["account"], row["quantity"], row["at"]) for row in found] == [
        ("A", 3, at("11:00:00")),
        ("B", 1, at("11:00:00")),
    ]


def test_each_execution_has_its_positions() -> None:
    scene = Scene()
    scene.buy("10:00:00", 1, 100)
    scene.buy("10:05:00", 2, 100)
    scene.buy("10:06:00", 5, 100, account="B")
    scene.sell("10:10:00", 3, 101)
    found = rows(analysis.positions(scene.store, every="trade", account="A"))
    assert [(row["at"], row["quantity"]) for row in found] == [
        (at("10:00:00"), 1), (at("10:05:00"), 3), (at("10:10:00"), 0),
    ]  # fmt: skip


def test_flat_positions_are_left_out_on_request_and_a_symbol_by_any_name() -> None:
    scene = Scene()
    scene.add("contract/-/Z", ContractDefined(symbol="Z", multiplier=Decimal(1), currency="USD", broker_ids=("ZED",)))
    scene.buy("10:00:00", 1, 100, symbol="Z")
    scene.buy("10:00:00", 1, 100, symbol="Y")
    scene.sell("10:30:00", 1, 100, symbol="Y")
    assert column(analysis.positions(scene.store), "symbol") == ["Y", "Z"]
    assert column(analysis.positions(scene.store, flat=False), "symbol") == ["Z"]
    assert column(analysis.positions(scene.store, symbol="ZED"), "symbol") == ["Z"]
    assert column(analysis.positions(scene.store, symbol="W"), "symbol") == []


def test_a_grid_begins_with_the_first_record_and_ends_when_all_are_in() -> None:
    scene = Scene(opened=None)
    scene.buy("10:20:00", 1, 100)
    scene.buy("12:10:00", 1, 100)
    assert column(analysis.positions(scene.store, every="1h"), "at") == [at(f"{hour}:00:00") for hour in (11, 12, 13)]
    for every in ("60min", "1H", timedelta(hours=1)):
        found = analysis.positions(scene.store, every=every, start=at("11:00:00"), stop=at("13:00:00"))
        assert column(found, "at") == [at("11:00:00"), at("12:00:00")]


def test_instants_are_given_in_any_form_and_order() -> None:
    scene = Scene()
    scene.buy("10:00:00", 1, 100)
    given: Any = [
        pd.Timestamp("2025-06-16T11:00:00.000000001Z"),
        "2025-06-16T10:30:00Z",
        datetime(2025, 6, 16, 12, tzinfo=UTC),
        at("10:30:00"),
    ]
    found = column(analysis.positions(scene.store, at=given), "at")
    assert found == [at("10:30:00"), at("11:00:00") + 1, at("12:00:00")]


def test_a_path_is_read_like_a_store(tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "data") as store:
        for record in _scene_with_a_trade().store.read():
            store.append(record.stream, record.event, occurred_at=record.occurred_at)
        in_store = rows(analysis.positions(store))
    assert rows(analysis.positions(tmp_path / "data")) == in_store != []


def _scene_with_a_trade() -> Scene:
    scene = Scene()
    scene.buy("10:00:00", 1, 100)
    return scene


def expected(store: EventStore, instant: int, time: str, account: str | None) -> list[tuple[Any, ...]]:
    book = projections.as_of(store, account=account, **{f"{time}_at": instant})  # type: ignore[arg-type]
    names = book.accounts.known() if account is None else (account,)
    return [
        (instant, name, held.symbol, held.side.value, held.quantity, held.average_price, held.average_cost,
         realized(held), held.fees, held.currency)
        for name in names
        for held in book.positions.of(name)
    ]  # fmt: skip


def realized(held: Position) -> Decimal | None:
    try:
        return held.realized
    except UnknownContract:
        return None


@pytest.mark.parametrize("time", ["occurred", "recorded"])
def test_positions_of_random_histories_are_those_of_as_of(time: str) -> None:
    for seed in rounds(f"position frames by {time}", test=3, prove=200):
        chance = random.Random(seed)
        store = store_of(history(chance, 150))
        account = chance.choice((None, "A"))
        instants = instants_around(chance, store, time, 6)
        frame = analysis.positions(store, at=instants, time=time, account=account, exact="text")
        found = [tuple(row.values())[:-1] for row in rows(frame)]
        assert found == [
            tuple(str(each) if isinstance(each, Decimal) else each for each in row)
            for instant in instants
            for row in expected(store, instant, time, account)
        ]


def test_a_position_that_may_be_wrong_is_marked() -> None:
    shown: set[bool] = set()
    for seed in range(3):
        store = store_of(history(random.Random(seed), 200))
        book = projections.open(store)
        certain = {
            (name, held.symbol, held.side.value): held.multiplier is not None
            and not held.is_uncertain
            and not held.unpriced
            for name in book.accounts.known()
            for held in book.positions.of(name)
        }
        frame = analysis.positions(store, at=book.now_ns() + SECOND, time="recorded")
        found = {(row["account"], row["symbol"], row["side"]): row["status"] == "KNOWN" for row in rows(frame)}
        assert found == certain
        shown |= {*certain.values()}
        assert {side for _, _, side in found} <= {side.value for side in PositionSide}
    assert shown == {True, False}


def test_rows_of_all_accounts_come_while_the_log_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, asked = Scene(), list[int]()
    for account in "AB":
        for minute in range(50):
            scene.buy(f"10:{minute:02}:00", 1, 100, account=account, late="10:55:00")
    late = rows(analysis.positions(scene.store, every="trade"))
    assert late == sorted(late, key=lambda row: (row["at"], row["account"]))
    scene = Scene()
    for minute in range(50):
        scene.buy(f"10:{minute:02}:00", 1, 100, account="AB"[minute % 2])

    def noting(*given: Any) -> Iterator[tuple[int, Book]]:  # noqa: ANN401 - as it is called
        for instant, book in pasts(*given):
            asked.append(instant)
            yield instant, book

    monkeypatch.setattr(questions, "pasts", noting)
    monkeypatch.setattr(folding, "ROWS_AT_ONCE", 5)
    batch = next(analysis.positions(scene.store, every="trade").iter_batches())
    assert batch.num_rows == 5
    assert len(asked) < 10
