"""`limits`: the limits in force, since when and set by whom; first ones from a file or a firm's program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent
from gateways.cli import names, options, published, stores
from gateways.cli.options import CommonOptions
from gateways.cli.protection import set_mode
from gateways.cli.queries import LogQuery, open_account_query
from gateways.presenting.approvals import awaited_approvals, awaited_sentence
from gateways.presenting.book_summary import pending_requests
from gateways.presenting.headroom import (
    HEADROOM_COLUMNS,
    WITHOUT_QUOTES,
    headroom_notes,
    headroom_row,
    unjudged_line,
)
from gateways.presenting.limits import Judged, accounts_with_groups, judged_of, limit_documents
from gateways.presenting.output import note, put, put_json, put_table
from gateways.presenting.protection import in_shadow, mode_lines
from gateways.presenting.rows import LIMIT_COLUMNS, REQUEST_COLUMNS, escalation_lines, limit_row, request_row
from projections import open as open_book
from projections.risk import programs
from projections.risk.limits.baseline import baseline_notes
from projections.risk.limits.named import unknown_name_notes, unopened_notes
from projections.risk.policies.liveness import enforcement_notes
from projections.seeds import Seeds, load
from projections.views.enforcement import Enforcement

Action = Annotated[
    str | None,
    typer.Argument(
        metavar="ACTION", help="shadow: the limits of ACCOUNT only record what they would do; arm: they act."
    ),
]
Target = Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="Account to put in shadow mode, or to arm.")]
Reason = Annotated[str, typer.Option("--reason", help="With shadow and arm: why, recorded with the mode.")]
Seed = Annotated[
    Path | None, typer.Option(metavar="FILE", help="First append what this TOML file defines and the log lacks.")
]
Program = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="First set up --account by this published program of a firm; ? lists them."),
]
New = Annotated[bool, typer.Option("--new", help="With --program: the account has no records in the log yet.")]
Pending = Annotated[
    bool, typer.Option("--pending", help="Show changes that wait for the next session, or for approval, instead.")
]


@options.command(url=True, zone=True, exact=True)
def limits(
    common: CommonOptions,
    action: Action = None,
    target: Target = None,
    *,
    account: options.Account = None,
    reason: Reason = "",
    seed: Seed = None,
    program: Program = None,
    new: New = False,
    pending: Pending = False,
    actor: options.Actor = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Show the limits in force, since when, set by whom, and what is left of each.

    With --seed or --program, first set initial ones from a file. `limits shadow ACCOUNT` and `limits arm ACCOUNT` say
    whether they only record what they would do. To put an account that has limits and has traded in shadow mode
    waits for its next trading day; to arm it locks at once what is in breach.
    """
    if action is not None:
        given = {"--account": account, "--seed": seed, "--program": program, "--new": new, "--pending": pending}
        set_mode(common, action, target, reason, actor, given=[name for name, value in given.items() if value])
        return
    if program == published.LIST:
        published.put_programs(common, rows)
        return
    _set_first(seed, program, account, common, actor, new=new)
    with open_account_query(common, account) as query:
        with query.open_book(with_groups=True) as book:
            ask = book.limits.pending if pending else book.limits.of
            accounts = sorted(book.partitions("limits")) if account is None else accounts_with_groups(book, account)
            found = [limit for name in accounts for limit in ask(name, query.now_ns())]
            judged = None if pending else judged_of(book, accounts, query.now_ns())
            notes = [*enforcement_notes(book, sorted({limit.account for limit in found})), *baseline_notes(book, found)]
            notes += [
                *unknown_name_notes(book, found),
                *unopened_notes(book, found),
                *(book.groups.problems() if account is None else ()),
            ]
            shadow = in_shadow(book, accounts)
            modes = mode_lines(book, accounts, query.shown)
            awaited = awaited_approvals(book, accounts)
            asked = () if pending else pending_requests(book, accounts, query.now_ns())
            documents = limit_documents(book, found, judged, asked, query.shown.document_zone)
        if common.as_json:
            put_json([each | query.missing_tail for each in documents])
            return
        for line in [*modes, *(awaited_sentence(each, query.shown) for each in awaited)]:
            put(line)
        title = "Pending limits" if pending else "Limits in force"
        put_table(title, LIMIT_COLUMNS, [limit_row(limit, query.shown) for limit in found], shown=rows, notes=notes)
        if judged is not None and judged.headroom:
            _put_headroom(judged, query, rows, shadow)
        if asked:
            _put_requests(asked, query, rows)


