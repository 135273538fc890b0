"""What commands print: data on stdout as tables or JSON, talk on stderr, plain wherever there is no terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TextIO

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typing_extensions import override

Step = Callable[[int, int | None], None]

PIPED_COLUMNS = 200
"""Tables that go to a file are as wide as they need to be: cropping is for screens."""
ROWS_SHOWN = 40


class Screen(Console):
    """A console whose reader may leave: the command decides how to end, not the library."""

    @override
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def screen(file: TextIO | None = None, *, piped_columns: int = PIPED_COLUMNS) -> Screen:
    """Return a console on stdout, or another stream: no markup is read in data, no colour is sent to a pipe."""
    stream = sys.stdout if file is None else file
    columns = None if stream.isatty() or "COLUMNS" in os.environ else piped_columns
    return Screen(file=stream, width=columns, markup=False, emoji=False, highlight=False)


def note(message: str) -> None:
    """Say something about the work on stderr."""
    print(f"note: {printable(message)}", file=sys.stderr)


def put(line: str) -> None:
    """Print one line of data, as it is and however long."""
    sys.stdout.write(line + "\n")


def put_json(document: object) -> None:
    """Print one JSON document on one line; figures that have to be exact come as text already."""
    put(msgspec.json.encode(document).decode())


def put_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], *, shown: int = 0) -> None:
    """Print a table and how many rows it has; with `shown`, at most so many of them."""
    lines = list(rows)
    if not lines:
        put(f"{title}: none")
        return
    kept = lines[:shown] if shown else lines
    console = screen()
    with console.capture() as captured:
        console.print(table(f"{title} ({len(lines):,})", columns, kept))
    for line in captured.get().splitlines():
        put(line.rstrip())
    if len(kept) < len(lines):
        put(f"  … and {len(lines) - len(kept):,} more: --rows 0 shows all\n")


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return a table; a column whose name begins with `>` is one of figures. Nothing is lost in narrow ones."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        figures = name.startswith(">")
        made.add_column(name.removeprefix(">"), justify="right" if figures else "left", overflow="fold")
    for row in rows:
        made.add_row(*[printable(cell) for cell in row])
    return made


def printable(text: str) -> str:
    """Return text in which nothing can steer a terminal: what is not printable is written as its escape."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


@contextlib.contextmanager
def progress(what: str, console: Console | None = None) -> Iterator[Step]:
    """Show a bar, by default on stderr, and hand out what moves it: (done, of how many or None). None on a pipe."""
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
