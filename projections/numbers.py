"""Decimals as text: plain notation with thousands separators, rounded only for display, never to a false zero."""

from __future__ import annotations

import re
from decimal import Context, Decimal

# With more digits before the point, or zeros after it, than this, a number is shown in scientific notation.
_PLAIN_MAX = 40
_CONTEXT = Context(prec=2 * _PLAIN_MAX + 20)
_SIGNIFICANT = 4
_POWER_OF_TEN = re.compile(r"-?\d+(?:\.\d+)?[Ee][+-]?\d{1,3}", re.ASCII)
# Ticks have up to seven decimals, for yen; a mean of prices above a hundred is not significant past four.
PRICE_DECIMALS, MEAN_DECIMALS, MEAN_DECIMALS_HIGH = 8, 6, 4
PRICE_DECIMALS_MIN = 2
_HIGH = 100
CURRENCY_DECIMALS = 2
# ISO 4217, where the minor unit is not a hundredth.
_MINOR_UNITS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),  # noqa: SIM905 - a list of words
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("BTC", "ETH", "XBT"), 8),
}


def in_full(value: Decimal) -> str:
    """Return a number exactly as it is, for machines and for copying."""
    return f"{value:f}" if abs(value.adjusted()) < _PLAIN_MAX else str(value)


def without_powers(text: str) -> str:
    """Return text; a number in scientific notation is written in full."""
    return in_full(Decimal(text)) if _POWER_OF_TEN.fullmatch(text) else text


def exact(value: Decimal) -> str:
    """Return every digit of a number, in plain notation with thousands separators."""
    return f"{_unsigned(value):,f}"


def quantity(value: Decimal) -> str:
    """Return a quantity with all its digits, without trailing zeros."""
    return _trimmed(exact(value)) if abs(value.adjusted()) < _PLAIN_MAX else _power(value)


def price(value: Decimal) -> str:
    """Return a price, rounded to eight decimals."""
    return _rounded(value, PRICE_DECIMALS)


def mean(value: Decimal) -> str:
    """Return a mean of prices, rounded to its significant decimals."""
    return _rounded(value, MEAN_DECIMALS_HIGH if abs(value) >= _HIGH else MEAN_DECIMALS)


def minor_unit(currency: str | None) -> int:
    """Return the number of decimals of amounts in a currency."""
    return _MINOR_UNITS.get((currency or "").upper(), CURRENCY_DECIMALS)


def money(value: Decimal, currency: str | None = None) -> str:
    """Return an amount, rounded to its currency's minor unit, two decimals by default."""
    decimals = minor_unit(currency)
    if abs(value.adjusted()) >= _PLAIN_MAX and value:
        return _power(value)
    rounded = _quantized(value, decimals)
    return f"{_unsigned(rounded):,f}" if rounded or not value else _rounded(value, decimals)


def exact_money(value: Decimal, currency: str | None = None) -> str:
    """Return every digit of an amount, with at least the decimals of its currency."""
    decimals = minor_unit(currency)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent > -decimals and value.adjusted() < _PLAIN_MAX:
        return f"{_unsigned(_quantized(value, decimals)):,f}"
    return exact(value)


def _rounded(value: Decimal, decimals: int) -> str:
    if not value.is_finite() or (value and abs(value.adjusted()) >= _PLAIN_MAX):
        return _power(value)
    if value:
        # A figure below one keeps a few significant digits, however small.
        decimals = max(decimals, _SIGNIFICANT - 1 - value.adjusted()) if value.adjusted() < 0 else decimals
    return _trimmed(f"{_unsigned(_quantized(value, decimals)):,f}", least=PRICE_DECIMALS_MIN)


def _quantized(value: Decimal, decimals: int) -> Decimal:
    return _CONTEXT.quantize(value, Decimal((0, (1,), -decimals)))


def _trimmed(text: str, least: int = 0) -> str:
    """Return a number without trailing zeros, but with a minimum number of decimals."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _unsigned(value: Decimal) -> Decimal:
    """Return zero without a sign, any other number as it is."""
    return value or abs(value)


def _power(value: Decimal) -> str:
    return f"{value.normalize(_CONTEXT):.{_SIGNIFICANT}g}" if value.is_finite() else str(value)
