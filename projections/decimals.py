"""Exact arithmetic: the one decimal context that every fold and every figure is computed in, and zero."""

import decimal
from decimal import Decimal

# Whatever context a thread has: IEEE 754 decimal128's precision and rounding, and an error where a result would not
# be a number.
FIXED = decimal.Context(
    prec=34,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
ZERO = Decimal(0)
EXACTLY = FIXED.copy()
"""For sums of results that may be corrected later: it has digits for the largest and the smallest number together."""
EXACTLY.prec = 300
