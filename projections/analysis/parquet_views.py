"""An archive as views of DuckDB, which reads Parquet by itself: only the columns and row groups that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.clock import format_time
from eventstore.streams import ESCAPED_SLASH
from projections.analysis.archive import ArchivedReader, ArchiveReader, ArchiveSource
from projections.analysis.archive.columns import Plan
from projections.analysis.archive.mixing import ArchivedSource
from projections.analysis.archive.windows import RowFilter, groups_of
from projections.analysis.columns import OF_RECORDS, Column, Kind
from projections.analysis.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import EventReader
    from projections.analysis.archive.layout import ArchivedFile
    from projections.analysis.columns import Exact
    from projections.analysis.sources import Selection

_PATTERN = frozenset("*?[")
_TYPES = {
    Kind.INTEGER: "BIGINT",
    Kind.DURATION: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.INSTANT: "TIMESTAMPTZ_NS",
}


def archive_of(reader: EventReader) -> ArchiveSource | None:
    """Return the archive that a reader takes records from, None if it has none."""
    source = source_of(reader) if isinstance(reader, ArchiveReader | ArchivedReader) else None
    if isinstance(source, ArchivedSource):
        return source.archive
    return source if isinstance(source, ArchiveSource) else None


def query_of(archive: ArchiveSource, selection: Selection, columns: Sequence[Column], exact: Exact) -> str | None:
    """Return a query in SQL whose rows are those of a selection up to the archive's end.

    None if a column has to be decoded from the events' data, as after a change of their class, or if DuckDB would take
    a file's path for a pattern.
    """
    if _PATTERN & set(str(archive.folder)):
        return None
    rows = RowFilter(account=selection.account, types=selection.types, occurred=selection.occurred)
    parts = []
    for (layout, _), files in groups_of(archive.catalog, rows, selection.after, selection.until).items():
        plan = Plan(columns, archive.catalog.layouts[layout], files, selection.types, exact)
        if plan.from_data:
            return None
        chosen = ", ".join(f"{_expression(column, plan, exact)} AS {_name(column.name)}" for column in columns)
        condition = _condition(selection, files)
        parts.append(f"SELECT {chosen} FROM {_files(archive, files)} WHERE {condition}")  # noqa: S608 - quoted
    nulls = ", ".join(f"CAST(NULL AS {_type_of(column, exact)}) AS {_name(column.name)}" for column in columns)
    return " UNION ALL ".join(parts) or f"SELECT {nulls} WHERE false"


def _expression(column: Column, plan: Plan, exact: Exact) -> str:
    if column.name == "entity":
        # Past the category, the account and the slash behind each.
        entity = "substr(stream, length(category) + length(account) + 3)"
        return f"replace({entity}, '{ESCAPED_SLASH}', '/')"
    kind = _type_of(column, exact)
    names = plan.direct[column.name].meta.root_names() if column.name in plan.direct else []
    if column.name in OF_RECORDS or not names:
        return _name(column.name) if names else f"CAST(NULL AS {kind})"
    quoted = [_name(name) for name in names]
    found = quoted[0] if len(quoted) == 1 else f"coalesce({', '.join(quoted)})"
    return f"CAST({found} AS {kind})"


def _type_of(column: Column, exact: Exact) -> str:
    if column.kind is Kind.DECIMAL:
        return "DECIMAL(38, 9)" if exact is True else "VARCHAR" if exact else "DOUBLE"
    return _TYPES.get(column.kind, "VARCHAR")


def _files(archive: ArchiveSource, files: Sequence[ArchivedFile]) -> str:
    paths = ", ".join(_text(str(archive.folder / file.path)) for file in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _condition(selection: Selection, files: Sequence[ArchivedFile]) -> str:
    """Return what rows of some files have to fulfil: a condition that all of them do would cost reading its column."""
    found = ["true"]
    if selection.after >= min(file.first for file in files):
        found.append(f"position > {selection.after}")
    if selection.until < max(file.last for file in files):
        found.append(f"position <= {selection.until}")
    if selection.account is not None:
        found.append(f"account = {_text(selection.account)}")
    if selection.types is not None and not all(file.types.keys() <= set(selection.types) for file in files):
        found.append(f"type IN ({', '.join(_text(name) for name in selection.types)})")
    for bound, operator in zip(selection.occurred, (">=", "<"), strict=True):
        if bound is not None:
            found.append(f"occurred_at {operator} TIMESTAMPTZ_NS {_text(format_time(bound))}")
    return " AND ".join(found)


def _text(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _name(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
