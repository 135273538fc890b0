"""The standard streams: closed ones replaced by the null device, and characters that cannot be shown escaped."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Make the standard streams safe to print to, whatever a shell closed and whatever a terminal cannot show."""
    _replace_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its escape, not a traceback.
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")


def _replace_closed() -> None:
    """Open the null device for what a shell has closed (`>&-`), so that the next file opened does not take its place.

    Otherwise that file, the journal for one, would get what is printed, here and in every child.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - as long as the process lives
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 - as os has it
            setattr(sys, name, stream)


def discard_stdout() -> None:
    """Point stdout at the null device, so that the interpreter's final flush does not fail as well."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
