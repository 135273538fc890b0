"""`try`: what a firm's limits would have done to the executions of a file, in a store in memory."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from eventstore import InvalidEvent
from gateways.cli import files, options, published, trials
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.importers.texts import CellError, to_decimal
from gateways.presenting.output import put_json
from gateways.trying import TrialReport, try_file

BARS_AFTER = 2
"""After how many seconds progress is shown."""

Program = Annotated[
    str | None,
    typer.Option(
        "--program",
        metavar="NAME",
        help="Published program of a firm, ? lists them, or a seed file of your own, .toml.",
    ),
]
Balance = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="Starting balance, for a seed file of your own without one."),
]


@options.command(log=False, zone=True, exact=True)
@files.with_file_options
def try_(
    common: CommonOptions,
    *,
    chosen: files.FileChoices,
    program: Program = None,
    balance: Balance = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show what a firm's limits would have done to the executions of a file: nothing is sent, and nothing is written.

    Any file that import reads, with the same options; its header says its format. Each account in it is set up by the
    program. Exit code 1 if rows were left out, if the file's own profit and loss differs, or if a limit could not be
    judged.
    """
    if program == published.LIST:
        published.put_programs(common, rows)
        return
    if chosen.file is None or program is None:
        msg = "give FILE and --program NAME: --program ? lists the programs"
        raise InvalidEvent(msg)
    named, starting = program, _amount(balance)

    def tried(answered: files.FileChoices) -> TrialReport:
        with files.bars(after=BARS_AFTER) as progress:
            return try_file(
                answered.path("try"),
                answered.name,
                named,
                balance=starting,
                **answered.options(common, progress),
            )

    report = files.with_answers(common, chosen, tried)
    if common.as_json:
        put_json(report.as_json(trials.document_zone(common)))
    else:
        trials.put_trial(report, common, rows)
    if report.has_problem:
        end_with_problem()


def _amount(balance: str | None) -> Decimal | None:
    try:
        return None if balance is None else to_decimal(balance)
    except CellError as e:
        msg = f"--balance {balance!r:.80} {e}"
        raise InvalidEvent(msg) from e
