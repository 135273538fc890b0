"""The tables of SQL by name: events, a table for each type of them, what is stored of each, and the frames."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any

from eventstore.errors import StoreError
from eventstore.events.registry import registered_names
from projections.analysis.columns import OF_RECORDS
from projections.analysis.scans import EventScan, FrameScan, RowStream, lazy_frame
from projections.analysis.sources import types_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from projections.analysis.columns import Exact
    from projections.analysis.frame import Frame
    from projections.analysis.scans import Reading, TableScan

EVENTS, RECORDS = "events", "records"
_WORD = re.compile(r'\w+|"(?:[^"]|"")+"')
_BEFORE_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GLANCE = re.compile(r"\s*(select\s+[\w\s,*\"]+\s)?from\s+[\w\".]+\s+limit\s+[0-9]+\s*;?\s*", re.IGNORECASE)
_ASKS_FOR_NAMES = frozenset({"show", "information_schema", "duckdb_tables", "duckdb_views", "duckdb_columns"})
"""Words of a query that asks which tables there are: with one of them, it is given all."""
_COMMON = frozenset({"store", "account", "symbol", "start", "stop", "time", "exact", "progress"})
"""The arguments of each frame; that of a symbol is missing where it means nothing."""


class Tables:
    """The tables that a query on one log can name. One is made when a query names it; until then it costs nothing."""

    def __init__(self, reading: Reading, options: Mapping[str, Any]) -> None:
        """`options` are those of a frame that do not depend on the query: start, stop and time."""
        self._reading, self._options = reading, options
        self._frames = frames()
        self._types = _names_of_types(reading, taken={EVENTS, RECORDS, *self._frames})
        self._failures: dict[str, StoreError] = {}

    def attach(self, connection: Any, query: str) -> None:  # noqa: ANN401 - DuckDB's
        """Give a connection the tables whose names occur in a query.

        A word may be a column's name as well, so what cannot be made is said only if DuckDB misses a table: `missing`.
        """
        is_glance = _is_glance(query)
        words = {word.strip('"').replace('""', '"').lower() for word in _WORD.findall(query)}
        known = {name.lower(): name for name in self.names()}
        for word in sorted(known if words & _ASKS_FOR_NAMES else words & known.keys()):
            try:
                self._attach(connection, known[word], is_glance=is_glance)
            except StoreError as e:
                self._failures[word] = e

    def _attach(self, connection: Any, name: str, *, is_glance: bool) -> None:  # noqa: ANN401 - the same
        self._reading.check()
        scan = self._scan(name)
        archived = scan.from_archive() if isinstance(scan, EventScan) else None
        scanned = name if archived is None else f"{name} past the archive"
        if archived is None or not (isinstance(scan, EventScan) and scan.is_over):
            connection.register(scanned, (RowStream if is_glance else lazy_frame)(self._reading, scan))
            archived = archived and f'{archived} UNION ALL SELECT * FROM "{scanned}"'  # noqa: S608 - a name of ours
        if archived is not None:
            connection.execute(f'CREATE VIEW "{name}" AS {archived}')

    def names(self) -> list[str]:
        """Return the names of all tables: frames, then events, then types, sorted."""
        return [*sorted(self._frames), EVENTS, RECORDS, *sorted(self._types)]

    def missing(self, name: str) -> StoreError | str:
        """Return why a table is not there: the error of making it, or a sentence that lists those that are."""
        if name.lower() in self._failures:
            return self._failures[name.lower()]
        names = self.names()
        close = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f": did you mean {close[0]}?" if close else "."
        written = set(types_in(self._reading.reader))
        empty = [table for table, kind in self._types.items() if kind not in written]
        filled = [table for table in names if table not in empty]
        return (
            f"there is no table {name}{hint} There are {', '.join(filled)}, and {len(empty)} for types of events that "
            "this log does not have: SHOW TABLES lists all"
        )

    def _scan(self, name: str) -> TableScan:
        if name == EVENTS:
            return EventScan(self._reading, None)
        if name == RECORDS:
            return EventScan(self._reading, None, tuple(OF_RECORDS))
        if name in self._types:
            return EventScan(self._reading, (self._types[name],))
        function = self._frames[name]
        taken = inspect.signature(function).parameters
        options = {**self._options, "progress": self._reading.progress}

        def make(account: str | None, symbol: str | None, exact: Exact) -> Frame:
            given = {**options, "account": account, "symbol": symbol, "exact": exact}
            return function(self._reading.reader, **{name: value for name, value in given.items() if name in taken})

        return FrameScan(self._reading, make)


def _is_glance(query: str) -> bool:
    """Return whether a query only takes the first rows of one table: it needs no more of the log than these.

    DuckDB tells a scan which columns and rows it wants, not how many; but it stops taking from a stream.
    """
    return _GLANCE.fullmatch(query) is not None


def frames() -> dict[str, Callable[..., Frame]]:
    """Return the functions of the analysis whose frame is that of a store, without anything else that must be given."""
    # Imported here, because the table of contents of the analysis imports this module.
    analysis = importlib.import_module("projections.analysis")
    found: dict[str, Callable[..., Frame]] = {}
    for name in analysis.__all__:
        function = getattr(analysis, name)
        if name == EVENTS or not inspect.isfunction(function):
            continue
        parameters = inspect.signature(function).parameters
        needed = {option for option, parameter in parameters.items() if parameter.default is parameter.empty}
        if needed <= _COMMON <= parameters.keys() | {"symbol"}:
            found[name] = function
    return found


def _names_of_types(reading: Reading, taken: set[str]) -> dict[str, str]:
    """Return the types of events by the names of their tables: those registered, and those that the log has."""
    names: dict[str, str] = {}
    for kind in dict.fromkeys((*registered_names(), *types_in(reading.reader))):
        snake = re.sub(r"\W", "_", _BEFORE_CAPITAL.sub("_", kind)).lower()
        # A frame keeps its name, and of two types that come to the same name the first one does.
        free = [name for name in (snake, f"event_{snake}", kind) if name.lower() not in taken]
        if free:
            names[free[0]] = kind
            taken.add(free[0].lower())
    return names
