"""What happens to files: each changes one that was drawn, and returns the rows whose facts it has then.

None: no plain reading of it is possible, so that it must be refused. Rows may lack names or have cells that mean
nothing, which is to be refused as well. A refusal is right in any case, but for `as_written`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.importers.drawn_files import NUMBER, Drawn, plain_rows
from tests.importers.facts import Rows

Mutation = Callable[[Random, Drawn], "Rows | None"]
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_IDS = re.compile(r"\bid|id\b|_id|Id|order|Order|Ticket|Deal|fee_open|number", re.ASCII)
_ISO = re.compile(r"(\d{4})([-.])(\d\d)[-.](\d\d)")
_THOUSANDS = re.compile(r"(?<=\d)(?=(?:\d{3})+$)")
_WORDS = {
    "buy": ("Kauf", "Achat", "Compra", "Acquisto"),
    "sell": ("Verkauf", "Vente", "Venda", "Vendita"),
    "long": ("Kauf", "Achat"),
    "short": ("Verkauf", "Vente"),
    "bid": ("Geld",),
    "ask": ("Brief",),
    "filled": ("Ausgeführt", "Exécuté"),
    "closed": ("geschlossen",),
    "trade": ("Handel",),
    "execution": ("Ausführung",),
}


def as_written(_: Random, file: Drawn) -> Rows:
    return plain_rows(file)


def columns_reordered(chance: Random, file: Drawn) -> Rows:
    order = list(range(len(file.header)))
    chance.shuffle(order)
    file.header = [file.header[index] for index in order]
    file.rows = [[cells[index] for index in order] for cells in file.rows]
    return plain_rows(file)


def columns_swapped(chance: Random, file: Drawn) -> Rows:
    """Swap the cells of two columns, not their names.

    Of columns that mean something alike, such as two prices, nobody can know: the rows as they stand are what is read.
    """
    one, other = chance.sample(range(len(file.header)), 2)
    for cells in file.rows:
        cells[one], cells[other] = cells[other], cells[one]
    return plain_rows(file)


def cells_swapped(chance: Random, file: Drawn) -> Rows:
    """Swap two cells of one row.

    Of a price and a cost, both with a currency's sign or without, nobody can know: the cells as they stand are read.
    """
    cells = chance.choice(file.rows)
    one, other = chance.sample(range(len(cells)), 2)
    cells[one], cells[other] = cells[other], cells[one]
    return plain_rows(file)


def cell_emptied(chance: Random, file: Drawn) -> Rows:
    cells = chance.choice(file.rows)
    cells[chance.randrange(len(cells))] = ""
    return plain_rows(file)


def cell_lost(chance: Random, file: Drawn) -> Rows | None:
    """Shorten a row; a missing last cell is an empty one."""
    cells = chance.choice(file.rows)
    index = chance.randrange(len(cells))
    del cells[index]
    if file.export.name.endswith((".json", ".sqlite")) or index == len(cells):
        rows = [[*row, *[""] * (len(file.header) - len(row))] for row in file.rows]
        return plain_rows(Drawn(file.export, file.header, rows))
    return None


def column_lost(chance: Random, file: Drawn) -> Rows | None:
    index = chance.randrange(len(file.header))
    for cells in (file.header, *file.rows):
        del cells[index]
    return plain_rows(file) if file.export.has_header else None


def decimal_comma(chance: Random, file: Drawn) -> Rows:
    """Write all numbers as half of Europe does."""
    before = plain_rows(file)
    groups = chance.random() < 0.5
    file.rows = [[_with_comma(cell, groups=groups) for cell in cells] for cells in file.rows]
    file.delimiter = chance.choice(",;\t")
    return before


def _with_comma(cell: str, *, groups: bool) -> str:
    if not re.fullmatch(r"[^\d]{0,3}[\d,]+\.\d+[^\d]{0,5}", cell):
        return cell
    whole, _, part = cell.replace(",", "").partition(".")
    return f"{_THOUSANDS.sub('.', whole) if groups else whole},{part}"


def days_first(_: Random, file: Drawn) -> Rows | None:
    """Write dates the other way round.

    Where no day is above twelve and the preset states an order, nobody can know: such files are left out.
    """
    before, days = plain_rows(file), [0]
    file.rows = [[_turned(cell, days) for cell in cells] for cells in file.rows]
    return before if max(days) > 12 or not days[1:] else plain_rows(file)


def _turned(cell: str, days: list[int]) -> str:
    if found := _DATE.search(cell):
        days.append(max(int(found[1]), int(found[2])))
        return cell.replace(found[0], f"{found[2]}/{found[1]}/{found[3]}")
    return _ISO.sub(r"\4\2\3\2\1", cell)


def with_currency(chance: Random, file: Drawn) -> Rows:
    before, sign = plain_rows(file), chance.choice(("$", "€", "USD ", "£"))
    index = chance.choice([each for each in range(len(file.header)) if NUMBER.fullmatch(file.rows[0][each])] or [0])
    if _IDS.search(file.header[index]):
        return before
    for cells in file.rows:
        cells[index] = f"{sign}{cells[index]}"
    return before


def block_doubled(chance: Random, file: Drawn) -> Rows:
    first = chance.randrange(len(file.rows))
    file.rows += [list(cells) for cells in file.rows[first : first + 3]]
    return plain_rows(file)


def header_repeated(chance: Random, file: Drawn) -> Rows:
    before = plain_rows(file)
    file.rows.insert(chance.randrange(len(file.rows) + 1), [name.removesuffix(" (2)") for name in file.header])
    return before


def rows_shuffled(chance: Random, file: Drawn) -> Rows:
    chance.shuffle(file.rows)
    return plain_rows(file)


def rows_reversed(_: Random, file: Drawn) -> Rows:
    file.rows.reverse()
    return plain_rows(file)


def blank_lines(chance: Random, file: Drawn) -> Rows:
    before = plain_rows(file)
    if file.export.name.endswith(".csv"):
        for _ in range(3):
            file.rows.insert(chance.randrange(len(file.rows) + 1), [])
        file.line_end = chance.choice(("\n", "\r\n"))
    return before


def trailing_delimiter(chance: Random, file: Drawn) -> Rows:
    before = plain_rows(file)
    if chance.random() < 0.5:
        file.ending = file.delimiter
    else:
        file.rows = [[*cells, ""] for cells in file.rows]
    return before


def encoded(chance: Random, file: Drawn) -> Rows:
    file.encoding = chance.choice(("utf-8-sig", "utf-16", "utf-16-le", "cp1252"))
    file.delimiter = chance.choice(",;\t|")
    file.quotes_all = chance.random() < 0.5
    return plain_rows(file)


def id_lost(chance: Random, file: Drawn) -> Rows:
    rows = chance.choice((file.rows, [chance.choice(file.rows)]))
    for name in file.export.ids[:1]:
        for cells in rows:
            cells[file.header.index(name)] = ""
    return plain_rows(file)


def id_repeated(chance: Random, file: Drawn) -> Rows:
    one, other = chance.sample(file.rows, 2)
    for name in file.export.ids:
        index = file.header.index(name)
        other[index] = one[index]
    return plain_rows(file)


def sign_flipped(chance: Random, file: Drawn) -> Rows:
    """Flip the sign of one cell.

    A single cost below zero is what a rebate looks like, and a price below zero has been paid for oil: both are read.
    """
    cells = chance.choice(file.rows)
    _flip(cells, chance.choice([each for each in range(len(cells)) if NUMBER.fullmatch(cells[each])] or [0]))
    return plain_rows(file)


def _flip(cells: list[str], index: int) -> None:
    if NUMBER.fullmatch(cells[index]):
        cells[index] = cells[index].removeprefix("-") if cells[index].startswith("-") else f"-{cells[index]}"


def column_flipped(chance: Random, file: Drawn) -> Rows:
    """Flip the signs of a column."""
    index = chance.randrange(len(file.header))
    for cells in file.rows:
        _flip(cells, index)
    return plain_rows(file)


def words_in_other_case(chance: Random, file: Drawn) -> Rows:
    before, change = plain_rows(file), chance.choice((str.upper, str.lower, str.title))
    for cells in file.rows:
        cells[:] = [change(cell) if cell.strip().lower() in _WORDS else cell for cell in cells]
    return before


def words_translated(chance: Random, file: Drawn) -> Rows:
    before, which = plain_rows(file), chance.randrange(4)
    for cells in chance.choice((file.rows, [chance.choice(file.rows)])):
        for index, cell in enumerate(cells):
            if words := _WORDS.get(cell.strip().lower()):
                cells[index] = words[which % len(words)]
    return before


def header_in_other_case(chance: Random, file: Drawn) -> Rows:
    before, change = plain_rows(file), chance.choice((str.upper, str.lower, lambda name: f" {name} "))
    file.header = [change(name) for name in file.header]
    return before


MUTATIONS: tuple[Mutation, ...] = (
    *(as_written, columns_reordered, columns_swapped, cells_swapped, cell_emptied, cell_lost, column_lost),
    *(decimal_comma, days_first, with_currency, block_doubled, header_repeated, rows_shuffled, rows_reversed),
    *(blank_lines, trailing_delimiter, encoded, id_lost, id_repeated, sign_flipped, column_flipped),
    *(words_in_other_case, words_translated, header_in_other_case),
)
