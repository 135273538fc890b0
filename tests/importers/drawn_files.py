"""Files of exports that are drawn by chance: their cells as text, JSON, HTML or SQLite, and what is plain in them."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from tests.importers.drawn_rows import Export
from tests.importers.facts import Fact, Row, Rows

NUMBER = re.compile(r"-?\d+(\.\d+)?")
_IN_JSON = frozenset({"timestamp", "price", "amount", "cost", "fee.cost", "fee.rate", "filled", "average"})


@dataclass
class Drawn:
    """A file to be: its header and its rows as lists of cells, which a mutation changes, and how they are written."""

    export: Export
    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"
    quotes_all: bool = False
    ending: str = ""
    """What follows the last cell of each row."""


def drawn(export: Export, chance: Random) -> Drawn:
    """Draw a file of two to nine rows."""
    rows = [export.draw(chance, number) for number in range(10, 12 + chance.randrange(8))]
    encoding = "utf-16" if export.preset == "metatrader5" else "utf-8"
    return Drawn(export, list(rows[0]), [list(row.values()) for row in rows], encoding=encoding)


def plain_rows(file: Drawn) -> Rows:
    """Return the rows as their header names the cells; raise ValueError if a row has more or fewer."""
    header = _named(file.header) if file.export.has_header else list(file.export.draw(Random(0), 10))
    return [dict(zip(header, cells, strict=True)) for cells in file.rows]


def _named(header: Sequence[str]) -> list[str]:
    """Return names as a report with two columns of one name tells them apart."""
    bare = [name.removesuffix(" (2)") for name in header]
    return [f"{name} (2)" if name in bare[:index] else name for index, name in enumerate(bare)]


def facts_of(export: Export, rows: Rows) -> list[Fact]:
    """Return what rows mean; one that repeats another with the same ids and the same meaning counts once."""
    kept: list[Row] = []
    for row in rows:
        if export.ids and row.get(export.ids[0]):
            alike = [each for each in kept if all(each.get(name) == row.get(name) for name in export.ids)]
            if any(list(export.truth([each])) == list(export.truth([row])) for each in alike):
                continue
        kept.append(row)
    return list(export.truth(kept))


def written(file: Drawn) -> bytes:
    """Return the file's bytes."""
    suffix = file.export.name.rsplit(".", 1)[1]
    if suffix == "sqlite":
        return _database(file)
    text = {"csv": _csv, "json": _json}.get(suffix, _html)(file)
    return text.encode(file.encoding)


def _csv(file: Drawn) -> str:
    out = io.StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if file.quotes_all else csv.QUOTE_MINIMAL
    lines = csv.writer(out, delimiter=file.delimiter, lineterminator=f"{file.ending}{file.line_end}", quoting=quoting)
    header = [[name.removesuffix(" (2)") for name in file.header]] if file.export.has_header else []
    lines.writerows([*header, *file.rows])
    return file.export.before + out.getvalue()


def _json(file: Drawn) -> str:
    rows = []
    for cells in file.rows:
        row: dict[str, object] = {}
        for name, cell in zip(file.header, cells, strict=False):
            outer, _, inner = name.partition(".")
            value = float(cell) if name in _IN_JSON and NUMBER.fullmatch(cell) else cell or None
            if inner:
                member = row.setdefault(outer, {})
                assert isinstance(member, dict)
                member[inner] = value
            else:
                row[name] = int(cell) if name == "timestamp" and cell.isdigit() else value
        rows.append(row)
    return json.dumps(rows, indent=1)


def _html(file: Drawn) -> str:
    title = "Closed Transactions:" if file.export.preset == "metatrader4" else "Deals"
    lines = [[name.removesuffix(" (2)") for name in file.header], *file.rows]
    rows = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for cells in lines)
    end = "<tr><td colspan=14><b>Results</b></td></tr>\n</table></body></html>"
    return f"<html><body><table>\n<tr><th colspan=14><b>{title}</b></th></tr>\n{rows}\n{end}\n"


def _database(file: Drawn) -> bytes:
    names = [name for name in file.header if name != "fee_open"]
    columns = ", ".join(f'"{name}"' for name in names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.sqlite"
        database = sqlite3.connect(path)
        fees = ("fee_open", "fee_close") if "fee_open" in file.header else ("fee_close",)
        database.execute(f"CREATE TABLE trades (id INTEGER PRIMARY KEY, {', '.join(fees)})")
        database.execute(f"CREATE TABLE orders (id INTEGER PRIMARY KEY, ft_trade_id INTEGER, {columns})")
        for index, cells in enumerate(file.rows):
            row = dict(zip(file.header, cells, strict=False))
            values = [_value(row.get(name, "")) for name in names]
            ratios = [_value(row.get("fee_open", ""))] * len(fees)
            for table, cells_of in (("trades", (index, *ratios)), ("orders", (index, index, *values))):
                marks = ", ".join("?" * len(cells_of))
                database.execute(f"INSERT INTO {table} VALUES ({marks})", cells_of)  # noqa: S608 - the test's own
        database.commit()
        database.close()
        return path.read_bytes()


def _value(cell: str) -> float | str | None:
    return float(cell) if NUMBER.fullmatch(cell) else cell or None


def rows_of_text(export: Export, data: bytes) -> Rows:
    """Return the rows of a text that may be cut; raise ValueError, or csv.Error, where one is not whole."""
    text = data.decode()
    if not text.startswith(export.before):
        return []
    header, *lines = list(csv.reader(io.StringIO(text.removeprefix(export.before), newline=""), strict=True)) or [[]]
    if not export.has_header:
        header, lines = list(export.draw(Random(0), 10)), [header, *lines] if header else []
    return [dict(zip(header, cells, strict=True)) for cells in lines]
