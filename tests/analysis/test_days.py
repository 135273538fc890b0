"""Trading days as a frame: what each realized, its fees and funding, and how its round trips ended."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from eventstore import EventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountReopened,
    CashKind,
    CashMoved,
    NoteAdded,
    OrderFilled,
    PositionAdjusted,
    Side,
    TradeBusted,
)
from projections import analysis
from projections.analysis.days import DAYS
from projections.views.executions import ledger
from tests.views.trading_book import HOUR, MONDAY, TUESDAY, Trading

BUY, SELL = Side.BUY, Side.SELL
FIFTH, SIXTH = datetime.date(2026, 1, 5), datetime.date(2026, 1, 6)


def fill(trade_id: str, side: Side, quantity: int, price: int | str, **more: Any) -> OrderFilled:  # noqa: ANN401 - any member
    members: dict[str, Any] = {"symbol": "ESZ5", "quantity": Decimal(quantity), "price": Decimal(price), **more}
    return OrderFilled(trade_id=trade_id, side=side, **members)


def values(store: object, *names: str, **asked: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - any argument
    """Return members of the rows of a frame of days, its decimals exact."""
    found = analysis.days(store, exact=True, progress=False, **asked)  # type: ignore[arg-type]
    return [tuple(row[name] for name in names) for row in found.to_arrow().to_pylist()]


def reopen(trading: Trading, at: int) -> None:
    again = AccountReopened(starting_balance=Decimal(50_000), currency="USD")
    trading.store.append("account/A/-", again, occurred_at=at, actor="the firm")
    trading.book.refresh()


@pytest.fixture
def trading() -> Trading:
    return Trading()


def test_an_empty_log_has_the_columns_and_no_rows() -> None:
    with EventStore(MemoryJournal()) as store:
        frame = analysis.days(store)
        assert len(frame) == 0
        assert frame.columns == [column.name for column in DAYS]


def test_what_an_unknown_contract_realized_is_null_and_other_currencies_are_known(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100, symbol="XX"), fill("T2", SELL, 1, 101, symbol="XX"))
    trading.at(MONDAY, fill("T3", BUY, 1, 100, symbol="FDAX"), fill("T4", SELL, 1, 101, symbol="FDAX"))
    # With a second currency it is not known either in which one it is.
    trading.at(MONDAY, fill("T5", BUY, 1, 100))
    found = values(trading.store, "currency", "realized", "net", "trades", "wins", "win_rate")
    assert found == [(None, None, None, 2, 0, None), ("EUR", 25, 25, 2, 1, 1.0), ("USD", 0, 0, 1, 0, None)]


def test_a_change_without_a_price_is_counted_beside_the_result(trading: Trading) -> None:
    trading.at(MONDAY, PositionAdjusted(symbol="ESZ5", quantity=Decimal(1), reason="OPENING"), stream="position/A/ESZ5")  # type: ignore[arg-type]
    trading.at(MONDAY, fill("T1", SELL, 1, 101))
    assert values(trading.store, "unpriced", "wins", "losses", "win_rate") == [(1, 0, 0, None)]


def test_a_stated_day_has_its_session_and_any_other_time_its_date(trading: Trading) -> None:
    trading.at(MONDAY + HOUR, fill("T1", BUY, 1, 100))
    trading.at(MONDAY + 18 * HOUR, fill("T2", SELL, 1, 101))
    trading.day(MONDAY + 17 * HOUR, MONDAY + 41 * HOUR, 6)
    found = values(trading.store, "trading_day", "session", "trades", "realized")
    assert found == [(FIFTH, None, 1, 0), (SIXTH, "2026-01-06", 1, 50)]


def test_wins_and_losses_are_round_trips_by_their_net_result(trading: Trading) -> None:
    charged = {"fee": Decimal(30), "fee_currency": "USD"}
    for number, (price, more) in enumerate([(102, {}), (101, charged), (101, {}), (100, {}), (103, {})]):
        bought = fill(f"B{number}", BUY, 1, 100, **more)
        trading.at(MONDAY + number * HOUR, bought, fill(f"S{number}", SELL, 1, price, **more))
    # The second one made 50 and paid 60, the fourth made nothing.
    found = values(trading.store, "realized", "fees", "net", "trades", "wins", "losses", "win_rate")
    assert found == [(350, 60, 290, 10, 3, 1, 0.75)]


def test_funding_counts_apart_from_fees_and_in_the_net(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100, fee=Decimal(2), fee_currency="USD"), fill("T2", SELL, 1, 101))
    for number, (kind, amount) in enumerate([(CashKind.FUNDING, -7), (CashKind.DEPOSIT, 1_000)]):
        moved = CashMoved(kind=kind, amount=Decimal(amount), currency="USD")
        trading.at(MONDAY + HOUR + number, moved, stream=f"account/A/{number}")
    assert values(trading.store, "realized", "fees", "funding", "net") == [(50, 2, -7, 41)]


def test_currencies_are_never_summed(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 101, fee=Decimal(3), fee_currency="EUR"))
    trading.at(MONDAY, fill("T3", BUY, 1, 100, symbol="FDAX"), fill("T4", SELL, 1, 102, symbol="FDAX"))
    assert values(trading.store, "currency", "realized", "fees", "net") == [("EUR", 50, 3, 47), ("USD", 50, 0, 50)]
    assert values(trading.store, "currency", "realized", "fees", symbol="FDAX") == [("EUR", 50, 0)]


def test_more_than_the_days_that_a_book_keeps_are_given(trading: Trading) -> None:
    first = MONDAY - 450 * 24 * HOUR
    for number in range(450):
        trading.at(first + number * 24 * HOUR, fill(f"B{number}", BUY, 1, 100), fill(f"S{number}", SELL, 1, 101))
    # On a day that the book does not keep any more, which it cannot take back either.
    trading.at(first + HOUR, fill("L1", BUY, 1, 100, symbol="NQZ5"))
    found = values(trading.store, "trading_day", "realized", "trades")
    dates = [FIFTH + datetime.timedelta(days=number - 450) for number in range(450)]
    assert found == [(day, 50, 2 + (number == 0)) for number, day in enumerate(dates)]


def test_a_bust_after_the_position_was_flat_counts_on_its_own_day(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 103), fill("T3", BUY, 1, 104))
    busted = TradeBusted(trade_id="T1", symbol="ESZ5", side=BUY, quantity=Decimal(1), price=Decimal(100))
    trading.at(TUESDAY, busted, stream="trade/A/T1")
    expected = [(name[1:], each.realized, each.trades) for name, [each] in trading.book.pnl.days("A")]
    found = values(trading.store, "trading_day", "realized", "trades")
    assert [(day.isoformat(), *rest) for day, *rest in found] == expected
    assert len(found) == 2


def test_a_reopened_account_has_the_days_of_its_new_life(trading: Trading) -> None:
    trading.at(MONDAY, fill("T1", BUY, 1, 100), fill("T2", SELL, 1, 103))
    before = [record.recorded_at for record in trading.store.read()][-1] + 1
    reopen(trading, MONDAY + HOUR)
    trading.at(MONDAY + 2 * HOUR, fill("T3", BUY, 1, 100), fill("T4", SELL, 1, 99))
    assert values(trading.store, "realized", "losses") == [(-50, 1)]
    assert values(trading.store, "realized", "wins", time="recorded", stop=before) == [(150, 1)]


def test_days_beyond_the_bound_are_of_the_new_life_too(trading: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        if number == 5:
            reopen(trading, MONDAY + 5 * 24 * HOUR - HOUR)
        trading.at(MONDAY + number * 24 * HOUR, fill(f"T{number}", BUY, 1, 100))
        trading.day(MONDAY + number * 24 * HOUR, MONDAY + (number + 1) * 24 * HOUR, 6 + number)
    monkeypatch.setattr(ledger, "DAYS_MAX", 2)
    assert values(trading.store, "session", "trades") == [(f"2026-01-{day}", 1) for day in (11, 12, 13)]


def test_days_are_chosen_by_date_by_begin_and_by_tag(trading: Trading) -> None:
    for number in range(3):
        trading.at(MONDAY + number * 24 * HOUR, fill(f"T{number}", BUY, 1, 100))
    trading.book.append("note/A/1", NoteAdded(target="day/A/2026-01-06", tags=("news",)))
    days = [FIFTH, SIXTH, datetime.date(2026, 1, 7)]
    assert values(trading.store, "trading_day", tag="news") == [(SIXTH,)]
    assert values(trading.store, "trading_day", trading_day=SIXTH) == [(SIXTH,)]
    assert values(trading.store, "trading_day", start=TUESDAY) == [(each,) for each in days[1:]]
    assert values(trading.store, "trading_day", stop=TUESDAY + 1) == [(each,) for each in days[:2]]
    assert values(trading.store, "trading_day", account="B") == []
