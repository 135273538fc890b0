"""Files that were damaged, cut, doubled, reordered or written elsewhere: the right figures, or a refusal of a cell."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import parse_time
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import OrderFilled, Side, TradeExecuted
from gateways.importers import import_file
from gateways.importers.kinds.execution import is_made
from tests.importers.mappings import ORDERS, PAIRS, mapping
from tests.proving import rounds

Cells = list[str]
Lines = list[Cells]
Truth = dict[str, tuple[Decimal, Decimal, Decimal]]
"""By id: the signed quantity, the price and what was paid."""


class Export:
    """An export: its header, rows that are drawn, and what each of them means by a second, plain reading."""

    def __init__(self, name: str, header: str, row: Callable[[random.Random, int], Cells], **options: object) -> None:
        self.name, self.header, self.row, self.options = name, header.split(","), row, options


def _fill(chance: random.Random, number: int) -> Cells:
    price = f"{21_000 + chance.randrange(400) * Decimal('0.25'):f}"
    side = chance.choice(("buy", "sell"))
    return [f"T{number}", "MNQH6", side, str(chance.randint(1, 9)), price, "0.62", f"2026-03-02T15:{number:02}:00Z"]


def _trip(chance: random.Random, number: int) -> Cells:
    entry, exit_ = (f"{6_000 + chance.randrange(400) * Decimal('0.25'):f}" for _ in range(2))
    times = [f"03/02/2026 1{hour}:{number:02}:00 +02:00" for hour in (5, 6)]
    side = chance.choice(("Long", "Short"))
    return [str(900 + number), "ESH6", entry, exit_, "2.80", "", str(chance.randint(1, 9)), side, *times]


def _pair(chance: random.Random, number: int) -> Cells:
    bought, sold = (f"{21_000 + chance.randrange(400) * Decimal('0.25'):f}" for _ in range(2))
    quantity = chance.randint(1, 9)
    return [
        *("MNQH6", f"{number}1", f"{number}2", str(quantity), bought, sold, ""),
        *(f"03/02/2026 09:{number:02}:05", f"03/02/2026 10:{number:02}:49"),
    ]


def _order(chance: random.Random, number: int) -> Cells:
    price = f"{21_000 + chance.randrange(400) * Decimal('0.25'):f}"
    at = f"03/02/2026 09:{number:02}:00"
    side, quantity = chance.choice((" Buy", " Sell")), chance.randint(1, 9)
    status, filled = chance.choice(((" Filled", quantity), (" Canceled", 0), (" Canceled", 1), (" Working", 0)))
    done = [price, str(filled), at] if filled else ["", "", ""]
    return [f"{7_000 + number}", "ACCX", side, "MNQH6", *done, status, str(quantity), " Limit", price, "", at]


FILLS = Export("fills", "trade_id,symbol,side,quantity,price,fee,time", _fill, format="fills", account="ACCX")
TRIPS = Export(
    "trips",
    "Id,ContractName,EntryPrice,ExitPrice,Fees,PnL,Size,Type,EnteredAt,ExitedAt",
    _trip,
    format="topstepx-trades",
    account="ACCX",
)
MATCHED = Export(
    "pairs",
    "symbol,buyFillId,sellFillId,qty,buyPrice,sellPrice,pnl,boughtTimestamp,soldTimestamp",
    _pair,
    mapping=mapping(PAIRS),
    account="ACCX",
    zone="America/Chicago",
)
WORKED = Export(
    "orders",
    "orderId,Account,B/S,Contract,avgPrice,filledQty,Fill Time,Status,Quantity,Type,Limit Price,Stop Price,Timestamp",
    _order,
    mapping=mapping(ORDERS),
    zone="America/Chicago",
)
EXPORTS = (FILLS, TRIPS, MATCHED, WORKED)


def truth_of(export: Export, rows: Sequence[Cells]) -> Truth:
    """Return what rows mean, read plainly; raise ValueError for a row that means nothing."""
    found: Truth = {}
    for cells in rows:
        row = dict(zip(export.header, cells, strict=True))
        found |= _TRUTHS[export.name](row)
    return found


def _signed(quantity: str, *, is_bought: bool) -> Decimal:
    return Decimal(quantity) * (1 if is_bought else -1)


def _truth_of_fill(row: dict[str, str]) -> Truth:
    quantity = _signed(row["quantity"], is_bought=row["side"] == "buy")
    return {row["trade_id"]: (quantity, Decimal(row["price"]), Decimal(row["fee"] or 0))}


def _truth_of_trip(row: dict[str, str]) -> Truth:
    entry = _signed(row["Size"], is_bought=row["Type"] == "Long")
    return {
        f"{row['Id']}-entry": (entry, Decimal(row["EntryPrice"]), Decimal(0)),
        f"{row['Id']}-exit": (-entry, Decimal(row["ExitPrice"]), Decimal(row["Fees"] or 0)),
    }


def _truth_of_pair(row: dict[str, str]) -> Truth:
    quantity = Decimal(row["qty"])
    return {
        row["buyFillId"]: (quantity, Decimal(row["buyPrice"]), Decimal(0)),
        row["sellFillId"]: (-quantity, Decimal(row["sellPrice"]), Decimal(0)),
    }


def _truth_of_order(row: dict[str, str]) -> Truth:
    if not Decimal(row["filledQty"] or 0):
        return {}
    quantity = _signed(row["filledQty"], is_bought=row["B/S"].strip() == "Buy")
    return {row["orderId"]: (quantity, Decimal(row["avgPrice"]), Decimal(0))}


_TRUTHS: dict[str, Callable[[dict[str, str]], Truth]] = {
    "fills": _truth_of_fill,
    "trips": _truth_of_trip,
    "pairs": _truth_of_pair,
    "orders": _truth_of_order,
}


# What happens to files


def reordered_columns(chance: random.Random, table: Lines) -> str:
    order = list(range(len(table[0])))
    chance.shuffle(order)
    return _text([[cells[index] for index in order] for cells in table])


def shuffled_rows(chance: random.Random, table: Lines) -> str:
    header, *rows = table
    chance.shuffle(rows)
    return _text([header, *rows])


def newest_first(_: random.Random, table: Lines) -> str:
    header, *rows = table
    return _text([header, *reversed(rows)])


def doubled_block(chance: random.Random, table: Lines) -> str:
    header, *rows = table
    first = chance.randrange(len(rows))
    return _text([header, *rows, *rows[first : first + 3]])


def missing_cell(chance: random.Random, table: Lines) -> str:
    row = chance.choice(table[1:])
    row[chance.randrange(len(row))] = ""
    return _text(table)


def lost_cell(chance: random.Random, table: Lines) -> str:
    row = chance.choice(table[1:])
    del row[chance.randrange(len(row))]
    return _text(table)


def decimal_comma(_: random.Random, table: Lines) -> str:
    return _text([[cell.replace(".", ",") for cell in cells] for cells in table], delimiter=";")


def cut_short(chance: random.Random, table: Lines) -> str:
    text = _text(table)
    return text[: chance.randrange(len(text))]


def swapped_header(chance: random.Random, table: Lines) -> str:
    """Swap the names of two columns that no cell of the other fits."""
    times = [index for index, name in enumerate(table[0]) if "time" in name.lower() or name.endswith("At")]
    others = [
        index for index, name in enumerate(table[0]) if "price" in name.lower() or name in {"quantity", "qty", "Size"}
    ]
    one, other = chance.choice(times), chance.choice(others)
    table[0][one], table[0][other] = table[0][other], table[0][one]
    return _text(table)


def as_written(_: random.Random, table: Lines) -> str:
    return _text(table)


MUTATIONS = (
    *(as_written, reordered_columns, shuffled_rows, newest_first, doubled_block, missing_cell, lost_cell),
    *(decimal_comma, cut_short, swapped_header),
)


def _text(table: Lines, delimiter: str = ",") -> str:
    return "".join(f"{delimiter.join(cells)}\n" for cells in table)


def _rows_in(export: Export, text: str) -> Lines | None:
    """Return the rows of a text as far as they are whole; None if no plain reading of it is possible."""
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    header, *lines = [line.split(delimiter) for line in text.split("\n") if line]
    if set(header) != set(export.header) or any(len(cells) != len(header) for cells in lines):
        return None
    return [[dict(zip(header, cells, strict=True))[name] for name in export.header] for cells in lines]


@pytest.mark.untraced
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_changed_file_gives_the_right_figures_or_is_refused(
    export: Export, mutation: Callable[[random.Random, Lines], str]
) -> None:
    for seed in rounds(f"mutated {export.name} by {mutation.__name__.replace('_', ' ')}", test=5, prove=500):
        _check(export, mutation, seed)


def _check(export: Export, mutation: Callable[[random.Random, Lines], str], seed: int) -> None:
    chance = random.Random(seed)
    table = [list(export.header), *(export.row(chance, number) for number in range(10, 10 + chance.randint(1, 12)))]
    text = mutation(chance, table)
    rows = _rows_in(export, text) if text else None
    with contextlib.suppress(InvalidEvent):
        found = imported(export, text)
        assert rows is not None, f"seed {seed}: read what nobody can read:\n{text}"
        assert found == truth_of(export, [[cell.replace(",", ".") for cell in cells] for cells in rows]), f"seed {seed}"


def imported(export: Export, text: str) -> Truth:
    """Return what an import of a text recorded; a refusal is raised, after a look at the store, which is empty."""
    clock = ManualClock(parse_time("2026-03-03T00:00:00Z"))
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(EventStore(MemoryJournal(log="mutated", clock=clock), clock=clock)) as store,
    ):
        path = Path(folder) / f"{export.name}.csv"
        path.write_text(text, "utf-8")
        try:
            import_file(store, path, **export.options)  # type: ignore[arg-type]
        except InvalidEvent:
            assert store.head() == 0
            raise
        return {
            _stated(event.trade_id): (
                event.quantity if event.side is Side.BUY else -event.quantity,
                event.price,
                event.fee,
            )
            for record in store.read(types=(TradeExecuted, OrderFilled))
            if isinstance(event := record.event, TradeExecuted | OrderFilled)
        }


def _stated(trade_id: str) -> str:
    """Return an id as the file has it: one that was made from the figures of the row is an empty cell there."""
    return "" if is_made(trade_id) else trade_id


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_an_unchanged_file_is_not_refused(export: Export) -> None:
    chance = random.Random(export.name)
    rows = [export.row(chance, number) for number in range(10, 30)]
    assert imported(export, _text([export.header, *rows])) == truth_of(export, rows)
