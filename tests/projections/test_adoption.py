"""Adopting an account: what is recorded, that floors follow its high-water mark, repetition, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import eventstore
import projections
from eventstore import AccountChanged, InvalidEvent, Record
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    AdjustmentReason,
    EquityCorrected,
    GroupDefined,
    LimitsSet,
    LockoutSet,
    PositionAdjusted,
    Protection,
    ProtectionMode,
    SessionClosed,
    Side,
)
from projections import Book, adopt_account
from projections.risk import check
from projections.rules import shipped_rules
from tests.places import Place
from tests.projections.checked_orders import proposal
from tests.projections.rules_day import Day

pytestmark = pytest.mark.in_each_place(slow=True)

BALANCE, HIGH = Decimal("51200.50"), Decimal(53_000)
FIGURES: dict[str, Any] = {"balance": BALANCE, "high_water": HIGH, "actor": "me", "reason": "moved here"}


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    """Return a day of account A, about which nothing is recorded yet."""
    found = Day(place, [])
    found.define("ES")
    yield found
    found.close()


def kinds(records: list[Record]) -> list[str]:
    return [record.type for record in records]


def floor(book: Book) -> Decimal:
    """Return the floor of the account's drawdown of 2,000, which its headroom is measured from."""
    [headroom] = book.limits.headroom("A")
    assert headroom.left is not None
    return book.equity.now("A").equity - headroom.left


def test_a_new_account_is_opened_with_its_balance_and_its_high(day: Day) -> None:
    records = adopt_account(day.book, "A", **FIGURES)
    assert kinds(records) == ["AccountOpened", "EquityCorrected", "ProtectionMode"]
    assert {record.actor for record in records} == {"me"}
    assert [record.position for record in records] == [2, 3, 4]
    equity = day.book.equity.now("A")
    assert (equity.balance, equity.high_water, equity.currency) == (BALANCE, HIGH, "USD")
    mode = records[-1].event
    assert isinstance(mode, ProtectionMode)
    assert (mode.mode, mode.reason) == (Protection.SHADOW, "moved here")
    assert day.book.trades.of("A") == ()
    assert day.book.pnl.days("A") == ()


@pytest.mark.parametrize("basis", ["end_of_day", "realized", "equity"])
@pytest.mark.parametrize("with_policies", [False, True])
def test_the_floor_follows_from_the_high_on_every_basis(place: Place, basis: str, with_policies: bool) -> None:
    day = Day(place, shipped_rules() if with_policies else [])
    day.define("ES")
    # With a limit before it, the account stays armed.
    day.limit("trailing-drawdown", distance="2000", basis=basis)
    adopt_account(day.book, "A", **FIGURES)
    assert floor(day.book) == Decimal(51_000)
    # It moves up from there, and not before.
    day.make("1000")
    assert floor(day.book) == Decimal(51_000)
    if with_policies:
        assert day.book.equity.get("A").floor == Decimal(51_000)  # type: ignore[union-attr]
        day.make("-1300")
        assert [each.rule_id for each in day.book.lockouts.active("A", day.clock.now_ns())] == ["trailing-drawdown"]
    day.close()


def test_the_floor_survives_a_close_and_a_restart(day: Day) -> None:
    adopt_account(day.book, "A", **FIGURES)
    day.limit("trailing-drawdown", distance="2000")
    day.begin()
    day.restart(shipped_rules())
    day.book.append("session/A/2026-11-20", SessionClosed(trading_day=None))
    assert floor(day.book) == Decimal(51_000)


def test_a_correction_that_the_opening_did_not_cause_raises_no_other_basis(day: Day) -> None:
    day.open_account()
    day.limit("trailing-drawdown", distance="2000")
    day.book.append("account/A/-", EquityCorrected(high_water=HIGH, reason="a price was wrong"), actor="me")
    assert floor(day.book) == Decimal(48_000)


