"""What commands print: results on stdout as tables or JSON, diagnostics on stderr, plain where there is no terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from typing_extensions import override

from gateways.presenting.documents import json_text
from gateways.presenting.escaping import escaped
from gateways.presenting.tables import table, wrapped

Step = Callable[[int, int | None], None]

COLUMNS = 80
"""Width of tables in a file or a pipe, unless COLUMNS is set in the environment."""
ROWS_SHOWN = 40


class ResultConsole(Console):
    """A console that raises BrokenPipeError when its reader leaves, so that the command decides how to end."""

    @override
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def screen(file: TextIO | None = None) -> ResultConsole:
    """Return a console on stdout or another stream, which reads no markup in data and sends no color to a pipe."""
    stream = sys.stdout if file is None else file
    columns = None if stream.isatty() or "COLUMNS" in os.environ else COLUMNS
    return ResultConsole(file=stream, width=columns, markup=False, emoji=False, highlight=False)


def note(message: str) -> None:
    """Print a diagnostic on stderr."""
    diagnose(f"note: {escaped(message)}")


def diagnose(line: str) -> None:
    """Print one line on stderr; if that is full or closed, the command does not fail because of it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def put(line: str = "") -> None:
    """Print one line of results, however long."""
    sys.stdout.write(escaped(line) + "\n")


def put_under(head: str, text: str) -> None:
    """Print text after a head, on one line; on a terminal it is wrapped with a hanging indent."""
    if not sys.stdout.isatty():
        put(head + text)
        return
    margin = " " * len(head)
    for number, line in enumerate(wrapped(escaped(text), max(screen().width - len(head), 1))):
        put((margin if number else head) + line)


def put_fields(fields: Iterable[str]) -> None:
    """Print one line of tab-separated fields; tabs within a field are escaped."""
    sys.stdout.write("\t".join(map(escaped, fields)) + "\n")


def put_json(document: object) -> None:
    """Print one JSON document on one line; exact figures must be text already."""
    sys.stdout.write(json_text(document) + "\n")


def put_table(
    title: str, columns: Sequence[str], rows: Iterable[Iterable[str]], *, shown: int = 0, notes: Sequence[str] = ()
) -> None:
    """Print a table with its number of rows and notes, then an empty line.

    `shown` limits the rows printed, and the notes, 0 for all.
    """
    lines = list(rows)
    if not lines:
        put(f"{title}: none")
        put()
        return
    kept = lines[:shown] if shown else lines
    console = screen()
    for line in wrapped(escaped(f"{title} ({len(lines):,})"), console.width):
        console.print(Text(line, style="bold"), soft_wrap=True)
    rule = "─" if "utf" in (sys.stdout.encoding or "").lower() else "-"
    for line in table(columns, kept, console.width, rule=rule):
        put(line)
    if len(kept) < len(lines):
        put(f"… and {len(lines) - len(kept):,} more: --rows 0 shows all")
    for note in notes[:shown] if shown else notes:
        # On a pipe a note is one line, which a search finds whole.
        for line in wrapped(escaped(note), console.width) if console.is_terminal else [escaped(note)]:
            console.print(Text(line), soft_wrap=True)
    if shown and len(notes) > shown:
        put(f"… and {len(notes) - shown:,} more of these: --rows 0 shows all")
    put()


@contextlib.contextmanager
def progress(what: str, console: Console | None = None) -> Iterator[Step]:
    """Show a progress bar, by default on stderr, and yield what moves it: (done, total or None). No bar on a pipe."""
    chosen = screen(sys.stderr) if console is None else console
    if not chosen.is_terminal:
        yield lambda _done, _total: None
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=chosen, transient=console is None) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
