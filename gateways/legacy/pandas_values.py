"""Series, frames and arrays in a state: exact, with their types, index and names; and the series of old JSON files.

Nothing here imports pandas before a value of it is met: what has none needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventstore import InvalidEvent

TYPE = "$type"
KINDS = frozenset({"series", "frame", "array", "timestamp", "pandas_timedelta", "nat", "file_series"})
_PLAIN_DTYPES = "biuf"
_LIBRARIES = frozenset({"pandas", "numpy"})

Encode = Callable[[object, object], Any]
Decode = Callable[[Any], Any]


class FileSeries:
    """A series or a frame as the old file manager wrote it in JSON: an object with these members."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value


def is_foreign(value: object) -> bool:
    """Return whether a value is of pandas or numpy; a Timestamp of theirs is a datetime too, with nanoseconds."""
    return type(value).__module__.partition(".")[0] in _LIBRARIES


def encode(value: Any, encode_item: Encode, decode_item: Decode) -> Any:  # noqa: ANN401 - of libraries that may be missing
    """Return a value of pandas or numpy as plain JSON; None for any other."""
    if not is_foreign(value):
        return None
    match type(value).__name__:
        case "Series":
            plain = {TYPE: "series", "name": encode_item(value.name, "its name")}
            plain["column"] = _encoded_column(value, encode_item)
            return _checked(value, plain, encode_item, decode_item)
        case "DataFrame":
            plain = {TYPE: "frame", "columns": _encoded_index(value.columns, encode_item)}
            columns = (value.iloc[:, number] for number in range(value.shape[1]))
            plain["data"] = [_encoded_column(column, encode_item) for column in columns]
            return _checked(value, plain, encode_item, decode_item)
        case "ndarray" if value.dtype.kind in _PLAIN_DTYPES:
            values = encode_item(value.ravel().tolist(), "its values")
            return {TYPE: "array", "dtype": str(value.dtype), "shape": list(value.shape), "values": values}
    return _encoded_scalar(value, encode_item)


def _encoded_scalar(value: Any, encode_item: Encode) -> Any:  # noqa: ANN401 - the same
    match type(value).__name__:
        case "Timestamp":
            zone = getattr(value.tz, "key", None) or getattr(value.tz, "zone", None)
            return {TYPE: "timestamp", "value": value.isoformat(), "zone": zone, "unit": value.unit}
        case "Timedelta":
            return {TYPE: "pandas_timedelta", "value": value.value, "unit": value.unit}
        case "NaTType":
            return {TYPE: "nat"}
    if getattr(value, "shape", None) == () and value.dtype.kind in _PLAIN_DTYPES:
        return encode_item(value.item(), "its value")
    return None


def decode(plain: dict[str, Any], decode_item: Decode) -> Any:  # noqa: ANN401 - the same
    """Return what `encode` was given; raise ImportError, naming the extra to install, without the library."""
    kind = plain[TYPE]
    if kind == "file_series":
        return _of_file(plain["value"], decode_item)
    if kind == "array":
        values = _library("numpy").array(decode_item(plain["values"]), dtype=plain["dtype"])
        return values.reshape(plain["shape"])
    pandas = _library("pandas")
    if kind == "series":
        return _column(pandas, plain["column"], decode_item, _index(pandas, plain["index"], decode_item)).rename(
            decode_item(plain["name"])
        )
    if kind == "frame":
        return _frame(pandas, plain, decode_item)
    if kind == "timestamp":
        value = pandas.Timestamp(plain["value"]).as_unit(plain["unit"])
        return value if plain["zone"] is None else value.tz_convert(plain["zone"])
    return pandas.NaT if kind == "nat" else pandas.Timedelta(plain["value"]).as_unit(plain["unit"])


