"""Exchange rates that quotes state are kept in the log, so that a restart and an as-of know them."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from eventstore.trading import CashKind, CashMoved, ContractDefined, QuoteReceived, RateQuoted
from projections.risk.limits.rates import KeptRates
from projections.risk.policies import Policies
from projections.valuation import Status
from tests.projections.rules_day import ACCOUNT, CALENDAR, SECOND, Day, trading_day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    """An account in USD that also holds 1,000 EUR."""
    day = trading_day(tmp_path / "data", KeptRates())
    day.book.append("contract/-/EURUSD", ContractDefined(symbol="EURUSD", currency="USD", base_currency="EUR"))
    paid = CashMoved(amount=Decimal(1_000), currency="EUR", kind=CashKind.DEPOSIT)
    day.book.append(f"account/{ACCOUNT}/-", paid)
    yield day
    day.close()


def rates(day: Day) -> list[RateQuoted]:
    found = (record.event for record in day.store.read(types=(RateQuoted,)))
    return [event for event in found if isinstance(event, RateQuoted)]


def at(day: Day, *prices: str) -> None:
    """Quote the pair once a second."""
    for price in prices:
        day.pass_seconds(1)
        day.quote(price, "EURUSD")


def test_the_first_rate_that_is_known_is_kept_with_its_source(day: Day) -> None:
    at(day, "1.1000")
    assert rates(day) == [RateQuoted(base="EUR", quote="USD", rate=Decimal("1.1000"), source="EURUSD")]
    [record] = day.store.read(types=(RateQuoted,))
    assert (record.stream, record.actor) == ("rate/-/EURUSD", "policy:rates")


def test_a_rate_that_moves_by_less_than_a_thousandth_is_kept_once_a_minute(day: Day) -> None:
    at(day, *["1.1000", "1.1010"] * 30)
    assert len(rates(day)) == 1
    at(day, "1.1010")
    assert [each.rate for each in rates(day)] == [Decimal("1.1000"), Decimal("1.1010")]


def test_a_rate_that_moves_by_a_thousandth_is_kept_at_once(day: Day) -> None:
    at(day, "1.1000", "1.1010", "1.1011", "1.1012")
    assert [each.rate for each in rates(day)] == [Decimal("1.1000"), Decimal("1.1011")]
    at(day, "1.0999")
    assert [each.rate for each in rates(day)][2:] == [Decimal("1.0999")]


def test_a_pair_that_no_account_converts_at_is_not_kept(day: Day) -> None:
    day.book.append("contract/-/GBPUSD", ContractDefined(symbol="GBPUSD", currency="USD", base_currency="GBP"))
    day.quote("1.30", "GBPUSD")
    day.book.append("contract/-/EURGBP", ContractDefined(symbol="EURGBP", currency="GBP", base_currency="EUR"))
    day.quote("0.85", "EURGBP")
    day.quote("5000")
    assert not rates(day)


def test_an_absurd_rate_is_not_kept(day: Day) -> None:
    at(day, "1.1000", "1.1000", "11.000")
    assert [each.rate for each in rates(day)] == [Decimal("1.1000")]


def test_a_no_quote_value_is_not_kept(day: Day) -> None:
    day.book.observe("quote/-/EURUSD", QuoteReceived(symbol="EURUSD", bid=Decimal(0), ask=Decimal(0)))
    assert not rates(day)


def test_a_restart_and_the_past_know_the_rate(day: Day) -> None:
    at(day, "1.1000")
    [record] = day.store.read(types=(RateQuoted,))
    day.policies.stop()
    day.restart([KeptRates()])
    now = day.book.equity.now(ACCOUNT)
    assert (now.equity, now.status) == (Decimal("51100.0000"), Status.KNOWN)
    before, after = (
        projections.as_of(day.store, position=position).equity.now(ACCOUNT, day.clock.now_ns())
        for position in (record.position - 1, record.position)
    )
    assert (before.equity, before.status) == (50_000, Status.UNKNOWN)
    assert after.equity == Decimal("51100.0000")


def test_only_the_holder_of_the_lease_keeps_rates(day: Day) -> None:
    with projections.open(day.store, snapshots=False, calendars=CALENDAR) as book:
        other = Policies(book, [KeptRates()]).start(ticking=False)
        book.observe("quote/-/EURUSD", QuoteReceived(symbol="EURUSD", last=Decimal("1.2")))
        assert not rates(day)
        at(day, "1.1000")
        day.policies.stop()
        day.pass_seconds(2)
        book.observe("quote/-/EURUSD", QuoteReceived(symbol="EURUSD", last=Decimal("1.2")))
        day.pass_seconds(1)
        book.observe("quote/-/EURUSD", QuoteReceived(symbol="EURUSD", last=Decimal("1.2")))
        assert [each.rate for each in rates(day)] == [Decimal("1.1000"), Decimal("1.2")]
        other.stop()
        day.policies.start(ticking=False)


def test_a_restarted_process_does_not_keep_the_same_rate_again(day: Day) -> None:
    at(day, "1.1000")
    day.policies.stop()
    day.restart([KeptRates()])
    at(day, "1.1001")
    assert len(rates(day)) == 1
    day.clock.advance(60 * SECOND)
    at(day, "1.1001")
    assert len(rates(day)) == 2


@pytest.mark.parametrize(("symbol", "pair"), [("USDCHF", ("USD", "CHF")), ("EURCHF", ("EUR", "CHF"))])
def test_what_a_limit_in_a_currency_of_its_own_converts_at_is_kept(
    day: Day, symbol: str, pair: tuple[str, str]
) -> None:
    def quote() -> None:
        day.pass_seconds(1)
        day.quote("0.90", symbol)

    quote()
    assert rates(day) == []
    day.limit("daily-loss", limit="1000", currency="CHF")
    quote()
    assert [(each.base, each.quote) for each in rates(day)] == [pair]
