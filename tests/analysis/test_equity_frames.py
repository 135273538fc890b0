"""Equity over time: what the book of each instant answers, valued at the prices that the user gives."""

import random
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pytest

import projections
from eventstore import InvalidEvent
from eventstore.trading import (
    AccountConfigured,
    AccountReopened,
    AdjustmentReason,
    CashKind,
    EquityMarked,
    PositionAdjusted,
    QuoteReceived,
    RateQuoted,
    SessionOpened,
    Side,
    Valuation,
)
from projections import Calendar, analysis
from projections.valuation import Status
from tests.analysis.scenes import HOUR, SECOND, Scene, at, column, prices, rows
from tests.analysis.test_pasts import instants_around
from tests.projections.histories import history, store_of
from tests.proving import rounds

COLUMNS = [
    "at", "account", "currency", "balance", "unrealized", "equity", "high_water", "drawdown", "floor", "status", "why",
]  # fmt: skip


def one(frame: Any) -> dict[str, Any]:  # noqa: ANN401 - any argument of a frame
    (row,) = rows(frame)
    return row


def equity_at(scene: Scene, when: str, *given: tuple[object, str, object], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any argument of a frame
    return one(analysis.equity(scene.store, "A", at=at(when), prices=prices(*given), exact=True, **more))


def test_before_its_first_record_an_account_has_no_equity() -> None:
    scene = Scene(opened="09:00:00")
    row = one(analysis.equity(scene.store, "A", at=at("08:00:00")))
    assert (row["balance"], row["equity"], row["status"]) == (None, None, "UNKNOWN")
    assert "A" in row["why"]
    assert one(analysis.equity(scene.store, "nobody", at=at("10:00:00")))["equity"] is None


def test_an_account_of_none_has_no_days() -> None:
    frame = analysis.equity(Scene().store, "nobody")
    assert (frame.columns, len(frame)) == (COLUMNS, 0)


def test_without_a_price_an_open_position_is_unknown_and_null() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    row = one(analysis.equity(scene.store, "A", at=at("11:00:00")))
    assert (row["balance"], row["unrealized"], row["equity"], row["drawdown"]) == (10_000, None, None, None)
    assert (row["status"], row["high_water"]) == ("UNKNOWN", 10_000)
    assert "X" in row["why"]


def test_a_price_of_a_later_instant_is_not_used() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    assert equity_at(scene, "11:00:00", (at("11:00:00") + 1, "X", 110))["equity"] is None
    assert equity_at(scene, "11:00:00", ("11:00:00", "X", 110))["equity"] == 10_020


def test_an_old_price_is_stale_until_it_is_allowed() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    row = equity_at(scene, "11:00:00", ("10:59:49", "X", 110))
    assert (row["equity"], row["status"]) == (10_020, "STALE")
    assert equity_at(scene, "11:00:00", ("10:59:50", "X", 110))["status"] == "KNOWN"
    allowed = equity_at(scene, "11:00:00", ("10:30:00", "X", 110), stale_after=timedelta(hours=1))
    assert (allowed["equity"], allowed["status"], allowed["why"]) == (10_020, "KNOWN", "")


def test_only_the_prices_given_are_prices() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    # The fill at 100 is newer than the price given.
    assert equity_at(scene, "10:00:01", ("09:59:59", "X", 120))["equity"] == 10_040
    assert equity_at(scene, "10:00:01", ("09:59:59", "Y", 120))["equity"] is None


def test_a_price_that_jumps_is_believed() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    given = [("10:00:00", "X", 100), ("11:00:00", "X", 250)]
    assert equity_at(scene, "11:00:00", *given)["equity"] == 10_300


@pytest.mark.parametrize("valuation", list(Valuation))
def test_a_price_counts_by_whatever_valuation_the_account_has(valuation: Valuation) -> None:
    scene = Scene()
    scene.add("account/A/-", AccountConfigured(valuation=valuation))
    scene.buy("10:00:00", 2, 100)
    scene.sell("10:00:00", 1, 90, symbol="Y")
    row = equity_at(scene, "11:00:00", ("11:00:00", "X", 110), ("11:00:00", "Y", 95))
    assert (row["equity"], row["status"]) == (10_015, "KNOWN")


def test_a_price_from_before_a_split_is_not_used_after_it() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    scene.add("position/A/X", _split(), at("10:30:00"))
    allowed = timedelta(hours=5)
    row = equity_at(scene, "11:00:00", ("10:15:00", "X", 110), stale_after=allowed)
    assert (row["equity"], row["status"]) == (None, "UNKNOWN")
    assert "split" in row["why"]
    given = [("10:15:00", "X", 110), ("10:45:00", "X", 55)]
    assert equity_at(scene, "11:00:00", *given, stale_after=allowed)["equity"] == 10_020
    # What was true before the split is not changed by it.
    assert equity_at(scene, "10:20:00", *given, stale_after=allowed)["equity"] == 10_020


def _split() -> PositionAdjusted:
    return PositionAdjusted(symbol="X", quantity=Decimal(2), reason=AdjustmentReason.SPLIT)


def test_a_foreign_balance_is_converted_at_the_rate_of_the_time() -> None:
    scene = Scene()
    scene.cash("09:00:00", 1_000, currency="EUR")
    row = one(analysis.equity(scene.store, "A", at=at("09:30:00"), exact=True))
    assert (row["balance"], row["equity"], row["status"]) == (None, None, "UNKNOWN")
    scene.add("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")), at("10:00:00"))
    assert one(analysis.equity(scene.store, "A", at=at("10:00:01"), exact=True))["equity"] == 11_250
    assert one(analysis.equity(scene.store, "A", at=at("12:00:00")))["status"] == "STALE"
    known = one(analysis.equity(scene.store, "A", at=at("12:00:00"), stale_after=timedelta(hours=3)))
    assert (known["equity"], known["status"]) == (11_250, "KNOWN")
    # A price of the pair is a rate too.
    assert equity_at(scene, "12:00:00", ("12:00:00", "EURUSD", 2))["equity"] == 12_000


