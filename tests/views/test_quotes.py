"""Quotes: the newest of each value, as old as what the price is made of; found by any name, bounded, never stored."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import projections
from eventstore import InvalidEvent, ReadOnly, StoreError
from eventstore.clock import NANOSECONDS
from eventstore.trading import QuoteReceived
from projections import SHARED
from projections.views.quotes import Quote, StaleQuote, Tick, UnknownQuote, view
from tests.projections.examples import in_thread
from tests.views.market import START, Market
from tests.views.position_folding import decimals

NAMES = ("last", "bid", "ask", "last_size", "bid_size", "ask_size")


def seconds(quote: Quote) -> tuple[float, float]:
    """Return when a quote's price was received, and its age."""
    return (quote.quoted_at - START) / NANOSECONDS, quote.age / NANOSECONDS


def test_nothing_is_known_of_a_symbol_without_quotes(market: Market) -> None:
    assert market.book.quotes.get("ESZ5") is None
    assert market.book.quotes.ticks("ESZ5") == ()
    assert market.book.quotes.all() == ()
    market.quote(0, last=5)
    assert market.book.quotes.get("NQZ5") is None
    assert market.book.quotes.ticks("NQZ5") == ()
    assert repr(market.book.quotes) == "<Quotes of 1 symbols, stale after 10 s>"


def test_a_quote_has_every_value_received_and_when(market: Market) -> None:
    market.quote(1, last="6000.25", bid="6000.00", ask="6000.50", last_size=1, bid_size=20, ask_size=30)
    quote = market.ask(3)
    values = tuple(getattr(quote, name) for name in NAMES)
    assert values == decimals("6000.25", "6000.00", "6000.50", 1, 20, 30)
    assert (quote.symbol, quote.price, quote.stale) == ("ESZ5", Decimal("6000.25"), False)
    assert seconds(quote) == (1, 2)
    assert quote.last_at == quote.bid_at == quote.ask_at == quote.updated_at == quote.quoted_at
    assert market.book.quotes.all(START) == (market.ask(0),)


def test_what_an_event_leaves_out_stands_as_it_was(market: Market) -> None:
    market.quote(0, last=100, last_size=1, bid=99, bid_size=2)
    market.quote(1, ask=101)
    market.quote(2, bid=98)
    quote = market.ask(2)
    assert [getattr(quote, name) for name in NAMES] == [100, 98, 101, 1, 2, None]
    assert [(at or 0) - START for at in (quote.last_at, quote.bid_at, quote.ask_at)] == [0, 2 * 10**9, 10**9]
    assert quote.updated_at == START + 2 * NANOSECONDS


@pytest.mark.parametrize(
    ("received", "price"),
    [
        ({"last": 10, "bid": 8, "ask": 9}, "10"),
        ({"bid": "6000.25", "ask": "6000.50"}, "6000.375"),
        ({"mark": 7}, "7"),
        ({"mark": 7, "bid": 8, "ask": 9}, "8.5"),
        ({"bid": 8}, None),
        ({"ask": 9}, None),
        ({"last": -37, "bid": -38}, None),
        ({"last": 0, "bid": 1}, None),
    ],
)
def test_the_price_is_the_last_else_the_mid_else_the_mark(
    market: Market, received: dict[str, Any], price: str | None
) -> None:
    market.quote(0, **received)
    assert market.ask(0).price == (None if price is None else Decimal(price))


def test_what_was_never_received_has_no_value_and_no_time(market: Market) -> None:
    market.quote(0, ask_size=1)
    quote = market.ask(0)
    assert [getattr(quote, name) for name in NAMES] == [None] * 5 + [1]
    assert (quote.last_at, quote.bid_at, quote.ask_at, quote.updated_at) == (None, None, None, START)


def test_a_price_is_stale_when_more_than_ten_seconds_have_gone_by(market: Market) -> None:
    market.quote(0, last=10)
    at = START + 10 * NANOSECONDS
    assert not market.ask(10).stale
    stale = market.book.quotes.get("ESZ5", at + 1)
    assert stale is not None
    assert (stale.stale, stale.age) == (True, 10 * NANOSECONDS + 1)


