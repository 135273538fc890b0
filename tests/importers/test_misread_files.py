"""Files that would be booked with figures that nobody meant: each is refused, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import EventStore, InvalidEvent
from eventstore.trading import ContractDefined
from gateways.importers import BadRow, FileOptions, MissingChoices, import_file, preset
from tests.importers.mappings import figures

Write = Callable[..., Path]

HEADER = "time,symbol,side,quantity,price"
BUY, SELL = "2026-03-02T15:00:00Z,MNQH6,buy,1,21000", "2026-03-02T15:00:09Z,MNQH6,sell,1,21010"


def keys(caught: pytest.ExceptionInfo[MissingChoices]) -> list[str]:
    return [question.key for question in caught.value.questions]


def contracts(store: EventStore) -> list[ContractDefined]:
    return [record.event for record in store.read() if isinstance(record.event, ContractDefined)]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Cxl", ("", "Y")),
        ("isCancelled", ("false", "true")),
        ("remark", ("", "TRADE BUSTED")),
        ("remark", ("Cancelled", "Cancelled")),
        ("execution_state", ("FILLED", "DEAD")),
        ("Statut", ("ausgeführt", "storniert")),
        ("_active", ("true", "false")),
        ("Notes/Codes", ("O;P", "C;Ca")),
        ("category", ("trade", "stock split")),
        ("category", ("Execution", "Order")),
        ("Event", ("Fill", "Expire")),
        ("Correction", ("", "C")),
        ("Reversal Flag", ("N", "R")),
        ("Simulated", ("false", "true")),
        ("isSummary", ("", "Y")),
    ],
)
def test_rows_that_may_not_count_are_asked_about(
    store: EventStore, write: Write, column: str, words: tuple[str, str]
) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A")
    assert (keys(caught), store.head()) == ([f"rows.where.{column}"], 0)
    import_file(store, path, "fills", account="A", answers={"rows.ignore": column})
    assert figures(store, "A", "MNQH6") == (0, 20, 0)


@pytest.mark.parametrize(
    ("column", "words"),
    [("Notes/Codes", ("O;P", "C")), ("is_active", ("true", "true")), ("Cxl", ("", "")), ("note", ("long", "exit"))],
)
def test_columns_that_leave_no_doubt_are_not_asked_about(
    store: EventStore, write: Write, column: str, words: tuple[str, str]
) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    import_file(store, path, "fills", account="A")
    assert figures(store, "A", "MNQH6") == (0, 20, 0)


@pytest.mark.parametrize("words", [("Buy", "Sell"), ("BUY_TO_OPEN", "sell to close"), ("Kauf", "Verkauf")])
def test_sides_in_a_column_of_another_name_are_not_taken_for_purchases(
    store: EventStore, write: Write, words: tuple[str, str]
) -> None:
    rows = [row.replace(side, word) for row, side, word in zip((BUY, SELL), ("buy", "sell"), words, strict=True)]
    path = write("fills.csv", HEADER.replace("side", "action"), *rows)
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A")
    assert (keys(caught), store.head()) == (["columns.side"], 0)
    answers = {"columns.side": "action", "sides.buy": words[0], "sides.sell": words[1]}
    import_file(store, path, "fills", account="A", answers=answers)
    assert figures(store, "A", "MNQH6") == (0, 20, 0)


def test_words_that_the_mapping_does_not_set_aside_are_looked_at(store: EventStore, write: Write) -> None:
    header = "CurrencyPrimary,Symbol,TradeID,DateTime,Quantity,TradePrice,IBCommission,LevelOfDetail"
    row = "USD,XYZ,{},20260501;101500,10,5,-1,{}"
    path = write("flex.csv", header, row.format(1, "EXECUTION"), row.format(2, "ORDER"), row.format(3, "LOT"))
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "ib-flex", account="A", zone="America/New_York")
    assert (keys(caught), store.head()) == (["rows.aside.LevelOfDetail"], 0)
    answers = {"rows.aside.LevelOfDetail": caught.value.questions[0].options[0]}
    report = import_file(store, path, "ib-flex", account="A", zone="America/New_York", answers=answers)
    assert sum(report.ignored.values()) == 2


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("topstepx-trades", "1,MNQH6,{at}:03 +02:00,{at}:31 +02:00,24748.5,24785.5,-11.1,-1110,15,Short"),
        ("tradervue", "03/12/2026,15:32:03,MNQH6,1,24748.5,B,-0.62"),
    ],
)
def test_costs_that_are_all_against_the_sign_of_a_preset_are_asked_about(
    store: EventStore, write: Write, name: str, row: str
) -> None:
    headers = {
        "topstepx-trades": "Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type",
        "tradervue": "Date,Time,Symbol,Quantity,Price,Side,Commission",
    }
    path = write("export.csv", headers[name], row.format(at="03/12/2026 15:33"))
    options = FileOptions(account="A", zone="America/Chicago")
    with pytest.raises(MissingChoices, match="would be rebates") as caught:
        import_file(store, path, name, **options)
    assert (keys(caught), store.head()) == (["fees.sign"], 0)
    options["answers"] = {"fees.sign": "paid-is-negative"}
    import_file(store, path, name, **options)
    assert figures(store, "A", "MNQH6")[2] == -Decimal(row.split(",")[6])


@pytest.mark.parametrize("symbol", ["FDAXH6", "SPY   260320C00500000", "SPY 20MAR26 500 C", "ESH6 C5000"])
def test_a_future_or_an_option_among_shares_is_not_worth_its_price(
    store: EventStore, write: Write, symbol: str
) -> None:
    path = write("fills.csv", HEADER, BUY.replace("MNQH6", "XYZ"), SELL.replace("MNQH6", symbol))
    with pytest.raises(BadRow, match="line 3, column symbol: ") as caught:
        import_file(store, path, "fills", account="A", answers={"contract.default.asset": "STOCK"})
    assert ("--contracts" in str(caught.value), store.head()) == (True, 0)
    stated = {"contract.default.asset": "STOCK", "contract.default.multiplier": "100"}
    import_file(store, path, "fills", account="A", answers=stated)


@pytest.mark.parametrize("symbol", ["BTCUSD_PERP", "BTC-USDT-SWAP", "BTCUSDT_260327", "BTC-PERPETUAL", "PI_XBTUSD"])
def test_a_swap_among_coins_is_not_a_coin(store: EventStore, write: Write, symbol: str) -> None:
    path = write("fills.csv", HEADER, BUY.replace("MNQH6", symbol))
    with pytest.raises(BadRow, match="line 2, column symbol"):
        import_file(store, path, "fills", account="A", answers={"contract.default.asset": "CRYPTO"})
    assert store.head() == 0


@pytest.mark.parametrize(
    ("symbol", "asset", "currencies"),
    [
        ("USDJPY", "FX", ("USD", "JPY")),
        ("eur.usd", "FX", ("EUR", "USD")),
        ("SOLEUR", "CRYPTO", ("SOL", "EUR")),
        ("SOL", "CRYPTO", (None, None)),
        ("BUSD", "CRYPTO", (None, None)),
    ],
)
def test_a_pair_without_a_separator_is_in_its_second_currency(
    store: EventStore, write: Write, symbol: str, asset: str, currencies: tuple[str | None, str | None]
) -> None:
    path = write("fills.csv", HEADER, BUY.replace("MNQH6", symbol))
    import_file(store, path, "fills", account="A", answers={"contract.default.asset": asset})
    [contract] = contracts(store)
    assert (contract.base_currency, contract.currency) == currencies


def test_what_is_not_a_pair_is_not_taken_for_currencies(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, BUY.replace("MNQH6", "GOLD"))
    with pytest.raises(BadRow, match="'GOLD' is not a pair"):
        import_file(store, path, "fills", account="A", answers={"contract.default.asset": "FX"})


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("Currency", "EUR", "MNQH6 is in USD"),
        ("multiplier", "20", "a point of MNQH6 is worth 2"),
        ("Contract Size", "20", "a point of MNQH6 is worth 2"),
    ],
)
def test_a_row_that_contradicts_its_contract_is_refused(
    store: EventStore, write: Write, column: str, value: str, why: str
) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},{value}")
    with pytest.raises(BadRow, match=f"line 2, column {column}: '{value}' is the row's .*{why}"):
        import_file(store, path, "fills", account="A")
    assert store.head() == 0
    import_file(store, path, "fills", account="A", answers={"rows.ignore": column})
    assert figures(store, "A", "MNQH6")[0] == 1


def test_a_share_is_in_the_currency_of_its_row(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},Currency", f"{BUY.replace('MNQH6', 'XYZ')},CHF", f"{SELL},USD")
    import_file(store, path, "fills", account="A", answers={"contract.default.asset": "STOCK"})
    assert {event.symbol: event.currency for event in contracts(store)} == {"XYZ": "CHF", "MNQH6": "USD"}


@pytest.mark.parametrize("kind", ["OPT", "FUT"])
def test_an_export_without_multipliers_does_not_make_them_one(store: EventStore, write: Write, kind: str) -> None:
    header = "CurrencyPrimary,AssetClass,Symbol,DateTime,Quantity,TradePrice,IBCommission"
    path = write("flex.csv", header, f"EUR,{kind},XYZ 1,20260501;101500,10,5,-1")
    with pytest.raises(BadRow, match=f"line 2, column Symbol: 'XYZ 1' is AssetClass {kind}, and nothing says"):
        import_file(store, path, "ib-flex", account="A", zone="America/New_York")
    assert store.head() == 0


def test_a_unit_that_begins_with_a_digit_is_not_read_as_part_of_the_number(store: EventStore, write: Write) -> None:
    row = "2022-03-28 13:01:36,1XYZBUSD,BUY,1.03,100.0000001XYZ,103BUSD,0.1BUSD"
    path = write("spot.csv", "Date(UTC),Pair,Side,Price,Executed,Amount,Fee", row)
    with pytest.raises(BadRow, match=r"'1XYZBUSD' is not the pair of the units .* XYZ and BUSD"):
        import_file(store, path, "binance-spot", account="A")


def test_an_id_that_a_spreadsheet_rounded_is_refused(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"trade_id,{HEADER}", f"9.00001E+17,{BUY}", f"9.00001E+17,{BUY}")
    with pytest.raises(BadRow, match=r"line 2, column trade_id: '9\.00001E\+17' is an id that a spreadsheet"):
        import_file(store, path, "fills", account="A")
    assert store.head() == 0


@pytest.mark.parametrize("ids", [("1", ""), ("", "1")])
def test_an_execution_without_an_id_among_others_is_refused(
    store: EventStore, write: Write, ids: tuple[str, str]
) -> None:
    path = write("fills.csv", f"trade_id,{HEADER}", f"{ids[0]},{BUY}", f"{ids[1]},{SELL}")
    with pytest.raises(BadRow, match=r"line 3, column trade_id: .* on line 2"):
        import_file(store, path, "fills", account="A")
    assert store.head() == 0


@pytest.mark.parametrize("clock", ["15:00:09", "3:00 PM", "150009"])
def test_a_time_of_day_in_a_column_of_its_own_is_not_lost(store: EventStore, write: Write, clock: str) -> None:
    path = write("fills.csv", f"{HEADER},Trade Time", f"{BUY.replace('T15:00:00Z', '')},{clock}")
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A", zone="UTC")
    assert (keys(caught), store.head()) == (["columns.time"], 0)


def test_the_time_of_day_of_a_flex_query_is_joined_to_its_day(store: EventStore, write: Write) -> None:
    header = "CurrencyPrimary,Symbol,TradeDate,TradeTime,Quantity,TradePrice,IBCommission"
    path = write("flex.csv", header, "USD,XYZ,20260501,101500,10,5,-1")
    answers = {"columns.time": "TradeDate,TradeTime"}
    import_file(store, path, "ib-flex", account="A", zone="America/New_York", answers=answers)
    [record] = [record for record in store.read() if record.type == "TradeExecuted"]
    assert record.occurred_at == 1_777_644_900_000_000_000


def test_the_first_day_of_unix_time_is_not_a_time(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, BUY.replace("2026-03-02T15:00:00Z", "1970-01-01T00:00:00Z"))
    with pytest.raises(BadRow, match=r"line 2, column time: .* is the day from which UNIX time counts"):
        import_file(store, path, "fills", account="A")


def test_a_file_that_cannot_be_read_says_why_beside_the_formats(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_bytes(f"{HEADER},note\n{BUY},café\n".encode("latin-1"))
    with pytest.raises(InvalidEvent, match=r"fits no format .*name the encoding .* as read\.encoding"):
        import_file(store, path, account="A")


def test_a_preset_s_own_columns_of_codes_are_looked_at() -> None:
    assert "Notes/Codes" not in preset("ib-flex").mapping.rows.ignore


@pytest.mark.parametrize(
    ("costs", "taken"),
    [({"fees": [{"cost": 1, "currency": "BNB"}]}, "none"), ({"fee": 1, "fees": [{"cost": 1}, {"cost": 2}]}, "one")],
)
def test_costs_in_a_list_are_not_lost(store: EventStore, write: Write, costs: dict[str, object], taken: str) -> None:
    row = {"time": "2026-03-02T15:00:00Z", "symbol": "MNQH6", "side": "buy", "quantity": 1, "price": 21000}
    path = write("trades.json", json.dumps([row | {"fees": []}, row | costs]))
    with pytest.raises(BadRow, match=f"line 2, column fees: .* of which the mapping takes {taken}"):
        import_file(store, path, "fills", account="A")
    assert store.head() == 0


def test_a_cost_that_a_list_repeats_counts_once(store: EventStore, write: Write) -> None:
    row = {"time": "2026-03-02T15:00:00Z", "symbol": "MNQH6", "side": "buy", "quantity": 1, "price": 21000}
    path = write("trades.json", json.dumps([row | {"fee": 0.5, "fees": [{"cost": 0.5}, {"cost": 0}]}]))
    import_file(store, path, "fills", account="A")
    assert figures(store, "A", "MNQH6")[2] == Decimal("0.5")


def test_a_sheet_with_a_column_renamed_is_not_left_out(store: EventStore, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for title, header in (("January", HEADER), ("February", HEADER.replace("price", "Price")), ("About", "what,when")):
        sheet = book.create_sheet(title)
        sheet.append(header.split(","))
        sheet.append(BUY.split(",")[: header.count(",") + 1])
    book.remove(book.worksheets[0])
    book.save(tmp_path / "trades.xlsx")
    with pytest.raises(BadRow, match="is the header of February, which has no column price"):
        import_file(store, tmp_path / "trades.xlsx", "fills", account="A")
    assert store.head() == 0


@pytest.mark.parametrize("kind", ["LIQUIDATION", "ADL", "DELIVERY"])
def test_a_type_of_row_that_a_preset_does_not_know_stops_the_import(store: EventStore, write: Write, kind: str) -> None:
    header = "Time,Currency,Contract,Type,Direction,Quantity,Filled Price,Fee Paid,Cash Flow,Change,Wallet Balance"
    row = "2024-03-02 10:0{}:00,USDT,XYZUSDT,{},{},1,60,0.1,0,-0.1,1,t{},o1"
    rows = (row.format(0, "TRADE", "BUY", 1), row.format(1, kind, "SELL", 2))
    path = write("log.csv", f"{header},Trade ID,Order ID", *rows)
    with pytest.raises(BadRow, match=f"line 3, column Type: '{kind}' is in neither list"):
        import_file(store, path, "bybit", account="A")
    assert store.head() == 0


@pytest.mark.parametrize("keep_going", [False, True])
def test_what_may_be_thousands_is_asked_about_also_if_rows_may_be_left_out(
    store: EventStore, write: Write, *, keep_going: bool
) -> None:
    path = write("fills.csv", HEADER, BUY.replace("21000", "21.000"), SELL.replace("21010", "21.010"))
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A", keep_going=keep_going)
    assert (keys(caught), store.head()) == (["numbers.decimal"], 0)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (("Cancelled", "", "25294.25"), "column ExecutePrice: '25294.25' is there, but Status does not say filled"),
        (("Cancelled", "10/09/2025 09:38:48 -04:00", "0.0"), "column FilledAt: .* is there, but Status does not say"),
        (("Filled", "10/09/2025 09:38:48 -04:00", "0.000000000"), "column ExecutePrice: .* is not the price"),
        (("Filled", "10/09/2025 09:38:48 -04:00", ""), "column ExecutePrice: '' is not the price"),
    ],
)
def test_an_execution_of_an_order_is_not_lost_or_booked_at_0(
    store: EventStore, write: Write, order: tuple[str, str, str], why: str
) -> None:
    status, filled_at, price = order
    header = "Id,AccountName,ContractName,Status,Type,Size,Side,CreatedAt,FilledAt,CancelledAt,StopPrice,LimitPrice"
    row = f"1,A,MNQZ5,{status},Market,2,Ask,10/09/2025 09:38:48 -04:00,{filled_at},,,,{price},,,"
    path = write("orders.csv", f"{header},ExecutePrice,PositionDisposition,RejectionReason,ExchangeOrderId", row)
    with pytest.raises(BadRow, match=f"line 2, {why}"):
        import_file(store, path, "topstepx-orders")
    assert store.head() == 0


@pytest.mark.parametrize("column", ["exit_price", "Exit Time", "closedAt", "Exit", "Closing Price", "Sell Price"])
def test_the_exit_of_a_round_trip_is_not_lost(store: EventStore, write: Write, column: str) -> None:
    path = write("trades.csv", f"{HEADER},{column}", f"{BUY},21010", f"{SELL},")
    with pytest.raises(MissingChoices, match=f"column {column} is of an exit") as caught:
        import_file(store, path, "fills", account="A")
    assert (keys(caught), store.head()) == (["rows.kind"], 0)
    import_file(store, path, "fills", account="A", answers={"rows.ignore": column})
    assert figures(store, "A", "MNQH6") == (0, 20, 0)
