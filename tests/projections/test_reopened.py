"""A reopened account: everything begins again, the old life stays readable, and one in use is refused or marked."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

import projections
from eventstore import InvalidEvent
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    CashKind,
    CashMoved,
    EquityMarked,
    FeeCharged,
    LockoutCleared,
    LockoutSet,
    OrderCanceled,
    OrderSubmitted,
    PositionReported,
    TradeBusted,
    TradeExecuted,
)
from projections.rules import shipped_rules
from projections.views.accounts import AccountAnomalyKind
from tests.places import Place
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, check_order
from tests.projections.rules_day import HOUR, NOON, Day, trading_day

pytestmark = pytest.mark.in_each_place(slow=True)

REOPENED = AccountReopened(starting_balance=Decimal(50_000), reason="evaluation reset")
ACCOUNT = "account/A/-"


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, *shipped_rules())
    yield day
    day.close()


def reopen(day: Day, **members: Any) -> None:  # noqa: ANN401 - any member
    day.book.append(ACCOUNT, replace(REOPENED, **members), actor="firm@desk")


def lock(day: Day, **members: Any) -> None:  # noqa: ANN401 - any member
    day.book.append("lockout/A/breach", LockoutSet(rule_id="breach", **members))


def test_balance_high_water_floor_day_and_lockouts_begin_again(day: Day) -> None:
    day.make("3000", fee="4")
    day.book.append(ACCOUNT, CashMoved(amount=Decimal(500), currency="USD", kind=CashKind.DEPOSIT))
    day.book.append(ACCOUNT, CashMoved(amount=Decimal(7), currency="USD", kind=CashKind.FEE))
    day.book.append(ACCOUNT, AccountUpdated(balance=Decimal(53_000), can_trade=False))
    day.book.append("trade/A/x", FeeCharged(trade_id="x", amount=Decimal(1), currency="USD"))
    figure: dict[str, Any] = {"balance": Decimal(53_000), "equity": Decimal(53_000), "realized": Decimal(3_000)}
    mark = EquityMarked(high_water=Decimal(53_100), floor=Decimal(51_000), unrealized=Decimal(0), fees=Decimal(4),
                        currency="USD", **figure)  # fmt: skip
    day.book.append("equity/A/-", mark)
    lock(day, revocable=False)
    before = day.book.position
    assert day.book.counters.of("A").day.fills == 2
    assert day.book.lockouts.active("A", day.book.now_ns())
    reopen(day, starting_balance=Decimal(100_000), program="100K")
    book, now = day.book, day.book.now_ns()
    account = book.accounts.get("A")
    assert account is not None
    assert (account.starting_balance, account.currency, account.program) == (100_000, "USD", "100K")
    assert (account.cash, account.broker_balances, account.can_trade) == ({"USD": 100_000}, {}, None)
    assert account.opened_position == book.accounts.reopened("A") == before + 1
    equity = book.equity.now("A")
    assert (equity.balance, equity.equity, equity.high_water, equity.floor) == (100_000, 100_000, 100_000, None)
    assert (equity.realized, equity.fees, equity.cash) == (0, 0, 0)
    assert book.equity.get("A") is None
    assert (book.bests.highs("A").balance, book.bests.realized("A", now)) == (None, 0)
    assert (book.pnl.days("A"), book.trips.of("A")) == ((), ())
    assert all(not (each.net or each.trades or each.volume) for each in book.pnl.total("A"))
    assert (book.counters.of("A").day.fills, book.counters.of("A").day.round_trips) == (0, 0)
    assert book.lockouts.active("A", now) == ()
    assert [each.ended_by for each in book.lockouts.history("A")] == [
        "ended when the account was reopened by firm@desk"
    ] * 2  # the broker's, and the irrevocable one
    assert book.accounts.anomalies("A") == ()


def test_the_old_life_stays_readable(day: Day) -> None:
    day.make("-3000")
    lock(day, revocable=False)
    before = day.book.position
    reopen(day)
    past = projections.as_of(day.store, position=before)
    assert past.accounts.balance("A") == 47_000
    assert len(past.lockouts.active("A", past.now_ns())) == 1
    assert past.pnl.days("A")[0][1][0].realized == -3_000
    assert len(past.trips.of("A")) == 1
    assert [each.rule_id for each in day.book.lockouts.history("A")] == ["breach"]


def test_the_new_life_counts_from_its_beginning(day: Day) -> None:
    day.make("-900")
    day.limit("daily-loss", limit="1000")
    reopen(day)
    day.make("-200")
    assert day.book.accounts.balance("A") == 49_800
    assert day.book.pnl.days("A")[0][1][0].realized == -200
    assert not day.is_locked(), "a loss of 1,100 in both lives does not count as 1,000 in one"
    day.make("-800")
    assert day.is_locked()
    assert day.book.counters.of("A").day.fills == 4


def test_a_breach_of_the_same_day_locks_and_warns_again(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.limit("order-size", limit="9")
    day.limit("trade-limit", limit="2", unit="fills", severity="WARNING")
    day.make("-1000")
    assert day.is_locked()
    warned = len(day.breaches())
    reopen(day)
    assert not day.is_locked()
    day.make("-1000")
    assert day.is_locked()
    assert len(day.breaches()) == 2 * warned


def test_an_account_with_a_position_or_a_working_order_is_refused(day: Day) -> None:
    day.fill(BUY, "5000")
    with pytest.raises(InvalidEvent, match="cannot be reopened with ES open"):
        reopen(day)
    day.fill(SELL, "5000")
    day.book.append("order/A/W", OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(1)))
    with pytest.raises(InvalidEvent, match="order W working"):
        reopen(day)
    day.book.append("order/A/W", OrderCanceled())
    day.book.append("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(1)))
    with pytest.raises(InvalidEvent, match="ES open"):
        reopen(day)
    day.book.append("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(0)))
    reopen(day)
    assert day.book.accounts.anomalies("A") == ()


def test_it_needs_an_actor_and_an_account_that_was_opened(day: Day) -> None:
    with pytest.raises(InvalidEvent, match="requires an actor"):
        day.book.append(ACCOUNT, REOPENED)
    with pytest.raises(InvalidEvent, match="never opened"):
        day.book.append("account/B/-", REOPENED, actor="firm")
    day.book.append("account/B/-", AccountReopened(starting_balance=Decimal(1), currency="EUR"), actor="firm")
    assert day.book.accounts.balance("B") == 1


def test_a_repetition_under_its_key_changes_nothing(day: Day) -> None:
    first = day.book.append(ACCOUNT, REOPENED, actor="firm", key="reset-1")
    day.fill(BUY, "5000")
    assert day.book.append(ACCOUNT, REOPENED, actor="firm", key="reset-1") == first
    assert day.book.positions.get("A", "ES").quantity == 1


def test_one_that_was_in_use_all_the_same_is_marked_and_weakens_no_lockout(day: Day) -> None:
    lock(day, revocable=False, until=NOON + HOUR)
    day.fill(BUY, "5000")
    day.store.append(ACCOUNT, REOPENED, actor="somebody")
    day.book.refresh()
    [held] = day.book.lockouts.active("A", day.book.now_ns())
    assert (held.rule_id, held.revocable) == ("breach", False)
    assert [each.kind for each in day.book.accounts.anomalies("A")] == [AccountAnomalyKind.REOPENED_IN_USE]
    assert day.book.positions.get("A", "ES").quantity == 1
    # The lockout has ended by its time, and still no order adds to what nobody has reconciled.
    day.clock.set(NOON + HOUR)
    day.quote("5000")
    assert day.book.lockouts.active("A", day.book.now_ns()) == ()
    assert "was reopened at position" in check_order(day).reason
    assert check_order(day, SELL).verdict is PASS, "it reduces the position"
    day.fill(SELL, "5000")
    assert check_order(day).verdict is REJECT
    reopen(day)
    assert check_order(day).verdict is PASS


def test_a_second_reopening_in_use_weakens_nothing_and_a_flat_one_ends_all(day: Day) -> None:
    lock(day, revocable=False)
    day.book.append("order/A/W", OrderSubmitted(symbol="ES", side=BUY, quantity=Decimal(1)))
    for _ in range(2):
        day.store.append(ACCOUNT, REOPENED, actor="somebody")
    day.book.refresh()
    day.book.append("lockout/A/breach", LockoutCleared())
    assert len(day.book.lockouts.active("A", day.book.now_ns())) == 1
    day.book.append("order/A/W", OrderCanceled())
    assert len(day.book.lockouts.active("A", day.book.now_ns())) == 1
    reopen(day)
    assert day.book.lockouts.active("A", day.book.now_ns()) == ()


def test_what_is_reported_late_of_the_old_life_counts_once_and_in_the_new_one(day: Day) -> None:
    day.make("1000")
    reopen(day)
    # The same executions, reported again by another stream.
    for number, side, price in (("1", BUY, "5000"), ("2", SELL, "5020")):
        event = TradeExecuted(trade_id=f"T{number}", symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price))
        day.book.append(f"trade/A/T{number}", event)
    assert day.book.accounts.balance("A") == 50_000
    assert day.book.positions.get("A", "ES").quantity == 0
    for trade_id in ("T1", "T2"):
        day.book.append(f"trade/A/{trade_id}", TradeBusted(trade_id=trade_id))
    assert day.book.accounts.balance("A") == 49_000
    assert day.book.positions.get("A", "ES").quantity == 0


@pytest.mark.parametrize("balance", ["50000", "50000.00"])
def test_opened_again_it_changes_nothing(day: Day, balance: str) -> None:
    day.make("100")
    before = day.book.accounts.get("A")
    assert before is not None
    for _ in range(2):
        day.book.append(ACCOUNT, AccountOpened(starting_balance=Decimal(balance), currency="USD"))
    after = day.book.accounts.get("A")
    assert after is not None
    assert (after.opened_position, after.starting_balance) == (before.opened_position, before.starting_balance)
    assert day.book.accounts.balance("A") == 50_100
    assert day.book.accounts.anomalies("A") == ()


def test_opened_again_with_other_figures_it_is_marked(day: Day) -> None:
    others = [
        AccountOpened(starting_balance=Decimal(100_000), currency="USD"),
        AccountOpened(starting_balance=Decimal(50_000), currency="EUR"),
        AccountOpened(starting_balance=Decimal(50_000), currency="USD", program="other"),
    ]
    positions = [day.book.append(ACCOUNT, event)[0].position for event in others]
    kinds = [tuple(each) for each in day.book.accounts.anomalies("A")]
    assert kinds == [(AccountAnomalyKind.OPENED_OTHERWISE, position) for position in positions]
    account = day.book.accounts.get("A")
    assert account is not None
    assert (account.starting_balance, account.currency, account.program) == (50_000, "USD", None)
    assert day.book.equity.now("A").currency == "USD"


def test_what_a_program_reports_at_its_start_does_not_undo_a_reopening(day: Day) -> None:
    reopen(day, starting_balance=Decimal(100_000))
    day.open_account("50000")
    assert day.book.accounts.balance("A") == 100_000
    assert [each.kind for each in day.book.accounts.anomalies("A")] == [AccountAnomalyKind.OPENED_OTHERWISE]


def test_an_account_that_was_never_opened_is_marked_and_not_opened(day: Day) -> None:
    day.store.append("account/B/-", REOPENED, actor="firm")
    day.book.refresh()
    assert [each.kind for each in day.book.accounts.anomalies("B")] == [AccountAnomalyKind.NEVER_OPENED]
    account = day.book.accounts.get("B")
    assert account is not None
    assert account.starting_balance is None


def test_a_restart_gives_the_same_answers(day: Day) -> None:
    day.make("-900")
    lock(day, revocable=False)
    reopen(day)
    day.make("200")
    day.book.snapshot()
    with projections.open(day.store) as fresh:
        assert fresh.accounts.balance("A") == 50_200
        assert fresh.lockouts.active("A", fresh.now_ns()) == ()
        assert fresh.equity.now("A").high_water == day.book.equity.now("A").high_water
