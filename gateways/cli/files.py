"""The options of commands that read a broker's or vendor's file, and the bars that show how far they are."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from eventstore import InvalidEvent, SystemClock
from eventstore.clock import NANOSECONDS
from gateways.importers import FORMATS
from gateways.presenting.output import Step
from gateways.presenting.output import progress as bar

FILE = typer.Argument(metavar="FILE", help="File to read; may be a .gz.")
FORMAT = typer.Option("--format", metavar="NAME", help=f"One of {', '.join(FORMATS)}.")
File = Annotated[Path, FILE]
Format = Annotated[str, FORMAT]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Account of the file's rows.")]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=FIELD", help="For fills: the field that a column holds; repeatable."),
]
Contracts = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Your own contracts, used before the built-in table.")
]
Symbol = Annotated[str | None, typer.Option(help="Instrument, if neither the file nor its name says it.")]
Day = Annotated[str | None, typer.Option(metavar="DAY", help="For lobster: the trading day, for example 2012-06-21.")]
BytesMax = Annotated[int, typer.Option(min=1, metavar="BYTES", help="Maximum size that a .gz or .zip may expand to.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Leave out invalid rows and list them.")]


def check_file(file: Path, what: str) -> None:
    """Raise InvalidEvent for what is not a file; `what` is what the command does with one."""
    if not file.is_file():
        kind = "a directory" if file.is_dir() else "not a regular file"
        msg = f"{file} is {kind}: give the file to {what}" if file.exists() else f"there is no file {file}"
        raise InvalidEvent(msg)


def mapping_of(maps: list[str] | None) -> dict[str, str] | None:
    """Return the field that each column holds; raise InvalidEvent for an option that does not say it."""
    mapping = {}
    for given in maps or ():
        column, sign, field = given.rpartition("=")
        if not sign or not column or not field:
            msg = f"--map {given}: write it like --map Qty=quantity"
            raise InvalidEvent(msg)
        mapping[column] = field
    return mapping or None


class Bars:
    """One progress bar after the other: one for each phase, the first of which reads rows, whose total is unknown.

    They begin `after` so many seconds: what is faster needs none.
    """

    def __init__(self, stack: contextlib.ExitStack, after: int) -> None:
        self._stack, self._clock = stack, SystemClock()
        self._begins = self._clock.monotonic_ns() + after * NANOSECONDS
        self._phase = ""
        self._step: Step = self._nothing

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if self._clock.monotonic_ns() < self._begins:
            return
        if phase != self._phase:
            self._phase = phase
            self._stack.close()
            self._step = self._stack.enter_context(bar(phase))
        self._step(done, total)

    @staticmethod
    def _nothing(_done: int, _total: int | None) -> None:
        pass


@contextlib.contextmanager
def bars(*, after: int = 0) -> Iterator[Bars | None]:
    """Yield what shows progress on a terminal, `after` so many seconds; None on a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    with contextlib.ExitStack() as stack:
        yield Bars(stack, after)