def test_drawdown_is_measured_from_the_highest_equity_so_far_and_moves_with_cash_from_outside() -> None:
    scene = Scene()
    scene.buy("10:00:00", 1, 100)
    scene.cash("12:30:00", 5_000)
    scene.cash("13:30:00", 2_000, CashKind.WITHDRAWAL)
    given = prices(*((f"{hour}:00:00", "X", price) for hour, price in ((11, 150), (12, 130), (13, 130), (14, 170))))
    frame = analysis.equity(scene.store, "A", at=[at(f"{hour}:00:00") for hour in (11, 12, 13, 14)], prices=given)
    assert column(frame, "equity") == [10_050, 10_030, 15_030, 13_070]
    assert column(frame, "drawdown") == [0, 20, 20, 0]
    # It is read again from the beginning.
    again = analysis.equity(scene.store, "A", at=[at(f"{hour}:00:00") for hour in (11, 12, 13, 14)], prices=given)
    assert [next(iter(again.iter_batches())).num_rows for _ in range(2)] == [4, 4]
    assert rows(again) == rows(frame)


def test_a_reopened_account_has_no_drawdown_from_its_earlier_life() -> None:
    scene = Scene()
    scene.cash("10:00:00", 300, CashKind.INTEREST)
    reopened = AccountReopened(starting_balance=Decimal(1_000), currency="USD", reason="again")
    scene.add("account/A/-", reopened, at("12:00:00"))
    frame = analysis.equity(scene.store, "A", at=[at("11:00:00"), at("13:00:00")])
    assert (column(frame, "equity"), column(frame, "drawdown")) == ([10_300, 1_000], [0, 0])


def test_the_floor_and_the_high_water_are_those_that_were_marked() -> None:
    scene = Scene()
    marked = EquityMarked(
        balance=Decimal(10_000), equity=Decimal(10_400), high_water=Decimal(10_500), floor=Decimal(9_500),
        realized=Decimal(0), unrealized=Decimal(0), fees=Decimal(0), currency="USD",
    )  # fmt: skip
    scene.add("equity/A/-", marked, at("10:00:00"))
    frame = analysis.equity(scene.store, "A", at=[at("09:00:00"), at("11:00:00")], exact=True)
    assert column(frame, "high_water") == [10_000, 10_500]
    assert column(frame, "floor") == [None, 9_500]
    assert column(frame, "drawdown") == [0, 500]


