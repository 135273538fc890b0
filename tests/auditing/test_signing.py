"""Days that somebody signed: under which breaks, by whom, and what has changed of them since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

import projections
from eventstore import AccountChanged, InvalidEvent
from eventstore.trading import (
    AccountReopened,
    CashAtReset,
    CashKind,
    DaySigned,
    FeeCharged,
    SessionOpened,
    TradeBusted,
    TradeCorrected,
)
from eventstore.trading.signing import BREAKS_MAX
from projections import auditing
from projections.auditing import Stated
from tests.auditing.statement_desk import BEGAN, BUY, DAY, HOUR, NINE, SECOND, SELL, Desk, desk


@pytest.fixture
def trading() -> Iterator[Desk]:
    with desk() as made:
        yield made


def signed(trading: Desk) -> auditing.SignedDay:
    auditing.sign_days(trading.store, trading.compared(), actor="me@desk", note="checked")
    return changed(trading)


def changed(trading: Desk) -> auditing.SignedDay:
    [*_, found] = auditing.signed_days(trading.store, account="A")
    return found


def signed_days(trading: Desk) -> tuple[auditing.SignedDay, ...]:
    return auditing.signed_days(trading.store, account="A")


def test_a_signature_names_the_actor_the_breaks_and_what_was_compared(trading: Desk) -> None:
    trading.drop("T-2")
    compared = trading.compared({"digest": "0f" * 32})
    [record] = auditing.sign_days(trading.store, compared, actor="me@desk", note="late print")
    assert record.stream == f"audit/A/{DAY}"
    found = changed(trading)
    assert (found.account, found.trading_day, found.by, found.note) == ("A", DAY, "me@desk", "late print")
    assert (found.statement, found.statement_digest) == ("file", "0f" * 32)
    assert (found.record, found.known_up_to) == (record.position, compared.log_position)
    [agreed] = found.breaks
    assert (agreed.kind, agreed.what, agreed.records) == (
        "MISSING_THERE", compared.breaks[0].sentence, compared.breaks[0].records
    )  # fmt: skip
    assert (found.breaks_count, found.changes) == (1, ())


def test_of_very_many_breaks_the_first_are_named_and_all_counted(trading: Desk) -> None:
    for number in range(BREAKS_MAX + 5):
        trading.trade(f"M-{number}", BUY if number % 2 else SELL, 1, "6700", 200 + 9 * number)
    trading.drop(*[f"M-{number}" for number in range(BREAKS_MAX + 5)])
    found = signed(trading)
    assert (len(found.breaks), found.breaks_count) == (BREAKS_MAX, BREAKS_MAX + 5)


def test_what_the_comparison_did_not_see_cannot_be_signed(trading: Desk) -> None:
    compared = trading.compared()
    trading.trade("T-4", BUY, 1, "6700", 180)
    head = trading.store.head()
    with pytest.raises(AccountChanged):
        auditing.sign_days(trading.store, compared, actor="me@desk")
    assert trading.store.head() == head


def test_nothing_is_signed_that_was_not_compared(trading: Desk) -> None:
    stated = Stated(source="empty")
    empty = auditing.statement(trading.store, stated, account="A", start=NINE - 3 * HOUR, stop=NINE - 2 * HOUR)
    with pytest.raises(InvalidEvent, match="no trading day to sign"):
        auditing.sign_days(trading.store, empty, actor="me@desk")


def test_a_part_of_a_day_is_not_signed(trading: Desk) -> None:
    part = trading.compared(start=NINE, stop=NINE + HOUR)
    with pytest.raises(InvalidEvent, match="only a part of 2025-11-18 was compared for A"):
        auditing.sign_days(trading.store, part, actor="me@desk")


def test_an_account_that_the_log_lacks_cannot_be_signed_away(trading: Desk) -> None:
    [row, *_] = trading.rows
    trading.rows.append(type(row)(**{name: getattr(row, name) for name in row.__struct_fields__} | {"account": "B"}))
    with pytest.raises(InvalidEvent, match="belongs to no day of the statement"):
        auditing.sign_days(trading.store, trading.compared(), actor="me@desk")


def test_a_day_that_stays_as_it_was_has_no_changes(trading: Desk) -> None:
    assert signed(trading).changes == ()
    # What another day has is not of this one.
    trading.trade("L-1", BUY, 1, "6700", 20 * 3_600)
    trading.move(CashKind.FEE, "5", 20 * 3_600)
    assert changed(trading).changes == ()


def test_cash_at_a_reset_changes_the_day_that_it_counts_for(trading: Desk) -> None:
    reset = BEGAN + 23 * HOUR
    for number, (day, began_at) in enumerate(((DAY, BEGAN), (DAY + timedelta(days=1), reset))):
        opened = SessionOpened(trading_day=day, began_at=began_at, resets_at=began_at + (23 + number) * HOUR)
        trading.store.append(f"session/A/{day}", opened, occurred_at=began_at)
        trading.store.append(f"audit/A/{day}", DaySigned(trading_day=day), actor="desk")
    trading.move(CashKind.FUNDING, "-7", (reset - NINE) // SECOND)
    with projections.open(trading.store) as book:
        counted = [(name, each.cash) for name, totals in book.pnl.days("A") for each in totals]
    assert counted == [(str(DAY), Decimal(-7))]
    found = {each.trading_day: [change.sentence for change in each.changes] for each in signed_days(trading)}
    assert found == {DAY: ["FUNDING -7 USD was recorded since"], DAY + timedelta(days=1): []}


def test_cash_at_a_reset_counts_for_the_day_that_begins_where_a_session_says_so(trading: Desk) -> None:
    reset, day = BEGAN + 23 * HOUR, DAY + timedelta(days=1)
    opened = SessionOpened(trading_day=day, began_at=reset, cash_at_reset=CashAtReset.DAY_THAT_BEGINS)
    trading.store.append(f"session/A/{day}", opened, occurred_at=reset)
    for each in (DAY, day):
        trading.store.append(f"audit/A/{each}", DaySigned(trading_day=each), actor="desk")
    trading.move(CashKind.FUNDING, "-7", (reset - NINE) // SECOND)
    assert [(each.trading_day, len(each.changes)) for each in signed_days(trading)] == [(DAY, 0), (day, 1)]


class TestWhatChangesADay:
    @pytest.fixture(autouse=True)
    def _signed(self, trading: Desk) -> None:
        signed(trading)

    def sentences(self, trading: Desk) -> list[str]:
        found = changed(trading).changes
        assert all(each.records or "profit and loss" in each.sentence for each in found)
        return [each.sentence for each in found]

    def test_a_late_trade(self, trading: Desk) -> None:
        trading.trade("T-9", SELL, 1, "6720", 30)
        first, *_ = self.sentences(trading)
        assert first == "SELL 1 ESZ5 at 6720 was recorded since"

    def test_a_bust(self, trading: Desk) -> None:
        trading.store.append("trade/A/T-3", TradeBusted(trade_id="T-3"))
        assert self.sentences(trading) == [
            "SELL 1 ESZ5 at 6705 was busted since",
            "profit and loss of ESZ5 USD was 737.50 and is 500.00",
        ]

    def test_a_correction(self, trading: Desk) -> None:
        fixed = TradeCorrected(trade_id="T-3", quantity=Decimal(1), price=Decimal(6706))
        trading.store.append("trade/A/T-3", fixed)
        assert self.sentences(trading) == [
            "SELL 1 ESZ5 at 6705 is SELL 1 ESZ5 at 6706 since",
            "profit and loss of ESZ5 USD was 737.50 and is 787.50",
        ]

    def test_a_late_cost(self, trading: Desk) -> None:
        trading.store.append("trade/A/T-3", FeeCharged(trade_id="T-3", amount=Decimal(1)))
        assert self.sentences(trading) == ["SELL 1 ESZ5 at 6705 has other costs since"]

    def test_cash_of_the_day(self, trading: Desk) -> None:
        trading.move(CashKind.FEE, "5", 30)
        assert self.sentences(trading) == ["FEE -5 USD was recorded since"]

    def test_a_reopening(self, trading: Desk) -> None:
        trading.store.append("account/A/-", AccountReopened(starting_balance=Decimal(50_000)), actor="desk")
        assert self.sentences(trading) == ["the account was reopened since, and its results began again"]

    def test_a_second_signature_knows_what_came_before_it(self, trading: Desk) -> None:
        trading.trade("T-9", SELL, 1, "6720", 30)
        auditing.sign_days(trading.store, trading.compared(), actor="you@desk")
        first, second = auditing.signed_days(trading.store, account="A")
        assert (bool(first.changes), second.changes, second.by) == (True, (), "you@desk")


def test_a_signature_of_somebody_s_own_program_is_shown_too(trading: Desk) -> None:
    trading.store.append(f"audit/A/{DAY}", DaySigned(trading_day=DAY), actor="desk")
    found = changed(trading)
    assert (found.known_up_to, found.breaks_count, found.statement) == (found.record - 1, 0, "")
    assert auditing.signed_days(trading.store, account="B") == ()
    assert len(auditing.signed_days(trading.store)) == 1


def test_the_time_of_a_signature_is_that_of_its_record(trading: Desk) -> None:
    trading.clock.advance(5 * SECOND)
    assert signed(trading).signed_at >= NINE + 5 * SECOND
