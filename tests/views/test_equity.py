"""Equity: marks whose high water and floor never fall, and the value at the newest quotes."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

import decimal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AdjustmentReason,
    CashKind,
    CashMoved,
    ContractDefined,
    EquityMarked,
    FeeCharged,
    PositionAdjusted,
    QuoteReceived,
    QuoteUsed,
    RateQuoted,
)
from projections.book import Book
from projections.valuation import Status
from projections.views import equity as module
from projections.views.equity import EquityMark, EquityState, EquityView
from projections.views.moved_marks import Marks
from tests.views.position_folding import LONG, SHORT, Folding, fill, round_tripped

SECOND = 10**9
NOW = 1_763_600_000 * SECOND
EARLIER = NOW - 5 * SECOND
CONTRACTS = (("ESZ5", 50, "USD"), ("NQZ5", 20, "USD"), ("FDAX", 25, "EUR"))


def marked(equity: int, high_water: int, floor: int | None = None, **more: Any) -> EquityMarked:  # noqa: ANN401 - any member
    return EquityMarked(
        balance=Decimal(equity),
        equity=Decimal(equity),
        high_water=Decimal(high_water),
        floor=None if floor is None else Decimal(floor),
        **more,
    )


@pytest.fixture
def book() -> Iterator[Book]:
    with (
        EventStore(MemoryJournal(), clock=ManualClock(NOW)) as store,
        projections.open(store, snapshots=False) as opened,
    ):
        for symbol, multiplier, currency in CONTRACTS:
            contract = ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency=currency)
            opened.append(f"contract/-/{symbol}", contract)
        opened.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        yield opened


def quote(book: Book, symbol: str, price: int | str, at: int = NOW) -> None:
    book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=Decimal(price)), occurred_at=at)


def confirm(book: Book, symbol: str, price: int | str, at: int = NOW) -> None:
    """Observe a price twice, a second apart: a second observation confirms what the first one shows."""
    quote(book, symbol, price, at - SECOND)
    quote(book, symbol, price, at)


def mark(book: Book, *marks: EquityMarked) -> EquityMark:
    for each in marks:
        book.append("equity/A/-", each)
    found = book.equity.get("A")
    assert found is not None
    return found


def test_an_account_without_a_mark_has_none(book: Book) -> None:
    assert book.equity.get("A") is None


def test_the_high_water_is_the_highest_mark_and_the_floor_never_falls(book: Book) -> None:
    last = mark(book, marked(50_500, 50_500, 48_500), marked(50_100, 50_100, 48_100), marked(50_200, 50_200))
    assert (last.equity, last.balance, last.high_water, last.floor) == (50_200, 50_200, 50_500, 48_500)
    higher = mark(book, marked(51_000, 50_900, 49_000))
    assert (higher.high_water, higher.floor, higher.position) == (51_000, 49_000, book.position)


def test_a_mark_that_comes_late_raises_the_high_water_and_is_not_the_last(book: Book) -> None:
    book.append("equity/A/-", marked(50_000, 50_000), occurred_at=NOW - 100)
    book.append("equity/A/-", marked(60_000, 60_000, 58_000), occurred_at=NOW - 200)
    last = book.equity.get("A")
    assert last is not None
    assert (last.equity, last.high_water, last.floor, last.at) == (50_000, 60_000, 58_000, NOW - 100)


def test_marks_of_another_currency_are_apart_and_those_of_none_are_the_accounts(book: Book) -> None:
    last = mark(
        book, marked(1_000_000, 1_000_000, 9, currency="JPY"), marked(70, 70), marked(60, 60, 5, currency="USD")
    )
    assert (last.equity, last.high_water, last.floor, last.currency) == (60, 70, 5, "USD")
    yen = book.equity.get("A", "JPY")
    assert yen is not None
    assert (yen.equity, yen.high_water) == (1_000_000, 1_000_000)
    assert book.equity.get("A", "EUR") is None
    assert book.equity.now("A").high_water == 50_000


def test_a_mark_has_the_quotes_it_was_made_with(book: Book) -> None:
    used = {"ESZ5": QuoteUsed(Decimal(100), 5)}
    last = mark(book, marked(1, 1, quotes=used, realized=Decimal(3), unrealized=Decimal(4), fees=Decimal(2)))
    assert (last.quotes, last.realized, last.unrealized, last.fees) == (used, 3, 4, 2)


def test_equity_is_the_balance_with_what_is_open_at_its_quotes(book: Book) -> None:
    fee: dict[str, Any] = {"fee": Decimal(2)}
    book.append("order/A/O-1", [fill("T1", 2, 100, **fee), fill("T2", -1, 103, **fee)], occurred_at=EARLIER)
    book.append("order/A/O-2", [fill("T3", -2, 200, "NQZ5", **fee)], occurred_at=EARLIER)
    book.append("account/A/-", CashMoved(amount=Decimal(1_000), currency="USD", kind=CashKind.PAYOUT))
    book.append("trade/A/gone", FeeCharged(trade_id="gone", amount=Decimal(1)))
    confirm(book, "ESZ5", 105)
    confirm(book, "NQZ5", 203)
    now = book.equity.now("A")
    # 50,000 − 1,000 + 1 × 3 × 50 − 3 × 2 − 1 = 49,143; open: 1 × 5 × 50 − 2 × 3 × 20 = 130.
    assert (now.balance, now.realized, now.fees, now.unrealized, now.equity) == (49_143, 150, 7, 130, 49_273)
    # What was paid out never counts as lost: the high water is the capital, now 49,000, and what was made above it.
    assert (now.account, now.currency, now.at, now.high_water, now.floor) == ("A", "USD", NOW, 49_273, None)
    assert now.quotes == {"ESZ5": QuoteUsed(Decimal(105), NOW), "NQZ5": QuoteUsed(Decimal(203), NOW)}
    assert (now.status, now.why, now.stale, now.unquoted, now.converted) == (Status.KNOWN, "", (), (), 0)
    assert now.balance == book.accounts.balance("A")
    assert now.unrealized == sum(each.amount or 0 for each in book.pnl.unrealized("A"))


def test_what_was_realized_and_charged_is_the_days(book: Book) -> None:
    book.append("order/A/O-1", [fill("T1", 1, 100, fee=Decimal(2)), fill("T2", -1, 104, fee=Decimal(2))])
    later = NOW + 24 * 3_600 * SECOND
    assert (book.equity.now("A").realized, book.equity.now("A").fees) == (200, 4)
    tomorrow = book.equity.now("A", later)
    assert (tomorrow.realized, tomorrow.fees, tomorrow.balance) == (0, 0, 50_196)


def test_a_new_high_is_the_high_water_mark_before_it_is_marked(book: Book) -> None:
    last = mark(book, marked(50_100, 50_100, 48_100))
    book.append("order/A/O-1", fill("T1", 1, 100), occurred_at=EARLIER)
    confirm(book, "ESZ5", 101, NOW - 2 * SECOND)
    assert (book.equity.now("A").equity, book.equity.now("A").high_water) == (50_050, 50_100)
    confirm(book, "ESZ5", 104)
    now = book.equity.now("A")
    assert (now.equity, now.high_water, now.floor) == (50_200, 50_200, 48_100)
    assert book.equity.get("A") == last


def test_one_observation_makes_no_high_water_and_of_two_the_lower_one_does(book: Book) -> None:
    book.append("order/A/O-1", fill("T1", 1, 100), occurred_at=EARLIER)
    quote(book, "ESZ5", 104, NOW - SECOND)
    now = book.equity.now("A")
    assert (now.equity, now.high_water) == (50_200, 50_000)
    quote(book, "ESZ5", 106)
    now = book.equity.now("A")
    assert (now.equity, now.high_water) == (50_300, 50_200)


def test_stale_quotes_are_used_by_name_and_what_has_none_counts_nothing(book: Book) -> None:
    with EventStore(MemoryJournal(), clock=ManualClock(NOW)) as store:
        for symbol, multiplier, currency in CONTRACTS:
            store.append(
                f"contract/-/{symbol}",
                ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency=currency),
            )
        store.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        store.append("order/A/O-1", [fill("T1", 1, 100), fill("T2", 1, 200, "NQZ5")])
        # What was filled before the book was opened is not a price of its life.
        with projections.open(store, snapshots=False) as restarted:
            assert restarted.equity.now("A").unquoted == ("ESZ5", "NQZ5")
            quote(restarted, "ESZ5", 90, NOW - 60 * SECOND)
            now = restarted.equity.now("A")
            assert (now.unrealized, now.stale, now.unquoted) == (-500, ("ESZ5",), ("NQZ5",))
            assert (now.status, list(now.quotes)) == (Status.UNKNOWN, ["ESZ5"])
            assert now.why == "NQZ5 was not quoted since the book was opened"
            assert restarted.equity.now("A", NOW - 55 * SECOND).stale == ()
            restarted.quotes.stale_after_ns = 120 * SECOND
            assert restarted.equity.now("A").stale == ()
            restarted.observe("quote/-/NQZ5", QuoteReceived(symbol="NQZ5", last_size=Decimal(1)))
            now = restarted.equity.now("A")
            assert (now.unquoted, now.why) == (("NQZ5",), "NQZ5 has no price: no price was received")


def test_a_stale_price_is_named_with_its_age(book: Book) -> None:
    book.append("order/A/O-1", fill("T1", 1, 100), occurred_at=NOW - 70 * SECOND)
    quote(book, "ESZ5", 98, NOW - 60 * SECOND)
    now = book.equity.now("A")
    assert (now.equity, now.status, now.stale_seconds) == (49_900, Status.STALE, 60)
    assert now.why == "the price of ESZ5 is 60 s old and 10 s are allowed"


def test_positions_in_another_currency_are_unknown_without_a_rate_and_converted_at_one(book: Book) -> None:
    book.append("order/A/O-1", [fill("T1", 2, 100, "FDAX", fee=Decimal(3)), fill("T2", -1, 110, "FDAX")])
    book.append("order/A/O-1", fill("T3", 1, 100, "FDAX", fee=Decimal(5), fee_currency="USD"))
    quote(book, "FDAX", 104)
    now = book.equity.now("A")
    # Of FDAX only the 5 USD of its last fill are in the account's own currency.
    assert (now.equity, now.realized, now.fees, now.status) == (49_995, 0, 5, Status.UNKNOWN)
    assert now.why == "no rate from EUR to USD: quote EURUSD, or append RateQuoted"
    book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.2")))
    now = book.equity.now("A")
    # 10 × 25 EUR made less 3 EUR in fees, and two at 4 × 25 EUR open: (250 − 3 + 200) × 1.2 − 5.
    assert (now.balance, now.unrealized, now.equity) == (Decimal("50291.4"), 240, Decimal("50531.4"))
    assert (now.realized, now.fees, now.status) == (300, Decimal("8.6"), Status.KNOWN)


def test_both_sides_of_a_hedge_count(book: Book) -> None:
    book.append("order/A/O-1", [fill("T1", 2, 100, position_side=LONG), fill("T2", -1, 100, position_side=SHORT)])
    quote(book, "ESZ5", 103)
    assert book.equity.now("A").unrealized == (2 - 1) * 3 * 50


def test_what_was_opened_without_a_price_makes_nothing_and_is_unknown(book: Book) -> None:
    opening = PositionAdjusted(symbol="ESZ5", quantity=Decimal(2), reason=AdjustmentReason.OPENING)
    book.append("position/A/ESZ5", opening)
    book.append("order/A/O-1", fill("T1", 1, 100))
    quote(book, "ESZ5", 103)
    now = book.equity.now("A")
    assert (now.unrealized, now.status) == (150, Status.UNKNOWN)
    assert now.why == "the cost of 2 ESZ5 is not known: state its price"


def test_without_a_multiplier_the_position_is_left_out_and_the_equity_is_unknown(book: Book) -> None:
    book.append("order/A/O-1", fill("T1", 1, 100, "CLF6"))
    now = book.equity.now("A")
    assert (now.equity, now.unquoted, now.quotes) == (50_000, ("CLF6",), {})
    assert (now.status, now.why) == (Status.UNKNOWN, "the multiplier of CLF6 is not known")
    book.append("order/A/O-1", fill("T2", -1, 100, "CLF6"))
    now = book.equity.now("A")
    assert (now.equity, now.status) == (50_000, Status.KNOWN)


def test_what_was_realized_without_a_multiplier_leaves_the_balance_unknown(book: Book) -> None:
    book.append("order/A/O-1", [fill("T1", 1, 100, "CLF6"), fill("T2", -1, 90, "CLF6")])
    now = book.equity.now("A")
    assert (now.balance, now.status, now.why) == (50_000, Status.UNKNOWN, "the multiplier of CLF6 is not known")


def test_an_account_that_was_never_opened_is_in_the_only_currency_it_names(book: Book) -> None:
    book.append("order/B/O-1", fill("T1", 1, 100))
    quote(book, "ESZ5", 101)
    now = book.equity.now("B")
    assert (now.currency, now.balance, now.equity, now.high_water) == ("USD", 0, 50, 50)
    nothing = book.equity.now("C")
    assert (nothing.currency, nothing.equity, nothing.quotes) == (None, 0, {})


def test_figures_do_not_depend_on_the_threads_own_context(book: Book) -> None:
    book.append("order/A/O-1", fill("T1", 3, "100.01"))
    quote(book, "ESZ5", "100.27")
    expected = book.equity.now("A")
    with decimal.localcontext(decimal.Context(prec=2)):
        assert book.equity.now("A") == expected
    assert expected.equity == 50_039


def amounts(of: dict[str, Marks]) -> list[Decimal]:
    return [mark.amount for mark in of.get("", ())]


marks = st.builds(marked, st.integers(-99, 99), st.integers(-99, 99), st.none() | st.integers(-99, 99))


@given(st.lists(st.tuples(marks, st.integers(0, 9)), min_size=1, max_size=20), st.integers(0, 20))
def test_whatever_is_marked_neither_ever_falls_and_a_snapshot_changes_nothing(
    marks: list[tuple[EquityMarked, int]], cut: int
) -> None:
    log, view = Folding(), EquityView()
    state = view.initial()
    for number, (each, at) in enumerate(marks):
        state = round_tripped(state, EquityState) if number == cut else state
        view.apply(state, each, log.record("equity/A/-", each, occurred_at=at))
        so_far = [earlier for earlier, _ in marks[: number + 1]]
        assert amounts(state.highs) == [max(max(mark.high_water, mark.equity) for mark in so_far)]
        floors = [mark.floor for mark in so_far if mark.floor is not None]
        assert amounts(state.floors) == ([max(floors)] if floors else [])
    assert state.marks[""].equity == max(enumerate(marks), key=lambda item: (item[1][1], item[0]))[1][0].equity


def test_the_currencies_that_were_longest_without_a_mark_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CURRENCIES_MAX", 2)
    log, view = Folding(), EquityView()
    state = view.initial()
    for currency in ("USD", "EUR", "USD", "CHF"):
        each = marked(1, 1, currency=currency)
        view.apply(state, each, log.record("equity/A/-", each))
    assert list(state.marks) == ["USD", "CHF"]
