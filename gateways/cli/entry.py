"""The table of commands, and the entry point of `eventstore`."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from eventstore.extras import DISTRIBUTION
from gateways.cli import (
    adopt,
    alerts,
    api_keys,
    append,
    approve,
    archive,
    as_of,
    backup,
    bench,
    changes,
    checkpoint,
    clock,
    demo,
    diff,
    dispute,
    doctor,
    enforce,
    export,
    group,
    import_,
    keys,
    lifeline,
    limits,
    lock,
    mark,
    migrate,
    migrate_journal,
    mirror,
    note,
    pnl,
    policies,
    prove,
    read,
    reconcile,
    restore,
    resume,
    rotate,
    serve,
    shadow,
    signed,
    sql,
    standard_streams,
    state,
    statement,
    stats,
    stop,
    tail,
    timeline,
    try_,
    unlock,
    verify,
    why,
    work,
)
from gateways.cli.command_group import CommandGroup
from gateways.cli.exit_codes import USAGE_ERROR

app = typer.Typer(
    name="eventstore",
    cls=CommandGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(requested: bool) -> None:
    if requested:
        print(metadata.version(DISTRIBUTION))
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
]


@app.callback()
def eventstore(context: typer.Context, version: Version = False) -> None:  # noqa: ARG001 - answered before
    """A time-series event-sourced state store for trading: append facts, fold state, go back in time, prove it.

    Results go to stdout, diagnostics to stderr. Exit codes: 0 success, 1 problem found, 2 usage or store error.
    """
    if context.invoked_subcommand is None:
        # Rich prints the help itself, plain typer hands it back.
        print(context.get_help(), end="")
        raise typer.Exit(USAGE_ERROR)


# In the order of the help, under the heading of the panel.
_START, _QUERY, _LOCKOUTS = "Start", "Query", "Lockouts and limits"
_MAINTAIN, _INFLUXDB = "Maintain", "InfluxDB"
_EXTRA_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}

app.command(rich_help_panel=_START)(demo.demo)
app.command("import", rich_help_panel=_START)(import_.import_)
app.command("try", rich_help_panel=_START)(try_.try_)
app.command(rich_help_panel=_START)(migrate.migrate)
app.command(rich_help_panel=_START)(append.append)
app.command(rich_help_panel=_QUERY)(read.read)
app.command(rich_help_panel=_QUERY)(tail.tail)
app.command(rich_help_panel=_QUERY)(state.state)
app.command("as-of", rich_help_panel=_QUERY)(as_of.as_of)
app.command(rich_help_panel=_QUERY)(diff.diff)
app.command(rich_help_panel=_QUERY)(timeline.timeline)
app.command(rich_help_panel=_QUERY)(changes.changes)
app.command(rich_help_panel=_QUERY)(why.why)
app.command(rich_help_panel=_QUERY)(dispute.dispute)
app.command(rich_help_panel=_QUERY)(lifeline.lifeline)
app.command(rich_help_panel=_QUERY)(pnl.pnl)
app.command(rich_help_panel=_QUERY)(sql.sql)
app.command(rich_help_panel=_QUERY)(mark.mark)
app.command(rich_help_panel=_QUERY)(note.note)
app.command(rich_help_panel=_LOCKOUTS)(stop.stop)
app.command(rich_help_panel=_LOCKOUTS)(resume.resume)
app.command(rich_help_panel=_LOCKOUTS)(lock.lock)
app.command(rich_help_panel=_LOCKOUTS)(unlock.unlock)
app.command(rich_help_panel=_LOCKOUTS)(limits.limits)
app.command(rich_help_panel=_LOCKOUTS)(approve.approve)
app.command(rich_help_panel=_LOCKOUTS)(enforce.enforce)
app.command(rich_help_panel=_LOCKOUTS)(alerts.alerts)
app.command(rich_help_panel=_LOCKOUTS)(policies.policies)
app.command(rich_help_panel=_LOCKOUTS)(work.work)
app.command(rich_help_panel=_LOCKOUTS)(group.group)
app.command(rich_help_panel=_START)(serve.serve)
app.command("api-keys", rich_help_panel=_START)(api_keys.api_keys)
app.command(rich_help_panel=_LOCKOUTS)(shadow.shadow)
app.command(rich_help_panel=_MAINTAIN)(reconcile.reconcile)
app.command(rich_help_panel=_MAINTAIN)(statement.statement)
app.command(rich_help_panel=_MAINTAIN)(signed.signed)
app.command(rich_help_panel=_MAINTAIN)(verify.verify)
app.command(rich_help_panel=_MAINTAIN)(checkpoint.checkpoint)
app.command(rich_help_panel=_MAINTAIN)(keys.keys)
app.command(rich_help_panel=_MAINTAIN)(prove.prove)
app.command(rich_help_panel=_MAINTAIN)(backup.backup)
app.command("migrate-journal", rich_help_panel=_MAINTAIN)(migrate_journal.migrate_journal)
app.command(rich_help_panel=_MAINTAIN)(rotate.rotate)
app.command(rich_help_panel=_MAINTAIN)(archive.archive)
app.command(rich_help_panel=_MAINTAIN)(export.export)
app.command(rich_help_panel=_INFLUXDB)(mirror.mirror)
app.command(rich_help_panel=_INFLUXDB)(adopt.adopt)
app.command(rich_help_panel=_INFLUXDB)(restore.restore)
app.command(rich_help_panel=_MAINTAIN)(stats.stats)
app.command(rich_help_panel=_MAINTAIN)(doctor.doctor)
app.command(rich_help_panel=_MAINTAIN)(clock.clock)
app.command(rich_help_panel=_MAINTAIN, context_settings=_EXTRA_ARGUMENTS)(bench.bench)
app.command("demo-day", hidden=True)(demo.trade_day)
app.command("demo-feed", hidden=True)(demo.lose_the_feed)


def main() -> None:
    """Run the command line."""
    standard_streams.prepare()
    app(prog_name="eventstore")