def test_a_new_bid_makes_no_old_last_fresh(market: Market) -> None:
    market.quote(0, last=100)
    market.quote(3_600, bid=99)
    quote = market.ask(3_601)
    assert (quote.price, quote.stale, seconds(quote)) == (100, True, (0, 3_601))
    assert quote.updated_at == START + 3_600 * NANOSECONDS
    with pytest.raises(StaleQuote):
        market.book.quotes.fresh("ESZ5", START + 3_601 * NANOSECONDS)
    market.quote(3_602, last=101)
    assert seconds(market.ask(3_603)) == (3_602, 1)


def test_the_mid_is_as_old_as_the_older_of_bid_and_ask(market: Market) -> None:
    market.quote(0, bid=9)
    market.quote(8, ask=11)
    assert (market.ask(9).price, seconds(market.ask(9))) == (10, (0, 9))
    assert market.ask(11).stale
    market.quote(12, bid=9)
    assert seconds(market.ask(12)) == (8, 4)


def test_sizes_alone_are_not_a_price(market: Market) -> None:
    market.quote(0, bid_size=5)
    quote = market.ask(0)
    assert (quote.price, quote.bid_size, quote.stale) == (None, 5, True)
    with pytest.raises(UnknownQuote):
        market.book.quotes.fresh("ESZ5", START)


def test_fresh_returns_the_quote_or_says_why_not_and_what_to_do(market: Market) -> None:
    with pytest.raises(UnknownQuote, match="never stored, so observe one on quote/-/ESZ5") as unknown:
        market.book.quotes.fresh("ESZ5")
    market.quote(0, last=10)
    assert market.book.quotes.fresh("ESZ5").price == 10
    market.clock.advance(11 * NANOSECONDS)
    with pytest.raises(StaleQuote, match=r"ESZ5 is 11\.000 s old and 10 s are allowed: check the feed") as stale:
        market.book.quotes.fresh("ESZ5")
    assert (unknown.value.symbol, stale.value.symbol, stale.value.age_ns) == ("ESZ5", "ESZ5", 11 * NANOSECONDS)
    assert issubclass(StaleQuote, StoreError)
    assert issubclass(UnknownQuote, StoreError)


def test_how_old_a_price_may_be_can_be_set(market: Market) -> None:
    assert market.book.quotes.stale_after_ns == 10 * NANOSECONDS
    market.quote(0, last=10)
    market.book.quotes.stale_after_ns = timedelta(seconds=2)
    assert [market.ask(age).stale for age in (2, 3)] == [False, True]
    market.book.quotes.stale_after_ns = 60 * NANOSECONDS
    assert [market.ask(age).stale for age in (60, 61)] == [False, True]
    with pytest.raises(InvalidEvent):
        market.book.quotes.stale_after_ns = -1


def test_an_event_that_comes_late_overwrites_nothing_newer(market: Market) -> None:
    market.quote(5, last=100, last_size=1)
    market.quote(3, now=6, last=99, last_size=99, bid=99, ask=101)
    quote = market.ask(6)
    # The spread is news, though it is older than the last.
    assert (quote.last, quote.last_size, quote.bid) == (100, 1, 99)
    assert (quote.bid_at, quote.updated_at) == (START + 3 * NANOSECONDS, START + 5 * NANOSECONDS)
    market.quote(4, now=6, bid=98)
    market.quote(3, now=6, bid=97)
    assert market.ask(6).bid == 98
    market.quote(5, now=6, last=101)
    assert market.ask(6).last == 101


def test_a_size_received_alone_stands_against_an_older_one(market: Market) -> None:
    market.quote(1, bid=99, bid_size=1, ask=100)
    market.quote(5, bid_size=5)
    market.quote(3, now=5, bid=98, bid_size=3)
    assert (market.ask(5).bid, market.ask(5).bid_size) == (98, 5)


