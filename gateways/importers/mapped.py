"""Reads a file by a mapping: surveys it, asks for what is missing, and then turns its rows into events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from eventstore.errors import InvalidEvent
from eventstore.streams import check_name
from gateways.importers.base import FileReader, NoSuchColumn, Options, PlannedEvent
from gateways.importers.cells import Cells, fee_columns
from gateways.importers.containers import open_tables
from gateways.importers.contract_names import ContractNames
from gateways.importers.fields import JOINED_WITH, columns_of, explained_columns, fields_of, needed_columns, required_of
from gateways.importers.instruments import Instruments
from gateways.importers.kinds import kind_of
from gateways.importers.listed_costs import ListedCosts
from gateways.importers.mapping import RowOrder
from gateways.importers.mapping_files import presets
from gateways.importers.missing import MissingChoices
from gateways.importers.row_ids import RowIds
from gateways.importers.row_order import OrderOfRows
from gateways.importers.rows_that_count import RowsThatCount
from gateways.importers.surveying import AskedAt, Settled, Survey
from gateways.importers.values import Question

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from collections.abc import Mapping as AnyMapping
    from pathlib import Path

    from gateways.importers.base import TableRow
    from gateways.importers.containers import Table
    from gateways.importers.file_options import Progress
    from gateways.importers.kinds.protocol import RowKind
    from gateways.importers.mapping import Mapping
    from gateways.importers.mapping_files import MappingFile

REASONS_MAX = 40
REPEATED = "repeats an earlier row"
OTHER_REASON = "set aside for other reasons"


class FilePart:
    """A mapping of the rows of one table: `prefix` is what its members' names begin with in answers."""

    def __init__(self, mapping: Mapping, table: Table, prefix: str) -> None:
        self.mapping, self.table, self.prefix = mapping, table, prefix
        self.filter = RowsThatCount(mapping, table.columns)
        self.checks: tuple[RowIds | ListedCosts, ...] = ()
        self.kind: RowKind | None = None
        self.instruments: Instruments | None = None
        self.only_days = False