def _put_requests(asked: Sequence[Enforcement], query: LogQuery, rows: int) -> None:
    at = query.now_ns()
    lines = [request_row(each, query.shown, at) for each in asked]
    loud = escalation_lines(asked, query.shown, at)
    put_table("Pending enforcement requests", REQUEST_COLUMNS, lines, shown=rows, notes=loud)


def _put_headroom(judged: Judged, query: LogQuery, rows: int, shadow: frozenset[str]) -> None:
    for name, found in judged.headroom.items():
        notes = headroom_notes({name: found}, judged.unjudged)
        if notes and judged.lacks_quotes:
            notes.append(WITHOUT_QUOTES)
        unjudged = judged.unjudged.get(name, ())
        notes += [unjudged_line(name, each, query.shown, is_shadow=name in shadow) for each in unjudged]
        rows_of = [headroom_row(each, query.shown) for each in found]
        title = f"Headroom of {name}" + (", in SHADOW mode" if name in shadow else "")
        put_table(title, HEADROOM_COLUMNS, rows_of, shown=rows, notes=notes)


def _check_options(seed: Path | None, program: str | None, account: str | None, *, new: bool) -> None:
    if program is None and new:
        msg = "--new is for --program: give --program NAME too, or leave --new out"
        raise InvalidEvent(msg)
    if program is not None and seed is not None:
        msg = "give one of --seed and --program: each says what an account starts with"
        raise InvalidEvent(msg)
    if program is not None and account is None:
        msg = f"--program {program} is set up for one account: give --account NAME"
        raise InvalidEvent(msg)


def _set_first(
    seed: Path | None, program: str | None, account: str | None, common: CommonOptions, actor: str | None, *, new: bool
) -> None:
    """Set an account's first limits, where a file or a program is given."""
    _check_options(seed, program, account, new=new)
    if seed is not None:
        _append_seed(seed, common, actor)
    if program is not None and account is not None:
        _set_up(account, program, common, actor, new=new)


def _append_seed(path: Path, common: CommonOptions, actor: str | None) -> None:
    # Read first: a file that is refused creates no log.
    seeds = load(path)
    with stores.open_or_create(common) as store:
        _append(seeds, str(path), store, actor)


def _set_up(account: str, program: str, common: CommonOptions, actor: str | None, *, new: bool) -> None:
    """Set up an account by a program; a misspelt account must not be opened in place of the one that is meant."""
    seeds = programs.load(program, account)
    # A URL is refused by the first, whose message does not show its secrets.
    opened = stores.open_or_create if new or common.url else stores.open_existing
    with opened(common) as store:
        names.check_account(store, account, "; to set up one without records, give --new", may_be_new=new)
        _append(seeds, program, store, actor)
    note(
        f"{program}: its calendar is configuration and not in the log: open books, and run policies, with "
        f"projections.risk.programs.load({program!r}, {account!r}).calendars"
    )


def _append(seeds: Seeds, origin: str, store: EventStore, actor: str | None) -> None:
    with open_book(store) as book:
        records = seeds.apply(book, actor or store.actor)
        kept = seeds.kept(book)
    added = f"{len(records)} events appended" if records else "the log has all of it, nothing was added"
    note(f"{origin}: {added}")
    for account, stated in kept.items():
        note(f"{account}: {', '.join(stated)} had been set otherwise before, and stay as they were")
