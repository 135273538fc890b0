"""Rows that are computed one by one, such as those of past states, as Arrow batches of typed columns."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from projections.analysis.arrays import array_of
from projections.analysis.columns import arrow_schema
from projections.analysis.libraries import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from projections.analysis.columns import Column, Exact

ROWS_MAX = 10_000
"""How many rows are in memory as Python's values before they become a batch."""


def batches_of(rows: Iterable[tuple[Any, ...]], columns: Sequence[Column], exact: Exact) -> Iterator[Any]:
    """Yield record batches of rows, each a value for each column; None is null.

    Raises InvalidEvent for a Decimal that does not fit the type that `exact` asks for.
    """
    pa = arrow()
    schema = arrow_schema(columns, exact)
    remaining = iter(rows)
    while some := list(itertools.islice(remaining, ROWS_MAX)):
        arrays = [
            array_of(values, column, exact) for values, column in zip(zip(*some, strict=True), columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
