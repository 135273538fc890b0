"""The table of commands, and the entry point of `eventstore`."""

from __future__ import annotations

import contextlib
import io
import sys
from importlib import metadata
from typing import Annotated

import typer

from eventstore.extras import DISTRIBUTION
from gateways.cli import (
    bench,
    demo,
    diff,
    doctor,
    import_,
    keeping,
    locking,
    mirroring,
    pnl,
    reading,
    states,
    stats,
    writing,
)
from gateways.cli.outcome import MISUSED, Commands, stand_in_for_closed_streams

app = typer.Typer(
    name="eventstore",
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(metadata.version(DISTRIBUTION))
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
]


@app.callback()
def eventstore(context: typer.Context, version: Version = False) -> None:  # noqa: ARG001 - answered before
    """A time-series event-sourced state store for trading: append facts, fold state, go back in time, prove it.

    Results go to stdout, diagnostics to stderr. Exit codes: 0 success, 1 problem found, 2 usage or store error.
    """
    if context.invoked_subcommand is None:
        # Rich prints the help itself, plain typer hands it back.
        print(context.get_help(), end="")
        raise typer.Exit(MISUSED)


_REMAINING = {"allow_extra_args": True, "ignore_unknown_options": True}

app.command(rich_help_panel="Begin")(demo.demo)
app.command("import", rich_help_panel="Begin")(import_.import_)
app.command(rich_help_panel="Begin")(writing.append)
app.command(rich_help_panel="Ask")(reading.read)
app.command(rich_help_panel="Ask")(reading.tail)
app.command(rich_help_panel="Ask")(states.state)
app.command("as-of", rich_help_panel="Ask")(states.past)
app.command(rich_help_panel="Ask")(diff.diff)
app.command(rich_help_panel="Ask")(pnl.pnl)
app.command(rich_help_panel="Ask")(writing.mark)
app.command(rich_help_panel="Guard")(locking.lock)
app.command(rich_help_panel="Guard")(locking.unlock)
app.command(rich_help_panel="Guard")(locking.limits)
app.command(rich_help_panel="Keep")(keeping.verify)
app.command(rich_help_panel="Keep")(keeping.backup)
app.command(rich_help_panel="Share")(mirroring.mirror)
app.command(rich_help_panel="Share")(mirroring.adopt)
app.command(rich_help_panel="Share")(mirroring.restore)
app.command(rich_help_panel="Keep")(stats.stats)
app.command(rich_help_panel="Keep")(doctor.doctor)
app.command(rich_help_panel="Keep", context_settings=_REMAINING)(bench.bench)
app.command("demo-day", hidden=True)(demo.trade_day)


def main() -> None:
    """Run the command line."""
    stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a sign gets its escape, not a traceback.
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
    app(prog_name="eventstore")
