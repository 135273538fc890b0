"""Samples of presets with one thing changed, each of which would be a wrong or a missing execution: all are refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventstore import EventStore, InvalidEvent
from gateways.importers import MissingChoices, import_file
from tests.importers.facts import SAMPLES
from tests.importers.mappings import figures

Write = Callable[..., Path]

_NEW_YORK: dict[str, Any] = {"account": "A", "zone": "America/New_York"}
CHANGED = [
    # A word for a kind of row that no list has: the row could be an execution.
    ("bybit.csv", "TRADE,BUY", "LIQUIDATION,BUY", "line 5, column Type: 'LIQUIDATION' is in neither list"),
    ("coinbase-transactions.csv", ",Buy,", ",Compra,", "line 7, column Transaction Type: 'Compra' is in neither list"),
    ("metatrader4.htm", "<td>buy</td>", "<td>Kauf</td>", "line 7, column Type: 'Kauf' is in neither list"),
    ("metatrader4.htm", "<td>buy</td>", "<td></td>", "line 7, column Type: '' is in neither list"),
    ("ib-activity.csv", "Data,Order,Stocks,USD,XYZ", "Data,Order,Aktien,USD,XYZ", "'Aktien' is in neither"),
    ("tradenote.csv", "USD,stock,B", "USD,etf,B", "line 2, column Type: 'etf' is in neither list"),
    # A line without its beginning.
    ("ib-activity.csv", "Trades,Data,Order,Stocks", "Data,Order,Stocks", "line 4: begins with 'Data': the name"),
    ("ib-activity.csv", "Trades,Data,Order,Stocks", "Trades,Order,Stocks", "line 4: has 15 cells, not 16, and"),
    ("tradenote.csv", "USD,stock,B", ",stock,B", "line 2, column Currency: '' says no currency of the row's cost"),
    ("binance-spot.csv", ",0.0198054BUSD", ",0.0198054", "line 2, column Fee: '0.0198054' says no currency"),
    ("ib-activity.csv", "Trades,Data,Trade,", "Trades,Date,Trade,", "line 5: says 'Date' where it"),
    ("ib-flex.csv", '"EXECUTION","1001"', '"USD","1001"', "line 3, column LevelOfDetail: 'USD' is in neither list"),
    ("binance-futures.csv", ",0.5,1000,", ",1000USDC,1000,", "line 5, column Quantity: '1000USDC' is an amount"),
    # The column that says in which coin a cost is.
    ("binance-spot-old.csv", ",Fee Coin", ",Fee Money", "no column Fee Coin"),
    # Units beside numbers that say that the number is another one.
    ("binance-spot.csv", ",0.5000000000SOL,", ",0.5,", "line 3, column Executed: '0.5' has no unit"),
    ("binance-spot.csv", "0.1800000000SOL", "0.1800000000BUSD", "column Pair: 'SOLBUSD' is not the pair of the units"),
    ("ninjatrader-executions.csv", "Buy,2,", "Buy,$2,", r"line 2, column Quantity: '\$2' is an amount of money"),
    # Two rows of one pair of executions, at another price.
    (
        "tradovate-performance.csv",
        "MNQH6,-2,0,0.25,9002,9000,2,20900.50",
        "MNQH6,-2,0,0.25,9001,9000,1,20900.50",
        "line 3, column buyFillId: '9001' is the id of another execution on line 2, which has another price",
    ),
    # A report that ends in the middle.
    ("metatrader4.htm", "</table></body></html>", "", "the file ends in the middle of a table: it was cut"),
]  # fmt: skip


CHANGES = [(name, (before, after), why) for name, before, after, why in CHANGED]


@pytest.mark.parametrize(("name", "change", "why"), CHANGES, ids=[f"{name}-{to}" for name, (_, to), _ in CHANGES])
def test_a_sample_with_one_thing_changed_is_refused(
    store: EventStore, tmp_path: Path, name: str, change: tuple[str, str], why: str
) -> None:
    before, after = change
    text = (SAMPLES / name).read_text("utf-8")
    assert before in text
    path = tmp_path / name
    path.write_text(text.replace(before, after, 1), "utf-8")
    options = dict(_NEW_YORK)
    if "metatrader" in name:
        options |= {"contracts": tmp_path / "lots.toml", "answers": {"tables.1.cash.currency": "USD"}}
        options["contracts"].write_text('[contracts.gbpjpy]\nmultiplier = 100000\ncurrency = "JPY"\n', "utf-8")
    if name.startswith(("tradenote", "ninja")):
        del options["account"]
    with pytest.raises(InvalidEvent, match=why):
        import_file(store, path, name.partition(".")[0], **options)
    assert store.head() == 0


def test_a_word_that_is_set_aside_by_an_answer_is_added_to_the_preset_s(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "bybit.csv"
    path.write_text((SAMPLES / "bybit.csv").read_text("utf-8").replace("TRADE,BUY", "DELIVERY,BUY"), "utf-8")
    report = import_file(store, path, "bybit", account="A", answers={"rows.aside.Type": "DELIVERY"})
    assert report.types == {"ContractDefined": 1, "TradeExecuted": 1, "CashMoved": 2}
    assert report.ignored == {"Type is DELIVERY": 1}


@pytest.mark.parametrize(("amounts", "is_asked"), [(("-1,931", "3,534"), True), (("-1,931", "3.5"), False)])
def test_commas_that_nothing_decides_are_asked_about(
    store: EventStore, tmp_path: Path, amounts: tuple[str, ...], *, is_asked: bool
) -> None:
    path = tmp_path / "income.csv"
    rows = [f"2026-03-0{day} 08:00:00\tTRANSFER\t{each}\tUSDT\t\t{day}" for day, each in enumerate(amounts, 1)]
    path.write_text("\n".join(("Date(UTC)\ttype\tAmount\tAsset\tSymbol\tTransaction ID", *rows, "")), "utf-8")
    if is_asked:
        with pytest.raises(InvalidEvent, match=r"line 2, column Amount: '-1,931'(?s:.*)--set numbers\.decimal=\."):
            import_file(store, path, "binance-futures-income", account="A")
        assert store.head() == 0
    answers = {"numbers.decimal": "."} if is_asked else {}
    assert import_file(store, path, "binance-futures-income", account="A", answers=answers).types == {"CashMoved": 2}


def test_an_export_of_another_locale_says_what_to_set(store: EventStore, write: Write) -> None:
    header = "Instrument;Action;Quantity;Price;Time;ID;E/X;Position;Order ID;Name;Commission;Rate;Account;Connection;"
    row = "MNQ MAR26;{};2;{};13/02/2026 1{}:59:52;a{};Entry;2 L;o1;Entry;0,62 $;1;SimA;Feed;"
    path = write("grid.csv", header, row.format("Buy", "21000,25", 5, 1), row.format("Sell", "21004,25", 6, 2))
    answers: dict[str, str] = {}
    for needed, answer in (
        ("set time.format", {"time.format": "%d/%m/%Y %H:%M:%S"}),
        ("set numbers.decimal and numbers.thousands", {"numbers.decimal": ","}),
        ("set both numbers.decimal and .thousands", {"numbers.thousands": "."}),
    ):
        with pytest.raises(InvalidEvent, match=needed):
            import_file(store, path, "ninjatrader-executions", zone="Europe/Paris", answers=answers)
        answers |= answer
    import_file(store, path, "ninjatrader-executions", zone="Europe/Paris", answers=answers)
    assert figures(store, "SimA", "MNQH6") == (0, 16, Decimal("1.24"))


def test_several_portfolios_are_not_one_account(store: EventStore, write: Write) -> None:
    header = "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit"
    row = "{},{},BTC-USD,BUY,2026-03-02T15:00:00.000Z,0.1,BTC,60000,6,-6006,USD"
    path = write("fills.csv", header, row.format("default", 1), row.format("other", 2))
    with pytest.raises(MissingChoices, match=r"columns\.account=portfolio"):
        import_file(store, path, "coinbase-fills", account="A")
    import_file(store, path, "coinbase-fills", answers={"columns.account": "portfolio"})
    assert [figures(store, name, "BTC-USD")[0] for name in ("default", "other")] == [Decimal("0.1")] * 2
