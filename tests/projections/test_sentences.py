"""Sentences of rules: amounts of any size in a readable number of digits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from projections.risk.limits.sentences import money


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("-0", "0.00"),
        ("-725.5", "-725.50"),
        ("5E+4", "50,000.00"),
        ("-0.001", "-0.001"),
        ("0.3333333333333333333333333333333333", "0.33333333"),
        ("-1E-30", "0.00"),
        ("1E+24", "1,000,000,000,000,000,000,000,000.00"),
        ("1E+40", "1e+40"),
        ("-1E+90", "-1e+90"),
    ],
)
def test_an_amount_is_written_in_a_readable_length(amount: str, shown: str) -> None:
    assert money(Decimal(amount)) == shown
