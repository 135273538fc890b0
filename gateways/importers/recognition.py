"""Which format a file is, by its column names; and the options that formats share."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping as AnyMapping
from datetime import date as Date  # noqa: N812 - `date` is an argument's name
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.clock import derived_times
from eventstore.errors import InvalidEvent
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow, Options
from gateways.importers.containers import Read, open_tables
from gateways.importers.contract_names import ContractNames
from gateways.importers.contracts import table_of
from gateways.importers.formats import FILLS, FORMATS, Format, MappedFormat, format_named
from gateways.importers.mapped import MappedReader
from gateways.importers.mapping_files import MappingFile, load_mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from gateways.importers.contract_names import KnownContract
    from gateways.importers.file_options import FileOptions

NO_FORMAT = "fits no format by its header and first row"


def format_of(path: str | Path, **given: Unpack[FileOptions]) -> str:
    """Return the one format that a file's column names fit.

    Raises InvalidEvent if several do, or none; what a file of the right format lacks is said where it is read.
    """
    return _recognised(path, given)


def formats_of(path: str | Path, **given: Unpack[FileOptions]) -> list[str]:
    """Return the formats that a file's column names fit."""
    return [name for name, why in _tried(path, given).items() if why is None]


def format_for(path: str | Path, format: str | None, given: FileOptions) -> Format:
    """Return the format that the caller names, by name or by a mapping, or the one that the file fits."""
    mapping = given.get("mapping")
    if isinstance(mapping, str | Path):
        return MappedFormat(load_mapping(mapping))
    if isinstance(mapping, MappingFile):
        return MappedFormat(mapping)
    return format_named(format if format is not None else _recognised(path, given))


def _recognised(path: str | Path, given: FileOptions) -> str:
    tried = _tried(path, given)
    fitting = [name for name, why in tried.items() if why is None]
    if len(fitting) == 1:
        return fitting[0]
    why = None if fitting else _unreadable(path, given)
    found = f"fits the formats {' and '.join(fitting)}" if fitting else NO_FORMAT
    # Where only the first row does not fit, that says more than the list.
    nearly = [] if fitting else [f"; as {name}: {why}" for name, why in tried.items() if why]
    names = f"give the format, one of {', '.join(FORMATS)}"
    own = "" if fitting else "; or say what its columns are, with --map COLUMN=FIELD or a mapping of your own"
    as_table = f"; as a table: {why}" if why else ""
    msg = f"{Path(path).name} {found}: {names}{''.join(nearly)}{own}{as_table}"
    raise InvalidEvent(msg)


def _tried(path: str | Path, given: FileOptions) -> dict[str, str | None]:
    """Return why a file does not fit each format: None if it does, "" where not even its header does."""
    # What is missing, and the answers to it, are a matter of reading the file.
    options = replace(options_of(given), account="A", answers={})
    if given.get("mapping"):
        return {FILLS: _why_unfit(FORMATS[FILLS], path, options)}
    return {name: _why_unfit(kind, path, options) for name, kind in FORMATS.items() if not not_taken(kind, given)}


def _unreadable(path: str | Path, given: FileOptions) -> str | None:
    """Return why a file is not a table at all, whatever its columns are: another encoding, a zip of two files."""
    try:
        for table in open_tables(Path(path), Read(), bytes_max=given.get("bytes_max", BYTES_MAX)):
            with contextlib.closing(table.rows()) as rows:
                next(rows, None)
    except InvalidEvent as e:
        return str(e)
    return None


def _why_unfit(kind: Format, path: str | Path, options: Options) -> str | None:
    """Return why a file does not fit a format, None if it does; "" where not even its header does, or it has no row."""
    try:
        reader = kind(Path(path), options)
        if isinstance(reader, MappedReader):
            return None if reader.is_recognised() else ""
        with derived_times(), contextlib.closing(reader.rows()) as rows:
            for row in rows:
                reader.plan(row)
                return None
    except BadRow as e:
        return str(e) if e.line > 1 else ""
    except InvalidEvent:
        return ""
    return ""


def options_of(given: FileOptions, known: Sequence[KnownContract] = ()) -> Options:
    """Return the options that the caller gave, checked."""
    bytes_max = given.get("bytes_max", BYTES_MAX)
    if bytes_max <= 0:
        msg = f"bytes_max is {bytes_max}: give a number of bytes above 0"
        raise InvalidEvent(msg)
    mapping = given.get("mapping")
    return Options(
        account=given.get("account"),
        contracts=ContractNames(table_of(given.get("contracts")), known),
        known=known,
        symbol=given.get("symbol"),
        date=_date(given.get("date")),
        mapping=mapping if isinstance(mapping, AnyMapping) else {},
        answers=given.get("answers") or {},
        zone=given.get("zone"),
        bytes_max=bytes_max,
    )


def not_taken(kind: Format, given: FileOptions) -> list[str]:
    """Return which of the given options a format does not take."""
    values = {name: given.get(name) for name in ("symbol", "date", "contracts", "answers")}
    if isinstance(given.get("mapping"), AnyMapping):
        values["mapping"] = given.get("mapping")
    return [name for name, value in values.items() if value not in (None, {}) and name not in kind.takes]


def _date(date: Date | str | None) -> Date | None:
    if not isinstance(date, str):
        return date
    try:
        return Date.fromisoformat(date)
    except ValueError as e:
        msg = f"{date!r} is not a date: write it like 2012-06-21"
        raise InvalidEvent(msg) from e
