"""Decimals as text: plain notation, rounded for reading, never rounded to zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateways.presenting.presenter import Presenter

ROUNDED, EXACT = Presenter(), Presenter(exact=True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("5E+1", "50"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("1.500", "1.5"),
        ("1234567.25", "1,234,567.25"),
        ("0.1234567890123456789012345678901234", "0.1234567890123456789012345678901234"),
        ("1E+30", "1,000,000,000,000,000,000,000,000,000,000"),
        ("1E+100", "1e+100"),
        ("1E-100", "1e-100"),
    ],
)
def test_a_quantity_is_shown_whole_and_plain(value: str, shown: str) -> None:
    assert ROUNDED.quantity(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("6650.25", "6,650.25"),
        ("60.10", "60.10"),
        ("60.1", "60.10"),
        ("6650", "6,650.00"),
        ("6.65E+3", "6,650.00"),
        ("1.00000000049", "1.00"),
        ("0.0000000061234567", "0.000000006123"),
        ("-0.0", "0.00"),
        ("-37.63", "-37.63"),
        ("1E+100", "1e+100"),
        ("Infinity", "Infinity"),
    ],
)
def test_a_price_has_eight_decimals_at_most(value: str, shown: str) -> None:
    assert ROUNDED.price(Decimal(value)) == shown


def test_a_mean_price_is_rounded_as_far_as_it_means_something() -> None:
    third = Decimal(1) / 3
    assert ROUNDED.mean(6650 + third) == "6,650.3333"
    assert ROUNDED.mean(1 + third) == "1.333333"
    assert ROUNDED.mean(third / 10_000) == "0.00003333"
    assert EXACT.mean(6650 + third) == f"{6650 + third:,f}"


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("95.5", "USD", "95.50"),
        ("-0.00", "USD", "0.00"),
        ("-0.001", "USD", "-0.001"),
        ("1234.565", "USD", "1,234.56"),
        ("1234.5", "JPY", "1,234"),
        ("1234.5", "KWD", "1,234.500"),
        ("0.00123", "BTC", "0.00123000"),
        ("7E+4", None, "70,000.00"),
        ("12.345678901234567890123456789012345", None, "12.35"),
        ("1E+100", "USD", "1e+100"),
        ("0E+60", "USD", "0.00"),
    ],
)
def test_money_has_the_decimals_of_its_currency(value: str, currency: str | None, shown: str) -> None:
    assert ROUNDED.money(Decimal(value), currency) == shown


def test_exact_shows_every_digit_in_plain_notation() -> None:
    assert EXACT.money(Decimal("12.34567")) == "12.34567"
    assert EXACT.money(Decimal("95.5")) == "95.50"
    assert EXACT.money(Decimal("1E+100")) == f"{10**100:,}"
    assert EXACT.price(Decimal("1.00000000049")) == "1.00000000049"
    assert EXACT.quantity(Decimal("1.50")) == "1.50"


def test_nothing_is_a_dash() -> None:
    for shown in (ROUNDED, EXACT):
        assert {shown.quantity(None), shown.price(None), shown.mean(None), shown.money(None), shown.time(None)} == {"-"}
