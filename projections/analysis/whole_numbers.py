"""Decimal columns as whole numbers of a power of ten, so that sums and products of columns are exact."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import InvalidEvent
from eventstore.errors import shown
from projections.analysis.arrays import scaled
from projections.analysis.columns import PRECISION, SCALE, TEXT_DECIMALS
from projections.analysis.libraries import arrow, compute, library

if TYPE_CHECKING:
    from projections.analysis.columns import Exact

_DIGITS_MAX = 15
"""A float64 has so many digits of a decimal number for certain."""
_SAMPLE = 1_000
_SUM_MAX = float(1 << 62)
INTEGERS_EXACT, _POWERS_EXACT = float(1 << 53), 22
"""Up to here integers, and powers of ten, are float64 as they are."""


class Whole(NamedTuple):
    """Numbers as `values` ÷ 10**`digits`: int64, or Python's own where these do not suffice."""

    values: Any
    digits: int


def whole(column: Any, name: str) -> Whole:  # noqa: ANN401 - an array of Arrow's
    """Return a column of numbers without nulls as whole numbers; raise InvalidEvent where they are not exact."""
    pa, np = arrow(), library("numpy")
    kind = column.type
    if pa.types.is_integer(kind):
        return _reduced(column.cast(pa.int64()).to_numpy(zero_copy_only=False), 0)
    if pa.types.is_floating(kind):
        return _of_floats(column.cast(pa.float64()).to_numpy(zero_copy_only=False), name)
    if pa.types.is_decimal(kind) and kind.bit_width == 128:  # noqa: PLR2004 - the usual one
        limbs = np.frombuffer(column.buffers()[1], dtype=np.int64)[2 * column.offset :][: 2 * len(column)].reshape(
            -1, 2
        )
        # The upper half says nothing but the sign: the number is in the lower one.
        if ((limbs[:, 0] >> 63) == limbs[:, 1]).all():
            return _reduced(np.ascontiguousarray(limbs[:, 0]), kind.scale)
        return _of_decimals(column.to_pylist())
    if pa.types.is_decimal(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_texts(column, name)
    msg = f"{name} is a column of numbers, not of {kind}"
    raise InvalidEvent(msg)


def _of_texts(column: Any, name: str) -> Whole:  # noqa: ANN401 - the same
    pa = arrow()
    try:
        return whole(column.cast(pa.decimal128(PRECISION, SCALE)), name)
    except ValueError:
        # More decimals than that, or not a number.
        return _of_decimals(_decimals_of(column, name))


def _decimals_of(column: Any, name: str) -> list[Decimal]:  # noqa: ANN401 - the same
    try:
        found = [Decimal(value) for value in column.to_pylist()]
    except InvalidOperation:
        found = [Decimal("NaN")]
    if all(value.is_finite() for value in found):
        return found
    msg = f"{name} has texts that are not numbers"
    raise InvalidEvent(msg) from None


def _of_floats(values: Any, name: str) -> Whole:  # noqa: ANN401 - an array of numpy's
    np = library("numpy")
    for digits in range(SCALE + 1):
        raised = np.rint(values * 10.0**digits)
        if len(values) and not np.abs(raised).max() < 10.0**_DIGITS_MAX:
            break
        if (raised / 10.0**digits == values).all():
            return Whole(raised.astype(np.int64), digits)
    msg = f"{name} has numbers that a float does not hold exactly: take the frame with exact=True, or exact='text'"
    raise InvalidEvent(msg)


def _of_decimals(values: list[Decimal]) -> Whole:
    np = library("numpy")
    digits = max([-int(value.as_tuple().exponent) for value in values], default=0)
    digits = max(digits, 0)
    with localcontext(prec=1_000):
        numbers = [int(value.scaleb(digits)) for value in values]
    found = np.empty(len(numbers), dtype=object)
    found[:] = numbers
    if max((abs(number) for number in numbers), default=0) < 1 << 63:
        return _reduced(found.astype(np.int64), digits)
    return Whole(found, digits)


def _reduced(values: Any, digits: int) -> Whole:  # noqa: ANN401 - an array of numpy's
    """Return numbers without the powers of ten that all of them have."""
    np = library("numpy")
    common = int(np.gcd.reduce(values[:_SAMPLE])) if len(values) else 0
    power = _power_of_ten(common, digits)
    if power and (values % 10**power).any():
        power = _power_of_ten(int(np.gcd.reduce(values)), digits)
    return Whole(values // 10**power if power else values, digits - power)


def _power_of_ten(number: int, most: int) -> int:
    power = 0
    while power < most and number % 10 ** (power + 1) == 0:
        power += 1
    return power


def aligned(one: Whole, other: Whole) -> tuple[Whole, Whole]:
    """Return both as whole numbers of the same power of ten."""
    digits = max(one.digits, other.digits)
    return _raised(one, digits), _raised(other, digits)


def _raised(number: Whole, digits: int) -> Whole:
    if digits == number.digits:
        return number
    factor = 10 ** (digits - number.digits)
    values = number.values
    if largest(values) * factor >= _SUM_MAX:
        values = values.astype(object)
    return Whole(values * factor, digits)


def product(one: Whole, other: Whole) -> Whole:
    """Return the products of two columns; all sums of them are exact too."""
    np = library("numpy")
    first, second = one.values, other.values
    if object not in {first.dtype, second.dtype}:
        # Whatever is summed of these, in whatever order, lies within the sum of all magnitudes.
        total = float(np.abs(first.astype(np.float64)) @ np.abs(second.astype(np.float64)))
        if total >= _SUM_MAX:
            first = first.astype(object)
    return Whole(first * second, one.digits + other.digits)


def summable(number: Whole) -> Whole:
    """Return numbers of which any sums and differences are exact."""
    np = library("numpy")
    values = number.values
    if values.dtype != object and float(np.abs(values.astype(np.float64)).sum()) >= _SUM_MAX:
        return Whole(values.astype(object), number.digits)
    return number


def largest(values: Any) -> float:  # noqa: ANN401 - the same
    """Return the largest magnitude, 0 if there is none."""
    np = library("numpy")
    if not len(values):
        return 0.0
    return (
        float(max(abs(int(values.max())), abs(int(values.min()))))
        if values.dtype == object
        else float(np.abs(values.astype(np.float64)).max())
    )


def column_of(number: Whole, name: str, exact: Exact, missing: Any = None) -> Any:  # noqa: ANN401 - arrays
    """Return whole numbers as a column of decimals, as `exact` says; `missing` marks nulls.

    Raises InvalidEvent, naming it, for a number that decimal128(38, 9) does not hold.
    """
    pa, np = arrow(), library("numpy")
    values, digits = number
    if exact is False:
        return pa.array(_floats(values, digits), mask=missing)
    if values.dtype == object or digits > PRECISION:
        return _written(
            [None if lost else Decimal(int(value)).scaleb(-digits) for value, lost in _pairs(values, missing)],
            name,
            exact,
        )
    limbs = np.empty((len(values), 2), dtype=np.int64)
    limbs[:, 0], limbs[:, 1] = values, values >> 63
    found = pa.Array.from_buffers(pa.decimal128(PRECISION, digits), len(values), [None, pa.py_buffer(limbs)])
    if missing is not None:
        found = compute().if_else(pa.array(~missing), found, pa.scalar(None, found.type))
    if exact == TEXT_DECIMALS:
        return _written(found.to_pylist(), name, exact)
    try:
        return found.cast(pa.decimal128(PRECISION, SCALE))
    except ValueError:
        return _written(found.to_pylist(), name, exact)


def _floats(values: Any, digits: int) -> Any:  # noqa: ANN401 - arrays of numpy's
    """Return the floats that are nearest to numbers."""
    np = library("numpy")
    if digits <= _POWERS_EXACT and largest(values) < INTEGERS_EXACT:
        # Both are floats as they are, so their quotient is rounded once.
        return values.astype(np.float64) / 10.0**digits
    return np.array([float(Decimal(int(value)).scaleb(-digits)) for value in values], dtype=np.float64)


def _pairs(values: Any, missing: Any) -> Any:  # noqa: ANN401 - the same
    return zip(values, [False] * len(values) if missing is None else missing, strict=True)


def _written(values: list[Decimal | None], name: str, exact: Exact) -> Any:  # noqa: ANN401 - an array of Arrow's
    pa = arrow()
    if exact == TEXT_DECIMALS:
        return pa.array([None if value is None else format(value, "f") for value in values], pa.string())
    return pa.array(
        [None if value is None else scaled(value, name) for value in values], pa.decimal128(PRECISION, SCALE)
    )


def numbers_of(table: Any, name: str, *, default: int | None = None) -> Whole:  # noqa: ANN401 - a table of Arrow's
    """Return a column of a table as whole numbers; nulls, and a column that is missing, are the default.

    Raises InvalidEvent where there is none.
    """
    pa, np = arrow(), library("numpy")
    if name not in table.column_names:
        if default is None:
            msg = f"there is no column {shown(name)}, only {', '.join(table.column_names)}"
            raise InvalidEvent(msg)
        return Whole(np.full(table.num_rows, default, dtype=np.int64), 0)
    column = table.column(name)
    column = (
        column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])
    )
    if column.null_count:
        if default is None:
            msg = f"{name} is missing in {column.null_count:,} rows"
            raise InvalidEvent(msg)
        kind = column.type
        column = column.fill_null(
            pa.scalar(str(default)).cast(kind) if pa.types.is_string(kind) else pa.scalar(default).cast(kind)
        )
    return whole(column, name)
