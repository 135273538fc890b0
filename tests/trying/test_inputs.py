"""What can be wrong with a file or a program: refused as import refuses it, or tried with what is doubtful named."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
from eventstore import InvalidEvent, StoreError
from gateways.importers import BadRow, import_file
from gateways.trying import TrialReport, trial, try_file
from projections.valuation import Status
from tests.trying.conftest import WriteFills, figure

TOPSTEP = "topstep-combine-50k"
BUY = "T1,ESH6,buy,1,6000.00,2.10,2026-01-12T09:30:00-06:00,A1"
SELL = "T2,ESH6,sell,1,6010.00,2.10,2026-01-12T09:40:00-06:00,A1"
ORDER_COLUMNS = (
    "Id,AccountName,ContractName,Status,Type,Size,Side,CreatedAt,FilledAt,CancelledAt,StopPrice,LimitPrice,"
    "ExecutePrice,RejectionReason,ExchangeOrderId"
)
OWN = """
[defaults]
currency = "USD"
[defaults.calendar]
zone = "America/Chicago"
open = "17:00"
reset = "17:00"
[defaults.limits.daily-loss]
limit = "1000"
"""


def written(directory: Path, text: str) -> str:
    path = directory / "own.toml"
    path.write_text(text, "utf-8")
    return str(path)


def comparable(report: TrialReport) -> object:
    """Return what does not depend on the order of a file's rows."""
    return [
        (account.account, day.trading_day, day.realized, day.fees, day.balance, day.floor, len(day.locks))
        for account in report.accounts
        for day in account.days
    ]


# Programs


def test_a_misspelt_program_is_refused_with_the_nearest_before_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match="did you mean topstep-combine-50k"):
        try_file(tmp_path / "nowhere.csv", "fills", "topstep-combin-50k")


def test_a_file_of_ones_own_that_is_missing_is_named(fills: WriteFills) -> None:
    with pytest.raises(InvalidEvent, match=r"my-rules\.toml cannot be read"):
        try_file(fills(BUY), "fills", "my-rules.toml")


@pytest.mark.parametrize(
    ("left_out", "balance", "why"),
    [
        ("", None, r"own\.toml has no starting_balance for A1: give --balance AMOUNT"),
        ("limits", Decimal(50_000), r"own\.toml sets no limits for A1"),
        ("calendar", Decimal(50_000), r"own\.toml has no calendar for A1"),
    ],
)
def test_a_file_of_ones_own_that_lacks_something_says_what(
    fills: WriteFills, tmp_path: Path, left_out: str, balance: Decimal | None, why: str
) -> None:
    start = OWN.find(f"[defaults.{left_out}") if left_out else -1
    end = OWN.find("\n[", start + 1)
    text = OWN if start < 0 else OWN[:start] + (OWN[end:] if end > 0 else "")
    with pytest.raises(InvalidEvent, match=why):
        try_file(fills(BUY, SELL), "fills", written(tmp_path, text), balance=balance)


def test_a_balance_is_for_a_file_without_one(fills: WriteFills, tmp_path: Path) -> None:
    [account] = try_file(fills(BUY, SELL), "fills", written(tmp_path, OWN), balance=Decimal(9_000)).accounts
    assert (figure(account.starting_balance), account.currency) == (9_000, "USD")
    assert account.days[0].balance == Decimal("9495.80")


def test_a_balance_that_is_not_the_programs_is_refused(fills: WriteFills) -> None:
    with pytest.raises(InvalidEvent, match="is for a balance of 50000 USD, not 60000: its floors are sums"):
        try_file(fills(BUY), "fills", TOPSTEP, balance=Decimal(60_000))
    assert try_file(fills(BUY), "fills", TOPSTEP, balance=Decimal("50000.00")).executions == 1


