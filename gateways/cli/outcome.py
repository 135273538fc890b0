"""How a command ends: fixed exit codes, one clear line on stderr for what went wrong, and quiet ends of pipes."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typing_extensions import override

from eventstore import CorruptJournal, StoreError, Unproved, UnsupportedFormat
from gateways.presenting.escaping import escaped
from gateways.presenting.output import diagnose, note

FINE, WRONG, MISUSED = 0, 1, 2
# What shells report of a program that SIGINT, or SIGPIPE, has ended.
INTERRUPTED, PIPE_CLOSED = 130, 141

# Newer versions of typer carry a click of their own; its base of all usage errors is reached either way.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


class Commands(TyperGroup):
    """The commands, whose errors end as one line on stderr and an exit code, never as a traceback."""

    @override
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)  # noqa: FBT003 - as typer has it
            sys.stdout.flush()
        except _UsageError as e:
            _complain(_usage(e))
            code = MISUSED
        except typer.Abort:
            code = INTERRUPTED
        except OSError as e:  # a help text that nobody takes
            _complain(f"standard output: {e.strerror}")
            _forget_output()
            code = MISUSED
        except SystemExit as e:
            # Rich prints the help, and ends the process itself where its reader has left.
            code = PIPE_CLOSED if isinstance(e.__context__, BrokenPipeError) else e.code
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else FINE)

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            with _noted_warnings():
                result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_pipe()
        except (StoreError, OSError, ImportError) as e:  # the last: an extra that a command needs is not installed
            _complain(". ".join([str(e), *getattr(e, "__notes__", ())]))
            raise typer.Exit(exit_code(e)) from None
        except UnicodeEncodeError as e:
            _complain(f"{str(e.object)!r:.200} is not valid UTF-8: name files and give text in UTF-8")
            raise typer.Exit(MISUSED) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        return result


def exit_code(error: Exception) -> int:
    """Return WRONG for a log that is not as it was written, or may not be; MISUSED for whatever else is refused."""
    damaged = isinstance(error, CorruptJournal | Unproved) and not isinstance(error, UnsupportedFormat)
    return WRONG if damaged else MISUSED


def wrong() -> NoReturn:
    """End the command: it did its work, and found something wrong."""
    raise typer.Exit(WRONG)


def stand_in_for_closed_streams() -> None:
    """Open the null device for what a shell has closed (`>&-`), so that the next file opened does not take its place.

    Such a file, the journal for one, would get what is printed, here and in every child.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - as long as the process lives
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 - as os has it
            setattr(sys, name, stream)


def _complain(message: str) -> None:
    diagnose(f"eventstore: {escaped(' '.join(message.split()))}")


def _usage(error: Any) -> str:  # noqa: ANN401 - its class is nameless here
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message}. See: {context.command_path} --help"


def _leave_pipe() -> NoReturn:
    _forget_output()
    raise typer.Exit(PIPE_CLOSED)


def _forget_output() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail as well."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


@contextlib.contextmanager
def _noted_warnings() -> Iterator[None]:
    """Print warnings, such as of a snapshot passed over, as notes instead of as lines of source."""
    said: set[str] = set()

    def say(message: Warning | str, *_: object, **__: object) -> None:
        # Each view of a book meets the same damaged file: one note is enough.
        if str(message) not in said:
            said.add(str(message))
            note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = say
        yield
