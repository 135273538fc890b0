"""A file as planned events: read as a whole, each row validated, in order of time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import date as Date  # noqa: N812 - `date` is an argument's name
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from msgspec.structs import replace

from eventstore.clock import derived_times
from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import BadRow, Options, PlannedEvent
from gateways.importers.contracts import Tables, table_of
from gateways.importers.formats import FORMATS, reader_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from gateways.importers.base import Reader, SourceLine

Progress = Callable[[str, int, int | None], None]

ROWS_MAX = 5_000_000
STEP = 1_000
"""After how many rows progress is reported."""
READING = "reading"


class FileOptions(TypedDict, total=False):
    """What may be said about a file beside its format.

    `account` is the account of the fills and orders; without it, the file must name one. `symbol` and `date` (a date
    or ISO text) are for lobster, if the file's name does not say them; `mapping`, from column to field, is for fills;
    `contracts` is a table, or a TOML file, used before the built-in one; an archive that expands to more than
    `bytes_max` is rejected. With `keep_going` rows that cannot be read are left out and listed. `progress(phase, done,
    total)` is called every 1,000 rows, with the phase READING and the total None, because it is unknown.
    """

    account: str | None
    symbol: str | None
    date: Date | str | None
    mapping: Mapping[str, str] | None
    contracts: Tables | None
    keep_going: bool
    bytes_max: int
    progress: Progress | None


class FilePlan:
    """The whole file as validated events, `items`, in the order in which they are appended."""

    def __init__(self, reader: Reader[Any], *, keep_going: bool) -> None:
        self.reader, self.keep_going = reader, keep_going
        self.rows = self.repeated = 0
        self.left_out: list[BadRow] = []
        self.items: list[PlannedEvent] = []
        self._ordered: list[tuple[int, PlannedEvent]] = []
        self._by_id: dict[bytes, PlannedEvent] = {}

    def read(self, progress: Progress | None) -> None:
        with contextlib.closing(self.reader.rows()) as rows:
            for row in rows:
                self.rows += 1
                if self.rows > ROWS_MAX:
                    msg = f"{self.reader.file} has more than {ROWS_MAX:,} rows: split it, for example by day"
                    raise InvalidEvent(msg)
                self._take(row)
                if progress is not None and self.rows % STEP == 0:
                    progress(READING, self.rows, None)
        self._ordered.sort(key=itemgetter(0))
        self.items = [planned for _, planned in self._ordered]
        self._ordered, self._by_id = [], {}

    def _take(self, row: SourceLine) -> None:
        try:
            self._accept(self.reader.plan(row))
        except BadRow as e:
            self.refuse(e)
        except InvalidEvent as e:
            self.refuse(BadRow(self.reader.file, row.line, "", "", str(e)))

    def refuse(self, bad: BadRow) -> None:
        """Add a row that cannot be imported to the report, or raise it."""
        if not self.keep_going:
            raise bad
        self.left_out.append(bad)

    def _accept(self, planned: Sequence[PlannedEvent]) -> None:
        """Accept all events of a row or none; a row's later event is never appended before its earlier one."""
        fresh: dict[bytes, PlannedEvent] = {}
        for item in planned:
            account_of(item.stream)
            _, data = encode(item.event)
            id_ = keyed_id(item.stream, item.key)
            known = self._by_id.get(id_)
            if known is None:
                fresh[id_] = item
            elif encode(known.event)[1] != data:
                why = f"repeats {item.key} of {item.stream} with other content than line {known.line}"
                raise BadRow(self.reader.file, item.line, "", "", why)
        self.repeated += bool(planned) and not fresh
        self._by_id.update(fresh)
        latest = 0
        for item in fresh.values():
            latest = max(latest, item.occurred_at)
            self._ordered.append((latest, item))


def read_plan(path: str | Path, format: str, **given: Unpack[FileOptions]) -> FilePlan:
    """Return a file's events; `format` is one of `FORMATS`.

    Raises BadRow for the first malformed row, InvalidEvent for a file or options that do not fit the format, OSError
    for a file that cannot be read.
    """
    options, kind = _options_of(given), reader_of(format)
    for name in _not_taken(kind, given):
        msg = f"format {format} does not take {name}: leave it out"
        raise InvalidEvent(msg)
    plan = FilePlan(kind(Path(path), options), keep_going=given.get("keep_going", False))
    # Times are read from text, in the unit of their column: none is an int in a unit that may be mistaken.
    with derived_times():
        plan.read(given.get("progress"))
    return plan


def format_of(path: str | Path, **given: Unpack[FileOptions]) -> str:
    """Return the one format that a file's header and first row fit.

    Raises InvalidEvent if several do, or none; what a file of the right format lacks is said where it is read.
    """
    # An account that is missing is a matter of reading the file.
    options = replace(_options_of(given), account=given.get("account") or "A")
    tried = {name: _why_unfit(kind, path, options) for name, kind in FORMATS.items() if not _not_taken(kind, given)}
    fitting = [name for name, why in tried.items() if why is None]
    if len(fitting) == 1:
        return fitting[0]
    found = f"fits the formats {' and '.join(fitting)}" if fitting else "fits no format by its header and first row"
    # Where only the first row does not fit, that says more than the list.
    nearly = [] if fitting else [f"; as {name}: {why}" for name, why in tried.items() if why]
    msg = f"{Path(path).name} {found}: give the format, one of {', '.join(FORMATS)}{''.join(nearly)}"
    raise InvalidEvent(msg)


def _why_unfit(kind: type[Reader[Any]], path: str | Path, options: Options) -> str | None:
    """Return why a file does not fit a format, None if it does; "" where not even its header does, or it has no row."""
    try:
        reader = kind(Path(path), options)
        with derived_times(), contextlib.closing(reader.rows()) as rows:
            for row in rows:
                reader.plan(row)
                return None
    except BadRow as e:
        return str(e) if e.line > 1 else ""
    except InvalidEvent:
        return ""
    return ""


def _options_of(given: FileOptions) -> Options:
    bytes_max = given.get("bytes_max", BYTES_MAX)
    if bytes_max <= 0:
        msg = f"bytes_max is {bytes_max}: give a number of bytes above 0"
        raise InvalidEvent(msg)
    return Options(
        account=given.get("account"),
        contracts=table_of(given.get("contracts")),
        symbol=given.get("symbol"),
        date=_date(given.get("date")),
        mapping=given.get("mapping") or {},
        bytes_max=bytes_max,
    )


def _not_taken(kind: type[Reader[Any]], given: FileOptions) -> list[str]:
    """Return which of the given options a format does not take."""
    values = {name: given.get(name) for name in ("symbol", "date", "mapping", "contracts")}
    return [name for name, value in values.items() if value is not None and name not in kind.takes]


def _date(date: Date | str | None) -> Date | None:
    if not isinstance(date, str):
        return date
    try:
        return Date.fromisoformat(date)
    except ValueError as e:
        msg = f"{date!r} is not a date: write it like 2012-06-21"
        raise InvalidEvent(msg) from e
