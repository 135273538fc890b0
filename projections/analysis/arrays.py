"""Values as Arrow arrays of a column's type: from Python's values, and from the text that stands in an event's data."""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import InvalidEvent
from eventstore.errors import shown
from projections.analysis.columns import PRECISION, SCALE, TEXT_DECIMALS, Column, Kind, arrow_type
from projections.analysis.libraries import arrow, compute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.analysis.columns import Exact

_JSON = msgspec.json.Encoder(decimal_format="string")


def array_of(values: Sequence[Any], column: Column, exact: Exact) -> Any:  # noqa: ANN401 - an array of Arrow's
    """Return values of events and of views as an array; None is null.

    Raises InvalidEvent for a Decimal that does not fit the type that `exact` asks for.
    """
    pa = arrow()
    target = arrow_type(column, exact)
    match column.kind:
        case Kind.DECIMAL:
            return _decimals(values, column, exact)
        case Kind.ENUM:
            texts = [value if type(value) is str else _text(value) for value in values]
            return _dictionary(pa.array(texts, pa.string()), column)
        case Kind.TEXT | Kind.JSON:
            return pa.array([value if type(value) is str else _text(value) for value in values], target)
        case Kind.INSTANT | Kind.DURATION | Kind.INTEGER:
            return _integers(values, column).cast(target)
        case _:
            return pa.array(values, target)


def _text(value: Any) -> str | None:  # noqa: ANN401 - any member of any event
    if value is None:
        return None
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int | Decimal | datetime.date) or not isinstance(value, msgspec.Struct | dict | tuple | list):
        return str(value)
    return _JSON.encode(value).decode()


def _integers(values: Sequence[Any], column: Column) -> Any:  # noqa: ANN401 - an array of Arrow's
    try:
        return arrow().array(values, arrow().int64())
    except (OverflowError, ValueError) as e:
        wrong = [value for value in values if value is not None and not -(1 << 63) <= value < 1 << 63]
        msg = f"{column.name} = {shown(wrong[:1])} does not fit 64 bits: leave the column out by `columns`"
        raise InvalidEvent(msg) from e


def _decimals(values: Sequence[Any], column: Column, exact: Exact) -> Any:  # noqa: ANN401 - an array of Arrow's
    pa = arrow()
    target = arrow_type(column, exact)
    if exact == TEXT_DECIMALS:
        return pa.array([None if value is None else str(value) for value in values], target)
    if not exact:
        return pa.array([None if value is None else float(value) for value in values], target)
    return pa.array([None if value is None else scaled(value, column.name) for value in values], target)


def scaled(value: Decimal | int, name: str) -> Decimal:
    """Return a Decimal with nine decimals; raise InvalidEvent, naming it, if that is not what it is exactly."""
    given = Decimal(value)
    with localcontext(prec=3 * PRECISION) as context:
        context.clear_flags()
        fits = given.is_finite() and given.adjusted() < PRECISION - SCALE
        result = given.quantize(Decimal((0, (1,), -SCALE))) if fits else given
        if fits and result == given:
            return result
    msg = (
        f"{name} = {given} does not fit a decimal of {PRECISION} digits with {SCALE} decimals: "
        f"ask for its text by exact={TEXT_DECIMALS!r}, or for rounded numbers by exact=False"
    )
    raise InvalidEvent(msg)


def nulls_of(column: Column, count: int, exact: Exact) -> Any:  # noqa: ANN401 - an array of Arrow's
    """Return a column without values: an enum's dictionary is there all the same, as in every other batch."""
    pa = arrow()
    if column.kind is Kind.ENUM:
        return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), pa.array(column.values, pa.string()))
    return pa.nulls(count, arrow_type(column, exact))


def _dictionary(texts: Any, column: Column) -> Any:  # noqa: ANN401 - arrays of Arrow's
    """Return texts as a dictionary of an enum's values; raise ValueError for one that is none of them."""
    pa, pc = arrow(), compute()
    known = pa.array(column.values, pa.string())
    indices = pc.index_in(texts, value_set=known)
    if indices.null_count != texts.null_count:
        msg = f"{column.name} has values that are none of {', '.join(column.values)}"
        raise ValueError(msg)
    return pa.DictionaryArray.from_arrays(indices, known)


def parsed(texts: Any, column: Column, exact: Exact) -> Any:  # noqa: ANN401 - arrays of Arrow's
    """Return the texts of a column's values in JSON as an array of its type; raise ValueError if one does not fit.

    Numbers are given as such. pyarrow's errors are ValueErrors.
    """
    target = arrow_type(column, exact)
    if column.kind is Kind.ENUM:
        return _dictionary(texts, column)
    if column.kind is Kind.DECIMAL and exact == TEXT_DECIMALS:
        # Kept as they are written, once each is known to be a number.
        texts.cast(arrow().float64())
    return texts if texts.type == target else texts.cast(target)
