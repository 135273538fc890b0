"""The presets of brokers and platforms, each against a sample whose rows are read a second time, plainly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.trading import OrderCanceled, OrderRejected, OrderSubmitted
from gateways.importers import format_of, import_file, read_plan
from tests.importers import broker_truths as truths
from tests.importers.facts import SAMPLES, D, Fact, Rows, fact_of, rows_of

ZONE = "America/Chicago"
Truth = Callable[[Rows], Iterator[Fact]]
LOTS = {
    "metatrader4": '[contracts.gbpjpy]\nmultiplier = 100000\ncurrency = "JPY"\n',
    "metatrader5": '[contracts.EURUSD]\nmultiplier = 100000\ncurrency = "USD"\n',
}
NO_ACCOUNT = {"topstepx-journal", "tradovate-performance", "ib-activity", *LOTS}
CASES: list[tuple[str, str, Truth]] = [
    ("topstepx-journal.csv", "topstepx-journal", truths.topstepx_journal),
    ("tradovate-fills.csv", "tradovate-fills", truths.tradovate_fills),
    ("tradovate-orders.csv", "tradovate-orders", truths.tradovate_orders),
    ("tradovate-performance.csv", "tradovate-performance", truths.tradovate_performance),
    ("ninjatrader-executions.csv", "ninjatrader-executions", truths.ninjatrader_executions),
    ("ninjatrader-trades.csv", "ninjatrader-trades", truths.ninjatrader_trades),
    ("ib-flex.csv", "ib-flex", truths.ib_flex),
    ("ib-flex-days.csv", "ib-flex", truths.ib_flex),
    ("ib-activity.csv", "ib-activity", truths.ib_activity),
    ("metatrader4.htm", "metatrader4", truths.metatrader4),
    ("metatrader5.html", "metatrader5", truths.metatrader5),
]


def options_of(name: str, preset: str, tmp_path: Path) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if preset in NO_ACCOUNT or name == "ib-flex-days.csv":
        options["account"] = "A"
    if preset in LOTS:
        table = tmp_path / "lots.toml"
        table.write_text(LOTS[preset], "utf-8")
        options |= {"contracts": table, "answers": {"tables.1.cash.currency": "USD"}}
    return options


@pytest.mark.parametrize(("name", "preset", "truth"), CASES, ids=[name for name, *_ in CASES])
def test_each_row_of_a_sample_is_what_it_says(
    store: EventStore, tmp_path: Path, name: str, preset: str, truth: Truth
) -> None:
    path, options = SAMPLES / name, options_of(name, preset, tmp_path)
    assert format_of(path) == preset
    if preset != "tradovate-fills":
        with pytest.raises(InvalidEvent, match=r"time\.zone"):
            read_plan(path, None, **options)
    found = read_plan(path, None, zone=ZONE, **options).items
    facts = [fact_of(item) for item in found if not isinstance(item.event, NOT_FACTS)]
    assert sorted(facts, key=str) == sorted(truth(rows_of(name)), key=str)
    assert facts == sorted(facts, key=lambda fact: fact.at)
    report = import_file(store, path, None, zone=ZONE, **options)
    assert (report.added, report.left_out, report.differing) == (report.events, (), ())
    assert import_file(store, path, None, zone=ZONE, **options).added == 0


NOT_FACTS = (OrderSubmitted, OrderCanceled, OrderRejected)


@pytest.mark.parametrize("preset", sorted(LOTS))
def test_metatrader_asks_for_the_size_of_a_lot_and_the_currency_of_cash(preset: str) -> None:
    (name,) = [name for name, each, _ in CASES if each == preset]
    with pytest.raises(InvalidEvent, match=r"(?s)--contracts.*tables\.1\.cash\.currency|cash\.currency.*--contracts"):
        read_plan(SAMPLES / name, None, account="A", zone=ZONE)


def test_each_order_of_tradovate_ends_as_it_says() -> None:
    items = read_plan(SAMPLES / "tradovate-orders.csv", None, zone=ZONE).items
    ends = [(item.stream.rsplit("/", 1)[1], type(item.event).__name__) for item in items]
    assert sorted(end for end in ends if end[1] != "OrderSubmitted") == [
        ("7001", "OrderFilled"),
        ("7002", "OrderCanceled"),
        ("7003", "OrderRejected"),
        ("7004", "OrderCanceled"),
        ("7004", "OrderFilled"),
    ]


def test_a_cancelled_trade_of_interactive_brokers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flex.csv"
    path.write_text((SAMPLES / "ib-flex.csv").read_text("utf-8").replace('"SELL","-4"', '"SELL (Ca.)","-4"'), "utf-8")
    with pytest.raises(InvalidEvent, match=r"Buy/Sell"):
        read_plan(path, "ib-flex", zone=ZONE)


def test_a_profit_that_is_not_the_executions_is_shown(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "performance.csv"
    path.write_text((SAMPLES / "tradovate-performance.csv").read_text("utf-8").replace("$400.00", "$410.00"), "utf-8")
    report = import_file(store, path, None, account="A", zone=ZONE)
    assert [(row.symbol, row.reported, row.folded) for row in report.differing] == [("MNQH6", D("409.00"), D("399.00"))]
