"""Whatever happened, a check with cached values answers like one with a book just opened."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import projections
from eventstore import Event, EventStore, ManualClock, UnknownContract
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    AccountUpdated,
    Allows,
    BlackoutScheduled,
    CashKind,
    CashMoved,
    ContractDefined,
    EquityMarked,
    FeeCharged,
    FeedAlive,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderCanceled,
    OrderFilled,
    OrderReplaceRequested,
    OrderReported,
    OrderStatus,
    OrderSubmitted,
    PositionReported,
    PositionSide,
    QuoteReceived,
    RateQuoted,
    SessionClosed,
    SessionOpened,
    Side,
    TimeInForce,
    TradeBusted,
)
from projections import Book, risk
from projections.decimals import FIXED
from projections.risk import caches
from projections.risk.account_figures import AccountFigures, figures_of
from projections.risk.proposals import Proposal
from projections.sessions import Calendar
from projections.views.quotes.bounds import Bounds
from projections.views.quotes.known import KnownPrices
from tests.projections.rules_day import CALENDAR, HOUR, NOON, SECOND
from tests.proving import examples

SYMBOLS = ("ESZ6", "CON.EP", "NQZ6")
LEGS = (PositionSide.NET, PositionSide.LONG)
LIMITS: dict[str, list[dict[str, Any]]] = {
    "daily-loss": [{"limit": "500"}, {"limit": "900", "basis": "equity"}, {"limit": "300", "trailing": True}],
    "daily-loss:eur": [{"limit": "100", "currency": "EUR"}, {"limit": "400", "trailing": True, "basis": "equity"}],
    "weekly-loss": [{"limit": "700"}, {"limit": "x"}],
    "daily-profit": [{"target": "600"}, {"target": "900", "enabled": False}],
    "trailing-drawdown": [{"distance": "900"}, {"distance": "400", "basis": "realized"}],
    "trade-limit": [{"limit": 4}, {"limit": 9, "unit": "fills"}],
    "maximum-contracts": [{"limit": "6"}, {"limit": "4", "weights": {"ES": "2"}, "scaling": [["50100", "9"]]}],
    "maximum-position": [{"limit": "4"}, {"limits": {"ES": "2"}}],
    "available-balance": [{"minimum": "49000"}, {"margins": {"ES": "9000"}}],
    "concentration": [{"limit": "20"}],
    "consistency": [{"limit": "0.4"}, {"limit": "0.6", "net_of_fees": False}],
    "cooldown": [{"losing_trips": 2}, {"loss": "200"}],
    "order-size": [{"limit": "2"}, {"limits": {"ES": "1"}}],
    "symbol-block": [{"symbols": ["NQ"]}, {"symbols": []}],
}
PARTS: tuple[Callable[[AccountFigures], object], ...] = (
    lambda figures: figures.equity,
    lambda figures: figures.capital,
    lambda figures: figures.positions,
    lambda figures: figures.cache.standing_orders,
    lambda figures: figures.cache.confirmed_exposure,
    lambda figures: figures.cache.days,
    lambda figures: figures.cache.day_sums,
    lambda figures: figures.cache.week_sums,
    lambda figures: figures.cache.counts,
    lambda figures: figures.cache.highs,
    lambda figures: figures.cache.marked_floor,
)
"""What limits are judged by, also where no limit asks for it."""
few = st.integers(1, 3)
symbols, legs, sides = st.sampled_from(SYMBOLS), st.sampled_from(LEGS), st.sampled_from(list(Side))
prices = st.integers(4_990, 5_010)
steps = st.one_of(
    st.tuples(st.just("fill"), symbols, sides, legs, few, prices),
    st.tuples(st.just("fill"), symbols, sides, legs, few, prices),
    st.tuples(st.just("work"), symbols, sides, legs, few),
    st.tuples(st.just("short lived"), symbols, sides, few),
    st.tuples(st.just("ask"), few),
    st.tuples(st.just("say"), few),
    st.tuples(st.just("hold"), symbols, few),
    st.tuples(st.just("end an order"), few),
    st.tuples(st.just("bust"), few),
    st.tuples(st.just("quote"), symbols, prices),
    st.tuples(st.just("quote"), symbols, prices),
    st.tuples(st.just("spread"), symbols, prices),
    st.tuples(st.just("alive")),
    st.tuples(st.just("allow"), few),
    st.tuples(st.just("rate"), few),
    st.tuples(st.just("bracket"), symbols, few),
    st.tuples(st.just("fill a parent"), few),
    st.tuples(st.just("fill a parent"), few),
    st.tuples(st.just("limit"), st.sampled_from([(name, each) for name in LIMITS for each in LIMITS[name]]), few),
    st.tuples(st.just("pass"), st.sampled_from([1, SECOND, 11 * SECOND, HOUR, 5 * HOUR, 12 * HOUR])),
    st.tuples(st.just("session"), st.sampled_from(["open", "close", "late"])),
    st.tuples(st.just("contract"), st.sampled_from(SYMBOLS[::2]), st.integers(1, 2), st.booleans()),
    st.tuples(st.just("expiring"), st.sampled_from(SYMBOLS[::2]), st.integers(0, 1)),
    st.tuples(st.just("cash"), st.integers(-500, 500)),
    st.tuples(st.just("report"), st.integers(40_000, 60_000)),
    st.tuples(st.just("mark"), st.integers(49_000, 51_000)),
    st.tuples(st.just("lock"), st.sampled_from(list(Allows)), few),
    st.tuples(st.just("clear")),
    st.tuples(st.just("blackout"), few),
)


class History:
    """A book that is checked after each step, the log it folds, and the quotes that are not in the log."""

    def __init__(self, calendar: Calendar | None) -> None:
        self.clock = ManualClock(NOON)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.calendar = calendar
        self.book = projections.open(self.store, calendars=calendar)
        self.quotes: list[tuple[str, QuoteReceived, int]] = []
        self.number = 0
        self.fills: list[tuple[str, str]] = []
        self.append("account/A/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        for symbol in SYMBOLS[::2]:
            self.contract(symbol, 1, named=True)

    def append(self, stream: str, event: Event) -> None:
        self.book.append(stream, event, actor="desk")

    def step(self, name: str, *arguments: Any) -> None:  # noqa: ANN401 - any step's
        self.number += 1
        action: Callable[..., None] = getattr(self, name.replace(" ", "_").replace("pass", "passes"))
        action(*arguments)

    def fill(self, symbol: str, side: Side, leg: PositionSide, quantity: int, price: int) -> None:
        stream, trade = f"order/A/F{self.number}", f"T{self.number}"
        self.fills.append((stream, trade))
        event = OrderFilled(
            trade_id=trade,
            symbol=symbol,
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            position_side=leg,
            fee=Decimal("1.5"),
        )
        self.append(stream, event)

    def work(self, symbol: str, side: Side, leg: PositionSide, quantity: int) -> None:
        event = OrderSubmitted(symbol=symbol, side=side, quantity=Decimal(quantity), position_side=leg)
        self.append(f"order/A/W{self.number}", event)

    def short_lived(self, symbol: str, side: Side, quantity: int) -> None:
        """Submit an order of the day, or one that expires."""
        terms: list[dict[str, Any]] = [
            {"time_in_force": TimeInForce.DAY},
            {"expires_at": self.clock.now_ns() + 1},
            {"expires_at": self.clock.now_ns() + 2 * HOUR},
        ]
        event = OrderSubmitted(symbol=symbol, side=side, quantity=Decimal(quantity), **terms[quantity - 1])
        self.append(f"order/A/W{self.number}", event)

    def ask(self, quantity: int) -> None:
        for order in self.book.orders.open("A")[:1]:
            self.append(f"order/A/{order.order_id}", OrderReplaceRequested(quantity=Decimal(2 * quantity)))

    def say(self, filled: int) -> None:
        for order in self.book.orders.open("A")[:1]:
            event = OrderReported(status=OrderStatus.NEW, filled_quantity=Decimal(filled))
            self.append(f"order/A/{order.order_id}", event)

    def hold(self, symbol: str, quantity: int) -> None:
        self.append(f"position/A/{symbol}", PositionReported(symbol=symbol, quantity=Decimal(quantity - 1)))

    def end_an_order(self, which: int) -> None:
        for order in self.book.orders.open("A")[:which]:
            self.append(f"order/A/{order.order_id}", OrderCanceled())

    def bust(self, which: int) -> None:
        for stream, trade in self.fills[-which : -which + 1 or None]:
            self.append(stream, TradeBusted(trade_id=trade))
            self.append(stream, FeeCharged(trade_id=trade, amount=Decimal(3), currency="EUR"))

    def quote(self, symbol: str, price: int) -> None:
        stream, event = f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=Decimal(price))
        self.book.observe(stream, event)
        self.quotes.append((stream, event, self.clock.now_ns()))

    def spread(self, symbol: str, price: int) -> None:
        """Quote both sides, from a feed that may show later that nothing has changed."""
        event = QuoteReceived(symbol=symbol, bid=Decimal(price), ask=Decimal(price + 1), source="feed")
        self.book.observe(f"quote/-/{symbol}", event)

    def alive(self) -> None:
        self.book.observe("feed/-/feed", FeedAlive(source="feed"))

    def allow(self, times: int) -> None:
        """Set how old a price may be: of all symbols, or of a root."""
        bounds = Bounds(stale_after=times * 5 * SECOND)
        if times == 1:
            self.book.quotes.bounds.set("ES", bounds)
        else:
            self.book.quotes.bounds.default = bounds

    def rate(self, tenths: int) -> None:
        event = RateQuoted(base="EUR", quote="USD", rate=1 + Decimal(tenths) / 10)
        self.append("rate/-/EURUSD", event)

    def bracket(self, symbol: str, quantity: int) -> None:
        """Submit an order, and two that close what it fills."""
        parent, group = f"P{self.number}", f"G{self.number}"
        opening = OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=Decimal(quantity))
        self.append(f"order/A/{parent}", opening)
        for name in ("stop", "target"):
            child = OrderSubmitted(
                symbol=symbol, side=Side.SELL, quantity=Decimal(quantity), parent_order_id=parent, link_group=group
            )
            self.append(f"order/A/{parent}-{name}", child)

    def fill_a_parent(self, quantity: int) -> None:
        """Fill a part of an order that others close: they may execute as much more."""
        parents = [order for order in self.book.orders.open("A") if order.order_id.startswith("P")]
        for order in [each for each in parents if "-" not in each.order_id][:1]:
            event = OrderFilled(
                trade_id=f"T{self.number}",
                symbol=order.symbol or "",
                side=order.side or Side.BUY,
                quantity=Decimal(quantity),
                price=Decimal(5_000),
            )
            self.append(f"order/A/{order.order_id}", event)

    def expiring(self, symbol: str, days: int) -> None:
        """Define a contract that has a root, and expires today or tomorrow."""
        expiry = datetime.date(2026, 11, 20) + datetime.timedelta(days=days)
        event = ContractDefined(symbol=symbol, multiplier=Decimal(2), currency="USD", root=symbol[:2], expiry=expiry)
        self.append(f"contract/-/{symbol}", event)

    def limit(self, limit: tuple[str, dict[str, Any]], hours: int) -> None:
        rule_id, parameters = limit
        effective_from = self.clock.now_ns() + (hours - 1) * HOUR
        event = LimitsSet(rule_id=rule_id, parameters=parameters, effective_from=effective_from)
        # Past the book, which refuses one that none can read: a log may hold it.
        self.store.append(f"limits/A/{rule_id}", event, actor="desk")
        self.book.refresh()

    def passes(self, duration: int) -> None:
        self.clock.advance(duration)

    def session(self, kind: str) -> None:
        day = CALENDAR.day_at(self.clock.now_ns())
        stream = f"session/A/{day.name}"
        if kind == "open":
            self.append(stream, day.opened())
        elif kind == "late":
            # Its end is unknown.
            self.append(stream, SessionOpened(trading_day=day.trading_day, began_at=self.clock.now_ns() - HOUR))
        else:
            self.append(stream, SessionClosed(trading_day=day.trading_day))

    def contract(self, symbol: str, multiplier: int, named: bool) -> None:
        names = ("CON.EP",) if symbol == "ESZ6" and named else ()
        currency = "USD" if symbol == "ESZ6" else "EUR"
        event = ContractDefined(symbol=symbol, multiplier=Decimal(multiplier), currency=currency, broker_ids=names)
        self.append(f"contract/-/{symbol}", event)

    def cash(self, amount: int) -> None:
        kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
        self.append("account/A/-", CashMoved(kind=kind, amount=Decimal(abs(amount)), currency="USD"))

    def report(self, available: int) -> None:
        self.append("account/A/-", AccountUpdated(available=Decimal(available), currency="USD"))

    def mark(self, equity: int) -> None:
        figures = dict.fromkeys(("balance", "equity", "high_water"), Decimal(equity))
        made: dict[str, Any] = {**figures, "floor": Decimal(equity - 1_000), "unrealized": Decimal(equity - 50_000)}
        session = self.book.sessions.current("A", self.clock.now_ns())
        day: datetime.date | None = None if session is None else session.trading_day
        self.append("equity/A/-", EquityMarked(currency="USD", trading_day=day, **made))

    def lock(self, allows: Allows, hours: int) -> None:
        self.append("lockout/A/x", LockoutSet(rule_id="x", allows=allows, until=self.clock.now_ns() + hours * HOUR))

    def clear(self) -> None:
        self.append("lockout/A/x", LockoutCleared(by="desk"))

    def blackout(self, hours: int) -> None:
        start = self.clock.now_ns() + HOUR
        account = "A" if hours == 1 else "-"
        event = BlackoutScheduled(start=start, stop=start + hours * HOUR, symbols=("ES",) if hours == 2 else ())
        self.append(f"blackout/{account}/b", event)

    def answers(self, book: Book) -> list[object]:
        """Return what checks of several orders say, and headroom, at several instants."""
        now = self.clock.now_ns()
        orders = [
            Proposal(account="A", symbol=symbol, side=side, quantity=Decimal(2), position_side=leg)
            for symbol, side, leg in (
                ("ESZ6", Side.BUY, PositionSide.NET),
                ("CON.EP", Side.SELL, PositionSide.NET),
                ("NQZ6", Side.SELL, PositionSide.LONG),
            )
        ]
        instants = [now + later for later in (0, 1, -1, 4 * SECOND, 3 * HOUR)]
        found: list[object] = [risk.check(book, order, at) for order in orders for at in instants]
        found += [book.limits.headroom("A", at) for at in instants]
        with decimal.localcontext(FIXED):
            return found + [_said(part, figures_of(book, "A", at)) for at in instants for part in PARTS]

    def fresh_answers(self) -> list[object]:
        """Return the answers without what was cached; a book just opened would lack the prices of fills."""
        quotes = self.book.quotes
        held, prices = caches._caches.pop(self.book), quotes._known
        quotes._known = KnownPrices()
        try:
            return self.answers(self.book)
        finally:
            caches._caches[self.book], quotes._known = held, prices


def _said(part: Callable[[AccountFigures], object], figures: AccountFigures) -> object:
    """Return a part, or why there is none: a name that was traded may mean nothing any more."""
    try:
        return part(figures)
    except UnknownContract as error:
        return str(error)


@pytest.mark.slow
@settings(max_examples=examples(test=30, prove=3_000))
@given(st.lists(steps, min_size=8, max_size=30), st.sampled_from([None, CALENDAR]))
def test_a_cached_check_answers_like_one_without_a_cache(
    chosen: list[tuple[Any, ...]], calendar: Calendar | None
) -> None:
    history = History(calendar)
    for step in chosen:
        history.step(*step)
        # After each step, so that the cache holds values when the next one changes something.
        cached = history.answers(history.book)
        assert cached == history.fresh_answers()