def test_a_price_from_ahead_of_the_clock_does_not_stand_for_good(market: Market) -> None:
    market.quote(3_600, now=0, last=99)
    assert (market.ask(0).stale, market.ask(0).age) == (True, -3_600 * NANOSECONDS)
    market.quote(1, last=10)
    assert (market.ask(1).last, market.ask(1).updated_at) == (10, START + NANOSECONDS)
    # A feed whose clock runs ahead a little is in order by its own times.
    market.quote(4, now=2, last="10.1")
    market.quote(3, now=2, last="10.2")
    assert (market.ask(2).last, market.ask(2).stale) == (Decimal("10.1"), False)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_that_is_not_a_number_is_refused_and_changes_nothing(market: Market, name: str, value: str) -> None:
    market.quote(0, last=10, bid=9)
    before = market.ask(0)
    with pytest.raises(InvalidEvent, match=rf"QuoteReceived\.{name}"):
        market.quote(1, "ESZ5", now=None, **{name: value})
    assert market.ask(0) == before
    assert market.book.parked == {}


def test_a_float_is_refused(market: Market) -> None:
    with pytest.raises(InvalidEvent, match="give a Decimal"):
        market.book.observe("quote/-/ESZ5", QuoteReceived(symbol="ESZ5", last=0.1))  # type: ignore[arg-type]
    assert market.book.quotes.get("ESZ5") is None


def test_a_whole_number_reads_as_a_decimal_and_text_is_refused(market: Market) -> None:
    market.book.observe("quote/-/ESZ5", QuoteReceived(symbol="ESZ5", last=5))  # type: ignore[arg-type]
    assert type(market.ask(0).last) is Decimal
    with pytest.raises(InvalidEvent, match=r"QuoteReceived\.last = '4\.50': expected a finite number"):
        market.book.observe("quote/-/ESZ5", QuoteReceived(symbol="ESZ5", last="4.50"))  # type: ignore[arg-type]


def test_a_quote_is_found_by_a_broker_s_name_for_it(market: Market) -> None:
    market.quote(0, last=10)
    market.names("CON.F.US.EP.Z25", "@ES")
    for name in ("ESZ5", "CON.F.US.EP.Z25", "@ES"):
        assert market.ask(1, name) == market.ask(1)
        assert market.book.quotes.ticks(name) == (Tick(START, Decimal(10)),)
        assert market.book.quotes.fresh(name, START).symbol == "ESZ5"


def test_a_quote_received_under_a_broker_s_name_is_found_by_the_symbol(market: Market) -> None:
    market.quote(0, "@ES", last=10)
    assert market.book.quotes.get("ESZ5") is None
    market.names("@ES")
    assert (market.ask(1).symbol, market.ask(1).last) == ("ESZ5", 10)


def test_of_several_names_the_newest_price_counts(market: Market) -> None:
    market.names("@ES", "EP")
    market.quote(0, "ESZ5", last=1)
    market.quote(2, "@ES", last=2)
    market.quote(3, "EP", bid_size=3)
    assert [market.ask(3, name).last for name in ("ESZ5", "@ES", "EP")] == [2, 2, 2]
    market.quote(4, "ESZ5", last="1.01")
    assert market.ask(4, "@ES").last == Decimal("1.01")
    assert [tick.last for tick in market.book.quotes.ticks("ESZ5")] == [1, 2, None, Decimal("1.01")]


def test_a_broker_s_name_that_is_another_contract_s_symbol_does_not_mix_them(market: Market) -> None:
    market.names("NQZ5")
    market.names(symbol="NQZ5")
    market.quote(0, "ESZ5", last=1)
    market.quote(1, "NQZ5", last=2)
    assert (market.ask(1, "ESZ5").last, market.ask(1, "NQZ5").last) == (1, 2)


