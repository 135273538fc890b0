"""Real quotes at full speed: 155,470 of two perpetual futures, valued tick by tick.

The files are not part of the project: where the folder beside the checkout is absent, these tests are skipped.
"""

import gc
import gzip
import heapq
import sys
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, OrderFilled, QuoteReceived, Side
from projections import Book
from projections.views.quotes import Quote, Tick, receiving
from tests.proving import cases

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "binance"
MILLISECONDS = 1_000_000
# Multipliers that no one has, so that leaving one out shows.
HELD = {
    "BTCUSDT": (Decimal("0.35"), Decimal("61750.15"), Decimal(3)),
    "ETHUSDT": (Decimal(-7), Decimal(2690), Decimal(2)),
}

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not on this machine: there is no {DATA}"),
]


class Body(msgspec.Struct):
    """The members of Binance's bookTicker and trade that are read here; T is when the exchange saw it, in ms."""

    e: str
    s: str
    T: int
    b: Decimal | None = None
    B: Decimal | None = None
    a: Decimal | None = None
    A: Decimal | None = None
    p: Decimal | None = None
    q: Decimal | None = None


class Message(msgspec.Struct):
    data: Body


class Heard(NamedTuple):
    """One message, and when it came to the machine that recorded it."""

    at: int
    body: Body

    @property
    def event(self) -> QuoteReceived:
        body = self.body
        return QuoteReceived(
            symbol=body.s, last=body.p, last_size=body.q, bid=body.b, bid_size=body.B, ask=body.a, ask_size=body.A
        )


decode = msgspec.json.Decoder(Message).decode


def lines(coin: str) -> list[tuple[int, bytes]]:
    with gzip.open(DATA / f"hftbacktest_usdm_{coin}usdt_20240808.gz", "rb") as file:
        split = (line.split(b" ", 1) for line in file if b"@bookTicker" in line or b"@trade" in line)
        return [(int(at), message) for at, message in split]


def heard(coin: str) -> Iterator[Heard]:
    return (Heard(at, decode(message).data) for at, message in lines(coin))


@pytest.fixture(scope="module")
def feed() -> list[Heard]:
    """Return the messages of both files in the order they came in."""
    merged = list(heapq.merge(heard("btc"), heard("eth"), key=lambda message: message.at))
    kinds = [message.body.e for message in merged]
    assert (kinds.count("bookTicker"), kinds.count("trade"), len(kinds)) == (120_081, 35_389, 155_470)
    return merged


@pytest.fixture
def book(feed: list[Heard]) -> Book:
    clock = ManualClock(feed[0].at)
    return projections.open(EventStore(MemoryJournal(clock=clock), clock=clock))


def observe(book: Book, message: Heard, at: int) -> None:
    book.observe(f"quote/-/{message.body.s}", message.event, occurred_at=at)


def is_current(quote: Quote, body: Body, at: int) -> bool:
    """Return whether a quote has all that a message says, and its time."""
    if body.e == "trade":
        return (quote.last, quote.last_size, quote.last_at) == (body.p, body.q, at)
    sides = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
    return sides == (body.b, body.B, body.a, body.A) and quote.bid_at == quote.ask_at == at


@pytest.mark.slow
def test_after_each_message_the_quote_is_what_it_says(book: Book, feed: list[Heard]) -> None:
    newest: dict[str, dict[str, Body]] = {"BTCUSDT": {}, "ETHUSDT": {}}
    for message in feed:
        body = message.body
        observe(book, message, message.at)
        newest[body.s][body.e] = body
        quote = book.quotes.get(body.s, message.at)
        assert quote is not None
        # Before the first trade the mid stands in for the last price, and says so.
        assert quote.stale == ("trade" not in newest[body.s])
        assert is_current(quote, body, message.at)
        trade = newest[body.s].get("trade")
        assert trade is None or (quote.last, quote.last_size) == (trade.p, trade.q)
        ticker = newest[body.s].get("bookTicker")
        assert ticker is None or (quote.bid, quote.ask_size) == (ticker.b, ticker.A)
    for symbol in newest:
        last = [each for each in feed if each.body.s == symbol][-1_000:]
        ticks = [
            Tick(each.at, each.body.p, each.body.b, each.body.a, each.body.q, each.body.B, each.body.A) for each in last
        ]
        assert book.quotes.ticks(symbol) == tuple(ticks)


