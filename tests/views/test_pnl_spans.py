"""P&L of any span of trading days, by symbol, against a naive count of the same fills."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock, UnknownContract
from eventstore.clock import to_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, OrderFilled, SessionReset, Side
from projections import Book
from projections.views.executions.ledger import DAYS_MAX
from tests.proving import rounds

MONDAY = date(2025, 6, 2)
MULTIPLIERS = {"ESZ5": 50, "NQZ5": 20, "CLZ5": 1000}
Naive = dict[tuple[date, str], list[Fraction]]


@pytest.fixture
def book() -> Iterator[Book]:
    clock = ManualClock(to_ns(datetime(2028, 1, 1, tzinfo=UTC)))
    with projections.open(EventStore(MemoryJournal(clock=clock), clock=clock)) as opened:
        for symbol, multiplier in MULTIPLIERS.items():
            contract = ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency="USD")
            opened.append(f"contract/-/{symbol}", contract)
        yield opened


def noon(day: date, hour: int = 12) -> int:
    return to_ns(datetime(day.year, day.month, day.day, hour, tzinfo=UTC))


def trade(book: Book, number: int, at: int, what: tuple[str, int, str] = ("ESZ5", 1, "100")) -> None:
    symbol, quantity, price = what
    side = Side.BUY if quantity > 0 else Side.SELL
    fill = OrderFilled(
        trade_id=f"T{number}",
        symbol=symbol,
        side=side,
        quantity=Decimal(abs(quantity)),
        price=Decimal(price),
        fee=Decimal("1.25"),
    )
    book.append(f"order/A/O{number}", fill, occurred_at=at)


def test_any_span_by_symbol_is_what_its_fills_made(book: Book) -> None:
    for seed in rounds("profit and loss of spans", test=2, prove=200):
        chance = random.Random(seed)
        account = f"S{seed}"
        made = _random_fills(book, account, chance)
        for _ in range(40):
            days = sorted(MONDAY + timedelta(days=chance.randint(-3, 25)) for _ in range(2))
            first, last = (chance.choice([day, None, day.isoformat()]) for day in days)
            expected: dict[str, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 4)
            for (day, symbol), figures in made.items():
                if (first is None or day >= days[0]) and (last is None or day <= days[1]):
                    expected[symbol] = [sum(pair, Fraction(0)) for pair in zip(expected[symbol], figures, strict=True)]
            found = book.pnl.span(account, first, last, by_symbol=True)
            assert {each.symbol: _figures(each) for each in found} == dict(expected)
            together = book.pnl.span(account, first, last)
            total = [sum(column, Fraction(0)) for column in zip(*expected.values(), strict=True)] if expected else []
            assert [_figures(each) for each in together] == ([total] if total else [])


def _random_fills(book: Book, account: str, chance: random.Random) -> Naive:
    """Append fills over three weeks, and return what each day made in each symbol, first in, first out."""
    made: Naive = defaultdict(lambda: [Fraction(0)] * 4)
    lots: dict[str, deque[list[Fraction]]] = defaultdict(deque)
    at = noon(MONDAY, 1)
    for number in range(60):
        at += chance.randint(1, 16) * 3_600 * 10**9
        symbol, quantity = chance.choice(list(MULTIPLIERS)), chance.choice([-3, -2, -1, 1, 2, 3])
        price = Fraction(chance.randint(380, 420), 4)
        day = datetime.fromtimestamp(at // 10**9, UTC).date()
        figures = [_closed(lots[symbol], Fraction(quantity), price) * MULTIPLIERS[symbol], Fraction(5, 4)]
        figures += [Fraction(1), Fraction(abs(quantity))]
        made[day, symbol] = [sum(pair, Fraction(0)) for pair in zip(made[day, symbol], figures, strict=True)]
        fill = OrderFilled(
            trade_id=f"T{number}",
            symbol=symbol,
            side=Side.BUY if quantity > 0 else Side.SELL,
            quantity=Decimal(abs(quantity)),
            price=Decimal(price.numerator) / price.denominator,
            fee=Decimal("1.25"),
        )
        book.append(f"order/{account}/O{number}", fill, occurred_at=at)
        if chance.random() < 0.2:
            reset = SessionReset(
                trading_day=day, scheduled_for=noon(day, 0), resets_at=noon(day + timedelta(days=1), 0)
            )
            book.append(f"session/{account}/{day}", reset, occurred_at=at)
    return made


def _closed(lots: deque[list[Fraction]], quantity: Fraction, price: Fraction) -> Fraction:
    points = Fraction(0)
    while quantity and lots and (lots[0][0] > 0) is not (quantity > 0):
        lot = lots[0]
        part = min(abs(lot[0]), abs(quantity))
        sign = 1 if lot[0] > 0 else -1
        points += sign * part * (price - lot[1])
        lot[0] -= sign * part
        quantity += sign * part
        if not lot[0]:
            lots.popleft()
    if quantity:
        lots.append([quantity, price])
    return points


def _figures(made: Any) -> list[Fraction]:  # noqa: ANN401 - PnlTotals
    assert made.net == made.realized - made.fees
    return [Fraction(made.realized), Fraction(made.fees), Fraction(made.trades), Fraction(made.volume)]


def test_days_weeks_and_sessions_answer_by_symbol_too(book: Book) -> None:
    reset = SessionReset(trading_day=MONDAY, scheduled_for=noon(MONDAY, 0), resets_at=noon(MONDAY, 23), week=MONDAY)
    book.append(f"session/A/{MONDAY}", reset, occurred_at=noon(MONDAY, 0))
    trades = [("ESZ5", 1, "100"), ("ESZ5", -1, "102"), ("NQZ5", -2, "100"), ("NQZ5", 2, "101")]
    for number, what in enumerate(trades):
        trade(book, number, noon(MONDAY), what)
    at, expected = noon(MONDAY), {"ESZ5": Decimal(100), "NQZ5": Decimal(-40)}
    for made in (
        book.pnl.week("A", at, by_symbol=True),
        book.pnl.session("A", at, by_symbol=True),
        dict(book.pnl.days("A", by_symbol=True))["2025-06-02"],
        book.pnl.span("A", MONDAY, MONDAY, by_symbol=True),
        book.pnl.by_symbol("A", at),
    ):
        assert {each.symbol: each.realized for each in made} == expected
    assert [each.realized for each in book.pnl.week("A", at)] == [60]
    assert book.pnl.session("A", noon(MONDAY + timedelta(days=3)), by_symbol=True) == ()


@pytest.mark.parametrize(
    ("first", "last", "advice"),
    [
        (MONDAY, MONDAY - timedelta(days=1), "ends before it begins"),
        ("2025-06-31", None, "first is a trading day's date"),
        (None, "soon", "last is a trading day's date"),
        (5, None, "first is a trading day's date"),
        (datetime(2025, 6, 2, tzinfo=UTC), None, "first is a trading day's date"),
    ],
)
def test_a_span_that_is_none_is_refused(book: Book, first: Any, last: Any, advice: str) -> None:  # noqa: ANN401 - that is the test
    with pytest.raises(InvalidEvent, match=advice):
        book.pnl.span("A", first, last)


def test_an_account_without_a_fill_made_nothing(book: Book) -> None:
    assert book.pnl.span("nobody", by_symbol=True) == ()


def test_a_symbol_without_a_contract_is_unknown_not_zero(book: Book) -> None:
    trade(book, 1, noon(MONDAY), ("GCZ5", 1, "100"))
    trade(book, 2, noon(MONDAY), ("GCZ5", -1, "101"))
    with pytest.raises(UnknownContract):
        book.pnl.span("A", by_symbol=True)


def test_a_span_beyond_the_days_that_are_kept_is_refused(book: Book) -> None:
    for number in range(DAYS_MAX + 10):
        day = MONDAY + timedelta(days=number)
        reset = SessionReset(trading_day=day, scheduled_for=noon(day, 0), resets_at=noon(day, 23))
        book.append(f"session/A/{day}", reset, occurred_at=noon(day, 0))
        trade(book, number, noon(day))
    since = MONDAY + timedelta(days=10)
    for first in (None, MONDAY, since - timedelta(days=1)):
        with pytest.raises(InvalidEvent, match=f"are kept since {since}"):
            book.pnl.span("A", first)
    [made] = book.pnl.span("A", since)
    assert (made.trades, made.fees) == (DAYS_MAX, DAYS_MAX * Decimal("1.25"))
