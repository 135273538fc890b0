"""What looks right and is not: each is asked about with nothing written, and right once it is answered."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore import EventStore
from eventstore.clock import parse_time
from eventstore.trading import TradeExecuted
from gateways.importers import BadRow, MissingChoices, import_file
from tests.importers.mappings import executions, figures, mapping

Write = Callable[..., Path]

HEADER = "time,symbol,side,quantity,price"
BUY, SELL = "2026-03-02T15:00:00Z,MNQH6,buy,1,21000", "2026-03-02T15:00:09Z,MNQH6,sell,1,21010"


def keys(caught: pytest.ExceptionInfo[MissingChoices]) -> list[str]:
    return [question.key for question in caught.value.questions]


def test_rows_that_may_not_be_executions_are_asked_about_and_set_aside(store: EventStore, write: Write) -> None:
    rows = (
        "1,MNQH6,BUY,2,21000.00,VOID,2026-03-02T15:00:00Z",
        "2,MNQH6,BUY,1,21001.00,FILLED,2026-03-02T15:00:01Z",
        "3,MNQH6,SELL,1,21003.00,CANCELED,2026-03-02T15:00:02Z",
        "4,MNQH6,SELL,1,21004.00,filled,2026-03-02T15:00:03Z",
    )
    path = write("bot.csv", "id,ticker,direction,quantity,price,status,opened_at", *rows)
    maps = {"ticker": "symbol", "direction": "side", "opened_at": "time", "id": "trade_id"}
    with pytest.raises(
        MissingChoices, match=r"Found: CANCELED \(1\), FILLED \(1\), VOID \(1\), filled \(1\)"
    ) as caught:
        import_file(store, path, "fills", account="A", mapping=maps)
    assert keys(caught) == ["rows.where.status"]
    assert store.head() == 0
    answers = {"rows.where.status": "FILLED"}
    report = import_file(store, path, "fills", account="A", mapping=maps, answers=answers)
    assert report.ignored == {"status is VOID": 1, "status is CANCELED": 1}
    assert (report.types["TradeExecuted"], report.left_out) == (2, ())
    assert figures(store, "A", "MNQH6") == (0, 6, 0)


@pytest.mark.parametrize("words", [("Limit", "Market"), ("Filled", "Filled"), ("Futures", "Futures")])
def test_a_column_of_harmless_words_is_not_asked_about(store: EventStore, write: Write, words: tuple[str, str]) -> None:
    path = write("fills.csv", f"{HEADER},type", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    assert import_file(store, path, "fills", account="A").types["TradeExecuted"] == 2


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("voided", ("true", "false")),
        ("remark", ("deposit", "x")),
        ("Type", ("Roll", "Roll")),
        ("State", ("", "Pending")),
    ],
)
def test_words_that_may_say_something_are_asked_about(
    store: EventStore, write: Write, column: str, words: tuple[str, str]
) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == [f"rows.where.{column}"]
    answers = {"rows.ignore": column}
    assert import_file(store, path, "fills", account="A", answers=answers).types["TradeExecuted"] == 2


def test_a_word_in_neither_list_stops_the_import(store: EventStore, write: Write) -> None:
    text = '[rows]\nwhere = { status = ["ok"] }\naside = { status = ["void"] }\n[columns]\nsymbol = "symbol"\n'
    own = mapping(f'{text}time = "time"\nside = "side"\nquantity = "quantity"\nprice = "price"\n')
    path = write("fills.csv", f"{HEADER},status", f"{BUY},OK", f"{SELL},busted")
    with pytest.raises(BadRow, match="line 3, column status: 'busted' is in neither list of the mapping"):
        import_file(store, path, mapping=own, account="A")
    assert store.head() == 0


def test_a_row_that_is_neither_bought_nor_sold_is_asked_about(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, BUY, SELL, BUY.replace("buy", "dividend"))
    with pytest.raises(MissingChoices, match=r"--set rows\.where\.side=buy,sell"):
        import_file(store, path, "fills", account="A")
    report = import_file(store, path, "fills", account="A", answers={"rows.where.side": "buy,sell"})
    assert report.ignored == {"side is dividend": 1}


def test_costs_that_are_all_below_zero_are_asked_about(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},commission", f"{BUY},-0.62", f"{SELL},-0.62")
    maps = {"commission": "fee"}
    with pytest.raises(MissingChoices, match="all 2 costs are below zero") as caught:
        import_file(store, path, "fills", account="A", mapping=maps)
    assert keys(caught) == ["fees.sign"]
    import_file(store, path, "fills", account="A", mapping=maps, answers={"fees.sign": "paid-is-negative"})
    assert figures(store, "A", "MNQH6") == (0, 20, Decimal("1.24"))


def test_rebates_are_below_zero_where_it_is_said(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},fee", f"{BUY},-0.62", f"{SELL},-0.62")
    import_file(store, path, "fills", account="A", answers={"fees.sign": "paid-is-positive"})
    assert figures(store, "A", "MNQH6")[2] == Decimal("-1.24")


def test_a_rebate_among_costs_is_one(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},fee", f"{BUY},0.62", f"{SELL},-0.20", f"{BUY.replace('00Z', '20Z')},0.62")
    import_file(store, path, "fills", account="A")
    assert [event.fee for event in executions(store)] == [Decimal("0.62"), Decimal("-0.20"), Decimal("0.62")]


def test_costs_that_nobody_mentions_are_asked_about(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},Clearing Fee", f"{BUY},0.62", f"{SELL},0.62")
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == ["fees.columns"]
    import_file(store, path, "fills", account="A", answers={"fees.columns": "Clearing Fee"})
    assert figures(store, "A", "MNQH6")[2] == Decimal("1.24")


def test_a_result_after_costs_is_found_by_arithmetic(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},fee,pnl", f"{BUY},0.62,-0.62", f"{SELL},0.62,19.38")
    report = import_file(store, path, "fills", account="A")
    (row,) = report.pnl
    assert (row.reported, row.folded, row.fees, row.after_fees) == (
        Decimal("18.76"),
        Decimal("18.76"),
        Decimal("1.24"),
        True,
    )
    assert report.differing == ()
    # In the log a result is before costs.
    assert [event.reported_pnl for event in executions(store)] == [Decimal("0.00"), Decimal("20.00")]


def test_a_result_that_is_neither_before_nor_after_costs_is_asked_about(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},fee,pnl", f"{BUY},0.62,", f"{SELL},0.62,77")
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == ["pnl.after-fees"]
    assert store.head() == 0
    report = import_file(store, path, "fills", account="A", answers={"pnl.after-fees": "false"})
    assert [row.difference for row in report.differing] == [57]


def test_a_spreadsheets_days_are_asked_about(store: EventStore, write: Write) -> None:
    path = write("fills.csv", HEADER, BUY.replace("2026-03-02T15:00:00Z", "46083.625"))
    with pytest.raises(MissingChoices, match=r"46083\.625") as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == ["time.unit", "time.zone"]
    import_file(store, path, "fills", account="A", answers={"time.unit": "serial"}, zone="UTC")
    assert [record.occurred_at for record in store.read(types=TradeExecuted)] == [parse_time("2026-03-02T15:00:00Z")]


def test_a_zone_of_the_caller_does_not_replace_the_files_own(store: EventStore, write: Write) -> None:
    import_file(store, write("fills.csv", HEADER, BUY, SELL), "fills", account="A", zone="Asia/Tokyo")
    assert next(store.read(types=TradeExecuted)).occurred_at == parse_time("2026-03-02T15:00:00Z")


def test_prices_in_32nds_are_asked_about(store: EventStore, write: Write) -> None:
    rows = ("2026-03-02T15:00:00Z,ZNM6,buy,1,110'165", "2026-03-02T15:05:00Z,ZNM6,sell,1,110'19")
    path = write("fills.csv", HEADER, *rows, "2026-03-02T15:06:00Z,ZBM6,buy,1,118-16")
    with pytest.raises(MissingChoices, match="""line 2, column price: "110'165" is not a plain number""") as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == ["numbers.fractions"]
    import_file(store, path, "fills", account="A", answers={"numbers.fractions": "32nds"})
    assert [event.price for event in executions(store)] == [
        Decimal("110.515625"),
        Decimal("110.59375"),
        Decimal("118.5"),
    ]
    assert figures(store, "A", "ZNM6")[1] == Decimal("78.125")


def test_prices_of_grains_in_8ths_are_asked_about(store: EventStore, write: Write) -> None:
    rows = ("2026-03-02T15:00:00Z,ZCK6,buy,1,450'4", "2026-03-02T15:05:00Z,ZCK6,sell,1,451'2")
    path = write("fills.csv", HEADER, *rows)
    with pytest.raises(MissingChoices, match="""line 2, column price: "450'4" is not a plain number""") as caught:
        import_file(store, path, "fills", account="A")
    assert (keys(caught), caught.value.questions[0].options) == (["numbers.fractions"], ("8ths",))
    assert store.head() == 0
    import_file(store, path, "fills", account="A", answers={"numbers.fractions": "8ths"})
    assert [event.price for event in executions(store)] == [Decimal("450.5"), Decimal("451.25")]
    assert figures(store, "A", "ZCK6")[1] == Decimal("37.50")


@pytest.mark.parametrize(("prices", "answer"), [(("21.000", "21.010"), ","), (("21.000", "21.010"), ".")])
def test_points_that_may_separate_thousands_are_asked_about(
    store: EventStore, write: Write, prices: tuple[str, str], answer: str
) -> None:
    rows = [row.replace(old, new) for row, old, new in zip((BUY, SELL), ("21000", "21010"), prices, strict=True)]
    path = write("fills.csv", HEADER, *rows)
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == ["numbers.decimal"]
    import_file(store, path, "fills", account="A", answers={"numbers.decimal": answer})
    assert executions(store)[0].price == Decimal("21000" if answer == "," else "21")


def test_one_contract_under_many_names_is_one(store: EventStore, write: Write) -> None:
    names = ("MNQH6", "MNQH26", "MNQH2026", "CON.F.US.MNQ.H26")
    prices = (21000, 21010, 21000, 21001)
    rows = [
        f"2026-03-02T15:0{number}:00Z,{name},{'sell' if number % 2 else 'buy'},1,{price}"
        for number, (name, price) in enumerate(zip(names, prices, strict=True))
    ]
    import_file(store, write("fills.csv", HEADER, *rows), "fills", account="A")
    assert figures(store, "A", "MNQH6")[:2] == (0, 22)


def test_what_no_table_lists_is_asked_about_and_gets_what_is_said_of_it(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},Cur", BUY.replace("MNQH6", "US0000000001") + ",CHF")
    with pytest.raises(MissingChoices, match="US0000000001") as caught:
        import_file(store, path, "fills", account="A")
    assert keys(caught) == ["contract.default.asset"]
    answers = {"contract.default.asset": "STOCK", "contract.default.currency": "@Cur"}
    import_file(store, path, "fills", account="A", answers=answers)
    (defined,) = store.read(stream="contract/-/US0000000001")
    assert (defined.event.multiplier, defined.event.currency, defined.event.asset) == (1, "CHF", "STOCK")  # type: ignore[attr-defined]


def test_a_currency_of_a_row_that_is_not_the_contracts_is_refused(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},Cur", f"{BUY},EUR")
    with pytest.raises(BadRow, match="column Cur: 'EUR' is the row's currency, but MNQH6 is in USD"):
        import_file(store, path, "fills", account="A", answers={"contract.currency": "@Cur"})


def test_ties_of_a_file_that_is_newest_first_happened_from_its_end(store: EventStore, write: Write) -> None:
    at = "2026-03-02T15:0{}:00Z,MNQH6,{},1,{}"
    rows = (
        at.format(2, "buy", 21009),
        at.format(2, "sell", 21005),
        at.format(1, "sell", 21004),
        at.format(1, "buy", 21001),
    )
    import_file(store, write("fills.csv", HEADER, *rows), "fills", account="A")
    assert [event.price for event in executions(store)] == [21001, 21004, 21005, 21009]
    assert figures(store, "A", "MNQH6")[:2] == (0, -2)


def test_the_order_of_ties_can_be_said(store: EventStore, write: Write) -> None:
    rows = [f"2026-03-02T15:00:00Z,MNQH6,{side},1,{price}" for side, price in (("sell", 2), ("buy", 1))]
    path = write("fills.csv", HEADER, *rows)
    import_file(store, path, "fills", account="A", answers={"rows.order": "newest-first"})
    assert [event.price for event in executions(store)] == [1, 2]


def test_ids_that_are_unique_per_symbol_are_given_with_it(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},trade_id", f"{BUY},1", f"{SELL.replace('MNQ', 'ES')},1")
    with pytest.raises(BadRow, match=r"repeats fill:1 .* name both in identity\.columns"):
        import_file(store, path, "fills", account="A")
    report = import_file(store, path, "fills", account="A", answers={"identity.columns": "trade_id,symbol"})
    assert [event.trade_id for event in executions(store)] == ["1-MNQH6", "1-ESH6"]
    assert report.repeated == 0


def test_everything_that_is_missing_is_listed_at_once(store: EventStore, write: Write) -> None:
    header = "time,symbol,side,quantity,price,fee,status"
    path = write(
        "fills.csv", header, "03/02/2026 9:30,ABC,buy,1,$21000,-1,VOID", "03/02/2026 9:31,ABC,sell,1,$21000,-1,OK"
    )
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills")
    assert set(keys(caught)) == {
        *("account", "numbers.strip", "time.format", "time.zone", "fees.sign", "rows.where.status"),
        "contract.default.asset",
    }
    assert store.head() == 0


def test_an_order_that_is_not_in_the_log_is_not_an_anomaly_of_its_executions(store: EventStore, write: Write) -> None:
    text = '[columns]\nsymbol = "symbol"\ntime = "time"\nside = "side"\nquantity = "quantity"\nprice = "price"\n'
    path = write("fills.csv", f"{HEADER},order", f"{BUY},O1", f"{SELL},O2")
    import_file(store, path, mapping=mapping(f'{text}broker_order_id = "order"\n'), account="A")
    with projections.open(store, snapshots=False) as book:
        assert book.orders.get("A", "O1") is None
        assert book.positions.get("A", "MNQH6").anomalies == ()
    assert [getattr(event, "broker_order_id", None) for event in executions(store)] == ["O1", "O2"]
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)
