"""TopstepX's trades: a round trip is two fills, and its profit and loss is the fold's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import EventStore
from eventstore.clock import parse_time
from eventstore.trading import ContractDefined, Side, TradeExecuted
from gateways.importers import BadRow, comparison, import_file
from gateways.importers.mapping_files import preset
from gateways.importers.texts import CellError
from gateways.importers.trading_days import to_trading_day

Write = Callable[..., Path]

HEADER = "Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type,TradeDay,TradeDuration"
SHORT = (
    "11,MNQU5,07/21/2025 17:59:00 +04:00,07/21/2025 18:05:30 +04:00,23300.250000000,23290.000000000,"
    "1.48000,41.000000000,2,Short,07/21/2025 00:00:00 -05:00,00:06:30.0000000"
)
LONG = (
    "12,ESU5,07/21/2025 09:00:00 -05:00,07/21/2025 09:01:00 -05:00,6300.00,6298.75,2.80,-62.50,1,Long,"
    "07/21/2025 05:00:00 +00:00,00:01:00"
)

to_time = preset("topstepx-trades").mapping.time.parser()


def trades(store: EventStore) -> list[TradeExecuted]:
    return [r.event for r in store.read(types=TradeExecuted) if isinstance(r.event, TradeExecuted)]


def test_a_round_trip_is_two_fills_with_costs_and_result_on_the_exit(store: EventStore, write: Write) -> None:
    import_file(store, write("trades.csv", HEADER, SHORT, bom=True), "topstepx-trades", account="A1")
    entry, exit_ = store.read(types=TradeExecuted)
    assert (entry.stream, exit_.stream) == ("trade/A1/11-entry", "trade/A1/11-exit")
    assert entry.occurred_at == parse_time("2025-07-21T13:59:00Z")
    assert exit_.occurred_at == parse_time("2025-07-21T14:05:30Z")
    assert entry.event == TradeExecuted(
        trade_id="11-entry",
        symbol="MNQU5",
        side=Side.SELL,
        quantity=Decimal(2),
        price=Decimal("23300.25"),
        trading_day=date(2025, 7, 21),
    )
    assert exit_.event == TradeExecuted(
        trade_id="11-exit",
        symbol="MNQU5",
        side=Side.BUY,
        quantity=Decimal(2),
        price=Decimal(23290),
        fee=Decimal("1.48"),
        fee_currency="USD",
        reported_pnl=Decimal(41),
        trading_day=date(2025, 7, 21),
    )


def test_the_contract_is_defined_before_its_trades(store: EventStore, write: Write) -> None:
    import_file(store, write("trades.csv", HEADER, SHORT), "topstepx-trades", account="A1")
    first = next(store.read())
    assert first.stream == "contract/-/MNQU5"
    assert isinstance(first.event, ContractDefined)
    assert (first.event.root, first.event.point_value) == ("MNQ", Decimal(2))
    assert first.occurred_at == parse_time("2025-07-21T13:59:00Z")


def test_fills_go_in_by_time_whatever_the_rows_order(store: EventStore, write: Write) -> None:
    report = import_file(store, write("trades.csv", HEADER, LONG, SHORT), "topstepx-trades", account="A1")
    assert [trade.trade_id for trade in trades(store)] == ["11-entry", "12-entry", "12-exit", "11-exit"]
    assert (report.rows, report.events, report.added) == (2, 6, 6)
    assert report.types == {"ContractDefined": 2, "TradeExecuted": 4}


def test_commissions_of_their_own_column_are_costs_too(store: EventStore, write: Write) -> None:
    path = write("trades.csv", HEADER + ",Commissions", SHORT + ",0.50000")
    import_file(store, path, "topstepx-trades", account="A1")
    assert [trade.fee for trade in trades(store)] == [0, Decimal("1.98")]


def test_the_file_s_result_is_the_fold_s_before_fees(store: EventStore, write: Write) -> None:
    report = import_file(store, write("trades.csv", HEADER, SHORT, LONG), "topstepx-trades", account="A1")
    assert [(row.lines, row.symbol, row.reported, row.folded) for row in report.pnl] == [
        ((2,), "MNQU5", Decimal(41), Decimal(41)),
        ((3,), "ESU5", Decimal("-62.5"), Decimal("-62.5")),
    ]
    assert report.differing == ()


def test_a_result_more_than_half_a_cent_off_is_named(store: EventStore, write: Write) -> None:
    off, near = SHORT.replace(",41.000000000,", ",41.006,"), LONG.replace(",-62.50,", ",-62.505,")
    report = import_file(store, write("trades.csv", HEADER, off, near), "topstepx-trades", account="A1")
    (differing,) = report.differing
    assert (differing.account, differing.lines, differing.difference) == ("A1", (2,), Decimal("0.006"))
    assert Decimal(str(differing.as_json()["difference"])) == Decimal("0.006")


def test_an_empty_result_is_not_compared(store: EventStore, write: Write) -> None:
    path = write("trades.csv", HEADER, SHORT.replace(",41.000000000,", ",,"))
    assert import_file(store, path, "topstepx-trades", account="A1").pnl == ()


def test_a_broker_s_name_is_kept_beside_the_symbol(store: EventStore, write: Write) -> None:
    path = write("trades.csv", HEADER, SHORT.replace("MNQU5", "CON.F.US.MNQ.U25"))
    import_file(store, path, "topstepx-trades", account="A1")
    assert {trade.symbol for trade in trades(store)} == {"MNQU5"}
    (defined,) = store.read(stream="contract/-/MNQU5")
    assert isinstance(defined.event, ContractDefined)
    assert defined.event.broker_ids == ("CON.F.US.MNQ.U25",)


def test_one_file_may_use_several_names_of_a_contract(store: EventStore, write: Write) -> None:
    named = SHORT.replace("11,MNQU5", "13,CON.F.US.MNQ.U25")
    report = import_file(store, write("trades.csv", HEADER, SHORT, named), "topstepx-trades", account="A1")
    (defined,) = store.read(stream="contract/-/MNQU5")
    assert isinstance(defined.event, ContractDefined)
    assert defined.event.broker_ids == ("CON.F.US.MNQ.U25",)
    assert report.contracts == ("MNQU5",)


def test_a_trip_that_contradicts_the_log_is_left_out_of_the_comparison(store: EventStore, write: Write) -> None:
    import_file(store, write("trades.csv", HEADER, SHORT), "topstepx-trades", account="A1")
    changed = write("trades.csv", HEADER, SHORT.replace("41.00", "42.00"), LONG)
    report = import_file(store, changed, "topstepx-trades", account="A1", keep_going=True)
    assert [bad.line for bad in report.left_out] == [2]
    assert [row.lines for row in report.pnl] == [(3,)]


@pytest.mark.parametrize(
    ("old", "new", "column", "value"),
    [
        ("MNQU5", "XYZU5", "ContractName", "XYZU5"),
        ("23300.250000000", '"23,300.25"', "EntryPrice", "23,300.25"),
        ("23300.250000000", "1_000", "EntryPrice", "1_000"),
        ("41.000000000", "$41.00", "PnL", "$41.00"),
        ("41.000000000", "(41.00)", "PnL", "(41.00)"),
        ("1.48000", "NaN", "Fees", "NaN"),
        (",2,Short", ",0,Short", "Size", "0"),
        (",2,Short", ",-2,Short", "Size", "-2"),
        ("Short", "Sideways", "Type", "Sideways"),
        ("Short", "", "Type", ""),
        ("07/21/2025 17:59:00 +04:00", "07/21/2025 17:59:00", "EnteredAt", "07/21/2025 17:59:00"),
        ("07/21/2025 17:59:00 +04:00", "21/07/2025 17:59:00 +04:00", "EnteredAt", "21/07/2025 17:59:00 +04:00"),
        ("07/21/2025 18:05:30 +04:00", "07/21/2025 17:05:30 +04:00", "ExitedAt", "07/21/2025 17:05:30 +04:00"),
        ("07/21/2025 00:00:00 -05:00", "02/30/2025", "TradeDay", "02/30/2025"),
    ],
)
def test_a_bad_cell_is_named_and_nothing_is_written(
    store: EventStore, write: Write, *, old: str, new: str, column: str, value: str
) -> None:
    path = write("trades.csv", HEADER, LONG, SHORT.replace(old, new))
    with pytest.raises(BadRow) as caught:
        import_file(store, path, "topstepx-trades", account="A1")
    bad = caught.value
    assert (bad.file, bad.line, bad.column, bad.value) == ("trades.csv", 3, column, value)
    assert all(part in str(bad) for part in ("trades.csv", "line 3", column, repr(value)))
    assert store.head() == 0


def test_an_unlisted_contract_is_listed_by_the_caller(store: EventStore, write: Write, tmp_path: Path) -> None:
    path = write("trades.csv", HEADER, SHORT.replace("MNQU5", "XYZU5").replace("41.000000000", "61.5"))
    with pytest.raises(BadRow, match="no table of contracts lists 'XYZU5': pass --contracts"):
        import_file(store, path, "topstepx-trades", account="A1")
    table = tmp_path / "mine.toml"
    table.write_text("[contracts.XYZ]\nmultiplier = 3\n", encoding="utf-8")
    report = import_file(store, path, "topstepx-trades", account="A1", contracts=table)
    assert report.contracts == ("XYZU5",)
    assert report.pnl[0].folded == Decimal("61.5")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("07/21/2025 17:59:00 +04:00", "2025-07-21T13:59:00Z"),
        ("7/1/2025 7:59:00 -0930", "2025-07-01T17:29:00Z"),
        ("07/21/2025 17:59:00.123456789 +05:45", "2025-07-21T12:14:00.123456789Z"),
        ("12/31/2024 23:30:00 -14:00", "2025-01-01T13:30:00Z"),
    ],
)
def test_times_carry_any_offset(text: str, instant: str) -> None:
    assert to_time(text) == parse_time(instant)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("07/21/2025", date(2025, 7, 21)),
        ("07/21/2025 00:00:00 -05:00", date(2025, 7, 21)),
        ("01/21/2025 00:00:00 -05:00", date(2025, 1, 21)),
        ("07/21/2025 05:00:00 +00:00", date(2025, 7, 21)),
        ("01/21/2025 06:00:00 +00:00", date(2025, 1, 21)),
        ("07/21/2025 09:00:00 +04:00", date(2025, 7, 21)),
        ("07/20/2025 19:00:00 -10:00", date(2025, 7, 21)),
    ],
)
def test_a_trading_day_is_chicago_s_in_whatever_offset_it_is_written(text: str, day: date) -> None:
    assert to_trading_day(text, to_time) == day


@pytest.mark.parametrize("text", ["yesterday", "13/21/2025", "07/21/2025 25:00:00 +00:00"])
def test_what_is_not_a_day_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        to_trading_day(text, to_time)


def test_of_many_figures_those_that_differ_are_kept_and_all_are_added_up(
    store: EventStore, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "ROWS_MAX", 2)
    wrong = [
        LONG.replace(LONG.split(",", maxsplit=1)[0], str(number)).replace("-62.50", "-61.50") for number in (1, 2, 3)
    ]
    right = [LONG.replace(LONG.split(",", maxsplit=1)[0], str(number)) for number in (4, 5)]
    report = import_file(store, write("trades.csv", HEADER, *right, *wrong), "topstepx-trades", account="A1")
    assert [row.lines for row in report.pnl] == [(4,), (5,)]
    assert (report.pnl_sums.figures, report.pnl_sums.differing) == (5, 3)
    assert report.pnl_sums.reported - report.pnl_sums.folded == 3
