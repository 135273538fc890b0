"""`try`: what a firm's limits would have done to the executions of a file, in a store in memory."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from eventstore import InvalidEvent
from gateways.cli import files, options, published, trials
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.importers.archives import BYTES_MAX
from gateways.importers.texts import CellError, to_decimal
from gateways.presenting.output import put_json
from gateways.trying import try_file

BARS_AFTER = 2
"""After how many seconds progress is shown."""

File = Annotated[Path | None, files.FILE]
Format = Annotated[str | None, files.FORMAT]
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
def try_(
    common: CommonOptions,
    file: File = None,
    *,
    program: Program = None,
    format: Format = None,
    account: files.Account = None,
    balance: Balance = None,
    maps: files.Maps = None,
    contracts: files.Contracts = None,
    symbol: files.Symbol = None,
    date: files.Day = None,
    bytes_max: files.BytesMax = BYTES_MAX,
    keep_going: files.KeepGoing = False,
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
    if file is None or program is None:
        msg = "give FILE and --program NAME: --program ? lists the programs"
        raise InvalidEvent(msg)
    mapping = files.mapping_of(maps)
    files.check_file(file, "try")
    with files.bars(after=BARS_AFTER) as progress:
        report = try_file(
            file,
            format,
            program,
            balance=_amount(balance),
            account=account,
            symbol=symbol,
            date=date,
            mapping=mapping,
            contracts=contracts,
            keep_going=keep_going,
            bytes_max=bytes_max,
            progress=progress,
        )
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