def test_ticks_are_the_last_thousand_events_as_received(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    assert view.TICKS_MAX == 1_000
    for module in ("view", "queries"):
        monkeypatch.setattr(f"projections.views.quotes.{module}.TICKS_MAX", 100)
    for number in range(1, 240):
        market.quote(number, bid_size=number)
        assert len(market.book.quotes.ticks("ESZ5")) == min(number, 100)
    ticks = market.book.quotes.ticks("ESZ5")
    assert [tick.bid_size for tick in ticks] == list(range(140, 240))
    assert ticks[-1] == Tick(START + 239 * NANOSECONDS, bid_size=Decimal(239))
    assert len(market.book.state("quotes", SHARED).symbols["ESZ5"].ticks) <= 125


def test_ticks_of_several_names_are_in_the_order_of_time(market: Market) -> None:
    market.names("@ES")
    for number in range(1_500):
        market.quote(number, "ESZ5" if number % 2 else "@ES", last=number)
    assert [tick.last for tick in market.book.quotes.ticks("@ES")] == list(range(500, 1_500))


def test_many_symbols_share_the_ticks_there_may_be(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "TICKS_IN_ALL", 40)
    monkeypatch.setattr(view, "TICKS_MAX", 20)
    for number in range(100):
        for symbol in range(10):
            market.quote(number, f"S{symbol}", last=number)
    kept = [market.book.quotes.ticks(f"S{symbol}") for symbol in range(10)]
    assert {tuple(tick.last for tick in ticks[-4:]) for ticks in kept} == {(96, 97, 98, 99)}
    assert {len(ticks) for ticks in kept} <= {4, 5}


def test_of_too_many_symbols_those_longest_without_a_quote_are_forgotten(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "SYMBOLS_MAX", 10)
    for number in range(10):
        market.quote(number, f"S{number}", last=number)
    market.quote(11, "S0", last=0)
    market.quote(12, "S10", last=10)
    assert [quote.symbol for quote in market.book.quotes.all()] == sorted(
        f"S{number}" for number in range(11) if number != 1
    )
    with pytest.raises(UnknownQuote):
        market.book.quotes.fresh("S1")


def test_quotes_are_gone_after_a_restart_and_unknown_in_the_past(market: Market) -> None:
    market.names("@ES")
    market.quote(0, last=10)
    store: Any = market.book._reader
    assert projections.open(store).quotes.get("ESZ5") is None
    past = projections.as_of(store, recorded_at=START + NANOSECONDS)
    assert past.quotes.get("ESZ5") is None
    with pytest.raises(ReadOnly):
        past.observe("quote/-/ESZ5", QuoteReceived(symbol="ESZ5", last=Decimal(1)))


def test_a_quote_that_was_returned_does_not_change(market: Market) -> None:
    market.quote(0, last=10)
    quote, ticks = market.ask(0), market.book.quotes.ticks("ESZ5")
    before = msgspec.msgpack.encode((quote, ticks))
    market.quote(1, last=11)
    assert msgspec.msgpack.encode((quote, ticks)) == before


@pytest.mark.untraced
def test_readers_in_other_threads_see_whole_quotes(market: Market) -> None:
    """Each event has one number six times: a reader that sees two has seen half an event."""
    ended = [False]

    def read() -> None:
        looks = 0
        while not ended[0] or looks < 100:
            looks += 1
            quote = market.book.quotes.get("ESZ5", START)
            if quote is not None:
                assert len({getattr(quote, name) for name in NAMES}) == 1
                ticks = [tick.last for tick in market.book.quotes.ticks("ESZ5") if tick.last is not None]
                # The quote may be there before its tick.
                if not ticks:
                    continue
                assert ticks == list(range(int(ticks[0]), int(ticks[0]) + len(ticks)))
                assert 0 <= quote.age + quote.quoted_at - START <= 0

    join = in_thread(read)
    try:
        for number in range(1_000, 6_000):
            market.quote(number, "ESZ5", now=None, source=None, **dict.fromkeys(NAMES, number))
    finally:
        ended[0] = True
        join()
