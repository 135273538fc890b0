"""`lifeline`: what became of an order from submission to end, how long each step took, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from eventstore.streams import check_name
from gateways.cli import instants, options
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.lockouts import AccountName
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_account_query
from gateways.presenting.lifelines import (
    CAUSE_COLUMNS,
    LATENCY_COLUMNS,
    PROBLEM_COLUMNS,
    STEP_COLUMNS,
    cause_row,
    latency_row,
    lifeline_document,
    problem_row,
    step_row,
)
from gateways.presenting.output import put, put_json, put_table
from projections import auditing
from projections.auditing import LifelineProblemKind

if TYPE_CHECKING:
    from projections.auditing import Lifeline

OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id, as in its stream.")]
OccurredBy = Annotated[
    str | None, typer.Option("--occurred-at", metavar="INSTANT", help="What had happened by this time.")
]
KnownBy = Annotated[str | None, typer.Option(metavar="INSTANT", help="As known at this instant of the log.")]


@options.command(url=True, read_only=True, zone=True, exact=True)
def lifeline(
    common: CommonOptions,
    account: AccountName,
    order_id: OrderId,
    *,
    occurred_at: OccurredBy = None,
    known_by: KnownBy = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show an order from submission to end: each step by both times, how long answers took, and what is missing.

    With its checks and with the records that caused it. Exit code 1 if anything is missing, out of order or anomalous,
    or if the log has no record of the order; one that still works is neither.
    """
    check_name("account", account)
    with open_account_query(common, account) as query:
        at = None if occurred_at is None else instants.noted_time_of(query.store, occurred_at, query.shown)
        known = None
        if known_by is not None:
            known = instants.noted_instant_of(query.store, known_by, query.shown).recorded_at
        found = auditing.lifeline(query.store, account, order_id, occurred_at=at, recorded_at=known)
        if common.as_json:
            put_json(lifeline_document(found, query.shown.document_zone) | query.missing_tail)
        else:
            _put(found, query, rows)
    if not found.steps or found.uncertain or any(each.kind is not _WORKS for each in found.problems):
        end_with_problem()


_WORKS = LifelineProblemKind.NOT_ENDED


def _put(found: Lifeline, query: LogQuery, rows: int) -> None:
    shown = query.shown
    put(found.sentence)
    if found.uncertain:
        put(found.uncertain)
    put()
    if found.steps:
        put_table("Steps", STEP_COLUMNS, [step_row(step, shown) for step in found.steps], shown=rows)
        put_table("Answers", LATENCY_COLUMNS, [latency_row(each, found) for each in found.latencies], shown=rows)
        put_table("Problems", PROBLEM_COLUMNS, [problem_row(each) for each in found.problems], shown=rows)
    if found.checks:
        put_table("Checks", CAUSE_COLUMNS, [cause_row(record, shown) for record in found.checks], shown=rows)
    if found.causes or found.missing_causes:
        missing = [f"the cause {id_.hex()} is not in the records read here" for id_ in found.missing_causes]
        causes = [cause_row(record, shown) for record in found.causes]
        put_table("Causes", CAUSE_COLUMNS, causes, shown=rows, notes=missing)
