"""Rates: the newest of recorded ones and quotes, in both directions, each with its age; absurd ones are confirmed."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    Asset,
    CashKind,
    CashMoved,
    ContractDefined,
    Payoff,
    QuoteReceived,
    RateQuoted,
)
from projections import Book
from projections.valuation import KNOWN, Status
from projections.views import rates
from projections.views.balances import balances_of
from projections.views.rates import Converted, KeptRate, PairRates
from projections.views.valuing import total_in

START = 1_750_000_000 * NANOSECONDS


class Market:
    """A book on a clock that stands where it is put; times are seconds after its start."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store, snapshots=False)

    def rate(self, seconds: float, pair: str, value: str, *, now: float | None = None) -> None:
        """Record a rate of that time, at that time or at another one."""
        self.clock.set(at(seconds if now is None else now))
        event = RateQuoted(base=pair[:3], quote=pair[3:], rate=Decimal(value))
        self.book.append(f"rate/-/{pair}", event, occurred_at=at(seconds))

    def quote(self, seconds: float, symbol: str, **values: Any) -> None:  # noqa: ANN401 - int or text
        self.clock.set(at(seconds))
        members: dict[str, Any] = {name: Decimal(value) for name, value in values.items()}
        self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, **members), occurred_at=at(seconds))

    def contract(self, symbol: str, **members: Any) -> None:  # noqa: ANN401 - of any member's type
        self.book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, **members))

    def convert(self, seconds: float, amount: int = 100, source: str | None = "EUR", target: str | None = "USD") -> Any:  # noqa: ANN401 - for comparing
        """Return the converted amount and its status."""
        found = self.ask(seconds, amount, source, target)
        return found.amount, found.standing.status

    def ask(
        self, seconds: float, amount: int = 100, source: str | None = "EUR", target: str | None = "USD"
    ) -> Converted:
        return self.book.rates.convert(Decimal(amount), source, target, at(seconds))


def at(seconds: float) -> int:
    return START + int(seconds * NANOSECONDS)


@pytest.fixture
def market() -> Iterator[Market]:
    made = Market()
    yield made
    made.book.close()
    made.store.close()


def test_without_a_rate_an_amount_is_unknown_and_both_currencies_are_named(market: Market) -> None:
    found = market.ask(0)
    assert (found.amount, found.standing.status, found.rate, found.rate_at) == (None, Status.UNKNOWN, None, None)
    assert "EUR" in found.standing.why
    assert "USD" in found.standing.why


def test_a_stablecoin_needs_a_rate_too(market: Market) -> None:
    assert market.convert(0, source="USDT") == (None, Status.UNKNOWN)
    market.quote(0, "USDTUSD", last="0.9")
    assert market.convert(0, source="USDT") == (Decimal("90.0"), Status.KNOWN)


def test_a_currency_is_itself_at_one_and_an_unnamed_one_is_the_accounts_own(market: Market) -> None:
    assert market.ask(0, source="USD") == Converted(Decimal(100), KNOWN, Decimal(1))
    assert market.convert(0, source=None) == (100, Status.KNOWN)
    assert market.convert(0, source=None, target=None) == (100, Status.KNOWN)