@pytest.mark.parametrize(("opened", "moved"), [("50000", "1200.50"), ("60000", "-8799.50"), ("51200.50", None)])
def test_an_account_that_was_opened_gets_the_difference(day: Day, opened: str, moved: str | None) -> None:
    day.open_account(opened, "EUR")
    day.limit("trailing-drawdown", distance="2000")
    records = adopt_account(day.book, "A", **FIGURES)
    assert kinds(records) == [*(["CashMoved"] if moved else []), "EquityCorrected"]
    if moved:
        assert records[0].event.amount == Decimal(moved)  # type: ignore[attr-defined]
    equity = day.book.equity.now("A")
    assert (equity.balance, equity.high_water, equity.currency) == (BALANCE, HIGH, "EUR")
    assert floor(day.book) == Decimal(51_000)
    assert not day.book.accounts.anomalies("A")


def test_repeated_it_returns_the_first_records(day: Day) -> None:
    first = adopt_account(day.book, "A", **FIGURES)
    head = day.store.head()
    again = adopt_account(
        day.book, "A", **FIGURES | {"balance": Decimal("51200.500"), "reason": "again", "actor": "you"}
    )
    assert [record.position for record in again] == [record.position for record in first]
    # Also once it has traded, and by another process.
    day.make("100")
    with projections.open(day.store) as other:
        assert adopt_account(other, "A", **FIGURES) == first
    assert len(list(day.store.read(account="A", types=(AccountOpened,)))) == 1
    assert head < day.store.head()


@pytest.mark.parametrize("other", [{"balance": Decimal(51_000)}, {"high_water": Decimal(54_000)}])
def test_other_figures_are_refused(day: Day, other: dict[str, Decimal]) -> None:
    adopt_account(day.book, "A", **FIGURES)
    with pytest.raises(
        InvalidEvent, match=r"A was adopted at position 3, with other figures \(high-water mark 53000\)"
    ):
        adopt_account(day.book, "A", **FIGURES | other)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"balance": Decimal("NaN")}, "balance is a Decimal of 0 or more, not"),
        ({"balance": Decimal("Infinity")}, "balance is a Decimal"),
        ({"balance": Decimal(-1)}, "balance is a Decimal"),
        ({"balance": 51_200.5}, "balance is a Decimal"),
        ({"balance": None}, "balance is a Decimal"),
        ({"balance": True}, "balance is a Decimal"),
        ({"high_water": Decimal("sNaN")}, "high_water is a Decimal"),
        ({"high_water": "53000"}, "high_water is a Decimal"),
        ({"high_water": Decimal(50_000)}, "high_water 50000 is below the balance 51200.50"),
        ({"actor": ""}, "actor is text that says who"),
        ({"reason": " "}, "reason is text that says why"),
        ({"reason": None}, "reason is text that says why"),
        ({"currency": "usd"}, "usd"),
    ],
    ids=str,
)
def test_malformed_figures_are_refused(day: Day, given: dict[str, Any], message: str) -> None:
    head = day.store.head()
    with pytest.raises(InvalidEvent, match=message):
        adopt_account(day.book, "A", **FIGURES | given)
    assert day.store.head() == head


@pytest.mark.parametrize("account", ["-", "@desk", "", "a b", 3])
def test_the_name_of_nothing_that_trades_is_refused(day: Day, account: Any) -> None:  # noqa: ANN401 - any
    with pytest.raises(InvalidEvent):
        adopt_account(day.book, account, **FIGURES)


def test_another_currency_than_the_account_s_is_refused(day: Day) -> None:
    day.open_account("50000", "EUR")
    with pytest.raises(InvalidEvent, match="A is in EUR, not in USD"):
        adopt_account(day.book, "A", **FIGURES, currency="USD")
    assert day.book.accounts.balance("A") == Decimal(50_000)


def test_a_currency_that_the_log_knows_is_taken(day: Day) -> None:
    day.book.append("account/A/-", AccountUpdated(balance=BALANCE, currency="EUR"))
    adopt_account(day.book, "A", **FIGURES)
    assert day.book.equity.now("A").currency == "EUR"


