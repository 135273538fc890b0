"""What a frame looks like in a notebook: figures as people write them."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from projections.analysis import Frame, Kind
from projections.analysis.arrays import array_of
from projections.analysis.columns import Column, Exact, arrow_schema

SECOND = 1_000_000_000


def shown(kind: Kind, value: Any, *, exact: Exact = False) -> str:  # noqa: ANN401 - any value of a column
    """Return the text of one cell."""
    column = Column("c", kind)

    def batches() -> Any:  # noqa: ANN401 - batches of Arrow's
        array = array_of([value], column, exact)
        yield pa.RecordBatch.from_arrays([array], schema=arrow_schema([column], exact))

    html = Frame([column], batches, exact=exact)._repr_html_()
    return html.partition("<tbody>")[2].partition("</td>")[0].rpartition(">")[2]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.DURATION, 0, "0:00:00"),
        (Kind.DURATION, 339_950_000_000, "0:05:39.95"),
        (Kind.DURATION, 100 * 3_600 * SECOND + 1, "100:00:00.000000001"),
        (Kind.DURATION, -90 * SECOND, "-0:01:30"),
        (Kind.INSTANT, 1_700_000_000 * SECOND, "2023-11-14 22:13:20Z"),
        (Kind.INSTANT, 1_700_000_000 * SECOND + 100_000_000, "2023-11-14 22:13:20.1Z"),
        (Kind.INSTANT, 1_700_000_000 * SECOND + 1, "2023-11-14 22:13:20.000000001Z"),
        (Kind.DECIMAL, Decimal("0.1") + Decimal("0.2"), "0.3"),
        (Kind.DECIMAL, Decimal(24_595) + Decimal(17) / 22, "24,595.7727273"),
        (Kind.DECIMAL, Decimal(-100), "-100"),
        (Kind.FLOAT, float("nan"), "nan"),
        (Kind.INTEGER, 1_000_000, "1000000"),
        (Kind.DECIMAL, None, ""),
    ],
)
def test_a_value_is_written_for_people(kind: Kind, value: object, text: str) -> None:
    assert shown(kind, value) == text


def test_exact_decimals_keep_their_digits() -> None:
    assert shown(Kind.DECIMAL, Decimal("0.123456789"), exact=True) == "0.123456789"
    assert shown(Kind.DECIMAL, Decimal("12.250"), exact="text") == "12.250"
