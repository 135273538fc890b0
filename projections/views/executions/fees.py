"""Fees by currency: sums that are never added across currencies."""

from decimal import Decimal

from projections.decimals import ZERO

Fees = tuple[tuple[str, Decimal], ...]
"""Fees by currency, sorted; "" stands for those that named none."""


def with_fee(fees: Fees, currency: str, amount: Decimal) -> Fees:
    """Return the fees with one more added; a currency whose fees add up to zero is left out."""
    if len(fees) == 1 and fees[0][0] == currency:
        total = fees[0][1] + amount
        return ((currency, total),) if total else ()
    sums = dict(fees)
    sums[currency] = sums.get(currency, ZERO) + amount
    return tuple(sorted(item for item in sums.items() if item[1]))


def with_fees(fees: Fees, more: Fees) -> Fees:
    """Return both together."""
    if not fees:
        return more
    if len(fees) == 1 and len(more) == 1:
        ((currency, amount),), ((other, added),) = fees, more
        if currency == other:
            # The usual case: all fees are in one currency.
            total = amount + added
            return ((currency, total),) if total else ()
    for currency, amount in more:
        fees = with_fee(fees, currency, amount)
    return fees


def negated(fees: Fees) -> Fees:
    return tuple((currency, -amount) for currency, amount in fees)
