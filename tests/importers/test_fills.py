"""Any CSV of fills: mapped columns, words for sides, many forms of times, and a result by symbol."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import EventStore, InvalidEvent, UnknownContract
from eventstore.clock import parse_time
from eventstore.trading import ContractDefined, OrderFilled, Side, TradeExecuted
from gateways.importers import BadRow, MissingChoices, import_file

Write = Callable[..., Path]

HEADER = "trade_id,symbol,side,quantity,price,fee,fee_currency,time,order_id,account,pnl"
TIMED = "symbol,quantity,price,time"
BUY = "T1,MNQZ5,buy,2,25000.25,1.2,USD,2025-10-01T14:30:00.123456789Z,,,"
SELL = "T2,MNQZ5,sell,2,25010.25,1.2,USD,2025-10-01T09:31:00-05:00,O-7,,40"


def test_a_fill_of_an_order_and_a_trade_without_one(store: EventStore, write: Write) -> None:
    report = import_file(store, write("fills.csv", HEADER, BUY, SELL), "fills", account="F1")
    trade, fill = store.read(types=(TradeExecuted, OrderFilled))
    assert (trade.stream, fill.stream) == ("trade/F1/T1", "order/F1/O-7")
    assert trade.occurred_at == parse_time("2025-10-01T14:30:00.123456789Z")
    assert fill.occurred_at == parse_time("2025-10-01T14:31:00Z")
    assert trade.event == TradeExecuted(
        trade_id="T1",
        symbol="MNQZ5",
        side=Side.BUY,
        quantity=Decimal(2),
        price=Decimal("25000.25"),
        fee=Decimal("1.2"),
        fee_currency="USD",
    )
    assert fill.event == OrderFilled(
        trade_id="T2",
        symbol="MNQZ5",
        side=Side.SELL,
        quantity=Decimal(2),
        price=Decimal("25010.25"),
        fee=Decimal("1.2"),
        fee_currency="USD",
        reported_pnl=Decimal(40),
    )
    assert report.contracts == ("MNQZ5",)


def test_columns_are_what_the_caller_maps_them_to(store: EventStore, write: Write) -> None:
    path = write("export.csv", "When,What,B/S,Qty,Px,Remark", "1759329000,ESZ5,S,3,6700.25,by hand")
    mapping = {"When": "time", "What": "symbol", "B/S": "side", "Qty": "quantity", "Px": "price"}
    import_file(store, path, "fills", account="F1", mapping=mapping)
    (record,) = store.read(types=TradeExecuted)
    assert isinstance(record.event, TradeExecuted)
    assert (record.event.side, record.event.quantity, record.event.price) == (Side.SELL, Decimal(3), Decimal("6700.25"))
    assert record.occurred_at == parse_time("2025-10-01T14:30:00Z")


@pytest.mark.parametrize(
    ("word", "side"),
    [
        *[(word, Side.BUY) for word in ("buy", "B", "Long", "BID", "bot")],
        *[(word, Side.SELL) for word in ("SELL", "s", "short", "Ask", "SLD")],
    ],
)
def test_sides_have_many_words(store: EventStore, write: Write, word: str, side: Side) -> None:
    import_file(store, write("fills.csv", HEADER, BUY.replace("buy", word)), "fills", account="F1")
    assert [r.event.side for r in store.read(types=TradeExecuted)] == [side]  # type: ignore[attr-defined]


def test_without_a_side_the_quantity_s_sign_decides(store: EventStore, write: Write) -> None:
    path = write("fills.csv", "symbol,quantity,price,time", "ESZ5,2,1,1759329000", "ESZ5,-3,1,1759329001")
    import_file(store, path, "fills", account="F1")
    imported = [(r.event.side, r.event.quantity) for r in store.read(types=TradeExecuted)]  # type: ignore[attr-defined]
    assert imported == [(Side.BUY, 2), (Side.SELL, 3)]


def test_a_sign_may_repeat_the_side_and_not_contradict_it(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, SELL.replace(",2,", ",-2,")), "fills", account="F1")
    with pytest.raises(BadRow, match="column quantity: '-2'"):
        import_file(store, write("fills.csv", HEADER, BUY.replace(",2,", ",-2,")), "fills", account="F1")


def test_rows_without_a_trade_id_are_distinguished_and_known_again(store: EventStore, write: Write) -> None:
    header, row = "symbol,quantity,price,time", "ESZ5,2,6700,1759329000"
    report = import_file(store, write("fills.csv", header, row, row), "fills", account="F1")
    assert report.types["TradeExecuted"] == 2
    longer = write("fills.csv", header, "ESZ5,1,6600,1759320000", row, row, row)
    assert import_file(store, longer, "fills", account="F1").added == 2


def test_the_row_names_the_account_where_the_caller_does_not(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, BUY.replace(",,,", ",,F7,"))
    import_file(store, path, "fills")
    assert [record.account for record in store.read(types=TradeExecuted)] == ["F7"]
    with pytest.raises(BadRow, match="column account"):
        import_file(store, write("fills.csv", HEADER, BUY), "fills")
    with pytest.raises(InvalidEvent, match="--account"):
        import_file(store, write("fills.csv", "symbol,quantity,price,time", "ESZ5,1,1,1759329000"), "fills")


def test_one_symbol_may_be_said_for_the_whole_file(store: EventStore, write: Write) -> None:
    path = write("fills.csv", "quantity,price,time", "2,6700,1759329000")
    report = import_file(store, path, "fills", account="F1", symbol="ESZ5")
    assert report.contracts == ("ESZ5",)
    with pytest.raises(UnknownContract, match="--contracts"):
        import_file(store, path, "fills", account="F1", symbol="NOPE")


def test_a_result_is_compared_by_symbol_first_in_first_out(store: EventStore, write: Write) -> None:
    header = "trade_id,symbol,side,quantity,price,fee,time,pnl"
    rows = (
        "1,MNQZ5,buy,1,100,0.5,1759329000,",
        "2,MNQZ5,buy,1,110,0.5,1759329001,",
        "3,ESZ5,sell,1,6700,1,1759329002,",
        "4,MNQZ5,sell,1,120,0.5,1759329003,40",
        "5,ESZ5,buy,1,6699,1,1759329004,49.99",
        "6,YMZ5,buy,1,6699,1,1759329005,",
    )
    report = import_file(store, write("fills.csv", header, *rows), "fills", account="F1")
    assert [(row.symbol, row.reported, row.folded, row.fees, row.differs) for row in report.pnl] == [
        ("ESZ5", Decimal("49.99"), Decimal(50), Decimal(2), True),
        ("MNQZ5", Decimal(40), Decimal(40), Decimal("1.5"), False),
    ]
    assert [row.lines for row in report.differing] == [(4, 6)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1759329000", "2025-10-01T14:30:00Z"),
        ("1759329000.5", "2025-10-01T14:30:00.5Z"),
        ("1759329000123", "2025-10-01T14:30:00.123Z"),
        ("631152000000", "1990-01-01T00:00:00Z"),
        ("631152000000000", "1990-01-01T00:00:00Z"),
        ("631152000000000000", "1990-01-01T00:00:00Z"),
        ("1759329000123456", "2025-10-01T14:30:00.123456Z"),
        ("1759329000123456789", "2025-10-01T14:30:00.123456789Z"),
        ("2025-10-01 16:30:00+02:00", "2025-10-01T14:30:00Z"),
    ],
)
def test_times_are_iso_or_unix_in_any_unit(store: EventStore, write: Write, text: str, instant: str) -> None:
    import_file(store, write("fills.csv", TIMED, f"ESZ5,1,6000,{text}"), "fills", account="F1")
    assert [record.occurred_at for record in store.read(types=TradeExecuted)] == [parse_time(instant)]


@pytest.mark.parametrize("text", ["2025-10-01T14:30:00", "14:30", "1759329000123456789.5", "7258118400", "-5"])
def test_a_time_without_zone_or_out_of_range_is_refused(store: EventStore, write: Write, text: str) -> None:
    with pytest.raises(BadRow) as caught:
        import_file(store, write("fills.csv", TIMED, f"ESZ5,1,6000,{text}"), "fills", account="F1")
    assert (caught.value.line, caught.value.column, caught.value.value) == (2, "time", text)
    assert store.head() == 0


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ({"Qty": "amount"}, "unknown field 'amount'; the fields are trade_id"),
        ({"Qty": "quantity", "Size": "quantity"}, "mapped more than once"),
        ({"Qty": "quantity"}, "no column Qty"),
    ],
)
def test_a_mapping_that_fits_nothing_is_refused(
    store: EventStore, write: Write, mapping: dict[str, str], why: str
) -> None:
    with pytest.raises(InvalidEvent, match=why):
        import_file(store, write("fills.csv", HEADER, BUY), "fills", account="F1", mapping=mapping)


@pytest.mark.parametrize(
    ("old", "new", "column", "value"),
    [
        ("25000.25", "25’000.25", "price", "25’000.25"),
        ("25000.25", "€25000", "price", "€25000"),
        ("25000.25", "٣", "price", "٣"),
        ("25000.25", "inf", "price", "inf"),
        (",2,", ",0,", "quantity", "0"),
        ("buy", "hold", "side", "hold"),
        ("MNQZ5", "AAPL", "symbol", "AAPL"),
        ("2025-10-01T14:30:00.123456789Z", "2025-10-01T14:30:00", "time", "2025-10-01T14:30:00"),
        (",1.2,", ",free,", "fee", "free"),
    ],
)
def test_a_bad_cell_is_named(store: EventStore, write: Write, *, old: str, new: str, column: str, value: str) -> None:
    with pytest.raises(BadRow) as caught:
        import_file(store, write("fills.csv", HEADER, BUY.replace(old, new)), "fills", account="F1")
    assert (caught.value.line, caught.value.column, caught.value.value) == (2, column, value)
    assert store.head() == 0


def test_a_fill_before_1990_is_of_the_time_its_column_says(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", TIMED, "MNQZ5,2,25000.25,1985-07-01T12:00:00Z"), "fills", account="F1")
    records = store.read(types=(ContractDefined, TradeExecuted))
    assert [record.occurred_at for record in records] == [parse_time("1985-07-01T12:00:00Z")] * 2


@pytest.mark.parametrize("time", ["489067200", "489067200.0", "46083.625", "20240304"])
def test_a_number_that_is_not_a_unix_time_since_1990_is_asked_about(store: EventStore, write: Write, time: str) -> None:
    with pytest.raises(MissingChoices) as caught:
        import_file(store, write("fills.csv", TIMED, f"MNQZ5,2,25000.25,{time}"), "fills", account="F1")
    assert "time" in {question.key.partition(".")[0] for question in caught.value.questions}
    assert (caught.value.line, caught.value.value) == (2, time)
    assert store.head() == 0


def test_an_account_given_as_an_option_does_not_make_one_of_two(store: EventStore, write: Write) -> None:
    """It names the file's account otherwise; the results of two would be added up."""
    rows = [
        f"T{number},MNQZ5,buy,1,25000,0,USD,2025-10-01T14:3{number}:00Z,,{account},"
        for number, account in enumerate(["B-1", "", "B-1", "B-2"])
    ]
    import_file(store, write("one.csv", HEADER, *rows[:3]), "fills", account="F1")
    with pytest.raises(BadRow, match="'B-2' is another account than 'B-1' above, and --account F1 would make one of"):
        import_file(store, write("two.csv", HEADER, *rows), "fills", account="F1")
    assert {record.account for record in store.read(types=TradeExecuted)} == {"F1"}
    import_file(store, write("two.csv", HEADER, rows[0], rows[3]), "fills")
    assert {record.account for record in store.read(types=TradeExecuted)} == {"F1", "B-1", "B-2"}


def test_a_time_without_a_zone_is_refused_in_words_for_files(store: EventStore, write: Write) -> None:
    row = BUY.replace("2025-10-01T14:30:00.123456789Z", "2025-10-01T14:30:00")
    with pytest.raises(BadRow, match=r"'2025-10-01T14:30:00' has no time zone: state time.zone"):
        import_file(store, write("fills.csv", HEADER, row), "fills", account="F1")
