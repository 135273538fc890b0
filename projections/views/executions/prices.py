"""What a price counts for in a contract's arithmetic: itself, or for an inverse contract -1 ÷ price."""

from decimal import Decimal

from projections.decimals import FIXED, ZERO

LAST_DECIMAL = Decimal("1e-20")
"""A quotient without end is rounded to it."""
_DECIMAL_PLACES = 20
_WHOLE_DIGITS_MAX = 13
_ONE = Decimal(1)


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Return a quotient, rounded to 20 decimals where it has no end.

    So the sums that it enters stay exact, and do not depend on the order in which they are made.
    """
    exact = dividend / divisor
    if exact * divisor == dividend or exact.adjusted() >= _WHOLE_DIGITS_MAX:
        return exact
    return exact.quantize(LAST_DECIMAL) or exact


def has_value(price: Decimal, *, inverse: bool) -> bool:
    """Return whether a price counts for anything: at zero or below, an inverse contract has no result."""
    return not inverse or price > ZERO


def value_of(price: Decimal, *, inverse: bool) -> Decimal:
    """Return what a price counts for, so that a result is always quantity × (value at the exit − value at the entry).

    For an inverse contract that is quantity × (1 ÷ entry − 1 ÷ exit), in the base currency: Bybit's help center,
    "Profit & Loss calculations (Inverse Contracts)"; Binance's "A Beginner's Guide to Futures Trading", section "COIN-M
    Futures", there with the contract's multiplier. Callers have made sure that the price has a value.
    """
    if not inverse:
        return price
    value = -_ONE / price
    if int(value.as_tuple().exponent) >= -_DECIMAL_PLACES or value.adjusted() >= _WHOLE_DIGITS_MAX:
        return value
    # With as many decimals as a quotient has, sums of them stay exact.
    return value.quantize(LAST_DECIMAL) or value


def price_of(value: Decimal, *, inverse: bool) -> Decimal:
    """Return the price that counts for a value; of a mean of inverse values, the harmonic mean of their prices."""
    if not inverse:
        return value
    # A value has 20 decimals: no more digits of its price are known.
    digits = min(max(value.adjusted() + _DECIMAL_PLACES, 1), FIXED.prec)
    context = FIXED.copy()
    context.prec = digits
    price = context.divide(-_ONE, value).normalize(context)
    return price.quantize(_ONE) if int(price.as_tuple().exponent) > 0 else price
