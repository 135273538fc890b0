"""`reconcile`: where a broker's reports differ from our records, and booking what the user confirms."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from eventstore.clock import derived_times
from gateways.cli import names, options, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import note, put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import open as open_book
from projections.reconciliation import ADJUSTABLE, Difference, record
from projections.reconciliation import reconcile as differences_of

Account = Annotated[str, typer.Option("--account", metavar="NAME", help="Account to compare.")]
Yes = Annotated[bool, typer.Option("--yes", help="Book what can be booked without asking.")]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", metavar="NAME", help="Only this contract's position; may be repeated.")
]

_COLUMNS = ("difference", "symbol", "order", ">here", ">reported", "at", "~what")


@options.command(service=True, zone=True, exact=True)
def reconcile(
    common: CommonOptions,
    *,
    account: Account,
    symbol: Symbols = None,
    yes: Yes = False,
    actor: options.Actor = None,
    text: options.Note = "",
    rows: options.Rows = options.ROWS,
) -> None:
    """Show where the broker's newest reports differ from what is recorded here, and book what is confirmed.

    A position's quantity is booked as an adjustment, as of the report; it gives way to the missing executions once they
    are recorded. Differences of orders and of average prices are only shown. Without --yes and without a terminal
    nothing is booked. Exit code 1 if a difference is left.
    """
    with derived_times(), stores.open_existing(common) as store:
        names.check_account(store, account)
        shown = zones.presenter(common, store, account)
        with open_book(store, accounts=[account]) as book:
            found = _about(differences_of(book, account), symbol)
            if not common.as_json:
                _put(found, account, shown, rows)
            chosen = [each for each in found if each.kind in ADJUSTABLE and not each.stale]
            booked = (
                record(book, account, chosen, actor=actor or store.actor, note=text)
                if _is_confirmed(chosen, yes)
                else []
            )
            left = _about(differences_of(book, account), symbol) if booked else found
    if common.as_json:
        members = {"account": account, "differences": [_document(each, shown) for each in found]}
        put_json(members | {"booked": len(booked), "left": len(left)})
    else:
        put(f"{len(booked):,} adjustments booked; {len(left):,} differences left")
    if left:
        end_with_problem()


def _about(found: Sequence[Difference], symbols: list[str] | None) -> list[Difference]:
    return [each for each in found if symbols is None or each.symbol in symbols]


def _is_confirmed(chosen: Sequence[Difference], yes: bool) -> bool:
    """Return whether differences are to be booked; ask on a terminal."""
    if not chosen or yes:
        return bool(chosen)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        note(f"{len(chosen):,} differences can be booked: repeat the command with --yes")
        return False
    return typer.confirm(f"Book {len(chosen):,} differences as adjustments?")


def _put(found: Sequence[Difference], account: str, shown: Presenter, rows: int) -> None:
    lines = [
        (
            str(each.kind),
            each.symbol or NONE,
            each.order_id or NONE,
            str(each.here_status) if each.here_status is not None else shown.quantity(each.here),
            str(each.there_status) if each.there_status is not None else shown.quantity(each.there),
            shown.time(each.reported_at),
            f"{each.sentence}{' (stale: report it again)' if each.stale else ''}",
        )
        for each in found
    ]
    put_table(f"Differences of {account}", _COLUMNS, lines, shown=rows)


def _document(difference: Difference, shown: Presenter) -> dict[str, object]:
    members: dict[str, object] = plain(difference, shown.document_zone)
    return members | {"difference": plain(difference.difference)}
