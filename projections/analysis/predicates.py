"""What a predicate of polars says about one column: which texts a row that fits can have there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.analysis.libraries import library

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


def values_of(predicate: Any, column: str) -> tuple[str, ...] | None:  # noqa: ANN401 - an expression of polars
    """Return the texts of a column that fit, sorted; None where others than those that are named may fit as well.

    `predicate` is built of comparisons of columns with constants, IN, IS NULL, AND, OR and NOT, which is all that
    DuckDB gives to a scan. Only the parts that are about this column alone count; the others may only narrow it.
    """
    parts = list(_about(predicate, column))
    named = sorted({text for part in parts for text in _constants(part)})
    # A part is true of all texts between two neighbours of its constants, or of none: one text of each gap stands for
    # all. The least text that is greater than another is that text and a NUL.
    gaps = {"", *(f"{text}\0" for text in named)} - set(named)
    if not parts or _fitting(parts, column, [None, *gaps]):
        return None
    return tuple(text for text in _fitting(parts, column, named) if text is not None)


def fitting(predicate: Any, column: str, values: Collection[str]) -> tuple[str, ...]:  # noqa: ANN401 - the same
    """Return the texts, of all that a column has, that a row which fits can have there."""
    return tuple(text for text in _fitting(_about(predicate, column), column, values) if text is not None)


def _fitting(parts: Iterable[Any], column: str, values: Iterable[str | None]) -> list[str | None]:
    pl = library("polars")
    frame = pl.DataFrame({column: list(values)}, schema={column: pl.String})
    for part in parts:
        frame = frame.filter(part)
    fits: list[str | None] = frame[column].to_list()
    return fits


def _about(predicate: Any, column: str) -> Iterator[Any]:  # noqa: ANN401 - the same
    """Yield the parts of a conjunction that are about one column alone."""
    inputs = predicate.meta.pop()
    # Polars takes an expression apart in either order, and says nothing about what joined its parts.
    if len(inputs) == 2 and any((one & other).meta.eq(predicate) for one, other in (inputs, inputs[::-1])):  # noqa: PLR2004
        for each in inputs:
            yield from _about(each, column)
    elif set(predicate.meta.root_names()) == {column}:
        yield predicate


def _constants(expression: Any) -> Iterator[str]:  # noqa: ANN401 - the same
    """Yield the texts that an expression names."""
    if inputs := expression.meta.pop():
        for each in inputs:
            yield from _constants(each)
    elif not expression.meta.root_names():
        values = library("polars").select(expression).to_series()
        while values.dtype.is_nested():
            values = values.explode()
        yield from (value for value in values.to_list() if isinstance(value, str))