def test_a_day_ends_where_the_account_s_records_say_then_where_the_calendar_does() -> None:
    scene = Scene(opened="00:00:00")
    scene.add("session/A/2025-06-16", SessionOpened(
        trading_day=date(2025, 6, 16), began_at=at("00:00:00"), resets_at=at("21:00:00")), at("00:00:00"))  # fmt: skip
    scene.cash("10:00:00", 1)
    scene.cash("22:00:00", 1)
    assert column(analysis.equity(scene.store, "A"), "at") == [at("21:00:00") - 1, at("23:59:59") + SECOND - 1][:1]
    calendar = Calendar(zone="UTC", open=time(22), reset=time(21, 30))
    found = column(analysis.equity(scene.store, "A", calendar=calendar), "at")
    assert found == [at("21:00:00") - 1, at("21:30:00", "2025-06-17") - 1]


def test_without_sessions_and_calendar_days_are_the_dates_with_a_record_or_a_price() -> None:
    scene = Scene(opened="00:00:00")
    scene.buy("10:00:00", 1, 100)
    scene.sell("10:00:00", 1, 100, day="2025-06-19")
    given = {"at": [at("20:00:00", "2025-06-17")], "symbol": ["X"], "price": [101]}
    found = analysis.equity(scene.store, "A", prices=given, stale_after=timedelta(hours=4), exact=True)
    assert [each // (24 * HOUR) for each in column(found, "at")] == [
        at("00:00:00", f"2025-06-{day}") // (24 * HOUR) for day in (16, 17, 19)
    ]
    assert column(found, "equity") == [None, 10_001, 10_000]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("prices.csv", "prices is a frame"),
        ({"at": [1], "symbol": ["X"]}, "no column price"),
        ({"at": [1_750_000_000], "symbol": ["X"], "price": [1]}, "before 1990"),
        ({"at": ["noon"], "symbol": ["X"], "price": [1]}, "ISO 8601"),
        ({"at": [None], "symbol": ["X"], "price": [1]}, "without at"),
        ({"at": [at("10:00:00")], "symbol": [None], "price": [1]}, "without symbol"),
        ({"at": [at("10:00:00")], "symbol": ["X"], "price": ["dear"]}, "give numbers"),
        ({"at": [at("10:00:00")], "symbol": ["X"], "price": [float("inf")]}, "finite"),
        ({"at": [1.5], "symbol": ["X"], "price": [1]}, "column at of prices is double"),
        ({"at": [at("10:00:00"), 2], "symbol": ["X"], "price": [1]}, "cannot be read"),
        (pd.DataFrame({"at": [pd.Timestamp("2025-06-16")], "symbol": ["X"], "price": [1.0]}), "no time zone"),
    ],
)
def test_prices_that_are_none_are_refused(given: Any, message: str) -> None:  # noqa: ANN401 - any argument of a frame
    with pytest.raises(InvalidEvent, match=message):
        analysis.equity(Scene().store, "A", prices=given)


def test_prices_come_from_pandas_polars_and_arrow_with_nanoseconds() -> None:
    scene = Scene()
    scene.buy("10:00:00", 2, 100)
    when = pd.Timestamp(at("11:00:00") + 1, tz="UTC")
    frame = pd.DataFrame({"at": [when, when], "symbol": ["X", "Y"], "price": [110.25, float("nan")]})
    asked = [at("11:00:00"), at("11:00:00") + 1]
    for given in (frame, pl.from_pandas(frame), pl.from_pandas(frame).to_arrow()):
        found = analysis.equity(scene.store, "A", at=asked, prices=given, exact=True)
        assert column(found, "equity") == [None, Decimal("10020.5")]


