"""When two amounts are the same one rounded, and when a price is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from projections.auditing.statements.agreement import is_same_amount, is_same_price


@pytest.mark.parametrize(
    ("here", "there", "count", "is_same"),
    [
        ("0.74", "0.740", 1, True),
        ("0.744", "0.74", 1, True),
        ("0.7451", "0.74", 1, False),
        ("0.74", "0.75", 1, False),
        ("2", "2.01", 1, False),
        # Money is rounded to cents at most, whatever else is cut off.
        ("1000.004", "1000", 1, True),
        ("1000.4", "1000", 1, False),
        ("0.00001234", "0.0000123", 1, True),
        ("0.00001234", "0.0000124", 1, False),
        # Nothing is nothing, unless it is written with the digits of what was rounded away.
        ("0.00001234", "0", 1, False),
        ("0", "0.004", 1, False),
        ("0.004", "0.00", 1, True),
        ("0.006", "0.00", 1, False),
        ("-0.004", "0.00", 1, True),
        ("3.74", "3.73", 2, True),
        ("3.74", "3.72", 2, False),
    ],
)
def test_amounts(here: str, there: str, count: int, is_same: bool) -> None:
    assert is_same_amount(Decimal(here), Decimal(there), count) is is_same
    assert is_same_amount(Decimal(there), Decimal(here), count) is is_same


@pytest.mark.parametrize(
    ("there", "parts", "tick", "is_same"),
    [
        ("6700.25", [(1, "6700.25")], None, True),
        ("6700.3", [(1, "6700.25")], "0.25", True),
        ("6700", [(1, "6700.25")], "0.25", False),
        ("6700.3", [(1, "6700.25")], None, False),
        ("6700.38", [(1, "6700.25")], "0.25", False),
        ("6700.33", [(1, "6700"), (2, "6700.5")], None, True),
        ("6700.34", [(1, "6700"), (2, "6700.5")], None, False),
    ],
)
def test_prices(there: str, parts: list[tuple[int, str]], tick: str | None, is_same: bool) -> None:
    given = [(Decimal(quantity), Decimal(price)) for quantity, price in parts]
    assert is_same_price(Decimal(there), given, None if tick is None else Decimal(tick)) is is_same
