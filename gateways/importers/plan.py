"""A file as planned events: read as a whole, each row validated, in order of time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstore.clock import TIME_MAX, derived_times
from eventstore.errors import InvalidEvent
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.streams import account_of
from gateways.importers.base import BadRow, PlannedEvent
from gateways.importers.comparison import is_after_fees
from gateways.importers.file_options import READING, STEP, FileOptions, Progress
from gateways.importers.mapped import MappedReader
from gateways.importers.missing import MissingChoices
from gateways.importers.recognition import format_for, not_taken, options_of
from gateways.importers.staging import EncodedItem, StagedEvent, Staging, encoded_item
from gateways.importers.values import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Unpack

    from gateways.importers.base import Reader, SourceLine
    from gateways.importers.contract_names import KnownContract

ROWS_MAX = 5_000_000
TIME_BEYOND = TIME_MAX + 1


class FilePlan:
    """The whole file as validated events, `items`, in the order in which they are appended.

    `began_at` has the accounts of these events, each with the time of its first one.
    """

    _staging: Staging

    def __init__(self, reader: Reader[Any], *, keep_going: bool) -> None:
        self.reader, self.keep_going = reader, keep_going
        self.rows = self.repeated = 0
        self.left_out: list[BadRow] = []
        self.items: Sequence[PlannedEvent] = ()
        self.began_at: dict[str, int] = {}

    def read(self, progress: Progress | None) -> None:
        """Read the file from its beginning."""
        self.rows = self.repeated = 0
        self.left_out = []
        self.began_at = {}
        self._staging = Staging()
        with contextlib.closing(self.reader.rows()) as rows:
            for row in rows:
                self.rows += 1
                if self.rows > ROWS_MAX:
                    msg = f"{self.reader.file} has more than {ROWS_MAX:,} rows: split it, for example by day"
                    raise InvalidEvent(msg)
                self._take(row)
                if progress is not None and self.rows % STEP == 0:
                    progress(READING, self.rows, self.reader.rows_found)
        self._finish()
        self._staging.sort(is_newest_first=self.reader.is_newest_first)
        self.items = self._staging

    def encoded(self) -> Iterator[EncodedItem]:
        """Yield the events of `items` as they are appended."""
        return self.items.encoded() if isinstance(self.items, Staging) else map(encoded_item, self.items)

    def _take(self, row: SourceLine) -> None:
        try:
            self._accept(self.reader.plan(row))
        except BadRow as e:
            self.refuse(e)
        except InvalidEvent as e:
            self.refuse(BadRow(self.reader.file, row.line, "", "", str(e)))

    @property
    def _advice(self) -> str:
        """What may be done about rows of one id that differ, where a mapping reads them."""
        if not isinstance(self.reader, MappedReader):
            return ""
        return (
            ": if an id is unique only together with another column, such as the symbol, name both in identity.columns"
        )

    def _finish(self) -> None:
        """Accept the events that only the whole file gives, each by itself."""
        for item in self.reader.finish():
            try:
                self._accept((item,))
            except BadRow as e:
                self.refuse(e)
            except InvalidEvent as e:
                self.refuse(BadRow(self.reader.file, item.line, "", "", str(e)))

    def refuse(self, bad: BadRow) -> None:
        """Add a row that cannot be imported to the report, or raise it."""
        if not self.keep_going:
            raise bad
        self.left_out.append(bad)

    def _accept(self, planned: Sequence[PlannedEvent]) -> None:
        """Accept all events of a row or none; a row's later event is never appended before its earlier one."""
        fresh: dict[bytes, tuple[PlannedEvent, StagedEvent, str]] = {}
        staging, began_at = self._staging, self.began_at
        for item in planned:
            stream = item.stream
            account = account_of(stream)
            kind, data = encode(item.event)
            id_ = keyed_id(stream, item.key)
            known = staging.find(id_)
            if known is None:
                fresh[id_] = item, StagedEvent(kind.name, kind.schema, data, item.line), account
            elif known.data != data:
                why = f"repeats {item.key} of {item.stream} with other content than line {known.line}{self._advice}"
                raise BadRow(self.reader.file, item.line, "", "", why)
        self.repeated += bool(planned) and not fresh
        latest = 0
        for id_, (item, stored, account) in fresh.items():
            at = item.occurred_at
            latest = max(latest, at)
            staging.add(id_, item, stored, latest=latest, row=self.rows)
            if at < began_at.get(account, TIME_BEYOND):
                began_at[account] = at


def read_plan(
    path: str | Path, format: str | None = None, known: Sequence[KnownContract] = (), **given: Unpack[FileOptions]
) -> FilePlan:
    """Return a file's events; `format` is one of `FORMATS`, None for the one that the file fits.

    `known` are the definitions of the log that it is for. Raises MissingChoices for what the file leaves open, BadRow
    for the first malformed row, InvalidEvent for a file or options that do not fit the format, OSError for a file that
    cannot be read.
    """
    kind = format_for(path, format, given)
    options = options_of(given, known)
    for name in not_taken(kind, given):
        msg = f"format {kind.format} does not take {name}: leave it out"
        raise InvalidEvent(msg)
    reader, keep_going = kind(Path(path), options), given.get("keep_going", False)
    plan = FilePlan(reader, keep_going=keep_going)
    # Times are read from text, in the unit of their column: none is an int in a unit that may be mistaken.
    with derived_times():
        if isinstance(reader, MappedReader):
            reader.settle(keep_going=keep_going, progress=given.get("progress"))
        plan.read(given.get("progress"))
        if isinstance(reader, MappedReader) and reader.after_fees is None:
            _settle_pnl(plan, reader, given.get("progress"))
    return plan


def _settle_pnl(plan: FilePlan, reader: MappedReader, progress: Progress | None) -> None:
    """Find out whether the file's own profit and loss is after costs, or ask; if it is, read the file once more."""
    found = is_after_fees(reader.compares, plan.items, reader.contracts)
    if found is None:
        text = (
            "the file's own profit and loss is neither ours before costs nor after them: is it after costs? Executions "
            "from before the file's first row may be missing"
        )
        raise MissingChoices(reader.file, [Question("pnl.after-fees", text, (), ("true", "false"))])
    reader.begin_again(after_fees=found)
    if found:
        plan.read(progress)
