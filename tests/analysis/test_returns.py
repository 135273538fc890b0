"""Returns are exact: what came from outside or went there is taken out, and nothing unknown is a number."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import random
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest

from eventstore import InvalidEvent
from eventstore.trading import AccountReopened, CashKind, CashMoved, RateQuoted, SessionOpened
from projections import Calendar, analysis
from tests.analysis.scenes import Scene, at, column, prices, rows

COLUMNS = ["trading_day", "at", "account", "currency", "begin", "flows", "end", "return", "status", "why"]
LONG = timedelta(days=5)
TINY = Fraction(1, 10**30)


def days_of(scene: Scene, *given: tuple[object, str, object], **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any argument of a frame
    return rows(analysis.returns(scene.store, "A", prices=prices(*given), stale_after=LONG, exact="text", **asked))


def returns_of(scene: Scene, *given: tuple[object, str, object], **asked: Any) -> list[Decimal | None]:  # noqa: ANN401 - any argument of a frame
    found = [row["return"] for row in days_of(scene, *given, **asked)]
    return [None if each is None else Decimal(each) for each in found]


@pytest.mark.parametrize("scene", [Scene(opened=None), Scene()])
def test_an_account_of_none_has_no_returns(scene: Scene) -> None:
    frame = analysis.returns(scene.store, "nobody")
    assert (frame.columns, len(frame), len(frame.series())) == (COLUMNS, 0, 0)


@pytest.mark.parametrize(
    "arguments", [{"account": None}, {"account": 3}, {"every": "x"}, {"every": None}, {"time": "now"}, {"exact": 3}]
)
def test_an_argument_that_means_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        analysis.returns(Scene().store, **{"account": "A", **arguments})


def test_the_first_day_is_measured_from_what_the_account_began_with() -> None:
    scene = Scene(balance=1_000)
    scene.buy("10:00:00", 10, 100)
    scene.sell("15:00:00", 10, 105)
    (row,) = days_of(scene)
    assert [row[name] for name in ("trading_day", "begin", "flows", "end", "return", "status")] == [
        date(2025, 6, 16), "1000", "0", "1050", "0.05", "KNOWN",
    ]  # fmt: skip


def test_neither_a_deposit_is_a_gain_nor_a_withdrawal_a_loss() -> None:
    for kind, amount in (
        (CashKind.DEPOSIT, 500),
        (CashKind.WITHDRAWAL, 500),
        (CashKind.PAYOUT, 500),
        (CashKind.TRANSFER, -3),
    ):
        scene = Scene(balance=1_000)
        scene.cash("12:00:00", amount, kind)
        (row,) = days_of(scene)
        assert (row["return"], row["status"]) == ("0", "KNOWN")
        assert Decimal(row["end"]) == 1_000 + Decimal(row["flows"]) != 1_000


def test_interest_and_fees_are_results() -> None:
    scene = Scene(balance=1_000)
    scene.cash("10:00:00", 20, CashKind.INTEREST)
    scene.cash("11:00:00", 10, CashKind.FEE)
    assert returns_of(scene) == [Decimal("0.01")]


def test_a_day_is_divided_at_each_flow() -> None:
    scene = Scene(balance=1_000)
    scene.buy("09:00:00", 10, 100)
    scene.cash("12:00:00", 1_000)
    given = [("11:59:00", "X", 110), ("20:00:00", "X", 121)]
    # 1,000 became 1,100; 2,100 became 2,210.
    (found,) = returns_of(scene, *given)
    assert found is not None
    assert abs(Fraction(found) - (Fraction(11, 10) * Fraction(2_210, 2_100) - 1)) < TINY


def test_without_a_price_just_before_a_flow_the_return_is_unknown_and_says_so() -> None:
    scene = Scene(balance=1_000)
    scene.buy("09:00:00", 10, 100)
    scene.cash("12:00:00", 1_000)
    (row,) = days_of(scene, ("20:00:00", "X", 121))
    assert (row["return"], row["status"], row["end"]) == (None, "UNKNOWN", "2210")
    assert "2025-06-16T11:59:59.999999999Z" in row["why"]


def test_a_stale_price_gives_no_return() -> None:
    scene = Scene(balance=1_000)
    scene.buy("09:00:00", 10, 100)
    (row,) = rows(analysis.returns(scene.store, "A", prices=prices(("20:00:00", "X", 121))))
    assert (row["return"], row["end"], row["status"]) == (None, None, "STALE")


def test_without_capital_there_is_no_return() -> None:
    scene = Scene(opened=None)
    scene.buy("09:00:00", 10, 100, account="A")
    scene.cash("10:00:00", 5, CashKind.INTEREST)
    (row,) = days_of(scene)
    assert (row["return"], row["status"]) == (None, "UNKNOWN")
    empty = Scene(balance=0)
    empty.cash("10:00:00", 0, CashKind.INTEREST)
    (row,) = days_of(empty)
    assert (row["return"], row["status"]) == (None, "UNKNOWN")
    assert "no capital" in row["why"]


def test_an_account_that_begins_with_a_deposit_is_measured_from_that() -> None:
    scene = Scene(balance=0)
    scene.cash("10:00:00", 1_000)
    scene.cash("11:00:00", 50, CashKind.INTEREST)
    assert returns_of(scene) == [Decimal("0.05")]


def test_a_day_without_anything_has_the_return_zero_and_the_next_begins_where_it_ended() -> None:
    scene = Scene(balance=1_000)
    scene.buy("10:00:00", 10, 100)
    scene.sell("10:00:00", 10, 110, day="2025-06-19")
    given = [("20:00:00", "X", 105), (at("20:00:00", "2025-06-17"), "X", 105)]
    found = days_of(scene, *given)
    assert [row["trading_day"].day for row in found] == [16, 17, 19]
    assert [(Decimal(row["begin"]), Decimal(row["end"])) for row in found] == [
        (1_000, 1_050),
        (1_050, 1_050),
        (1_050, 1_100),
    ]
    assert Decimal(found[1]["return"]) == 0


def test_a_range_is_measured_from_the_day_before_it() -> None:
    scene = Scene(balance=1_000)
    for day, amount in ((16, 10), (17, 20), (18, 30)):
        scene.cash("10:00:00", amount, CashKind.INTEREST, day=f"2025-06-{day}")
    every = days_of(scene)
    assert days_of(scene, start="2025-06-17T12:00Z", stop="2025-06-18T12:00Z") == every[1:2]
    assert days_of(scene, start="2025-06-18T00:00Z") == every[2:]


def test_a_late_deposit_is_not_a_gain_on_either_axis() -> None:
    scene = Scene(balance=1_000)
    scene.cash("10:00:00", 10, CashKind.INTEREST)
    event = scene.cash("11:00:00", 500).event
    scene.add("account/A/-", event, at("12:00:00"), at("08:00:00", "2025-06-17"))
    for axis in ("occurred", "recorded"):
        found = days_of(scene, time=axis)
        assert {Decimal(row["return"]) for row in found} <= {Decimal("0.01"), Decimal(0)}
        assert sum(Decimal(row["flows"]) for row in found) == 1_000


def test_a_foreign_deposit_counts_at_the_rate_of_its_instant() -> None:
    scene = Scene(balance=1_000)
    scene.add("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")), at("09:00:00"))
    scene.cash("10:00:00", 400, currency="EUR")
    scene.add("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.5")), at("20:00:00"))
    scene.add("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.5")), at("20:00:05"))
    (row,) = days_of(scene)
    # 1,000 and 500 of euros became 1,600.
    assert (Decimal(row["flows"]), Decimal(row["end"])) == (500, 1_600)
    assert abs(Fraction(row["return"]) - Fraction(100, 1_500)) < TINY


def test_a_foreign_deposit_without_a_rate_is_unknown() -> None:
    scene = Scene(balance=1_000)
    scene.cash("10:00:00", 400, currency="EUR")
    (row,) = days_of(scene)
    assert (row["return"], row["status"]) == (None, "UNKNOWN")
    assert "EUR" in row["why"]


def test_a_reopened_account_begins_again() -> None:
    scene = Scene(balance=1_000)
    scene.cash("10:00:00", 100, CashKind.INTEREST)
    reopened = AccountReopened(starting_balance=Decimal(500), currency="USD", reason="again")
    scene.add("account/A/-", reopened, at("12:00:00"))
    scene.cash("14:00:00", 50, CashKind.INTEREST)
    (day,) = days_of(scene)
    # What the first life made is not forgotten, nor is what was taken out a loss.
    assert Decimal(day["return"]) == Decimal("1.1") * Decimal("1.1") - 1
    assert [Decimal(day[name]) for name in ("begin", "flows", "end")] == [1_000, -600, 550]


def test_a_reopening_in_another_currency_adds_no_amounts_of_both() -> None:
    scene = Scene(balance=50_000)
    scene.cash("10:00:00", 500, CashKind.INTEREST)
    scene.add("account/A/-", AccountReopened(starting_balance=Decimal(40_000), currency="EUR"), at("12:00:00"))
    scene.add("account/A/-", CashMoved(amount=Decimal(800), currency="EUR", kind=CashKind.INTEREST), at("13:00:00"))
    (row,) = days_of(scene)
    assert [row[name] for name in ("currency", "begin", "flows", "end")] == ["EUR", None, None, "40800"]
    assert Decimal(row["return"]) == Decimal("1.01") * Decimal("1.02") - 1


def test_a_loss_of_before_a_reopening_is_in_the_day_s_return() -> None:
    scene = Scene(balance=1_000)
    scene.cash("10:00:00", 900, CashKind.FEE)
    reopened = AccountReopened(starting_balance=Decimal(1_000), currency="USD", reason="again")
    scene.add("account/A/-", reopened, at("12:00:00"))
    assert returns_of(scene) == [Decimal("-0.9")]


def test_trading_days_are_those_of_the_account_or_the_calendar() -> None:
    scene = Scene(opened="00:00:00", balance=1_000)
    scene.cash("22:00:00", 10, CashKind.INTEREST)
    calendar = Calendar(zone="UTC", open=time(22), reset=time(21, 30))
    assert [row["trading_day"].day for row in days_of(scene, calendar=calendar)] == [16, 17]
    day = SessionOpened(trading_day=date(2025, 6, 18), began_at=at("00:00:00"), resets_at=at("23:00:00"))
    scene.add("session/A/2025-06-18", day, at("00:00:00"))
    assert column(analysis.returns(scene.store, "A"), "trading_day") == [date(2025, 6, 18)]


def test_other_periods_than_days_have_no_trading_day() -> None:
    scene = Scene(balance=1_000)
    scene.cash("10:30:00", 10, CashKind.INTEREST)
    frame = analysis.returns(scene.store, "A", every="1h", start=at("09:00:00"), stop=at("13:00:00"), exact="text")
    assert [Decimal(each) for each in column(frame, "return")] == [0, 0, Decimal("0.01"), 0]
    assert set(column(frame, "trading_day")) == {None}
    assert list(frame.series().index) == list(pd.date_range("2025-06-16T09:00Z", periods=4, freq="h"))


def test_a_series_refuses_what_is_unknown_unless_it_is_asked_for() -> None:
    scene = Scene(balance=1_000)
    scene.buy("10:00:00", 10, 100)
    scene.sell("10:00:00", 10, 110, day="2025-06-17")
    scene.cash("10:00:00", 11, CashKind.INTEREST, day="2025-06-18")
    frame = analysis.returns(scene.store, "A")
    with pytest.raises(InvalidEvent, match=r"2 of 3 returns are not known.*X was not quoted"):
        frame.series()
    assert frame.series(unknown="null").isna().tolist() == [True, True, False]
    found = frame.series(unknown="drop")
    assert (found.name, found.dtype, list(found)) == ("A", "float64", [0.01])
    assert list(found.index) == [pd.Timestamp("2025-06-18")]
    with pytest.raises(InvalidEvent, match="unknown is one of"):
        frame.series(unknown="zero")


def test_exact_true_gives_amounts_as_decimals_and_returns_as_floats() -> None:
    scene = Scene(balance=3_000)
    scene.cash("10:00:00", 1_000, CashKind.INTEREST)
    (row,) = rows(analysis.returns(scene.store, "A", exact=True))
    assert (row["begin"], row["return"]) == (Decimal(3_000), 1 / 3)


def test_returns_of_random_days_are_those_of_a_plain_computation() -> None:
    for seed in range(5):
        chance, scene = random.Random(seed), Scene(balance=1_000)
        given: list[tuple[object, str, object]] = []
        cash, held, price = Fraction(1_000), 0, 100
        expected = []
        for day in range(16, 26):
            name = f"2025-06-{day}"
            factor, base = Fraction(1), cash + held * price
            for hour in range(8, 20):
                price = max(price + chance.randint(-2, 2), 50)
                given.append((at(f"{hour:02}:00:00", name), "X", price))
                match chance.randint(0, 5):
                    case 0:
                        amount = chance.randint(1, 300)
                        factor *= (cash + held * price) / base
                        cash += amount
                        base = cash + held * price
                        scene.cash(f"{hour:02}:30:00", amount, day=name)
                    case 1:
                        scene.buy(f"{hour:02}:30:00", 1, price, day=name)
                        cash, held = cash - price, held + 1
                    case 2:
                        scene.sell(f"{hour:02}:30:00", 1, price + 1, day=name)
                        cash, held = cash + price + 1, held - 1
            expected.append(factor * (cash + held * price) / base - 1)
        found = returns_of(scene, *given)[: len(expected)]
        assert len(found) == len(expected)
        for ours, plain in zip(found, expected, strict=True):
            assert ours is not None
            assert abs(Fraction(ours) - plain) < TINY
