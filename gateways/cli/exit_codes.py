"""The exit codes of commands, and which error ends with which."""

from __future__ import annotations

from typing import NoReturn

import typer

from eventstore import CorruptJournal, Unproved, UnsupportedFormat

SUCCESS, PROBLEM_FOUND, USAGE_ERROR = 0, 1, 2
# What shells report for a program ended by SIGINT or SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141


def exit_code(error: Exception) -> int:
    """Return PROBLEM_FOUND for a log that is, or may be, damaged; USAGE_ERROR for any other error."""
    is_damaged = isinstance(error, CorruptJournal | Unproved) and not isinstance(error, UnsupportedFormat)
    return PROBLEM_FOUND if is_damaged else USAGE_ERROR


def end_with_problem() -> NoReturn:
    """End a command that did its work and found a problem."""
    raise typer.Exit(PROBLEM_FOUND)
