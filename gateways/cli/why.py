"""`why`: the records behind a record, a lockout, an order or a figure, and what followed from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from eventstore import InvalidEvent
from gateways.cli import instants, names, options, records
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_query
from gateways.presenting.causes import LINK_COLUMNS, figure_line, link_rows
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json, put_table
from projections import auditing
from projections.auditing import CausalLink, Role, Why

What = Annotated[
    str,
    typer.Argument(
        metavar="[WHAT]",
        help="A log position, a record's id, a stream such as order/ACC1/O-17 or lockout/ACC1/daily-loss; or, with "
        "--account: lockout for its newest one, realized, balance, position/SYMBOL, or the id of a limit's rule.",
    ),
]
At = Annotated[str | None, typer.Option(metavar="INSTANT", help=f"A figure as known at this instant: {instants.HELP}.")]
LOCKOUT = "lockout"
Everything = Annotated[bool, typer.Option("--all", help="Search all of the log for effects, however long it is.")]


@options.command(url=True, read_only=True, zone=True, exact=True)
def why(
    common: CommonOptions,
    what: What = LOCKOUT,
    *,
    account: options.Account = None,
    at: At = None,
    everything: Everything = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show the records that something rests on, up to its first causes, and those that followed from it.

    Of a lockout: what it was decided at, the limit and who set it, the executions that made the figure and what each
    added, and the quotes that were kept. What the log does not show is said below.
    """
    if what == LOCKOUT and account is None:
        msg = "name the account whose newest lockout you ask about, as in eventstore why --account ACC1"
        raise InvalidEvent(msg)
    with open_query(common, account or records.account_of_pattern(what)) as query:
        if not names.note_account(query.store, account):
            end_with_problem()
        as_of = None if at is None else instants.noted_instant_of(query.store, at, query.shown).recorded_at
        with progress("searching") as step:
            found = auditing.why(
                query.store,
                what,
                account=account,
                at=as_of,
                everything=everything,
                progress=step,
                zone=query.shown.zone,
            )
        if common.as_json:
            put_json(plain(found, query.shown.document_zone) | query.missing_tail)
        else:
            _put(found, query, rows)


def _put(found: Why, query: LogQuery, rows: int) -> None:
    shown = query.shown
    put(found.asked)
    record = found.record
    place = "" if record is None else f"position {record.position:,}, by {record.actor}, "
    put(f"{place}{shown.time(found.at)}: {found.answer}")
    for each in found.figures:
        put(figure_line(each, shown))
    put()
    put_table("Causes", LINK_COLUMNS, link_rows(_newest_first(found.causes), shown), shown=rows)
    if record is not None:
        put_table("Effects", LINK_COLUMNS, link_rows(found.effects, shown), shown=rows)
        if found.effects_until < found.head:
            note(
                f"effects were searched for up to position {found.effects_until:,} of {found.head:,}: "
                "--all searches the rest"
            )
    for text in found.unknown:
        put(f"not known: {text}")


def _newest_first(causes: Sequence[CausalLink]) -> list[CausalLink]:
    """Return causes with what made the figure last, the newest of it first: not all of it may be printed."""
    made = {Role.EXECUTION, Role.AMENDMENT}
    behind = sorted((each for each in causes if each.role in made), key=lambda each: -each.record.position)
    return [*(each for each in causes if each.role not in made), *behind]
