"""Accounts: balances as reported and as folded, in each currency; the sign of cash; omitted members stay."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import Event, EventStore, UnknownContract
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AccountUpdated,
    BlackoutScheduled,
    CashKind,
    CashMoved,
    ContractDefined,
    FeeCharged,
    PnlReported,
)
from projections.book import Book
from projections.views import account_state as module
from projections.views.accounts import AccountAnomalyKind, AccountsState, AccountsView, TooManyCurrencies
from tests.clocks import EpochClock
from tests.views.position_folding import Folding, fill, round_tripped

ACCOUNT = "account/A/-"
OPENED = AccountOpened(starting_balance=Decimal(50_000), currency="USD", program="50K")


def cash(amount: int | str, kind: CashKind, currency: str = "USD") -> CashMoved:
    return CashMoved(amount=Decimal(amount), currency=currency, kind=kind)


@pytest.fixture
def book() -> Iterator[Book]:
    with (
        EventStore(MemoryJournal(), clock=EpochClock(1_000)) as store,
        projections.open(store, snapshots=False) as opened,
    ):
        for symbol, currency in (("ESZ5", "USD"), ("FDAX", "EUR")):
            contract = ContractDefined(symbol=symbol, multiplier=Decimal(25), currency=currency)
            opened.append(f"contract/-/{symbol}", contract)
        yield opened


def balances_after(book: Book, *events: Event) -> list[tuple[str | None, Decimal | None, Decimal, Decimal | None]]:
    for event in events:
        book.append(ACCOUNT, event)
    return [tuple(balance) for balance in book.accounts.balances("A")]  # type: ignore[misc]


def test_an_account_that_only_has_a_blackout_is_known_and_not_active(book: Book) -> None:
    book.append("account/A/-", cash(1, CashKind.DEPOSIT))
    book.append("blackout/B/x", BlackoutScheduled(start=1, stop=2))
    assert (book.accounts.known(), book.accounts.active()) == (("A", "B"), ("A",))


def test_nothing_is_known_of_an_account_without_events(book: Book) -> None:
    assert book.accounts.get("A") is None
    assert book.accounts.balance("A") == 0
    assert book.accounts.balances("A") == ()


def test_an_account_is_as_it_was_opened_and_updated(book: Book) -> None:
    book.append(ACCOUNT, OPENED)
    update = AccountUpdated(balance=Decimal(50_100), available=Decimal(40_000), margin=Decimal(500), can_trade=True)
    book.append(ACCOUNT, update)
    book.append(ACCOUNT, AccountUpdated(available=Decimal(39_000), frozen=Decimal(1)))
    account = book.accounts.get("A")
    assert account is not None
    assert (account.starting_balance, account.currency, account.program) == (50_000, "USD", "50K")
    assert (account.can_trade, account.cash) == (True, {"USD": 50_000})
    usd = account.broker_balances["USD"]
    assert (usd.balance, usd.available, usd.frozen, usd.margin) == (50_100, 39_000, 1, 500)
    assert usd.position == account.last_position == book.position
    assert account.opened_position == account.first_position == 3
    book.append(ACCOUNT, AccountUpdated(can_trade=False))
    after = book.accounts.get("A")
    assert after is not None
    assert (after.can_trade, after.broker_balances, account.can_trade) == (False, account.broker_balances, True)
    book.append(ACCOUNT, AccountUpdated(balance=Decimal(50_200)))
    last = book.accounts.get("A")
    assert last is not None
    usd = last.broker_balances["USD"]
    assert (usd.balance, usd.available, usd.frozen, usd.margin) == (50_200, 39_000, 1, 500)


@pytest.mark.parametrize(
    ("kind", "amount", "moves"),
    [
        (CashKind.DEPOSIT, 7, 7),
        (CashKind.DEPOSIT, -7, 7),
        (CashKind.WITHDRAWAL, 7, -7),
        (CashKind.WITHDRAWAL, -7, -7),
        (CashKind.PAYOUT, 7, -7),
        (CashKind.PAYOUT, -7, -7),
        (CashKind.FEE, 7, -7),
        (CashKind.FEE, -7, 7),
        (CashKind.FUNDING, 7, 7),
        (CashKind.FUNDING, -7, -7),
        (CashKind.INTEREST, 7, 7),
        (CashKind.INTEREST, -7, -7),
        (CashKind.DIVIDEND, 7, 7),
        (CashKind.DIVIDEND, -7, -7),
    ],
)
def test_kind_and_sign_of_cash_decide_its_direction(book: Book, kind: CashKind, amount: int, moves: int) -> None:
    assert balances_after(book, OPENED, cash(amount, kind)) == [("USD", None, 50_000 + moves, None)]


def test_the_balance_is_cash_plus_realized_less_fees(book: Book) -> None:
    # (103 − 100) × 2 × 25 = 150 realized, 2 × 1.50 + 0.75 fees: 50,000 + 1,000 + 150 − 3.75
    fee: dict[str, Any] = {"fee": Decimal("1.50")}
    book.append("order/A/O-1", [fill("T1", 2, 100, **fee), fill("T2", -2, 103, **fee), fill("T3", 1, 100)])
    book.append("trade/A/T1", FeeCharged(trade_id="T1", amount=Decimal("0.50"), symbol="ESZ5"))
    book.append("trade/A/T9", FeeCharged(trade_id="T9", amount=Decimal("0.25")))
    folded = Decimal("51146.25")
    deposit, update = cash(1_000, CashKind.DEPOSIT), AccountUpdated(balance=Decimal(51_150))
    assert balances_after(book, OPENED, deposit, update) == [("USD", 51_150, folded, Decimal("3.75"))]
    assert book.accounts.balance("A") == book.accounts.balance("A", "USD") == folded
    assert book.accounts.balance("A", "EUR") == 0


def test_currencies_are_never_summed_up(book: Book) -> None:
    book.append("order/A/O-1", [fill("T1", 1, 100, "FDAX", fee=Decimal(2), fee_currency="USD")])
    book.append("order/A/O-1", [fill("T2", -1, 90, "FDAX", fee=Decimal(3))])
    # FDAX: −10 × 25 = −250 EUR, less 3 EUR; 2 USD of fees.
    found = balances_after(
        book, OPENED, cash(1_000, CashKind.DEPOSIT, "EUR"), AccountUpdated(balance=Decimal(7), currency="CHF")
    )
    assert found == [("CHF", 7, 0, 7), ("EUR", None, 747, None), ("USD", None, 49_998, None)]
    assert (book.accounts.balance("A"), book.accounts.balance("A", "EUR")) == (49_998, 747)


def test_what_was_reported_before_the_account_was_opened_is_in_its_currency(book: Book) -> None:
    assert balances_after(book, AccountUpdated(balance=Decimal(5), frozen=Decimal(1))) == [(None, 5, 0, 5)]
    book.append(ACCOUNT, AccountUpdated(balance=Decimal(6), margin=Decimal(2), currency="USD"))
    book.append(ACCOUNT, OPENED)
    account = book.accounts.get("A")
    assert account is not None
    assert list(account.broker_balances) == ["USD"]
    usd = account.broker_balances["USD"]
    assert (usd.balance, usd.frozen, usd.margin) == (6, 1, 2)


def test_an_account_that_was_not_opened_is_in_the_only_currency_it_names(book: Book) -> None:
    book.append("order/A/O-1", [fill("T1", 1, 100, fee=Decimal(1)), fill("T2", -1, 101)])
    assert balances_after(book, AccountUpdated(balance=Decimal(30))) == [("USD", 30, 24, 6)]
    assert book.accounts.balance("A") == 24
    # Of two currencies none is the account's.
    book.append("order/A/O-1", fill("T3", 1, 100, "FDAX"))
    assert book.accounts.balance("A") == 0
    assert book.accounts.balance("A", "USD") == 24


def test_an_account_opened_again_stays_as_it_was_and_other_figures_are_marked(book: Book) -> None:
    again = AccountOpened(starting_balance=Decimal(100_000), currency="USD")
    assert balances_after(book, OPENED, cash(5, CashKind.INTEREST), OPENED) == [("USD", None, 50_005, None)]
    assert book.accounts.anomalies("A") == ()
    assert balances_after(book, again) == [("USD", None, 50_005, None)]
    assert book.accounts.anomalies("A") == ((AccountAnomalyKind.OPENED_OTHERWISE, book.position),)


def test_a_balance_needs_the_multiplier_of_what_was_realized(book: Book) -> None:
    book.append(ACCOUNT, OPENED)
    book.append("order/A/O-1", fill("T1", 1, 100, "NQZ5"))
    assert book.accounts.balance("A") == 50_000
    book.append("order/A/O-1", fill("T2", -1, 101, "NQZ5"))
    with pytest.raises(UnknownContract, match="NQZ5"):
        book.accounts.balance("A")
    with pytest.raises(UnknownContract, match="NQZ5"):
        book.accounts.balances("A")


def test_what_others_report_is_not_part_of_the_account(book: Book) -> None:
    book.append("pnl/A/-", PnlReported(realized=Decimal(5), currency="USD"))
    assert book.accounts.get("A") is None
    assert book.accounts.balances("A") == ()


def test_a_snapshot_gives_the_state_back_and_the_fold_continues() -> None:
    log, view = Folding(), AccountsView()
    whole, resumed = view.initial(), view.initial()
    events: list[Event] = [
        AccountUpdated(balance=Decimal(1), can_trade=True),
        OPENED,
        cash(5, CashKind.PAYOUT, "EUR"),
        PnlReported(realized=Decimal(5), symbol="ESZ5"),
        AccountUpdated(margin=Decimal(2)),
    ]
    for event in events:
        record = log.record(ACCOUNT, event)
        resumed = round_tripped(resumed, AccountsState)
        view.apply(whole, event, record)
        view.apply(resumed, event, record)
    assert resumed == whole
    assert len(whole.reported) == 1


def test_currencies_and_reports_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CURRENCIES_MAX", 2)
    monkeypatch.setattr(module, "REPORTED_MAX", 2)
    log, view = Folding(), AccountsView()
    state = view.initial()
    for symbol in ("ESZ5", "NQZ5", "ESZ5", "FDAX"):
        view.apply(state, PnlReported(symbol=symbol), log.record("pnl/A/-", PnlReported(symbol=symbol)))
    assert [reported.symbol for reported in state.reported.values()] == ["ESZ5", "FDAX"]
    for currency in ("EUR", "USD"):
        for event in (AccountUpdated(balance=Decimal(1), currency=currency), cash(1, CashKind.DEPOSIT, currency)):
            view.apply(state, event, log.record(ACCOUNT, event))
    for event in (AccountUpdated(balance=Decimal(1), currency="CHF"), cash(1, CashKind.DEPOSIT, "CHF")):
        with pytest.raises(TooManyCurrencies, match="CHF"):
            view.apply(state, event, log.record(ACCOUNT, event))
    more = cash(1, CashKind.DEPOSIT, "EUR")
    view.apply(state, more, log.record(ACCOUNT, more))
    assert state.cash == (("EUR", 2), ("USD", 1))


def test_each_figure_of_a_balance_is_that_of_the_newest_report_that_states_it(book: Book) -> None:
    """In whichever order the reports are recorded: one that comes late changes only what it is the newest for."""
    reports = [
        (1, AccountUpdated(balance=Decimal(1), margin=Decimal(7), currency="USD")),
        (2, AccountUpdated(balance=Decimal(2), currency="USD")),
        (3, AccountUpdated(available=Decimal(3), currency="USD")),
    ]
    for account, order in (("A", (0, 1, 2)), ("B", (2, 0, 1)), ("C", (1, 2, 0)), ("D", (2, 1, 0, 1))):
        for at, event in (reports[index] for index in order):
            book.append(f"account/{account}/-", event, occurred_at=at * 100)
        known = book.accounts.get(account)
        assert known is not None
        usd = known.broker_balances["USD"]
        assert (usd.balance, usd.available, usd.frozen, usd.margin) == (2, 3, None, 7)


def test_a_balance_of_a_clock_that_runs_ahead_gives_way_to_the_next_one() -> None:
    clock = EpochClock(1_000)
    with (
        EventStore(MemoryJournal(clock=clock), clock=clock) as store,
        projections.open(store, snapshots=False) as book,
    ):
        book.append(ACCOUNT, AccountUpdated(balance=Decimal(1), currency="USD"), occurred_at=5_000)
        clock.advance(100)
        book.append(ACCOUNT, AccountUpdated(balance=Decimal(2), currency="USD"))
        known = book.accounts.get("A")
        assert known is not None
        assert known.broker_balances["USD"].balance == 2