def test_a_balance_needs_one_currency(fills: WriteFills, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts.toml"
    contracts.write_text('[contracts.FDAXH6]\nmultiplier = 25\ncurrency = "EUR"\n')
    other = BUY.replace("T1,ESH6", "T3,FDAXH6")
    with pytest.raises(InvalidEvent, match="the contracts of the file are in EUR, USD: write starting_balance"):
        try_file(fills(BUY, other), "fills", written(tmp_path, OWN), balance=Decimal(9_000), contracts=contracts)


# Files that cannot be tried


@pytest.mark.parametrize(
    ("rows", "options", "error"),
    [
        ((), {"account": "A1"}, "has no executions: 0 rows as fills. There is nothing to try"),
        (("T1,ESH6,buy,many,6000,0,2026-01-12T09:30:00-06:00,A1",), {}, "line 2, column quantity: 'many'"),
        (("T1,ESH6,buy,1,6000,0,2026-01-12T09:30:00,A1",), {}, "line 2, column time"),
        (("T1,NOPE,buy,1,6000,0,2026-01-12T09:30:00-06:00,A1",), {}, "no table of contracts lists 'NOPE'"),
        (("T1,ESH6,buy,1,6000,0,2026-01-12T09:30:00-06:00,",), {}, "column account"),
        ((BUY, BUY.replace("6000", "6001")), {}, "with other content than line 2"),
    ],
)
def test_what_import_refuses_is_refused_in_its_words(
    fills: WriteFills, tmp_path: Path, rows: tuple[str, ...], options: dict[str, str], error: str
) -> None:
    path = fills(*rows)
    with pytest.raises(StoreError) as refused:
        try_file(path, "fills", TOPSTEP, **options)  # type: ignore[arg-type] # the account alone
    assert error in str(refused.value)
    if rows:
        with eventstore.open(tmp_path / "data") as store, pytest.raises(BadRow) as by_import:
            import_file(store, path, "fills", **options)  # type: ignore[arg-type] # the same
        assert str(by_import.value) == str(refused.value)


def test_an_empty_file_and_a_missing_account_are_refused_as_import_does(fills: WriteFills, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    without = fills(BUY.rpartition(",")[0], header="trade_id,symbol,side,quantity,price,fee,time")
    for path, why in ((empty, r"empty\.csv"), (without, "requires --account")):
        with pytest.raises(InvalidEvent, match=why):
            try_file(path, "fills", TOPSTEP)


def test_a_file_of_orders_alone_has_nothing_to_try(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    row = ("7", "A1", "ESH6", "Cancelled", "Limit", "1", "Bid", "01/12/2026 09:30:00 -06:00", *[""] * 7)
    path.write_text(f"{ORDER_COLUMNS}\n{','.join(row)}\n")
    with pytest.raises(InvalidEvent, match=r"orders\.csv has no executions: 1 rows as topstepx-orders"):
        try_file(path, "topstepx-orders", TOPSTEP)


def test_orders_of_an_export_count_as_they_work(tmp_path: Path) -> None:
    """One is filled, and another works beside it: together they are more than the five contracts that are allowed."""
    path = tmp_path / "orders.csv"
    times = "01/12/2026 09:3{}:00 -06:00"
    rows = [ORDER_COLUMNS]
    for number, size, status, filled in ((1, 3, "Filled", times.format(1)), (2, 3, "Working", "")):
        price = "6000" if filled else ""
        row = (number, "A1", "ESH6", status, "Limit", size, "Bid", times.format(number), filled)
        rows.append(",".join(map(str, (*row, "", "", "6000", price, "", f"X{number}"))))
    path.write_text("\n".join(rows) + "\n")
    [account] = try_file(path, "topstepx-orders", TOPSTEP).accounts
    # It still works on the next day.
    first, _ = account.locks
    assert (first.rule_id, figure(first.figure), figure(first.limit)) == ("maximum-contracts", 6, 5)
    assert (first.execution, [each.line for each in first.executions]) == (None, [2])
    assert [(day.trading_day.day, day.executions, len(day.locks)) for day in account.days] == [(12, 1, 1), (13, 0, 1)]


@pytest.mark.parametrize(
    "rows",
    [
        (BUY, SELL.replace("2026-01-12", "2126-01-12")),
        (BUY.replace("2026-01-12T09:30:00-06:00", "1970-01-12T09:30:00Z"),),
    ],
)
def test_a_time_in_another_unit_or_century_is_named_with_its_line(fills: WriteFills, rows: tuple[str, ...]) -> None:
    with pytest.raises(InvalidEvent, match=r"line \d\).*within 20 years after 1990"):
        try_file(fills(*rows), "fills", TOPSTEP)


def test_too_many_accounts_are_refused(fills: WriteFills, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "ACCOUNTS_MAX", 1)
    with pytest.raises(InvalidEvent, match="has 2 accounts, 1 are tried at once"):
        try_file(fills(BUY, SELL.replace("A1", "A2")), "fills", TOPSTEP)


# Files that are doubtful


def test_rows_in_any_order_are_the_same_history(fills: WriteFills, tmp_path: Path) -> None:
    more = [
        "T3,ESH6,sell,2,6005.00,4.20,2026-01-13T09:30:00-06:00,A1",
        "T4,ESH6,buy,2,6030.00,4.20,2026-01-13T09:45:00-06:00,A1",
    ]
    oldest = try_file(fills(BUY, SELL, *more), "fills", TOPSTEP)
    newest = try_file(fills(*reversed([BUY, SELL, *more]), name="newest.csv"), "fills", TOPSTEP)
    assert comparable(newest) == comparable(oldest)
    assert [day.realized for day in oldest.accounts[0].days] == [500, -2_500]
    packed = tmp_path / "fills.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "newest.csv").read_bytes()))
    assert comparable(try_file(packed, "fills", TOPSTEP)) == comparable(oldest)


def test_a_repeated_row_counts_once(fills: WriteFills) -> None:
    report = try_file(fills(BUY, SELL, SELL), "fills", TOPSTEP)
    assert (report.rows, report.executions, report.accounts[0].days[0].executions) == (3, 2, 2)


def test_each_account_of_a_file_is_tried_by_itself(fills: WriteFills) -> None:
    lost = [
        "T5,ESH6,buy,1,6000.00,0,2026-01-12T09:30:00-06:00,A2",
        "T6,ESH6,sell,1,5950.00,0,2026-01-12T09:31:00-06:00,A2",
    ]
    first, second = try_file(fills(BUY, SELL, *lost), "fills", TOPSTEP).accounts
    assert (first.account, first.days[0].balance, first.ended) == ("A1", Decimal("50495.80"), None)
    assert (second.account, figure(second.days[0].balance)) == ("A2", 47_500)
    assert second.ended is not None
    # The option names an account otherwise, and does not make one of two.
    [renamed] = try_file(fills(BUY, SELL), "fills", TOPSTEP, account="A3").accounts
    assert (renamed.account, renamed.days[0].executions) == ("A3", 2)
    with pytest.raises(InvalidEvent, match="'A2' is another account than 'A1' above"):
        try_file(fills(BUY, SELL, *lost), "fills", TOPSTEP, account="A3")


def test_executions_outside_the_trading_hours_are_counted_and_named(fills: WriteFills) -> None:
    weekend = [row.replace("2026-01-12", "2026-01-10") for row in (BUY, SELL)]
    report = try_file(fills(*weekend), "fills", TOPSTEP)
    [day] = report.accounts[0].days
    # From Friday's reset on it is Monday's day.
    assert (day.trading_day.isoformat(), day.executions) == ("2026-01-12", 2)
    [said] = report.notes
    assert said.startswith(
        "A1: 2 executions lie outside the program's trading hours (America/Chicago), the first on line"
    )
    assert try_file(fills(BUY, SELL), "fills", TOPSTEP).notes == ()


def test_another_trading_day_than_the_calendars_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    columns = "Id,ContractName,EnteredAt,ExitedAt,EntryPrice,ExitPrice,Fees,PnL,Size,Type,TradeDay"
    times = "01/12/2026 18:30:00 -06:00,01/12/2026 18:40:00 -06:00"
    path.write_text(f"{columns}\n1,ESH6,{times},6000,6010,0,500,1,Long,01/12/2026\n")
    report = try_file(path, "topstepx-trades", TOPSTEP, account="A1")
    assert [day.trading_day.isoformat() for day in report.accounts[0].days] == ["2026-01-13"]
    assert "2 executions state another trading day" in report.notes[0]


def test_a_currency_without_a_rate_leaves_limits_unjudged_and_locks_nothing(fills: WriteFills, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts.toml"
    contracts.write_text('[contracts.ESH6]\nmultiplier = 50\ncurrency = "EUR"\n')
    lost = SELL.replace("6010", "5000")
    report = try_file(fills(BUY, lost), "fills", TOPSTEP, contracts=contracts)
    [account] = report.accounts
    assert account.locks == ()
    assert "EUR" in account.unjudged["trailing-drawdown"]
    statuses = {limit.rule_id: limit.status for limit in account.days[0].limits}
    assert statuses == {"trailing-drawdown": Status.UNKNOWN, "maximum-contracts": Status.KNOWN}
    assert report.has_problem


def test_rows_that_cannot_be_read_are_left_out_if_asked_for(fills: WriteFills) -> None:
    report = try_file(fills(BUY, "T9,ESH6,buy,many,1,0,now,A1", SELL), "fills", TOPSTEP, keep_going=True)
    assert (report.rows, report.executions, [bad.line for bad in report.left_out]) == (3, 2, [3])
    assert report.has_problem
    only_bad = fills("T9,ESH6,buy,many,1,0,now,A1", name="bad.csv")
    with pytest.raises(InvalidEvent, match="1 rows as fills, 1 of them left out"):
        try_file(only_bad, "fills", TOPSTEP, keep_going=True)


def test_an_id_that_import_makes_is_not_shown_as_the_files(fills: WriteFills) -> None:
    rows = [
        f"ESH6,{side},1,{price},2026-01-12T09:3{n}:00-06:00" for n, side, price in ((0, "buy", 6000), (1, "sell", 5950))
    ]
    report = try_file(fills(*rows, header="symbol,side,quantity,price,time"), "fills", TOPSTEP, account="A1")
    [lock] = report.accounts[0].locks
    assert [(each.line, each.trade_id) for each in lock.executions] == [(2, None), (3, None)]


@pytest.mark.parametrize("at", ["2026-01-12T17:00:00-06:00", "2026-01-12T16:59:59.999999999-06:00"])
def test_the_reset_itself_is_of_the_day_that_begins(fills: WriteFills, at: str) -> None:
    """Also as the first of the file, when the account has just begun."""
    report = try_file(fills(BUY.replace("2026-01-12T09:30:00-06:00", at)), "fills", TOPSTEP)
    [day] = report.accounts[0].days
    assert day.trading_day.isoformat() == ("2026-01-13" if "T17" in at else "2026-01-12")