class MappedReader(FileReader):
    """A file by a mapping. Constructing it opens the file, and raises InvalidEvent for one with other columns."""

    def __init__(self, path: Path, options: Options, file: MappingFile) -> None:
        super().__init__(path, replace(options, account=None))
        self.format, self.mapping_file = file.name, file
        self._account = options.account
        self.mapping = self._given(file, options)
        self._only = None if options.symbol is None else options.contracts.find(options.symbol)
        self.tables, self.parts = self._opened()
        self._of_table: Sequence[FilePart] = ()
        self.order = OrderOfRows(self.mapping.rows.order)
        self.is_settled = False
        compared = {kind_of(part.mapping.rows).compares for part in self.parts if self._compares(part)} - {None}
        self.compares = compared.pop() if len(compared) == 1 else None

    # The mapping

    def _given(self, file: MappingFile, options: Options) -> Mapping:
        """Return the mapping with the answers and options of the caller."""
        mapping = file.answered(options.answers)
        mapping = replace(mapping, columns={**mapping.columns, **_mapped_columns(options.mapping, mapping)})
        if options.symbol is not None:
            mapping = replace(mapping, contract=replace(mapping.contract, symbol=options.symbol))
        if options.zone is not None:
            mapping = _in_zone(mapping, options.zone)
        return mapping

    # The tables

    def _opened(self) -> tuple[Sequence[Table], Sequence[FilePart]]:
        mappings = [(self.mapping, ""), *((each, f"tables.{i}.") for i, each in enumerate(self.mapping.tables, 1))]
        tables: list[Table] = []
        parts: list[FilePart] = []
        for mapping, prefix in mappings:
            opened = next((part.table for part in parts if part.mapping.read == mapping.read), None)
            found = (
                [table for table in tables if any(p.table is table and p.mapping.read == mapping.read for p in parts)]
                if opened is not None
                else list(open_tables(self.path, mapping.read, bytes_max=self.options.bytes_max))
            )
            fitting = self._fitting(mapping, found)
            tables += [table for table in fitting if table not in tables]
            parts += [FilePart(self._of_account(mapping, table), table, prefix) for table in fitting]
        return tables, parts

    def _fitting(self, mapping: Mapping, found: Sequence[Table]) -> Sequence[Table]:
        """Return the tables that have the mapping's columns; raise NoSuchColumn if none has: the first missing one.

        Of a section that the mapping names, every table must have them: its rows would be missing otherwise. So must
        one that has most of them, such as another month's sheet with one column renamed.
        """
        needed = [*needed_columns(mapping), *self._unnamed(mapping)]
        lacking = [next((name for name in needed if name not in table.columns), None) for table in found]
        is_any = mapping.read.section is None and None in lacking
        for table, name in zip(found, lacking, strict=True):
            if name is not None and not (is_any and _is_another(table, needed)):
                where = f" of {table.name}" if table.name else ""
                why = f"is the header{where}, which has no column {name}"
                raise NoSuchColumn(self.file, 1, name, ",".join(table.columns), why)
        return [table for table, name in zip(found, lacking, strict=True) if name is None]

    def _unnamed(self, mapping: Mapping) -> list[str]:
        """Return the fields of a row that the mapping has no column for, and that it means nothing without."""
        named = columns_of(mapping)
        missing = [field for field in required_of(mapping.rows) if field not in named]
        if "symbol" in missing and mapping.contract.symbol is not None:
            missing.remove("symbol")
        if missing:
            msg = f"mapping {self.format} has no column for {missing[0]}: give columns.{missing[0]}"
            raise InvalidEvent(msg)
        return []

    def _of_account(self, mapping: Mapping, table: Table) -> Mapping:
        """Return the mapping with the account that the caller gave, which may be a column."""
        account = mapping.account if self._account is None else self._account
        if account is None:
            return mapping
        if account in table.columns:
            return replace(mapping, columns={**mapping.columns, "account": account}, account=None)
        return replace(mapping, account=check_name("account", account))

    def is_recognised(self) -> bool:
        """Return whether the file is this export: it has the names of it, none of another, and a row."""
        for part in self.parts:
            names = part.table.columns
            has_all = all(name in names for name in part.mapping.required)
            if not has_all or any(name in names for name in part.mapping.absent):
                return False
        return any(True for table in self.tables for _ in table.rows())

    # The first pass

    def settle(self, *, keep_going: bool, progress: Progress | None = None) -> None:
        """Read the whole file once for what it says of itself; raise MissingChoices with all that it leaves open."""
        asked: list[AskedAt] = []
        # What a preset says of commas is not what this file's user says.
        doubts_commas = self.mapping_file.name in presets() and "numbers.decimal" not in self.options.answers
        counts: dict[int, int] = {}
        for part in self.parts:
            of_table = [each.mapping for each in self.parts if each.table is part.table]
            mentioned = frozenset().union(*map(explained_columns, of_table))
            # AskedAt without times, names would mean what they mean now.
            names = ContractNames(self.options.contracts.table, self.options.known)
            survey = Survey(
                part.mapping, part.table, mentioned, names, keep_going=keep_going, doubts_sign=self._doubts_sign,
                doubts_commas=doubts_commas,
            )  # fmt: skip
            settled = survey.run(progress)
            counts[self.tables.index(part.table)] = settled.rows
            part.mapping, part.only_days = settled.mapping, settled.only_days
            asked += [self._prefixed(each, part) for each in (*self._account_asked(part, settled), *settled.asked)]
        if asked:
            raise self._missing(asked)
        for part in self.parts:
            self._begin(part)
        self.rows_found = sum(counts.values())
        self.is_settled = True

    @property
    def _doubts_sign(self) -> bool:
        """Whether the sign of costs is a preset's, which nobody who has the file has confirmed."""
        is_preset = presets().get(self.format) is self.mapping_file
        return is_preset and not any(key.endswith("fees.sign") for key in self.options.answers)

    def _account_asked(self, part: FilePart, settled: Settled) -> list[AskedAt]:
        mapping = part.mapping
        has_column = any(name in part.table.columns for name in _names(mapping.columns.get("account", ())))
        is_asked = any(each.question.key == "columns.account" for each in settled.asked)
        if mapping.account is not None or has_column or is_asked:
            return []
        text = (
            f"format {self.format} requires --account (in Python: account=...), which {self.file} does not say: a "
            "name, or a column of the file"
        )
        return [AskedAt(Question("account", text))]

    @staticmethod
    def _prefixed(asked: AskedAt, part: FilePart) -> AskedAt:
        if not part.prefix or asked.question.key.startswith(("account", "time.", "numbers.", "contract.")):
            return asked
        return asked._replace(question=replace(asked.question, key=part.prefix + asked.question.key))

    def _missing(self, asked: Sequence[AskedAt]) -> MissingChoices:
        by_key: dict[str, AskedAt] = {}
        for each in asked:
            by_key.setdefault(each.question.key, each)
        first = next((each for each in by_key.values() if each.line), None)
        questions = [each.question for each in by_key.values()]
        if first is None:
            return MissingChoices(self.file, questions)
        return MissingChoices(self.file, questions, (first.line, first.column, first.value), first.why)

    def _begin(self, part: FilePart) -> None:
        """Make what reads a part's rows, from the beginning of the file."""
        part.instruments = Instruments(self.options.contracts, part.mapping.contract, self._only, self.add_contract)
        cells = Cells(part.mapping, part.table.columns, part.mapping.account, part.instruments)
        part.kind = kind_of(part.mapping.rows)(cells)
        part.checks = tuple(each(part.mapping, part.table.columns) for each in (RowIds, ListedCosts))

    # The second pass

    def rows(self) -> Generator[TableRow, None, None]:
        if not self.is_settled:
            self.settle(keep_going=False)
        for table in self.tables:
            self._of_table = [part for part in self.parts if part.table is table]
            yield from table.rows()

    def plan(self, row: TableRow) -> Sequence[PlannedEvent]:
        found: list[PlannedEvent] = []
        reason: str | None = None
        is_taken = False
        for part in self._of_table:
            why = part.filter.reason(row)
            if why is not None:
                reason = reason or why
                continue
            is_taken = True
            assert part.kind is not None
            for checked in part.checks:
                checked.check(row)
            found += part.kind.plan(row)
        if not is_taken:
            self._set_aside(reason or "no table of the mapping takes it")
        elif found:
            self.order.take(found)
        return found

    @override
    def finish(self) -> Iterable[PlannedEvent]:
        for part in self.parts:
            assert part.kind is not None
            yield from part.kind.finish()
            if part.kind.repeated:
                self.ignored[REPEATED] += part.kind.repeated

    def _set_aside(self, reason: str) -> None:
        is_known = reason in self.ignored or len(self.ignored) < REASONS_MAX
        self.ignored[reason if is_known else OTHER_REASON] += 1

    @property
    @override
    def is_newest_first(self) -> bool:
        """Whether rows with the same time happened in the opposite order."""
        return self.order.is_newest_first

    # What was found

    @property
    def title(self) -> str:
        """What the export is."""
        return self.mapping.title

    @property
    def default_symbols(self) -> set[str]:
        """The symbols that no table lists, whose terms the mapping states."""
        return {symbol for part in self.parts if part.instruments for symbol in part.instruments.defaults}

    def choices(self) -> Iterator[tuple[str, str]]:
        """Yield what is stated by the mapping or was found in the whole file, by its member's name."""
        for part in self.parts:
            mapping = part.mapping
            found = {
                "time.zone": mapping.time.zone,
                "time.format": " or ".join(mapping.time.formats) or None,
                "time.unit": mapping.time.unit,
                "fees.sign": mapping.fees.sign if fee_columns(mapping, part.table.columns) else None,
                "pnl.after-fees": str(self.after_fees).lower() if self._compares(part) else None,
                "rows.order": RowOrder.NEWEST_FIRST if self.is_newest_first else None,
            }
            yield from ((f"{part.prefix}{key}", str(value)) for key, value in found.items() if value is not None)

    # The file's own profit and loss

    @property
    def after_fees(self) -> bool | None:
        """Whether the file's own profit and loss is after costs; None if nothing says it yet."""
        found = {part.mapping.pnl.after_fees for part in self.parts if self._compares(part)}
        return None if None in found else True in found

    def _compares(self, part: FilePart) -> bool:
        named = _names(columns_of(part.mapping).get("pnl", ()))
        return any(name in part.table.columns for name in named)

    def begin_again(self, *, after_fees: bool) -> None:
        """State whether its profit and loss is after costs, and read the file from its beginning."""
        for part in self.parts:
            if part.mapping.pnl.after_fees is None:
                part.mapping = replace(part.mapping, pnl=replace(part.mapping.pnl, after_fees=after_fees))
            self._begin(part)
        self.ignored.clear()
        self.order = OrderOfRows(self.mapping.rows.order)