def test_an_account_whose_currency_is_not_known_has_no_amount_in_others(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    found = market.ask(0, target=None)
    assert (found.amount, found.standing.status) == (None, Status.UNKNOWN)
    assert "AccountOpened" in found.standing.why


def test_nothing_is_nothing_in_any_currency(market: Market) -> None:
    assert market.convert(0, amount=0) == (0, Status.KNOWN)


def test_a_code_in_other_letters_is_another_currency(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    assert market.convert(0, source="eur") == (None, Status.UNKNOWN)


@pytest.mark.parametrize("value", ["0", "-1.1"])
def test_a_rate_of_zero_or_less_is_refused(market: Market, value: str) -> None:
    with pytest.raises(InvalidEvent):
        market.rate(0, "EURUSD", value)


def test_a_rate_of_a_currency_in_itself_is_refused(market: Market) -> None:
    with pytest.raises(InvalidEvent, match="USD in USD"):
        market.rate(0, "USDUSD", "2")
    assert market.ask(0, source="USD").rate == 1


@pytest.mark.parametrize("price", ["0", "-1", "-0.0001"])
def test_a_quote_of_zero_or_less_gives_no_rate(market: Market, price: str) -> None:
    market.quote(0, "EURUSD", last=price)
    assert market.convert(0) == (None, Status.UNKNOWN)


def test_a_rate_is_stale_after_two_minutes_and_says_how_old_it_is(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    assert market.convert(120) == (Decimal("110.0"), Status.KNOWN)
    found = market.ask(121)
    assert (found.amount, found.standing.status, found.standing.age) == (
        Decimal("110.0"),
        Status.STALE,
        121 * NANOSECONDS,
    )
    assert "EURUSD is 121 s old" in found.standing.why


def test_how_old_a_rate_may_be_is_a_setting(market: Market) -> None:
    market.book.rates.stale_after_ns = timedelta(seconds=5)
    market.rate(0, "EURUSD", "1.1")
    assert [market.convert(second)[1] for second in (5, 6)] == [Status.KNOWN, Status.STALE]
    with pytest.raises(InvalidEvent):
        market.book.rates.stale_after_ns = -1


def test_a_rate_from_a_clock_that_runs_ahead_replaces_no_other(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.rate(1_000, "EURUSD", "1.11", now=1)
    assert market.convert(1) == (Decimal("110.0"), Status.KNOWN)


def test_a_rate_from_a_clock_that_runs_ahead_is_stale_and_replaced_by_any_other(market: Market) -> None:
    market.rate(1_000, "EURUSD", "1.3", now=0)
    assert market.convert(1) == (Decimal("130.0"), Status.STALE)
    assert "in the future" in market.ask(1).standing.why
    market.rate(2, "EURUSD", "1.1")
    assert market.convert(2) == (Decimal("110.0"), Status.KNOWN)


def test_a_late_rate_replaces_no_newer_one(market: Market) -> None:
    market.rate(10, "EURUSD", "1.1")
    market.rate(5, "EURUSD", "1.2", now=11)
    assert market.convert(11) == (Decimal("110.0"), Status.KNOWN)


def test_a_late_rate_is_the_observation_before_the_newest(market: Market) -> None:
    """In whatever order two rates are reported, both must show what cannot be undone."""

    def extremes() -> tuple[Decimal, Decimal] | None:
        return market.book.rates.extremes("EUR", "USD", market.clock.now_ns())

    market.rate(60, "EURUSD", "1.1")
    assert extremes() is None
    market.rate(59.5, "EURUSD", "1.3", now=60)
    assert extremes() is None, "less than a second apart, they are one"
    market.rate(20, "EURUSD", "1.15", now=61)
    assert extremes() == (Decimal("1.1"), Decimal("1.15"))
    market.rate(30, "EURUSD", "1.2", now=62)
    assert extremes() == (Decimal("1.1"), Decimal("1.2"))
    market.rate(25, "EURUSD", "1.05", now=63)
    assert extremes() == (Decimal("1.1"), Decimal("1.2")), "it is older than the one before"
    market.rate(40, "EURUSD", "9", now=64)
    assert extremes() == (Decimal("1.1"), Decimal("1.2")), "nobody has confirmed this one"


def test_a_jump_is_used_once_a_second_rate_confirms_it(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.rate(10, "EURUSD", "2.2")
    assert market.convert(10) == (Decimal("110.0"), Status.STALE)
    assert "not confirmed" in market.ask(10).standing.why
    market.rate(10.5, "EURUSD", "2.2")
    assert market.convert(11)[1] is Status.STALE, "half a second later is not a second observation"
    market.rate(11, "EURUSD", "2.3")
    assert market.convert(11) == (Decimal("230.0"), Status.KNOWN)


def test_a_jump_of_exactly_a_fifth_needs_no_confirmation(market: Market) -> None:
    market.rate(0, "EURUSD", "1.0")
    market.rate(10, "EURUSD", "1.2")
    assert market.convert(10) == (Decimal("120.0"), Status.KNOWN)


def test_a_jump_that_the_next_rate_contradicts_is_forgotten(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.rate(10, "EURUSD", "0.011")
    market.rate(20, "EURUSD", "1.1")
    assert market.convert(20) == (Decimal("110.0"), Status.KNOWN)
    market.rate(30, "EURUSD", "0.011")
    assert market.convert(30) == (Decimal("110.0"), Status.STALE), "the first one does not confirm it"


def test_a_jump_to_yet_another_value_confirms_nothing(market: Market) -> None:
    for second, value in enumerate(("1.1", "2.2", "4.4", "8.8")):
        market.rate(10 * second, "EURUSD", value)
    assert market.convert(30) == (Decimal("110.0"), Status.STALE)


def test_a_jump_that_a_late_rate_precedes_is_still_unconfirmed(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.rate(10, "EURUSD", "2.2")
    market.rate(5, "EURUSD", "1.12", now=11)
    assert market.convert(11) == (Decimal("112.00"), Status.STALE)
    market.rate(8, "EURUSD", "2.2", now=12)
    assert market.convert(12) == (Decimal("220.0"), Status.KNOWN)
    assert market.ask(12).rate_at == at(10)


def test_a_rate_stated_the_wrong_way_round_is_a_jump(market: Market) -> None:
    market.rate(0, "USDJPY", "150")
    market.rate(10, "JPYUSD", "150")
    assert market.convert(10, 1, "USD", "JPY") == (150, Status.STALE)


def test_a_rate_serves_both_directions(market: Market) -> None:
    market.rate(0, "USDJPY", "125")
    assert market.convert(0, 1_000, "JPY", "USD") == (8, Status.KNOWN)
    market.rate(1, "JPYUSD", "0.01")
    assert market.convert(1, 1_000, "JPY", "USD") == (10, Status.KNOWN)
    assert market.convert(1, 1, "USD", "JPY") == (100, Status.KNOWN)


def test_the_newest_of_rates_and_quotes_is_used_each_with_its_own_age(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.quote(10, "EURUSD", last="1.2")
    assert market.convert(10) == (Decimal("120.0"), Status.KNOWN)
    assert market.convert(21) == (Decimal("120.0"), Status.STALE), "a quote is stale sooner than a rate"
    market.rate(22, "EURUSD", "1.15")
    assert market.convert(22) == (Decimal("115.00"), Status.KNOWN)


def test_a_quote_of_the_inverse_pair_is_a_rate(market: Market) -> None:
    market.quote(0, "USDJPY", bid="124", ask="126")
    assert market.convert(0, 1_000, "JPY", "USD") == (8, Status.KNOWN)


def test_a_quote_from_a_clock_that_runs_ahead_gives_way(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.book.observe("quote/-/EURUSD", QuoteReceived(symbol="EURUSD", last=Decimal(9)), occurred_at=at(3_600))
    assert market.convert(0) == (Decimal("110.0"), Status.KNOWN)


def test_a_contract_says_which_pair_its_quote_is_a_rate_of(market: Market) -> None:
    market.contract("6E-SPOT", base_currency="EUR", currency="USD")
    market.quote(0, "6E-SPOT", last="1.1")
    assert market.convert(0) == (Decimal("110.0"), Status.KNOWN)
    assert market.convert(0, 110, "USD", "EUR") == (100, Status.KNOWN)
    market.contract("6E-SPOT", base_currency="GBP", currency="USD")
    assert market.convert(0) == (None, Status.UNKNOWN)
    assert market.convert(0, source="GBP") == (Decimal("110.0"), Status.KNOWN)


@pytest.mark.parametrize(
    "members",
    [
        {"currency": "GBP"},
        {"currency": "EUR"},
        {"base_currency": "GBP", "currency": "USD"},
        {"currency": "USD", "expiry": "2025-12-19"},
    ],
)
def test_a_contract_that_contradicts_its_name_gives_no_rate(market: Market, members: dict[str, Any]) -> None:
    market.contract("EURUSD", **members)
    market.quote(0, "EURUSD", last="1.1")
    assert market.convert(0) == (None, Status.UNKNOWN)


@pytest.mark.parametrize("members", [{"currency": "USD"}, {}])
def test_the_price_of_a_coin_margined_contract_is_a_rate_of_its_coin(market: Market, members: dict[str, Any]) -> None:
    market.contract("BTCUSD", base_currency="BTC", payoff=Payoff.INVERSE, **members)
    market.quote(0, "BTCUSD", last="50000")
    assert market.convert(0, 2, "BTC", "USD") == (100_000, Status.KNOWN)


def test_the_mid_is_used_until_only_the_last_price_is_known(market: Market) -> None:
    market.quote(0, "EURUSD", bid="1.1", ask="1.2", last="1.12")
    assert market.convert(0) == (Decimal("115.00"), Status.KNOWN)
    market.quote(11, "EURUSD", last="1.13")
    assert market.convert(11) == (Decimal("113.00"), Status.KNOWN)
    assert market.convert(22)[1] is Status.STALE


@pytest.mark.parametrize("members", [{"expiry": "2025-12-19"}, {"asset": Asset.OPTION}, {"asset": Asset.FUTURE}])
def test_a_future_on_a_currency_gives_no_rate(market: Market, members: dict[str, Any]) -> None:
    market.contract("6EZ5", base_currency="EUR", currency="USD", **members)
    market.quote(0, "6EZ5", last="1.1")
    assert market.convert(0) == (None, Status.UNKNOWN)


def test_a_symbol_that_may_be_another_pair_needs_a_contract(market: Market) -> None:
    market.quote(0, "USDTUSD", last="0.9")
    # It could be USD in TUSD as well as USDT in USD.
    assert market.convert(0, source="USD", target="TUSD") == (None, Status.UNKNOWN)
    market.contract("USDTUSD", currency="TUSD")
    assert market.convert(0, source="USD", target="TUSD") == (Decimal("90.0"), Status.KNOWN)


def test_rates_are_known_after_a_restart_and_quotes_are_not(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    market.quote(5, "EURUSD", last="1.2")
    with projections.open(market.store, snapshots=False) as again:
        found = again.rates.convert(Decimal(100), "EUR", "USD", at(5))
    assert (found.amount, found.standing, found.rate_at) == (Decimal("110.0"), KNOWN, at(0))


def test_a_book_of_the_past_knows_the_rates_of_then(market: Market) -> None:
    market.rate(0, "EURUSD", "1.1")
    head = market.store.head()
    market.rate(60, "EURUSD", "1.2")
    with projections.as_of(market.store, position=head) as past:
        assert past.rates.convert(Decimal(100), "EUR", "USD", at(0)).amount == Decimal("110.0")


def test_above_the_limit_the_pair_with_the_oldest_rate_is_dropped(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "PAIRS_MAX", 2)
    for second, pair in enumerate(("EURUSD", "GBPUSD", "CHFUSD")):
        market.rate(second, pair, "1.5")
    assert [market.convert(3, source=code)[1] for code in ("EUR", "GBP", "CHF")] == [
        Status.UNKNOWN,
        Status.KNOWN,
        Status.KNOWN,
    ]


def test_of_the_symbols_of_a_pair_the_newest_definitions_are_kept(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "SYMBOLS_PER_PAIR_MAX", 2)
    for symbol in ("one", "two", "three"):
        market.contract(symbol, base_currency="EUR", currency="USD")
    market.quote(0, "one", last="1.1")
    assert market.convert(0) == (None, Status.UNKNOWN)
    market.contract("one", base_currency="EUR", currency="USD", tick_size=Decimal("0.01"))
    assert market.convert(0) == (Decimal("110.0"), Status.KNOWN)


def test_what_is_kept_of_a_pair_can_be_read(market: Market) -> None:
    assert market.book.rates.kept("USD", "EUR") is None
    market.rate(0, "EURUSD", "1.1")
    market.rate(10, "EURUSD", "2.2")
    kept = market.book.rates.kept("USD", "EUR")
    used = KeptRate("EUR", "USD", Decimal("1.1"), at(0), at(0), None, 1)
    assert kept == PairRates(used, KeptRate("EUR", "USD", Decimal("2.2"), at(10), at(10), None, 2))


@pytest.mark.slow
def test_an_accounts_balances_are_converted_and_what_has_no_rate_is_named(market: Market) -> None:
    market.book.append("account/A/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
    for currency, amount in (("EUR", 100), ("JPY", -5_000)):
        cash = CashMoved(amount=Decimal(amount), currency=currency, kind=CashKind.TRANSFER)
        market.book.append("account/A/-", cash)
    market.rate(0, "EURUSD", "1.1")
    amounts = balances_of(market.book, "A").amounts
    total = total_in(amounts, "USD", market.book.rates, at(0))
    assert (total.amount, total.standing.status, total.converted) == (Decimal("1110.0"), Status.UNKNOWN, Decimal(110))
    assert "JPY" in total.standing.why
    market.rate(1, "USDJPY", "125")
    total = total_in(amounts, "USD", market.book.rates, at(1))
    assert (total.amount, total.standing, total.converted) == (Decimal(1_070), KNOWN, Decimal(150))
    assert total_in(amounts, "USD", market.book.rates, at(121)).standing.status is Status.STALE