def with_file_series(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return what a JSON file has, with its series and frames as such: the old file manager loaded them as pandas'."""
    if isinstance(value, list):
        return [with_file_series(item) for item in value]
    if not isinstance(value, dict):
        return value
    return FileSeries(value) if _is_file_series(value) else {key: with_file_series(item) for key, item in value.items()}


def _is_file_series(value: dict[str, Any]) -> bool:
    shapes = {"series": {"type", "index", "values", "name"}, "dataframe": {"type", "index", "values", "columns"}}
    index, values = value.get("index"), value.get("values")
    if not (isinstance(index, list) and isinstance(values, list) and len(index) == len(values)):
        return False
    return isinstance(value.get("type"), str) and shapes.get(value["type"]) == set(value)


def _checked(value: Any, plain: dict[str, Any], encode_item: Encode, decode_item: Decode) -> dict[str, Any]:  # noqa: ANN401 - pandas
    """Add the index of a Series or a frame, and read it back once: only what comes back the same is kept."""
    plain["index"] = _encoded_index(value.index, encode_item)
    again = decode(plain, decode_item)
    if not (again.equals(value) and again.index.equals(value.index)):
        msg = f"this {type(value).__name__} cannot be kept exactly: save plain values of it"
        raise InvalidEvent(msg)
    return plain


def _encoded_column(column: Any, encode_item: Encode) -> dict[str, Any]:  # noqa: ANN401 - a Series or an Index
    dtype = column.dtype
    kind = getattr(dtype, "kind", "O")
    if kind in "mM" and not hasattr(dtype, "freq"):
        values = column.astype("int64").tolist()
    elif kind in _PLAIN_DTYPES or str(dtype) in {"object", "str", "string", "boolean", "Int64", "Float64"}:
        # A value that is missing is None here, whatever pandas calls it.
        missing = column.isna().tolist() if str(dtype) in {"string", "boolean", "Int64", "Float64"} else ()
        values = [
            None if index < len(missing) and missing[index] else item for index, item in enumerate(column.tolist())
        ]
        values = encode_item(values, "its values")
    else:
        msg = f"a series of {dtype} cannot be kept: convert it to numbers, text or times, for example by astype(object)"
        raise InvalidEvent(msg)
    return {"dtype": str(dtype), "values": values}


def _column(pandas: Any, plain: dict[str, Any], decode_item: Decode, index: Any = None) -> Any:  # noqa: ANN401 - pandas
    dtype, values = plain["dtype"], decode_item(plain["values"])
    if dtype.startswith(("datetime64", "timedelta64")):
        found = _times(pandas, values, dtype)
        return pandas.Series(found, index=index)
    return pandas.Series(values, index=index, dtype=dtype)


def _times(pandas: Any, values: list[int], dtype: str) -> Any:  # noqa: ANN401 - pandas
    base, comma, zone = dtype.partition(",")
    plain = base.strip("]") + "]"
    times = (
        _library("numpy")
        .array(values, dtype="int64")
        .view(plain.replace("datetime64[", "M8[").replace("timedelta64[", "m8["))
    )
    if not comma:
        return pandas.DatetimeIndex(times) if plain.startswith("datetime64") else pandas.TimedeltaIndex(times)
    return pandas.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone.strip(" ]"))


def _encoded_index(index: Any, encode_item: Encode) -> dict[str, Any]:  # noqa: ANN401 - pandas
    names = encode_item(list(index.names), "its names")
    match type(index).__name__:
        case "RangeIndex":
            return {"range": [index.start, index.stop, index.step], "names": names}
        case "MultiIndex":
            return {"tuples": encode_item(index.tolist(), "its index"), "names": names}
        case "CategoricalIndex" | "IntervalIndex" | "PeriodIndex":
            msg = f"a {type(index).__name__} cannot be kept: convert the index to numbers, text or times"
            raise InvalidEvent(msg)
    return _encoded_column(index, encode_item) | {"names": names, "freq": getattr(index, "freqstr", None)}


def _index(pandas: Any, plain: dict[str, Any], decode_item: Decode) -> Any:  # noqa: ANN401 - pandas
    names = decode_item(plain["names"])
    if "range" in plain:
        return pandas.RangeIndex(*plain["range"]).set_names(names)
    if "tuples" in plain:
        return pandas.MultiIndex.from_tuples(decode_item(plain["tuples"]), names=names)
    dtype, values = plain["dtype"], decode_item(plain["values"])
    if dtype.startswith(("datetime64", "timedelta64")):
        index = _times(pandas, values, dtype)
        if plain["freq"] is not None:
            index.freq = plain["freq"]
    else:
        index = pandas.Index(values, dtype=dtype)
    return index.set_names(names)


def _frame(pandas: Any, plain: dict[str, Any], decode_item: Decode) -> Any:  # noqa: ANN401 - pandas
    index = _index(pandas, plain["index"], decode_item)
    columns = _index(pandas, plain["columns"], decode_item)
    # By number first: names may come twice.
    found = {number: _column(pandas, column, decode_item, index) for number, column in enumerate(plain["data"])}
    frame = pandas.DataFrame(found, index=index)
    frame.columns = columns
    return frame


def _of_file(plain: Any, decode_item: Decode) -> Any:  # noqa: ANN401 - what an old file has
    """Return a series of an old file as pandas, or as it stands in the file where pandas is not installed."""
    value = decode_item(plain)
    try:
        pandas = _library("pandas")
    except ImportError:
        return value
    index = _file_index(pandas, value["index"])
    if value["type"] == "series":
        return pandas.Series(value["values"], index=index, name=value["name"])
    return pandas.DataFrame(value["values"], index=index, columns=value["columns"])


def _file_index(pandas: Any, texts: list[Any]) -> Any:  # noqa: ANN401 - pandas
    """Return an index of times where each of its texts is a date with a time of day, else of the values as they are."""
    if texts and all(isinstance(text, str) and _is_time(text) for text in texts):
        try:
            return pandas.DatetimeIndex([pandas.Timestamp(text) for text in texts])
        except (ValueError, TypeError):  # with and without zones, or of several
            return pandas.Index(texts)
    return pandas.Index(texts)


def _is_time(text: str) -> bool:
    return len(text) >= len("2025-01-02T03:04") and text[4:5] == text[7:8] == "-" and text[10:11] in {"T", " "}


def _library(name: str) -> Any:  # noqa: ANN401 - a module of a library without types
    from projections.analysis.libraries import library

    return library(name, "gateways.legacy")