@pytest.mark.prove
@pytest.mark.parametrize("part", cases(test=[3], prove=[1]))
def test_by_the_exchange_s_times_too_though_trades_and_tickers_overtake_one_another(
    book: Book, feed: list[Heard], part: int
) -> None:
    late, newest = 0, dict.fromkeys(HELD, 0)
    for message in feed[: len(feed) // part]:
        body, at = message.body, message.body.T * MILLISECONDS
        late += at < newest[body.s]
        newest[body.s] = max(newest[body.s], at)
        observe(book, message, at)
        quote = book.quotes.get(body.s, at)
        assert quote is not None
        assert is_current(quote, body, at)
        assert quote.updated_at == newest[body.s]
    assert late > 1_000 // part


AS_IT_IS = (10 * NANOSECONDS, 100 * MILLISECONDS)


@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.parametrize(
    ("every", "part", "allowed"),
    cases(test=[(1, 3, AS_IT_IS), (3_000, 1, (10 * NANOSECONDS,))], prove=[(1, 1, AS_IT_IS)]),
)
def test_a_price_is_stale_at_just_those_messages_that_come_too_long_after_it(
    book: Book, feed: list[Heard], every: int, part: int, allowed: tuple[int, ...]
) -> None:
    """Before each message, as of its time: the last trade is as old as the ticker that has confirmed or moved it.

    As they came, by ten seconds and by a tenth of one; and thinned out to pauses of many seconds.
    """
    traded: set[str] = set()
    observed: dict[str, int] = {}
    stale = dict.fromkeys(allowed, 0)
    for message in feed[: len(feed) // part : every]:
        symbol = message.body.s
        for longest in allowed:
            book.quotes.stale_after_ns = longest
            quote = book.quotes.get(symbol, message.at)
            if symbol in observed:
                gap = message.at - observed[symbol]
                assert quote is not None
                assert (quote.age, quote.stale) == (gap, gap > longest or symbol not in traded)
                assert quote.updated_at == observed[symbol]
                stale[longest] += gap > longest
            else:
                assert quote is None
        observe(book, message, message.at)
        observed[symbol] = message.at
        if message.body.e == "trade":
            traded.add(symbol)
    for longest, count in stale.items():
        assert (count > 0) == ((longest, every) != (10 * NANOSECONDS, 1))


@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.parametrize("every", cases(test=[3], prove=[1]))
def test_what_is_unrealized_follows_each_tick(book: Book, feed: list[Heard], every: int) -> None:
    for symbol, (quantity, entry, multiplier) in HELD.items():
        book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=multiplier, currency="USDT"))
        side = Side.BUY if quantity > 0 else Side.SELL
        fill = OrderFilled(trade_id="T1", symbol=symbol, side=side, quantity=abs(quantity), price=entry)
        book.append(f"order/A/{symbol}", fill, occurred_at=feed[0].at - 1)
    prices = {symbol: Fraction(entry) for symbol, (_, entry, _) in HELD.items()}
    last = dict(prices)
    signs: set[tuple[str, bool]] = set()
    for message in feed[::every]:
        body = message.body
        if body.p is not None:
            prices[body.s] = last[body.s] = Fraction(body.p)
        else:
            # What was paid is the last price until there is a trade.
            prices[body.s] = min(max(last[body.s], Fraction(body.b or 0)), Fraction(body.a or 0))
        observe(book, message, message.at)
        held, paid, worth = map(Fraction, HELD[body.s])
        expected = held * (prices[body.s] - paid) * worth
        price = book.quotes.fresh(body.s, message.at).price
        assert price is not None
        found = book.positions.get("A", body.s).unrealized(price)
        assert Fraction(found) == expected
        (valued,) = (each for each in book.pnl.unrealized("A", message.at) if each.symbol == body.s)
        assert (valued.amount, valued.price, valued.currency, valued.stale) == (found, price, "USDT", False)
        signs.add((body.s, found > 0))
    # A gain and a loss at some time or other, where the file has both sides of the entry.
    assert {symbol for symbol, _ in signs} == set(HELD)
    assert len(signs) > len(HELD)


def passes(book: Book, file: list[tuple[int, bytes]], count: int) -> Iterator[None]:
    """Observe the file several times, each time later by its length, with new event objects, as a feed creates them."""
    length = file[-1][0] - file[0][0] + 1
    for number in range(count):
        for at, raw in file:
            observe(book, Heard(at, decode(raw).data), at + number * length)
        gc.collect()
        yield


@pytest.fixture
def short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices of the confirming window are trimmed a few at a time, so that as many are held after each pass."""
    monkeypatch.setattr(receiving, "HISTORY_MAX", 16)
    monkeypatch.setattr(receiving, "SLACK", 16)


@pytest.mark.slow
def test_passes_of_the_whole_file_leave_no_objects_behind(book: Book, short_history: None) -> None:
    blocks = [sys.getallocatedblocks() for _ in passes(book, lines("eth"), 3)]
    # What a symbol's last thousand ticks are copied with, a quarter more of them, comes to two thousand.
    assert max(blocks[1:]) - blocks[1] < 5_000
    assert len(book.quotes.ticks("ETHUSDT")) == 1_000


@pytest.mark.slow
def test_what_is_observed_takes_no_more_bytes_with_each_pass(book: Book, short_history: None) -> None:
    # A multiple of how often ticks are dropped: as many are then held after each pass.
    file = lines("eth")[: 251 * 40]
    tracemalloc.start()
    try:
        held = [tracemalloc.get_traced_memory()[0] for _ in passes(book, file, 4)]
    finally:
        tracemalloc.stop()
    # A list that grew by eight bytes an event would come to four times as much.
    assert max(held[1:]) - held[1] < 40_000
