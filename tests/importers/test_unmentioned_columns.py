"""Columns that the mapping does not mention, and that change what the rows mean: each is asked about."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import EventStore
from eventstore.clock import parse_time
from eventstore.trading import TradeExecuted
from gateways.importers import BadRow, FileOptions, MissingChoices, import_file
from tests.importers.mappings import figures

Write = Callable[..., Path]

HEADER = "time,symbol,side,quantity,price"
BUY, SELL = "2026-03-02T15:00:00Z,MNQH6,buy,1,21000", "2026-03-02T15:00:09Z,MNQH6,sell,1,21010"


def asked(store: EventStore, path: Path, **options: object) -> list[str]:
    """Return the keys of what an import asks about, with nothing written."""
    with pytest.raises(MissingChoices) as caught:
        import_file(store, path, "fills", **FileOptions(**options))  # type: ignore[typeddict-item]
    assert store.head() == 0
    return [question.key for question in caught.value.questions]


@pytest.mark.parametrize("column", ["Acct", "Account Number", "account_id", "Sub-account", "Account Type", "Konto"])
def test_several_accounts_do_not_become_one(store: EventStore, write: Write, column: str) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},X1", f"{SELL},Y1")
    assert asked(store, path, account="A") == asked(store, path) == ["columns.account"]
    answers = {"columns.account": column}
    with pytest.raises(BadRow, match="leave the option out"):
        import_file(store, path, "fills", account="A", answers=answers)
    assert store.head() == 0
    import_file(store, path, "fills", answers=answers)
    assert (figures(store, "X1", "MNQH6")[:2], figures(store, "Y1", "MNQH6")[:2]) == ((1, 0), (-1, 0))


def test_a_column_of_accounts_may_be_said_to_be_of_one(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},Portfolio", f"{BUY},X1", f"{SELL},Y1")
    import_file(store, path, "fills", account="A", answers={"rows.ignore": "Portfolio"})
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


@pytest.mark.parametrize(("column", "words"), [("Acct", ("X1", "X1")), ("Acct", ("X1", "")), ("Balance", ("1", "2"))])
def test_one_account_is_not_asked_about(store: EventStore, write: Write, column: str, words: tuple[str, str]) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    import_file(store, path, "fills", account="A")
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Action", ("1", "2")),
        ("Dir", ("C", "V")),
        ("direction", ("in", "out")),
        ("is_buy", ("1", "0")),
        ("Side", ("BTO", "STC")),
        ("Transaction", ("Long Entry", "Long Exit")),
    ],
)
def test_a_sale_in_words_that_are_not_known_is_not_a_purchase(
    store: EventStore, write: Write, column: str, words: tuple[str, str]
) -> None:
    rows = [row.replace(side, word) for row, side, word in zip((BUY, SELL), ("buy", "sell"), words, strict=True)]
    path = write("fills.csv", HEADER.replace("side", column), *rows)
    assert asked(store, path, account="A") == ["columns.side"]
    with pytest.raises(BadRow, match=r"give the file's own words as sides\.buy and sides\.sell"):
        import_file(store, path, "fills", account="A", answers={"columns.side": column})
    answers = {"columns.side": column, "sides.buy": words[0], "sides.sell": words[1]}
    import_file(store, path, "fills", account="A", answers=answers)
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


@pytest.mark.parametrize(("column", "words"), [("Action", ("in", "out")), ("note", ("entry", "exit"))])
def test_the_sign_of_a_quantity_says_which_way_it_went(
    store: EventStore, write: Write, column: str, words: tuple[str, str]
) -> None:
    rows = (BUY.replace("buy,1", f"{words[0]},1"), SELL.replace("sell,1", f"{words[1]},-1"))
    import_file(store, write("fills.csv", HEADER.replace("side", column), *rows), "fills", account="A")
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


OPTIONS = (
    f"{HEADER},Put/Call,Strike,Expiry",
    f"{BUY},C,500.00,2026-03-20".replace("MNQH6", "SPY"),
    f"{SELL},P,490.00,2026-03-20".replace("MNQH6", "SPY"),
)


def test_options_do_not_become_the_share_that_they_are_on(store: EventStore, write: Write) -> None:
    path = write("fills.csv", *OPTIONS)
    answers = {"contract.default.asset": "STOCK"}
    with pytest.raises(BadRow, match=r'line 2, column symbol: .*columns\.symbol="symbol,Strike,Put/Call"'):
        import_file(store, path, "fills", account="A", answers=answers)
    answers["columns.symbol"] = "symbol,Strike,Put/Call,Expiry"
    with pytest.raises(BadRow, match="is an option, and nothing says its multiplier"):
        import_file(store, path, "fills", account="A", answers=answers)
    assert store.head() == 0
    answers |= {"contract.default.asset": "OPTION", "contract.default.multiplier": "100"}
    import_file(store, path, "fills", account="A", answers=answers)
    assert figures(store, "A", "SPY/500.00/C/2026-03-20")[:2] == (1, 0)
    assert figures(store, "A", "SPY/490.00/P/2026-03-20")[:2] == (-1, 0)


def test_options_do_not_become_the_future_that_they_are_on(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},right,strike", f"{BUY},Call,22000", f"{SELL},Put,20000")
    with pytest.raises(BadRow, match="'MNQH6' is what an option is on, of which column right says 'Call'"):
        import_file(store, path, "fills", account="A")
    assert store.head() == 0
    import_file(store, path, "fills", account="A", answers={"rows.ignore": "right"})
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


@pytest.mark.parametrize(
    ("symbol", "right", "strike"), [("MNQH6", "", ""), ("MNQH6", "-", "0"), ("SPY260320C00500000", "C", "500")]
)
def test_columns_of_options_say_nothing_of_other_rows(
    store: EventStore, write: Write, symbol: str, right: str, strike: str
) -> None:
    row = BUY.replace("MNQH6", symbol)
    path = write("fills.csv", f"{HEADER},Put/Call,Strike", f"{row},{right},{strike}")
    answers = {"contract.default.asset": "OPTION", "contract.default.multiplier": "100"}
    import_file(store, path, "fills", account="A", answers=answers)
    assert figures(store, "A", symbol)[0] == 1


def test_what_was_ordered_is_not_taken_for_what_was_filled(store: EventStore, write: Write) -> None:
    rows = (BUY.replace("buy,1,21000", "buy,5,21001"), SELL.replace("sell,1", "sell,2"))
    path = write("orders.csv", f"{HEADER},Filled Qty,Avg Fill Price", f"{rows[0]},2,21000", f"{rows[1]},0,0")
    assert asked(store, path, account="A") == ["columns.quantity", "columns.price"]
    answers = {"columns.quantity": "Filled Qty", "columns.price": "Avg Fill Price"}
    with pytest.raises(BadRow, match=r"line 3, column Filled Qty: '0' is zero: .* with rows\.aside\.Filled Qty"):
        import_file(store, path, "fills", account="A", answers=answers)
    assert store.head() == 0
    report = import_file(store, path, "fills", account="A", answers=answers | {"rows.aside.Filled Qty": "0"})
    assert (report.ignored, figures(store, "A", "MNQH6")[0]) == ({"Filled Qty is 0": 1}, 2)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Filled", ("1", "2")),
        ("Filled", ("true", "true")),
        ("Executed Qty", ("1.0", "1")),
        ("Fill Price", ("21000.00", "0")),
    ],
)
def test_what_was_filled_in_all_is_not_asked_about(
    store: EventStore, write: Write, column: str, words: tuple[str, str]
) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    import_file(store, path, "fills", account="A")
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


@pytest.mark.parametrize("column", ["positionSide", "position_side", "Pos Side"])
def test_a_long_and_a_short_position_do_not_become_one(store: EventStore, write: Write, column: str) -> None:
    path = write("fills.csv", f"{HEADER},{column}", f"{BUY},LONG", f"{SELL},SHORT")
    assert asked(store, path, account="A") == [f"rows.where.{column}"]
    for side, held in (("LONG", 1), ("SHORT", -1)):
        import_file(store, path, "fills", account=side, answers={f"rows.where.{column}": side})
        assert figures(store, side, "MNQH6")[:2] == (held, 0)


@pytest.mark.parametrize("words", [("LONG", "LONG"), ("BOTH", "BOTH"), ("", "")])
def test_one_position_side_is_not_asked_about(store: EventStore, write: Write, words: tuple[str, str]) -> None:
    path = write("fills.csv", f"{HEADER},positionSide", f"{BUY},{words[0]}", f"{SELL},{words[1]}")
    import_file(store, path, "fills", account="A")
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


def test_what_an_order_of_freqtrade_was_worth_is_not_a_cost(store: EventStore, write: Write) -> None:
    order = {
        "id": 1, "ft_trade_id": 1, "ft_order_side": "buy", "ft_pair": "ABC/USDT", "ft_is_open": False, "order_id": "1",
        "status": "closed", "symbol": "ABC/USDT", "order_type": "limit", "side": "buy", "price": 0.5, "average": None,
        "amount": 40.0, "filled": 40.0, "remaining": 0.0, "cost": 20.0, "order_date": "2026-03-02 09:08:50.1",
        "order_filled_date": "2026-03-02 09:08:57.9", "order_update_date": "2026-03-02 09:08:58", "funding_fee": 0.0,
    }  # fmt: skip
    later = {"order_id": "2", "side": "sell", "ft_order_side": "stoploss", "average": 0.6, "cost": 24.0}
    path = write("orders.json", json.dumps([order, order | later | {"order_date": "2026-03-02 10:08:50.1"}]))
    import_file(store, path, "freqtrade-orders", account="A")
    assert figures(store, "A", "ABC/USDT") == (0, Decimal("4.0"), 0)


@pytest.mark.parametrize("words", [("Open", "Close"), ("ENTRY", "EXIT"), ("Opening", "Closing")])
def test_the_exit_of_a_long_position_is_a_sale(store: EventStore, write: Write, words: tuple[str, str]) -> None:
    rows = (f"{BUY},{words[0]}".replace("buy", "long"), f"{SELL},{words[1]}".replace("sell", "long"))
    path = write("fills.csv", f"{HEADER},Effect", *rows)
    assert asked(store, path, account="A") == ["columns.side"]
    answers = {"columns.side": "side,Effect"}
    with pytest.raises(BadRow, match=rf"'long {words[0]}' is not one of .* sides\.buy and sides\.sell"):
        import_file(store, path, "fills", account="A", answers=answers)
    assert store.head() == 0
    answers |= {
        "sides.buy": f"long {words[0]},short {words[1]}",
        "sides.sell": f"short {words[0]},long {words[1]}",
    }
    import_file(store, path, "fills", account="A", answers=answers)
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


def test_entries_and_exits_that_were_bought_and_sold_are_not_asked_about(store: EventStore, write: Write) -> None:
    path = write("fills.csv", f"{HEADER},Effect", f"{BUY},Open", f"{SELL},Close")
    import_file(store, path, "fills", account="A")
    assert figures(store, "A", "MNQH6")[:2] == (0, 20)


def test_sales_of_both_signs_are_refused(store: EventStore, write: Write) -> None:
    rows = (BUY.replace("buy,1", "short,-1"), SELL.replace("sell", "short"))
    path = write("fills.csv", HEADER, *rows)
    with pytest.raises(BadRow, match=r'line 3, column quantity: .* set columns\.side= and rows\.ignore="side"'):
        import_file(store, path, "fills", account="A")
    assert store.head() == 0
    import_file(store, path, "fills", account="A", answers={"columns.side": "", "rows.ignore": "side"})
    assert figures(store, "A", "MNQH6")[:2] == (0, -20)


ZONES = (
    f"{HEADER},Timezone",
    f"{BUY},America/New_York".replace("T15:00:00Z", " 10:00:00"),
    f"{SELL},Europe/Paris".replace("T15:00:09Z", " 16:00:09"),
)


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_the_zone_of_a_row_is_not_passed_over(store: EventStore, write: Write, zone: str | None) -> None:
    path = write("fills.csv", *ZONES)
    options = FileOptions(account="A") if zone is None else FileOptions(account="A", zone=zone)
    assert asked(store, path, **options) == ["time.zone"]
    import_file(store, path, "fills", account="A", answers={"time.zone": "@Timezone"})
    at = parse_time("2026-03-02T15:00:00Z")
    assert [record.occurred_at for record in store.read(types=TradeExecuted)] == [at, at + 9_000_000_000]


def test_a_column_of_zones_may_say_what_is_known(store: EventStore, write: Write) -> None:
    # Every time has its offset, or the column has the zone that is given.
    path = write("fills.csv", f"{HEADER},Timezone", f"{BUY},America/New_York", f"{SELL},Europe/Paris")
    import_file(store, path, "fills", account="A", zone="Asia/Tokyo")
    path = write("more.csv", ZONES[0], ZONES[1])
    import_file(store, path, "fills", account="B", zone="America/New_York")
    assert {record.occurred_at for record in store.read(types=TradeExecuted, account="B")} == {
        parse_time("2026-03-02T15:00:00Z")
    }


@pytest.mark.parametrize(
    ("sign", "paid"), [("always-paid", "1.54"), ("paid-is-positive", "-0.94"), ("paid-is-negative", "0.94")]
)
def test_costs_of_opposite_signs_are_asked_about(store: EventStore, write: Write, sign: str, paid: str) -> None:
    third = BUY.replace("00Z", "20Z")
    rows = (f"{BUY},-0.62,0.1", f"{SELL},-0.62,0.1", f"{third},,0.1")
    path = write("fills.csv", f"{HEADER},fee,Exchange Fee", *rows)
    answers = {"fees.columns": "Exchange Fee"}
    assert asked(store, path, account="A", answers=answers) == ["fees.sign"]
    import_file(store, path, "fills", account="A", answers=answers | {"fees.sign": sign})
    assert figures(store, "A", "MNQH6")[2] == Decimal(paid)