@pytest.mark.parametrize("axis", ["occurred", "recorded"])
def test_equity_of_random_histories_is_that_of_as_of(axis: str) -> None:
    for seed in rounds(f"equity frames by {axis}", test=3, prove=200):
        chance = random.Random(seed)
        store = store_of(history(chance, 150))
        instants = instants_around(chance, store, axis, 6)
        found = rows(analysis.equity(store, "A", at=instants, time=axis, exact="text"))
        for instant, row in zip(instants, found, strict=True):
            past = projections.as_of(store, account="A", **{f"{axis}_at": instant})  # type: ignore[arg-type]
            if "A" not in past.accounts.known():
                assert row["status"] == "UNKNOWN"
                continue
            now = past.equity.now("A", instant)
            assert (row["status"], row["why"], row["floor"]) == (now.status.value, now.why, text(now.floor))
            if now.status is not Status.UNKNOWN:
                figures = [now.balance, now.unrealized, now.equity, now.high_water]
                assert [row[name] for name in COLUMNS[3:7]] == list(map(text, figures))


def text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def test_accounts_that_were_imported_one_after_the_other_are_valued_at_the_same_prices() -> None:
    scene = Scene()
    for account in "AB":
        for minute in range(50):
            scene.buy(f"10:{minute:02}:00", 1, 100, account=account, late="12:00:00")
    given = prices(*((f"10:{minute:02}:30", "X", 100 + minute) for minute in range(50)))
    instants = [at(f"10:{minute:02}:31") for minute in range(50)]
    found = rows(analysis.equity(scene.store, at=instants, prices=given, exact=True))
    assert [(row["at"], row["account"]) for row in found] == [(instant, name) for instant in instants for name in "AB"]
    gains = [(minute + 1) * minute for minute in range(50)]
    assert [row["unrealized"] for row in found] == [gain for gain in gains for _ in "AB"]


def test_records_of_a_far_future_leave_the_prices_of_earlier_instants_as_they_are() -> None:
    scene = Scene()
    scene.cash("10:00:00", 1, day="2030-01-01")
    for minute in range(50):
        scene.buy(f"10:{minute:02}:00", 1, 100)
    given = prices(*((f"10:{minute:02}:30", "X", 100 + minute) for minute in range(50)))
    instants = [*(at(f"10:{minute:02}:31") for minute in range(50)), at("10:00:00", "2030-01-01")]
    found = rows(analysis.equity(scene.store, "A", at=instants, prices=given, stale_after=10**18, exact=True))
    assert [row["unrealized"] for row in found] == [*((minute + 1) * minute for minute in range(50)), 50 * 49]


def test_prices_give_what_a_live_book_says_that_observes_them() -> None:
    scene = Scene()
    book = projections.open(scene.store)
    chance, expected, given, instants = random.Random(7), [], [], []
    for minute in range(60):
        scene.trade(f"10:{minute:02}:00", chance.choice(list(Side)), chance.randint(1, 5), 100 + chance.randint(-3, 3))
        scene.clock.set(at(f"10:{minute:02}:30"))
        price = Decimal(100 + chance.randint(-3, 3))
        given.append((f"10:{minute:02}:30", "X", price))
        book.observe("quote/-/X", QuoteReceived(symbol="X", last=price, bid=price, ask=price))
        book.refresh()
        instants.append(at(f"10:{minute:02}:31"))
        now = book.equity.now("A", instants[-1])
        expected.append((now.equity, now.status.value))
    for axis in ("occurred", "recorded"):
        frame = analysis.equity(scene.store, "A", at=instants, prices=prices(*given), time=axis, exact=True)
        assert list(zip(column(frame, "equity"), column(frame, "status"), strict=True)) == expected
    assert {status for _, status in expected} == {"KNOWN"}


def test_a_contract_that_is_not_defined_and_made_nothing_by_one_method_leaves_an_answer() -> None:
    scene = Scene()
    for side, price in ((Side.BUY, 100), (Side.BUY, 110), (Side.SELL, 100)):
        scene.trade("10:00:00", side, 1, price, symbol="NEW")
    found = one(analysis.equity(scene.store, "A", at=at("11:00:00")))
    assert (found["balance"], found["equity"], found["status"]) == (10_000, None, "UNKNOWN")
    scene.sell("11:00:00", 1, 110, symbol="NEW")
    assert one(analysis.equity(scene.store, "A", at=at("12:00:00")))["balance"] == 10_000
