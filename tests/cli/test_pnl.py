"""`pnl`: P&L by symbol, over a span or day by day, and what is reported per account only."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import eventstore
from eventstore.trading import AdjustmentReason, PositionAdjusted, Side
from tests.cli.command import NINE, Run, filled

DAY_NS = 86_400 * 10**9


def traded(data: Path) -> None:
    """Close ACC1's position a day later, at a profit of one point."""
    with eventstore.open(data) as store:
        closing = filled("T-9", Side.SELL, 1, "6651.25")
        store.append("order/ACC1/O-9", closing, occurred_at=NINE + DAY_NS)


def test_each_symbol_of_each_account_is_a_line(run: Run, data: Path) -> None:
    traded(data)
    ended = run("pnl", "--account", "ACC1", "--data", data, "--json")
    [line] = ended.document
    assert (line["account"], line["day"], line["symbol"], line["currency"]) == ("ACC1", None, "ESZ5", "USD")
    assert (line["realized"], line["fees"], line["trades"]) == ("150.00", "6.75", 3)
    shown = run("pnl", "--account", "ACC1", "--data", data).out
    assert "ESZ5" in shown
    assert "143.25" in shown


def test_a_span_leaves_out_other_days_and_days_stand_by_themselves(run: Run, data: Path) -> None:
    traded(data)
    [line] = run("pnl", "--from", "2025-11-20", "--account", "ACC1", "--data", data, "--json").document
    assert (line["realized"], line["trades"]) == ("50.00", 1)
    [line] = run("pnl", "--to", "2025-11-19", "--account", "ACC1", "--data", data, "--json").document
    assert (line["realized"], line["trades"]) == ("100.00", 2)
    lines = run("pnl", "--days", "--account", "ACC1", "--data", data, "--json").document
    assert [(each["day"], each["realized"]) for each in lines] == [("~2025-11-19", "100.00"), ("~2025-11-20", "50.00")]
    lines = run("pnl", "--days", "--from", "20251120", "--account", "ACC1", "--data", data, "--json").document
    assert [each["day"] for each in lines] == ["~2025-11-20"]


def test_what_cannot_be_said_of_one_account_leaves_the_others(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        store.append("order/ACC2/O-5", filled("T-5", Side.BUY, 1, "60.00", "CLZ5"))
    ended = run("pnl", "--data", data, "--json")
    assert ended.code == 1
    assert ended.err.startswith("note: ACC2: no contract is defined for CLZ5")
    assert [line["account"] for line in ended.document] == ["ACC1"]


def expire(data: Path, quantity: int, price: str | None = None) -> None:
    """Let ACC1's position expire a day later."""
    expired = PositionAdjusted(
        symbol="ESZ5",
        quantity=Decimal(quantity),
        reason=AdjustmentReason.EXPIRY,
        price=None if price is None else Decimal(price),
    )
    with eventstore.open(data) as store:
        store.append("position/ACC1/ESZ5", expired, occurred_at=NINE + DAY_NS)


def test_what_has_no_price_leaves_its_day_uncertain_until_it_has_one(run: Run, data: Path) -> None:
    expire(data, -1)
    asked = ("pnl", "--days", "--account", "ACC1", "--data", data)
    assert [(each["day"], each["realized"], each["unpriced"]) for each in run(*asked, "--json").document] == [
        ("~2025-11-19", "100.00", 0),
        ("~2025-11-20", "0", 1),
    ]
    said = run(*asked).out.splitlines()
    assert [line for line in said if "not certain" in line] == [
        "not certain: ACC1 ~2025-11-20 ESZ5: 1 change without a price"
    ]
    assert "not certain: ACC1 ESZ5: 1 change without a price" in run("pnl", "--data", data, "--account", "ACC1").out
    # Settled 1 point above what it was bought for.
    expire(data, 0, "6651.25")
    assert [(each["realized"], each["unpriced"]) for each in run(*asked, "--json").document] == [
        ("100.00", 0),
        ("50.00", 0),
    ]
    assert "not certain" not in run(*asked).out


def test_a_span_that_is_none_is_refused(run: Run, data: Path) -> None:
    for span in (("--from", "soon"), ("--from", "2025-11-20", "--to", "2025-11-19"), ("--to", "2025-13-01")):
        for days in ((), ("--days",)):
            ended = run("pnl", *span, *days, "--data", data)
            assert (ended.code, ended.out) == (2, "")
            assert "trading day" in ended.err or "ends before it begins" in ended.err


def test_an_unknown_account_made_nothing_and_says_so(run: Run, data: Path) -> None:
    ended = run("pnl", "--account", "ACC3", "--data", data, "--json")
    assert (ended.code, ended.document) == (1, [])
    assert "there is no account 'ACC3'" in ended.err


def test_a_day_that_is_none_names_its_option(run: Run, data: Path) -> None:
    for option in ("--from", "--to"):
        for days in ((), ("--days",)):
            for text in ("x", "2025-06-31", ""):
                ended = run("pnl", option, text, *days, "--data", data)
                assert (ended.code, ended.out) == (2, "")
                assert f"{option} {text!r} is not the date of a trading day: write it like 2025-11-19" in ended.err
