"""Each state that must survive its process: how it is written, the question about it, and both answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import eventstore
import projections
from eventstore import Batch, Event, EventStore, ManualClock, Record, trading
from eventstore.trading import EnforcementAction, OrderStatus, Side
from projections import Book
from projections.reconciliation import reconcile, record
from tests.reliability import questions as ask
from tests.reliability.questions import HOUR, MONDAY, NOON, REOPENED_AT, SECOND, WRITTEN_AT

Write = Callable[[Book], object]
Ask = Callable[[Book], object]

TUESDAY = date(2025, 7, 22)


class State(NamedTuple):
    """One state: how it is written, what is asked about it, the answer before and the one after."""

    write: Write
    ask: Ask
    before: object
    after: object
    lasts: bool = True
    """Whether what was acknowledged outlives the process."""


def appended(stream: str, *events: Event, **more: Any) -> Write:  # noqa: ANN401 - as the book's
    return lambda book: book.append(stream, list(events), occurred_at=WRITTEN_AT, **more)


def appended_together(*batches: Batch) -> Write:
    return lambda book: book.append_many(batches)


def enqueued(stream: str, *events: Event) -> Write:
    """Enqueue events, and take what `result` returns for the acknowledgement."""

    def write(book: Book) -> list[Record]:
        records = _store(book).enqueue(stream, list(events), occurred_at=WRITTEN_AT).result()
        book.refresh()
        return records

    return write


def flushed(stream: str, *events: Event) -> Write:
    """Enqueue events, and take for the acknowledgement that `flush` returns."""

    def write(book: Book) -> None:
        _store(book).enqueue(stream, list(events), occurred_at=WRITTEN_AT)
        _store(book).flush()
        book.refresh()

    return write


def observed(stream: str, event: Event) -> Write:
    return lambda book: book.observe(stream, event)


def _store(book: Book) -> EventStore:
    store = book.reader
    assert isinstance(store, EventStore)
    return store


def money(amount: int | str) -> Decimal:
    return Decimal(amount)


def submitted(quantity: int = 2) -> trading.OrderSubmitted:
    return trading.OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=money(quantity), limit_price=money(5_000))


def filled(trade_id: str, side: Side, price: int) -> trading.OrderFilled:
    return trading.OrderFilled(
        trade_id=trade_id, symbol="ESZ5", side=side, quantity=money(1), price=money(price), fee=money(2)
    )  # fmt: skip


def marked(equity: int, floor: int) -> trading.EquityMarked:
    return trading.EquityMarked(
        balance=money(50_000),
        equity=money(equity),
        high_water=money(equity),
        floor=money(floor),
        trading_day=MONDAY,
    )


def requested(rule_id: str) -> trading.EnforcementRequested:
    return trading.EnforcementRequested(rule_id=rule_id, action=EnforcementAction.FLATTEN)


LIMITS = "limits/A/daily-loss"
BEFORE: list[tuple[str, Event]] = [
    ("account/A/-", trading.AccountOpened(starting_balance=money(50_000), currency="USD")),
    ("account/A/-", trading.AccountUpdated(balance=money(50_000), can_trade=True)),
    ("contract/-/ESZ5", trading.ContractDefined(symbol="ESZ5", multiplier=money(50), currency="USD", root="ES")),
    (
        "session/A/2025-07-21",
        trading.SessionOpened(trading_day=MONDAY, began_at=NOON - HOUR, resets_at=NOON + 9 * HOUR),
    ),
    (LIMITS, trading.LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})),
    ("lockout/A/news", trading.LockoutSet(rule_id="news", until=NOON + 2 * HOUR)),
    ("enforcement/A/E1", requested("news")),
    ("order/A/O1", submitted()),
    ("order/A/O1", trading.OrderAccepted(broker_order_id="X1")),
    ("order/A/O1", filled("T1", Side.BUY, 5_000)),
    ("position/A/ESZ5", trading.PositionReported(symbol="ESZ5", quantity=money(1))),
    ("position/A/NQZ5", trading.PositionReported(symbol="NQZ5", quantity=money(3))),
    # Half of it is before the cut that the book begins with, half in the tail.
    ("order/A/O1", trading.OrderReported(status=OrderStatus.PARTIALLY_FILLED, filled_quantity=money(1))),
    ("pnl/A/-", trading.PnlReported(realized=money(0), currency="USD", trading_day=MONDAY)),
    ("equity/A/-", marked(50_100, 48_100)),
    ("breach/A/daily-loss", trading.LimitBreached(rule_id="daily-loss", figure=money(-800), limit=money(-1_000))),
    ("pair/A/es-nq", trading.PairStateSaved(state={"legs": 1}, version=1)),
    ("portfolio/A/main", trading.PortfolioSaved(state=[1], version=1)),
    ("blackout/-/fomc", trading.BlackoutScheduled(start=NOON + 2 * HOUR, stop=NOON + 3 * HOUR)),
]
CUT_AFTER = 12


def make_base(directory: Path) -> None:
    """Write what every state has before it is written to, with a cut in its midst, and close it."""
    clock = ManualClock(NOON)
    with eventstore.open(directory, clock=clock) as store:
        for position, (stream, event) in enumerate(BEFORE, 1):
            clock.advance(SECOND)
            store.append(stream, event, actor="risk@desk")
            if position == CUT_AFTER:
                with projections.open(store) as book:
                    assert book.snapshot()


def _fetched(book: Book) -> object:
    return book.contracts.get("NQZ5", lambda symbol: trading.ContractDefined(symbol=symbol, multiplier=money(20)))


def _reconciled(book: Book) -> object:
    return record(book, "A", reconcile(book, "A"), actor="risk@desk")


# The table

_LOSS = trading.LockoutSet(rule_id="loss", until=NOON + 9 * HOUR, revocable=False)
_NEWS = {"news": NOON + 2 * HOUR}
_CLOSED = trading.SessionClosed(trading_day=MONDAY, balance=money(50_200))
_RESET = trading.SessionReset(trading_day=TUESDAY, scheduled_for=NOON + 9 * HOUR, resets_at=NOON + 33 * HOUR)
_OPEN_DAY, _CLOSED_DAY = ("2025-07-21", False, None), ("2025-07-21", True, money(50_200))
_SELL = filled("T2", Side.SELL, 5_010)
_EXECUTED = trading.TradeExecuted(
    trade_id="T2", symbol="ESZ5", side=Side.SELL, quantity=money(1), price=money(5_010), fee=money(2)
)  # fmt: skip
_FLAT = trading.PositionAdjusted(symbol="ESZ5", quantity=money(-1), reason=trading.AdjustmentReason.TRANSFER)
_TIGHTER = trading.LimitsSet(rule_id="daily-loss", revision=2, parameters={"limit": "500"})
_LOOSER = trading.LimitsSet(rule_id="daily-loss", revision=2, parameters={"limit": "2000"})
_ORDER = "order/A/O1"
_HELD = (OrderStatus.PARTIALLY_FILLED, money(1), money(1))
_TWO, _THREE = ("ESZ5", money(1), money(1)), ("NQZ5", money(0), money(3))
_FIRST = ([("T1", False)], money(1))
_MARK = (money(50_100), money(48_100))
_NEXT = NOON + 33 * HOUR

STATES: dict[str, State] = {
    "enforcement asked": State(enqueued("enforcement/A/E2", requested("loss")), ask.pending, ["E1"], ["E1", "E2"]),
    "enforcement taken": State(
        flushed("enforcement/A/E1", trading.EnforcementTaken(request_id="E1", success=True)),
        ask.answer,
        (["E1"], None),
        # The answer does not flatten the account: while its lockout holds, that stays asked for.
        (["E1"], True),
    ),
    "lockout set": State(appended("lockout/A/loss", _LOSS), ask.locked, _NEWS, _NEWS | {"loss": NOON + 9 * HOUR}),
    "lockout extended": State(
        appended("lockout/A/news", trading.LockoutExtended(until=NOON + 3 * HOUR)),
        ask.locked,
        _NEWS,
        {"news": NOON + 3 * HOUR},
    ),
    "lockout cleared": State(appended("lockout/A/news", trading.LockoutCleared(by="desk")), ask.locked, _NEWS, {}),
    "lockout with its enforcement": State(
        appended_together(Batch("lockout/A/loss", _LOSS), Batch("enforcement/A/E2", requested("loss"))),
        ask.locked_and_asked,
        (["news"], ["E1"]),
        (["loss", "news"], ["E1", "E2"]),
    ),
    "limits tightened": State(
        appended(LIMITS, _TIGHTER, actor="risk@desk"), ask.limit, ({"limit": "1000"}, []), ({"limit": "500"}, [])
    ),
    "limits loosened": State(
        appended(LIMITS, _LOOSER, actor="risk@desk"),
        ask.limit,
        ({"limit": "1000"}, []),
        ({"limit": "1000"}, [{"limit": "2000"}]),
    ),
    "limit breached": State(
        appended(
            "breach/A/daily-loss", trading.LimitBreached(rule_id="daily-loss", figure=money(-900), limit=money(-1_000))
        ),
        ask.breaches,
        [money(-800)],
        [money(-800), money(-900)],
    ),
    "session closed": State(appended("session/A/2025-07-21", _CLOSED), ask.days, [_OPEN_DAY], [_CLOSED_DAY]),
    "session reset": State(
        appended("session/A/2025-07-22", _RESET), ask.days, [_OPEN_DAY], [_OPEN_DAY, ("2025-07-22", False, None)]
    ),
    "session closed, marked and reset": State(
        appended_together(
            Batch("session/A/2025-07-21", _CLOSED),
            Batch("equity/A/-", marked(50_200, 48_200)),
            Batch("session/A/2025-07-22", _RESET),
        ),
        ask.turned,
        ([_OPEN_DAY], _MARK, None),
        ([_CLOSED_DAY, ("2025-07-22", False, None)], (money(50_200), money(48_200)), _NEXT),
    ),
    "account updated": State(
        enqueued("account/A/-", trading.AccountUpdated(balance=money(50_300))),
        ask.account_reported,
        (money(50_000), True),
        (money(50_300), True),
    ),
    "account locked by its broker": State(
        appended("account/A/-", trading.AccountUpdated(can_trade=False)),
        ask.may_trade,
        (True, ["news"]),
        (False, ["broker", "news"]),
    ),
    "cash moved": State(
        appended("account/A/-", trading.CashMoved(amount=money(1_000), currency="USD", kind=trading.CashKind.FEE)),
        ask.balance,
        money(49_998),
        money(48_998),
    ),
    "profit by a fill": State(
        appended(_ORDER, _SELL), ask.made, [(money(0), money(2), 1)], [(money(500), money(4), 2)]
    ),
    "profit less a fee": State(
        appended("trade/A/T1", trading.FeeCharged(trade_id="T1", amount=money(3), currency="USD", symbol="ESZ5")),
        ask.made,
        [(money(0), money(2), 1)],
        [(money(0), money(5), 1)],
    ),
    "profit reported": State(
        flushed("pnl/A/-", trading.PnlReported(realized=money(7), trading_day=MONDAY, currency="USD")),
        ask.pnl_reported,
        [(money(0), "USD")],
        [(money(7), "USD")],
    ),
    "trade": State(appended("trade/A/T2", _EXECUTED), ask.traded, _FIRST, ([("T1", False), ("T2", False)], money(0))),
    "trade busted": State(
        appended("trade/A/T1", trading.TradeBusted(trade_id="T1")), ask.traded, _FIRST, ([("T1", True)], money(0))
    ),
    "equity marked": State(
        appended("equity/A/-", marked(50_400, 48_000)),
        ask.marked,
        (*_MARK[:1], *_MARK, money(50_100)),
        (money(50_400), money(50_400), money(48_100), money(50_400)),
    ),
    "contract defined": State(
        enqueued("contract/-/NQZ5", trading.ContractDefined(symbol="NQZ5", multiplier=money(20))),
        ask.contract,
        "NQZ5",
        money(20),
    ),
    "contract fetched": State(_fetched, ask.contract, "NQZ5", money(20)),
    "counters": State(appended(_ORDER, submitted(), _SELL), ask.counts, (1, 1, 0), (2, 2, 1)),
    "position reported": State(
        enqueued("position/A/ESZ5", trading.PositionReported(symbol="ESZ5", quantity=money(5))),
        ask.positions,
        [_TWO, _THREE],
        [("ESZ5", money(1), money(5)), _THREE],
    ),
    "position reconciled": State(_reconciled, ask.positions, [_TWO, _THREE], [_TWO, ("NQZ5", money(3), money(3))]),
    "position adjusted": State(
        appended("position/A/ESZ5", _FLAT), ask.positions, [_TWO, _THREE], [("ESZ5", money(0), money(1)), _THREE]
    ),
    "order reported": State(
        flushed(_ORDER, trading.OrderReported(status=OrderStatus.CANCELED, filled_quantity=money(1))),
        ask.order,
        _HELD,
        (OrderStatus.CANCELED, money(0), money(1)),
    ),
    "order canceled": State(
        appended(_ORDER, trading.OrderCanceled()), ask.order, _HELD, (OrderStatus.CANCELED, money(0), money(1))
    ),
    "order submitted and accepted": State(
        appended("order/A/O2", submitted(), trading.OrderAccepted(broker_order_id="X2")),
        ask.new_order,
        None,
        (OrderStatus.NEW, "X2", 2),
    ),
    "pair": State(
        appended("pair/A/es-nq", trading.PairStateSaved(state={"legs": 2}, version=2)),
        ask.pair,
        ({"legs": 1}, 1),
        ({"legs": 2}, 2),
    ),
    "portfolio": State(
        appended("portfolio/A/main", trading.PortfolioSaved(state=[2], version=2)), ask.portfolio, ([1], 1), ([2], 2)
    ),
    "blackout scheduled": State(
        appended("blackout/A/cpi", trading.BlackoutScheduled(start=NOON + 5 * HOUR, stop=NOON + 6 * HOUR)),
        ask.blackouts,
        ["fomc"],
        ["fomc", "cpi"],
    ),
    "blackout canceled": State(appended("blackout/-/fomc", trading.BlackoutCanceled()), ask.blackouts, ["fomc"], []),
    "timer": State(
        observed("timer/A/cooldown", trading.TimerStarted(name="cooldown", duration=HOUR)),
        ask.timer,
        ("unknown", REOPENED_AT, True),
        HOUR,
        lasts=False,
    ),
    "quote": State(
        observed("quote/-/ESZ5", trading.QuoteReceived(symbol="ESZ5", last=money(5_020))),
        ask.quote,
        (None, [None]),
        (money(5_020), [money(1_000)]),
        lasts=False,
    ),
}