def _is_another(table: Table, needed: Sequence[str]) -> bool:
    """Return whether a table has so few of the columns that it is about something else."""
    return sum(name in table.columns for name in needed) * 2 <= len(needed)


def _names(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else columns


def _mapped_columns(given: AnyMapping[str, str], mapping: Mapping) -> dict[str, str | tuple[str, ...]]:
    """Return the columns of each field by --map; raise InvalidEvent for an unknown field, or two columns of one."""
    fields = fields_of(mapping.rows)
    found: dict[str, tuple[str, ...]] = {}
    for column, field in given.items():
        if field not in fields:
            msg = f"--map {column}={field}: unknown field {field!r}; the fields are {', '.join(fields)}"
            raise InvalidEvent(msg)
        if field in found and field not in JOINED_WITH:
            msg = f"--map {column}={field}: {field} is mapped more than once"
            raise InvalidEvent(msg)
        found[field] = (*found.get(field, ()), column)
    return dict(found)


def _in_zone(mapping: Mapping, zone: str) -> Mapping:
    """Return a mapping whose times are in a zone, unless it says one."""
    if mapping.time.zone is None:
        mapping = replace(mapping, time=replace(mapping.time, zone=zone))
    return replace(mapping, tables=tuple(_in_zone(each, zone) for each in mapping.tables))
