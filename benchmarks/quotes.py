"""Quotes: real ones observed by a book with all its views, against decoding them into a plain dict."""

from __future__ import annotations

import gzip
import itertools
import random
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import eventstore
import projections
from benchmarks.rows import Row, compared, row
from benchmarks.timing import in_turns, seconds, spread
from eventstore.events import encode
from eventstore.trading import QuoteReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.setting import Setting
    from projections import Book

RATE_MIN = 100_000
REAL = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "binance"
START = 1_723_161_255_000_000_000
STEP = 1_000_000

DICT = "decoded by msgspec into a plain dict"
ENCODED = "checked and encoded only"


class _Body(msgspec.Struct):
    s: str
    b: Decimal | None = None
    B: Decimal | None = None
    a: Decimal | None = None
    A: Decimal | None = None
    p: Decimal | None = None
    q: Decimal | None = None


class _Message(msgspec.Struct):
    data: _Body


def measure(setting: Setting) -> list[Row]:
    rounds, count = setting.scaled(9, 2), setting.scaled(150_000, 1_000)
    events = list(itertools.islice(_real(), count))
    origin = "of two perpetual futures, as recorded" if events else "made up for two symbols"
    events = events or list(itertools.islice(_made(random.Random(7)), count))
    setting.say(f"quotes: {len(events):,} events {origin}")
    encoded = [encode(event)[1] for event in events]
    with (
        setting.directory() as directory,
        eventstore.open(directory) as store,
        projections.open(store, snapshots=False) as book,
    ):
        began = itertools.count(START, STEP * len(events))

        def rate(action: Callable[[], object]) -> Callable[[], float]:
            return lambda: len(events) / seconds(action)

        measures = {
            "observed": rate(lambda: _observed(book, events, next(began))),
            DICT: rate(lambda: _into_a_dict(encoded)),
            ENCODED: rate(lambda: [encode(event) for event in events]),
        }
        in_turns(1, measures)
        figures = in_turns(rounds, measures, setting.rounds("quotes", rounds))
        views = len(book._fold.slots)  # noqa: SLF001 - how many views each quote goes by
    ours = figures.pop("observed")
    return [
        row(
            "quotes",
            "book.observe: quotes in one thread, with all of a book's views",
            unit="quotes/s",
            figures=ours,
            beside=compared(ours, figures),
            target=f"≥ {RATE_MIN:,} quotes/s",
            met=spread(ours).median >= RATE_MIN,
            note=f"{len(events):,} events {origin}, made beforehand; a book of {views} views",
        )
    ]


def _observed(book: Book, events: list[QuoteReceived], start: int) -> None:
    at = start
    for event in events:
        at += STEP
        book.observe("quote/-/" + event.symbol, event, occurred_at=at)
    quote = book.quotes.get(events[-1].symbol, at)
    assert quote is not None
    assert quote.updated_at == at


def _into_a_dict(encoded: list[bytes]) -> None:
    """The least that keeping the newest quote takes: no checks, no times, no ticks, no fold."""
    decode, newest = msgspec.json.Decoder(QuoteReceived).decode, {}
    for data in encoded:
        event = decode(data)
        newest[event.symbol] = event
    assert newest


def _real() -> itertools.chain[QuoteReceived]:
    """Return the messages of both files, one after the other; none where the folder is absent."""
    return itertools.chain.from_iterable(map(_of_file, sorted(REAL.glob("*.gz"))))


def _of_file(path: Path) -> list[QuoteReceived]:
    decode = msgspec.json.Decoder(_Message).decode
    with gzip.open(path, "rb") as file:
        messages = [decode(line.split(b" ", 1)[1]).data for line in file if b"@bookTicker" in line or b"@trade" in line]
    return [
        QuoteReceived(
            symbol=body.s,
            last=body.p,
            last_size=body.q,
            bid=body.b,
            bid_size=body.B,
            ask=body.a,
            ask_size=body.A,
        )
        for body in messages
    ]


def _made(rng: random.Random) -> Iterator[QuoteReceived]:
    """Yield quotes that walk by chance: three tickers to a trade, as in the recorded ones."""
    tick, prices = Decimal("0.10"), {"BTCUSDT": Decimal("61800.20"), "ETHUSDT": Decimal("2681.60")}
    while True:
        symbol = rng.choice(sorted(prices))
        bid = prices[symbol] = prices[symbol] + tick * rng.randint(-1, 1)
        sizes = [Decimal(rng.randint(1, 9_999)).scaleb(-3) for _ in range(2)]
        if rng.random() < 0.25:
            yield QuoteReceived(symbol=symbol, last=bid, last_size=sizes[0])
        else:
            yield QuoteReceived(symbol=symbol, bid=bid, ask=bid + tick, bid_size=sizes[0], ask_size=sizes[1])
