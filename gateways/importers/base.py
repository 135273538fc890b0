"""What all formats share: planned events, rows with errors that name the cell, and the reader of one file."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, TypeVar

import msgspec

from eventstore.errors import InvalidEvent, UnknownContract
from eventstore.events import Event
from eventstore.streams import check_name
from gateways.importers.archives import BYTES_MAX
from gateways.importers.contract_names import ContractNames, KnownContract
from gateways.importers.texts import CellError, open_text, rows_of, to_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from eventstore.trading import ContractDefined

T = TypeVar("T")


class BadRow(InvalidEvent):
    """A line of a file that cannot be imported.

    `file` and `line` (from 1, the header included) say where; `column` and `value` what was read there, both empty
    if the error is about the line as a whole; `why` is the reason.
    """

    def __init__(self, file: str, line: int, column: str, value: str, why: str) -> None:
        self.file, self.line, self.column, self.value, self.why = file, line, column, value, why
        # A reason often begins with the value.
        what = f", column {column}:{'' if why.startswith(repr(value)) else f' {value!r}'}" if column else ":"
        super().__init__(f"{file}, line {line}{what} {why}")


class NoSuchColumn(BadRow):
    """A header lacks a column that the mapping, or an answer, names."""


class PlannedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event to append for a line. Stream and key decide its id; `occurred_at` is in UNIX ns.

    `reported` is the file's own profit and loss of it, as it is there.
    """

    stream: str
    event: Event
    key: str
    occurred_at: int
    line: int
    reported: Decimal | None = None


class Options(msgspec.Struct, frozen=True):
    """What the caller says about a file in addition to its content; each format names the options it takes.

    `known` are the definitions of the log. `mapping` has the field of a column, `answers` members of the format's
    mapping; `zone` is that of times without one.
    """

    account: str | None
    contracts: ContractNames
    known: Sequence[KnownContract] = ()
    symbol: str | None = None
    date: datetime.date | None = None
    mapping: Mapping[str, str] = {}
    answers: Mapping[str, Any] = {}
    zone: str | None = None
    bytes_max: int = BYTES_MAX


class SourceLine(Protocol):
    """A row of a file, with the number of its last line, from 1."""

    @property
    def line(self) -> int: ...


R = TypeVar("R", bound=SourceLine)


class Reader(Protocol[R]):
    """Reads one file of one format. Constructing it raises InvalidEvent if a required option is missing."""

    @property
    def format(self) -> str:
        """The name of the format."""

    @property
    def is_of_market(self) -> bool:
        """Whether the file has the orders of a market, which no account's limits are about."""

    @property
    def compares(self) -> str | None:
        """How the file's own profit and loss is compared with ours: by "round trip", by "symbol", or not at all."""

    @property
    def is_newest_first(self) -> bool:
        """Whether rows with the same time happened in the opposite order; known after the last row."""

    path: Path
    options: Options
    file: str
    """The file's name in error messages."""
    contracts: dict[str, ContractDefined]
    """The definitions of the symbols that `plan` has seen, by symbol."""
    ignored: Counter[str]
    """The number of rows without an event, by reason."""
    rows_found: int | None
    """The number of the file's rows, where it has been surveyed."""

    def rows(self) -> Generator[R, None, None]:
        """Yield the file's rows without its header; raise InvalidEvent for a file of another format."""

    def plan(self, row: R) -> Sequence[PlannedEvent]:
        """Return the events of a row, in the order they happened; raise BadRow for a malformed row."""

    def finish(self) -> Iterable[PlannedEvent]:
        """Return the events that only the whole file gives, after its last row."""


class FileReader:
    """Base of the readers: the options, and the contracts that the file names."""

    format: str
    takes: ClassVar[frozenset[str]] = frozenset()
    is_of_market: ClassVar[bool] = False
    compares: str | None = None

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self.options = path, options
        self.file = path.name
        self.contracts: dict[str, ContractDefined] = {}
        self.ignored: Counter[str] = Counter()
        self.rows_found: int | None = None
        if options.account is not None:
            check_name("account", options.account)

    @property
    def is_newest_first(self) -> bool:
        """Whether rows with the same time happened in the opposite order: a file in a fixed format is as written."""
        return False

    def finish(self) -> Iterable[PlannedEvent]:
        """Return nothing: each row has given its events."""
        return ()

    def required_option(self, option: str, value: T | None) -> T:
        """Return the value of an option; raise InvalidEvent if it is missing."""
        if value is None:
            msg = f"format {self.format} requires --{option} (in Python: {option}=...), which {self.file} does not say"
            raise InvalidEvent(msg)
        return value

    def add_contract(self, contract: ContractDefined) -> ContractDefined:
        """Add a contract to those of the file, with every name that the file has for it."""
        known = self.contracts.setdefault(contract.symbol, contract)
        if not set(contract.broker_ids) <= set(known.broker_ids):
            names = tuple(sorted({*known.broker_ids, *contract.broker_ids}))
            known = self.contracts[contract.symbol] = msgspec.structs.replace(known, broker_ids=names)
        return known


