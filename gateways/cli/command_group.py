"""The group of all commands: errors end as one line on stderr and an exit code, never as a traceback."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from eventstore import StoreError
from gateways.cli.exit_codes import INTERRUPTED, PIPE_CLOSED, SUCCESS, USAGE_ERROR, exit_code
from gateways.cli.standard_streams import discard_stdout
from gateways.presenting.escaping import escaped
from gateways.presenting.output import diagnose, note

# Newer versions of typer carry a click of their own; the base of all its usage errors is reached either way.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


class CommandGroup(TyperGroup):
    """Runs a command, and turns its errors into messages and exit codes."""

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
            _print_error(_usage_message(e))
            code = USAGE_ERROR
        except typer.Abort:
            code = INTERRUPTED
        except OSError as e:  # a help text that cannot be written
            _print_error(f"standard output: {e.strerror}")
            discard_stdout()
            code = USAGE_ERROR
        except SystemExit as e:
            # Rich prints the help, and ends the process itself if its reader has closed the pipe.
            code = PIPE_CLOSED if isinstance(e.__context__, BrokenPipeError) else e.code
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else SUCCESS)

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            with _warnings_as_notes():
                result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except (StoreError, OSError, ImportError) as e:  # the last: an extra that a command needs is not installed
            _print_error(". ".join([str(e), *getattr(e, "__notes__", ())]))
            raise typer.Exit(exit_code(e)) from None
        except UnicodeEncodeError as e:
            _print_error(f"{str(e.object)!r:.200} is not valid UTF-8: name files and give text in UTF-8")
            raise typer.Exit(USAGE_ERROR) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        return result


def _print_error(message: str) -> None:
    diagnose(f"eventstore: {escaped(' '.join(message.split()))}")


def _usage_message(error: Any) -> str:  # noqa: ANN401 - the class has no public name
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message}. See: {context.command_path} --help"


@contextlib.contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print warnings, such as one about a skipped snapshot, as notes instead of as lines of source."""
    printed: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        # Each view of a book reports the same damaged file: one note is enough.
        if str(message) not in printed:
            printed.add(str(message))
            note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
