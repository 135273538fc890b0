"""The options of commands that read a broker's or vendor's file, and the bars that show how far they are."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from eventstore import InvalidEvent, SystemClock
from eventstore.clock import NANOSECONDS
from gateways.cli.exit_codes import USAGE_ERROR
from gateways.cli.options import CommonOptions
from gateways.importers import FORMATS, FileOptions, MissingChoices, Progress, load_mapping
from gateways.importers.archives import BYTES_MAX
from gateways.importers.base import NoSuchColumn
from gateways.importers.mapping_files import is_member
from gateways.importers.missing import InvalidAnswer, what_is_missing
from gateways.importers.values import Question
from gateways.presenting.escaping import escaped
from gateways.presenting.output import Step, diagnose
from gateways.presenting.output import progress as bar

T = TypeVar("T")

File = Annotated[Path | None, typer.Argument(metavar="FILE", help="File to read; may be a .gz, .zip or .zst.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "--preset",
        metavar="NAME",
        help=f"What the file is, if its columns do not say it: one of {', '.join(FORMATS)}.",
    ),
]
Mapping = Annotated[
    Path | None,
    typer.Option("--mapping", metavar="FILE.toml", help="Mapping of your own; --show-mapping of import prints one."),
]
Account = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Account of the file's rows, or the column that has it.")
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=FIELD", help="For fills: the field that a column holds; repeatable."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Answer to what the file leaves open, such as fees.sign=paid-is-negative; repeatable.",
    ),
]
Contracts = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Your own contracts, used before the built-in table.")
]
Symbol = Annotated[str | None, typer.Option(help="Instrument, if neither the file nor its name says it.")]
Day = Annotated[str | None, typer.Option(metavar="DAY", help="For lobster: the trading day, for example 2012-06-21.")]
BytesMax = Annotated[int, typer.Option(min=1, metavar="BYTES", help="Maximum size that an archive may expand to.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Leave out invalid rows and list them.")]
Alongside = Annotated[
    bool, typer.Option("--alongside", help="Count executions once that the log has from another export.")
]


class FileChoices(msgspec.Struct, frozen=True, kw_only=True):
    """The options that every command with a broker's file takes, as given: its members are typer's parameters."""

    file: File = None
    format: Format = None
    mapping: Mapping = None
    account: Account = None
    maps: Maps = None
    sets: Sets = None
    contracts: Contracts = None
    symbol: Symbol = None
    date: Day = None
    bytes_max: BytesMax = BYTES_MAX
    alongside: Alongside = False
    keep_going: KeepGoing = False

    @property
    def is_named(self) -> bool:
        """Whether the caller says what the file is: a format, a mapping, or the columns of one."""
        return bool(self.format or self.mapping or self.maps)

    @property
    def name(self) -> str | None:
        """The format that was named; fills, if only its columns were."""
        return self.format or ("fills" if self.maps and not self.mapping else None)

    def path(self, what: str) -> Path:
        """Return the file; raise InvalidEvent for what is not one. `what` is what the command does with it."""
        if self.file is None:
            msg = f"give the FILE to {what}"
            raise InvalidEvent(msg)
        if not self.file.is_file():
            kind = "a directory" if self.file.is_dir() else "not a regular file"
            msg = (
                f"{self.file} is {kind}: give the file to {what}"
                if self.file.exists()
                else f"there is no file {self.file}"
            )
            raise InvalidEvent(msg)
        return self.file

    def options(self, common: CommonOptions, progress: Progress | None) -> FileOptions:
        """Return the options as `import_file` takes them."""
        if self.mapping is not None and (self.maps or self.format):
            msg = "--mapping says what every column is: leave --map and --format out, or change the file"
            raise InvalidEvent(msg)
        return FileOptions(
            account=self.account,
            symbol=self.symbol,
            date=self.date,
            mapping=load_mapping(self.mapping)
            if self.mapping is not None
            else _pairs(self.maps, "--map", "Qty=quantity"),
            answers=self.answers,
            zone=_zone_name(common),
            contracts=self.contracts,
            keep_going=self.keep_going,
            bytes_max=self.bytes_max,
            alongside=self.alongside,
            progress=progress,
        )

    @property
    def answers(self) -> dict[str, str] | None:
        """The answers to what the file leaves open."""
        return _pairs(self.sets, "--set", "time.zone=America/Chicago", from_left=True)


def with_file_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of FileChoices in place of its parameter `chosen`, which it gets with them."""
    return file_options()(function)


