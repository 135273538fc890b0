"""Files of each preset, drawn by chance and damaged: the right figures, or a refusal that says where or what."""

from __future__ import annotations

import contextlib
import csv
import functools
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import parse_time
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import CashMoved, OrderFilled, TradeExecuted
from gateways.importers import FORMATS, BadRow, MissingChoices, import_file
from tests.importers.broker_exports import BROKERS
from tests.importers.drawn_files import Drawn, drawn, facts_of, plain_rows, rows_of_text, written
from tests.importers.drawn_rows import Export
from tests.importers.exchange_exports import EXCHANGES
from tests.importers.facts import Fact, Rows, fact_of
from tests.importers.file_mutations import MUTATIONS, Mutation
from tests.proving import rounds

EXPORTS = (*EXCHANGES, *BROKERS)
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    KeyError,
    ValueError,
    csv.Error,
    IndexError,
    StopIteration,
    RuntimeError,
    TypeError,
)
"""What the plain readings raise for a row that means nothing."""


def test_every_format_is_drawn() -> None:
    assert {export.preset for export in EXPORTS} == set(FORMATS)


Change = Callable[[Random, Drawn], tuple[bytes, "Rows | None"]]


def change_of(mutation: Mutation) -> Change:
    """Return a mutation of cells as one of bytes."""

    @functools.wraps(mutation)
    def change(chance: Random, file: Drawn) -> tuple[bytes, Rows | None]:
        rows: Rows | None = None
        with contextlib.suppress(*UNREADABLE):
            rows = mutation(chance, file)
        return written(file), rows

    return change


@pytest.mark.untraced
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.preset)
def test_a_changed_file_gives_the_right_figures_or_is_refused(export: Export) -> None:
    for seed in rounds(f"mutated {export.preset}", test=len(ALL), prove=500):
        check(export, seed)


def check(export: Export, seed: int) -> None:
    chance = Random(f"{export.preset} {seed}")
    file = drawn(export, chance)
    mutation = ALL[seed % len(ALL)]
    data, rows = mutation(chance, file)
    is_named = chance.random() < 0.8 or export.preset == "lobster"
    with_preset = export.preset if is_named else None
    name = mutation.__name__
    where = f"{export.preset}, seed {seed}, {name}, preset {with_preset}"
    found = imported(export, data, with_preset)
    if isinstance(found, InvalidEvent):
        assert is_explained(found, export.name), f"{where}: {found!r}"
        keys = {each.key for each in found.questions} if isinstance(found, MissingChoices) else set()
        # Of days that could all be months, it is asked which they are.
        assert name != "as_written" or keys == {"time.format"}, f"{where}: {found}"
        return
    assert rows is not None, f"{where}: read what nobody can read:\n{shown(data)}"
    try:
        expected = facts_of(export, rows)
    except UNREADABLE as e:
        pytest.fail(f"{where}: read what nobody can read ({e!r}):\n{shown(data)}\n{found}")
    assert Counter(found) == Counter(expected), f"{where}\n{shown(data)}"


def shown(data: bytes) -> str:
    return data[:4_000].decode("utf-8", "replace")


def cut_short(chance: Random, file: Drawn) -> tuple[bytes, Rows | None]:
    """End a file after any of its bytes; a text that ends where a row could end has the rows that are left."""
    whole, export = written(file), file.export
    data = whole[: chance.randrange(len(whole))]
    if not export.name.endswith(".csv"):
        return data, plain_rows(file)
    with contextlib.suppress(*UNREADABLE):
        return data, rows_of_text(export, data)
    return data, None


def with_a_foreign_row(chance: Random, file: Drawn) -> tuple[bytes, Rows | None]:
    """Insert a row of another preset's export, as long as it is or as the others are."""
    other = chance.choice([each for each in EXPORTS if each.preset != file.export.preset])
    cells = list(other.draw(chance, 99).values())
    if chance.random() < 0.5:
        cells = [*cells, *[""] * len(file.header)][: len(file.header)]
    before = plain_rows(file)
    file.rows.insert(chance.randrange(len(file.rows) + 1), cells)
    if file.export.preset == "ib-activity":
        # A statement has many sections: what does not begin with the name of this one is another's.
        return written(file), before
    with contextlib.suppress(*UNREADABLE):
        return written(file), plain_rows(file)
    return written(file), None


def imported(export: Export, data: bytes, preset: str | None) -> list[Fact] | InvalidEvent:
    """Return what an import of a file recorded, or its refusal, after a look at the store, which is empty."""
    clock = ManualClock(parse_time("2026-08-01T00:00:00Z"))
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(EventStore(MemoryJournal(log="mutated", clock=clock), clock=clock)) as store,
    ):
        path, options = Path(folder) / export.name, dict(export.options)
        path.write_bytes(data)
        if lots := options.get("contracts"):
            options["contracts"] = Path(folder) / "lots.toml"
            options["contracts"].write_text(lots, "utf-8")
        try:
            import_file(store, path, preset, **options)
        except InvalidEvent as e:
            head = store.head()
            return e if head == 0 else pytest.fail(f"refused after {head} events were written: {e}")
        return [fact_of(record) for record in store.read(types=(TradeExecuted, OrderFilled, CashMoved))]


def is_explained(error: InvalidEvent, file: str) -> bool:
    """Return whether a refusal names what is missing, or the line, or of a file that cannot be read that file."""
    if isinstance(error, MissingChoices):
        return bool(error.questions)
    if isinstance(error, BadRow) and error.line:
        return bool(error.column or error.why)
    return file in str(error)


ALL: tuple[Change, ...] = (*map(change_of, MUTATIONS), cut_short, with_a_foreign_row)
