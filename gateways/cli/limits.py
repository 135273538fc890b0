"""`limits`: the limits in force, since when and set by whom; first ones from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateways.cli import options, stores
from gateways.cli.options import CommonOptions
from gateways.cli.queries import open_account_query
from gateways.presenting.documents import plain
from gateways.presenting.output import note, put_json, put_table
from gateways.presenting.rows import LIMIT_COLUMNS, limit_row
from projections import Book
from projections import open as open_book
from projections.risk.limits.baseline import baseline_notes, lacks_baseline, needs_baseline
from projections.risk.policies.liveness import PolicyRun, enforcement_notes, run_of, why_unjudged
from projections.seeds import load
from projections.views.limits.view import Limit

Seed = Annotated[
    Path | None, typer.Option(metavar="FILE", help="First append what this TOML file defines and the log lacks.")
]
Pending = Annotated[bool, typer.Option("--pending", help="Show changes that wait for the next session instead.")]


@options.command(url=True, zone=True, exact=True)
def limits(
    common: CommonOptions,
    *,
    account: options.Account = None,
    seed: Seed = None,
    pending: Pending = False,
    actor: options.Actor = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show the limits in force, since when and set by whom; with --seed, set initial ones from a file."""
    if seed is not None:
        _append_seed(seed, actor, common)
    with open_account_query(common, account) as query:
        with query.open_book() as book:
            ask = book.limits.pending if pending else book.limits.of
            accounts = sorted(book.partitions("limits")) if account is None else [account]
            found = [limit for name in accounts for limit in ask(name, query.now_ns())]
            enforced = {name: _enforcement(book, name) for name in accounts}
            notes = [*enforcement_notes(book, sorted({limit.account for limit in found})), *baseline_notes(book, found)]
            more = [_baseline(book, limit) | enforced[limit.account] for limit in found]
        if common.as_json:
            documents: list[dict[str, Any]] = [plain(limit, query.shown.document_zone) for limit in found]
            put_json([each | rest | query.missing_tail for each, rest in zip(documents, more, strict=True)])
        else:
            title = "Pending limits" if pending else "Limits in force"
            put_table(title, LIMIT_COLUMNS, [limit_row(limit, query.shown) for limit in found], shown=rows, notes=notes)


def _baseline(book: Book, limit: Limit) -> dict[str, Any]:
    """Return what a limit's result is measured from, and whether somebody has stated that; nothing for other limits."""
    if not needs_baseline(limit):
        return {}
    baseline = book.accounts.configuration(limit.account).baseline
    return {"baseline": str(baseline), "baseline_stated": not lacks_baseline(book, limit.account)}


def _enforcement(book: Book, account: str) -> dict[str, Any]:
    """Return whether policies judge an account's limits, and why they do not."""
    why = why_unjudged(book, account)
    words = {PolicyRun.RUNNING: "enforced", PolicyRun.NEVER: "not enforced"}
    status = "unjudged" if why is not None else words.get(run_of(book, account), "unknown")
    return {"enforcement": status, "unjudged": why}


def _append_seed(path: Path, actor: str | None, common: CommonOptions) -> None:
    seeds = load(path)
    with stores.open_or_create(common) as store, open_book(store) as book:
        records = seeds.apply(book, actor or store.actor)
    note(f"{path}: {len(records)} events appended" if records else f"{path}: the log has all of it, nothing was added")