def file_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these options but for some, which it sets itself, in place of its parameter `chosen`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        fields = [field for field in msgspec.structs.fields(FileChoices) if field.name not in left_out]
        hints = inspect.get_annotations(FileChoices, eval_str=True)

        @functools.wraps(function)
        def run(*arguments: Any, **given: Any) -> None:  # noqa: ANN401 - typer passes what the signature names
            chosen = FileChoices(**{field.name: given.pop(field.name) for field in fields if field.name in given})
            function(*arguments, chosen=chosen, **given)

        added = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields
        ]
        own = list(signature.parameters.values())
        first = [each for each in own if each.kind is not inspect.Parameter.KEYWORD_ONLY]
        rest = [each for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY and each.name != "chosen"]
        run.__signature__ = signature.replace(parameters=[*first, *added, *rest])  # type: ignore[attr-defined]
        return run

    return decorate


def with_answers(common: CommonOptions, chosen: FileChoices, run: Callable[[FileChoices], T]) -> T:
    """Run what reads a file, and ask for what it leaves open; without a terminal, list that as a usage error.

    Where an answer is none, all that were asked for with it are asked for again.
    """
    questions: Sequence[Question] = ()
    answered = chosen
    while True:
        try:
            return run(answered)
        except MissingChoices as e:
            is_asked = not common.as_json and sys.stdin.isatty() and sys.stderr.isatty()
            _list_missing(e, 0 if is_asked else len(e.questions))
            if not is_asked:
                raise typer.Exit(USAGE_ERROR) from None
            chosen, questions = answered, e.questions
        except (InvalidAnswer, NoSuchColumn) as e:
            if not questions:
                raise
            diagnose(escaped(f"eventstore: {e}"))
        answered = msgspec.structs.replace(chosen, sets=[*(chosen.sets or ()), *map(_answer, questions)])


def _list_missing(missing: MissingChoices, listed: int) -> None:
    """Print where choices are missing, and so many of them; a single one on the same line."""
    where, *sentences = str(missing).split("\n")
    if listed == 1:
        where, *sentences = [" ".join((where, *sentences))]
    for line in (f"eventstore: {where}", *(f"  {text}" for text in sentences[:listed])):
        diagnose(escaped(line))


def _answer(question: Question) -> str:
    """Ask for an answer, and return it as KEY=VALUE; who answers so may choose another member of the mapping."""
    options = f" Choose {' or '.join(question.options)}." if question.options else ""
    diagnose(escaped(f"  {what_is_missing(question)}{options}"))
    answer: str = typer.prompt(f"  {question.key}", err=True)
    key, sign, _ = answer.partition("=")
    return answer if sign and is_member(key) else f"{question.key}={answer}"


def _pairs(given: list[str] | None, option: str, example: str, *, from_left: bool = False) -> dict[str, str] | None:
    """Return NAME=VALUE options as a dictionary; a column's name may have an equals sign, the answer to a key too."""
    found = {}
    for text in given or ():
        name, sign, value = text.partition("=") if from_left else text.rpartition("=")
        if not sign or not name or (not value and not from_left):
            msg = f"{option} {text}: write it like {option} {example}"
            raise InvalidEvent(msg)
        found[name] = value
    return found or None


def _zone_name(common: CommonOptions) -> str | None:
    return None if common.zone is None else "UTC" if common.zone is UTC else str(common.zone)


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