@pytest.mark.parametrize("is_opened", [False, True])
def test_an_account_that_has_traded_is_refused(day: Day, is_opened: bool) -> None:
    if is_opened:
        day.open_account()
    position = day.fill(Side.BUY, "5000").position
    with pytest.raises(InvalidEvent, match=f"A has traded in this log, first at position {position}"):
        adopt_account(day.book, "A", **FIGURES)


def test_a_position_that_was_reconciled_is_not_a_trade(day: Day) -> None:
    held = PositionAdjusted(symbol="ES", quantity=Decimal(2), reason=AdjustmentReason.RECONCILED, price=Decimal(5_000))
    day.book.append("position/A/ES", held)
    adopt_account(day.book, "A", **FIGURES)
    assert day.book.positions.get("A", "ES").quantity == Decimal(2)
    assert day.book.accounts.balance("A") == BALANCE


def test_an_account_with_limits_stays_armed(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    assert "ProtectionMode" not in kinds(adopt_account(day.book, "A", **FIGURES))


def test_an_account_in_a_group_with_limits_stays_armed(day: Day) -> None:
    day.book.append("group/-/desk", GroupDefined(accounts=("A",)), actor="me")
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
    day.book.append("limits/@desk/daily-loss", limit, actor="me")
    assert "ProtectionMode" not in kinds(adopt_account(day.book, "A", **FIGURES))


def test_a_mode_that_was_set_stays(day: Day) -> None:
    mode = ProtectionMode(mode=Protection.ARMED, reason="at once")
    day.book.append("account/A/-", mode, actor="me")
    assert "ProtectionMode" not in kinds(adopt_account(day.book, "A", **FIGURES))


def test_lockouts_stay(day: Day) -> None:
    day.open_account()
    day.book.append("lockout/A/desk", LockoutSet(rule_id="desk", revocable=False))
    adopt_account(day.book, "A", **FIGURES)
    assert [each.rule_id for each in day.book.lockouts.active("A", day.clock.now_ns())] == ["desk"]


def test_a_reopened_account_can_be_adopted_once_more(day: Day) -> None:
    adopt_account(day.book, "A", **FIGURES)
    day.make("100")
    day.book.append("account/A/-", AccountReopened(starting_balance=Decimal(50_000)), actor="me")
    day.limit("trailing-drawdown", distance="2000")
    assert floor(day.book) == Decimal(48_000)
    records = adopt_account(day.book, "A", **FIGURES)
    assert kinds(records) == ["CashMoved", "EquityCorrected"]
    assert floor(day.book) == Decimal(51_000)


def test_a_fill_that_comes_in_between_is_seen(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    append_many = day.book.append_many

    def late(*arguments: Any, **options: Any) -> list[Record]:  # noqa: ANN401 - those of `append_many`
        monkeypatch.undo()
        day.fill(Side.BUY, "5000")
        with pytest.raises(AccountChanged):
            append_many(*arguments, **options)
        raise AccountChanged(("A",), 1, 2)

    monkeypatch.setattr(day.book, "append_many", late)
    with pytest.raises(InvalidEvent, match="A has traded in this log"):
        adopt_account(day.book, "A", **FIGURES)


def test_two_that_adopt_at_once_adopt_once(place: Place) -> None:
    with eventstore.open(place) as first, eventstore.open(place) as second:
        gate = threading.Barrier(2)
        found: list[list[int]] = []

        def run(store: eventstore.EventStore) -> None:
            with projections.open(store) as book:
                gate.wait()
                found.append([record.position for record in adopt_account(book, "A", **FIGURES)])

        threads = [threading.Thread(target=run, args=(store,)) for store in (first, second)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert found == [[1, 2, 3], [1, 2, 3]]
        assert first.head() == 3


def test_it_lets_orders_pass_as_an_opened_account_does(day: Day) -> None:
    order = proposal()
    assert not check(day.book, order, day.clock.now_ns()).passed
    adopt_account(day.book, "A", **FIGURES)
    assert check(day.book, order, day.clock.now_ns()).passed
