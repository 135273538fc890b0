"""A strategy for the live interface, tested as it is: on bars that are made here, with a check before each order.

    python examples/backtest.py [REPORT.html]

`trade` knows nothing of replays: a trading process calls it with its own book at each quote. The bars are a random walk
with a seed, so that every run is the same. Orders are filled at the next open of the bars, without fees: no market is
simulated.
"""

from __future__ import annotations

import datetime
import random
import sys
from decimal import Decimal

import pandas as pd

from eventstore.clock import NANOSECONDS, format_time
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementTaken,
    LimitsSet,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    Side,
)
from projections import Book, Calendar, analysis
from projections.analysis import Replay
from projections.risk import submit
from projections.rules import shipped_rules

ACCOUNT, SYMBOL = "SIM", "ES"
TICK = Decimal("0.25")
BEGINS = datetime.datetime(2025, 11, 17, 15, tzinfo=datetime.UTC)
DAYS, BARS_A_DAY = 3, 299
SLOW, FAST = 40, 10
LAST_MINUTES = 10
DESK = "kim@risk-desk"


# The strategy, as it runs live


class Crossing:
    """Holds one contract in the direction of the fast moving average against the slow one."""

    def __init__(self) -> None:
        self.prices: list[Decimal] = []

    def trade(self, book: Book, price: Decimal) -> None:
        """Look at a new price; send an order where the direction has changed."""
        self.prices = [*self.prices[-SLOW + 1 :], price]
        if len(self.prices) < SLOW or book.orders.open(ACCOUNT):
            return
        fast, slow = sum(self.prices[-FAST:]) / FAST, sum(self.prices) / SLOW
        # Flat before the end of the day: a position that has no price overnight is one that no limit can judge.
        flat_by = book.sessions.next_flat_by(ACCOUNT)
        is_late = flat_by is not None and flat_by - book.now_ns() <= LAST_MINUTES * 60 * NANOSECONDS
        wanted = 0 if is_late else 1 if fast > slow else -1
        self.send(book, wanted - book.positions.get(ACCOUNT, SYMBOL).quantity)

    def send(self, book: Book, quantity: Decimal) -> None:
        """Send an order for a quantity, below zero to sell, if the check before it allows it."""
        if not quantity:
            return
        side = Side.BUY if quantity > 0 else Side.SELL
        order = OrderSubmitted(symbol=SYMBOL, side=side, quantity=abs(quantity), strategy="crossing")
        now = book.now_ns()
        submit(book, ACCOUNT, f"{side}-{now}", order, now)

    def obey(self, book: Book) -> None:
        """Close what the policies ask to close, and say so once it is."""
        for request in book.enforcement.pending(ACCOUNT):
            held = book.positions.get(ACCOUNT, SYMBOL).quantity
            if held and not book.orders.open(ACCOUNT):
                self.send(book, -held)
            elif not held:
                answer = EnforcementTaken(request_id=request.request_id, success=True)
                book.append(f"enforcement/{ACCOUNT}/{request.request_id}", answer)


# The bars


def bars(seed: int = 3) -> pd.DataFrame:
    """Return bars of a minute each, of some days, at prices of a random walk."""
    chance = random.Random(seed)
    price, rows = 26_640, []
    for day in range(DAYS):
        for minute in range(1, BARS_A_DAY + 1):
            path = [price := price + chance.randint(-6, 6) for _ in range(5)]
            at = BEGINS + datetime.timedelta(days=day, minutes=minute)
            values = (path[0], max(path), min(path), path[-1])
            rows.append((at, SYMBOL, *(float(value * TICK) for value in values)))
    return pd.DataFrame(rows, columns=["at", "symbol", "open", "high", "low", "close"])


# The test


def backtest(frame: pd.DataFrame) -> tuple[Replay, list[tuple[int, Decimal]]]:
    """Play the bars to the strategy; return the replay, and the equity at each bar."""
    calendar = Calendar(
        zone="America/Chicago", open=datetime.time(17), flat_by=datetime.time(14), reset=datetime.time(17)
    )
    replay = Replay(data=frame, policies=shipped_rules(), calendars=calendar)
    strategy, equity = Crossing(), []
    replay.book.append(
        f"contract/-/{SYMBOL}",
        ContractDefined(symbol=SYMBOL, tick_size=TICK, multiplier=Decimal(50), currency="USD"),
    )
    replay.book.append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1500"})
    replay.book.append(f"limits/{ACCOUNT}/daily-loss", limit, actor=DESK)

    @replay.on(QuoteReceived)
    def quoted(event: QuoteReceived, _record: object, book: Book) -> None:
        assert event.last is not None
        strategy.obey(book)
        strategy.trade(book, event.last)
        equity.append((book.now_ns(), book.equity.now(ACCOUNT).equity))

    return replay.run(), equity


def report(replay: Replay, equity: list[tuple[int, Decimal]]) -> list[str]:
    """Return what came of it, as lines of text."""
    book = replay.book
    fills = list(replay.store.read(types=(OrderFilled,)))
    amounts = [amount for _, amount in equity]
    peaks = [max(amounts[: n + 1]) for n in range(len(amounts))]
    lines = [
        f"{len(equity):,} bars to {format_time(replay.now)}; {len(fills)} fills, each {fills[0].note if fills else ''}",
        f"equity {amounts[0]:,.2f} to {amounts[-1]:,.2f} USD",
        f"largest drawdown {max(peak - now for peak, now in zip(peaks, amounts, strict=True)):,.2f} USD",
        f"position at the end {book.positions.get(ACCOUNT, SYMBOL).quantity}",
        *(f"lockout {each.rule_id}: {each.reason}" for each in book.lockouts.history(ACCOUNT)),
        "",
        "day          equity",
    ]
    days = {format_time(at)[:10]: amount for at, amount in equity}
    lines += [f"{day}   {amount:>10,.2f}" for day, amount in days.items()]
    lines += ["", "time                  side   price"]
    for record in fills[:10]:
        fill = record.event
        assert isinstance(fill, OrderFilled)
        lines.append(f"{format_time(record.occurred_at)[:19]}   {fill.side:<5}{fill.price:>9}")
    return lines


def closes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the prices that positions are valued at in the report."""
    return frame.rename(columns={"close": "price"})[["at", "symbol", "price"]]


def main(arguments: list[str]) -> None:
    frame = bars()
    replay, equity = backtest(frame)
    for line in report(replay, equity):
        sys.stdout.write(line + "\n")
    if arguments:
        place = analysis.report(replay.store, ACCOUNT, arguments[0], prices=closes(frame))
        sys.stdout.write(f"\nreport in {place}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