class TableRow:
    """A line of a table with a header: its cells by column, with errors that name line and column."""

    __slots__ = ("_columns", "cells", "file", "line")

    def __init__(self, file: str, line: int, columns: Mapping[str, int], cells: list[str]) -> None:
        self.file, self.line, self.cells = file, line, cells
        self._columns = columns

    def refuse(self, column: str, why: str) -> NoReturn:
        """Raise BadRow with this line, the column and its value."""
        raise BadRow(self.file, self.line, column, self.optional(column) or "", why)

    def optional(self, column: str) -> str | None:
        """Return a cell's text without surrounding space; None if it is empty or the file has no such column."""
        if len(self.cells) != len(self._columns):
            why = f"the line has {len(self.cells)} cells, but the header has {len(self._columns)}"
            raise BadRow(self.file, self.line, "", "", why)
        index = self._columns.get(column)
        return (self.cells[index].strip() or None) if index is not None else None

    def text(self, column: str) -> str:
        """Return a cell's text; raise BadRow if it is empty."""
        text = self.optional(column)
        if text is None:
            self.refuse(column, "is empty")
        return text

    def parsed(self, column: str, parse: Callable[[str], T]) -> T:
        """Return a cell's text as parsed by `parse`, whose errors become a BadRow."""
        text = self.text(column)
        try:
            return parse(text)
        except (CellError, InvalidEvent, UnknownContract) as e:
            raise BadRow(self.file, self.line, column, text, str(e)) from e

    def decimal(self, column: str) -> Decimal:
        """Return a cell's number, exactly as written."""
        return self.parsed(column, to_decimal)

    def positive(self, column: str) -> Decimal:
        """Return a cell's number above zero."""
        number = self.decimal(column)
        if number <= 0:
            self.refuse(column, "is not above zero")
        return number

    def optional_decimal(self, column: str) -> Decimal | None:
        """Return a cell's number; None if it is empty or the file has no such column."""
        return None if self.optional(column) is None else self.decimal(column)

    def choice(self, column: str, words: Mapping[str, T]) -> T:
        """Return the meaning of a cell's word, in upper or lower case; raise BadRow with the known words."""
        text = self.text(column)
        word = words.get(text.lower())
        if word is None:
            self.refuse(column, f"is not one of {', '.join(words)}")
        return word


class TableReader(FileReader):
    """Reads a CSV file with a header, plain or gzipped, with or without a byte order mark."""

    required: Sequence[str] = ()

    def __init__(self, path: Path, options: Options) -> None:
        super().__init__(path, options)
        self._columns: dict[str, int] = {}
        self._named: str | None = None

    @property
    def columns(self) -> Mapping[str, int]:
        """The column names and their indexes, after the first row was read."""
        return self._columns

    def rows(self) -> Generator[TableRow, None, None]:
        with open_text(self.path, bytes_max=self.options.bytes_max) as text:
            lines = rows_of(text)
            self._read_header(next(lines, (1, []))[1])
            for line, cells in lines:
                if cells:
                    yield TableRow(self.file, line, self._columns, cells)

    def account(self, row: TableRow, column: str) -> str:
        """Return the account given as an option, else the one in a column of the row.

        The option names a file's account otherwise. Two accounts it would make one of, so such a row is refused.
        """
        if self.options.account is not None:
            named = row.optional(column)
            self._named = self._named or named
            if named not in {None, self._named}:
                row.refuse(
                    column,
                    f"is another account than {self._named!r} above, and --account {self.options.account} would make "
                    "one of both: leave the option out, or split the file",
                )
            return self.options.account
        if column not in self._columns:
            self.required_option("account", None)
        return row.parsed(column, lambda text: check_name("account", text))

    def _read_header(self, header: list[str]) -> None:
        # pandas writes its index as a column without a name.
        names = [name.strip() or ("index" if index == 0 else "") for index, name in enumerate(header)]
        self._columns = {name: index for index, name in enumerate(names)}
        if len(self._columns) != len(names):
            twice = [name for name, count in Counter(names).items() if count > 1]
            raise BadRow(self.file, 1, twice[0], twice[0], "occurs more than once in the header")
        for name in self.required:
            if name not in self._columns:
                raise BadRow(self.file, 1, name, ",".join(header), f"is the header, which has no column {name}")
