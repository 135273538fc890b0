"""The published programs of firms, as a table or as JSON."""

from __future__ import annotations

from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import put_json, put_table
from projections.risk import programs

LIST = "?"
"""What is given in place of a program's name to list them all."""
_COLUMNS = ("program", "firm", "dated", "~source")


def put_programs(common: CommonOptions, rows: int) -> None:
    """Print the programs with their firms, dates and sources."""
    found = [each for each in (programs.load(name).program for name in programs.names()) if each is not None]
    if common.as_json:
        put_json([plain(each) for each in found])
    else:
        cells = [(each.name, each.firm, each.dated.isoformat(), each.source) for each in found]
        put_table("Programs", _COLUMNS, cells, shown=rows)
