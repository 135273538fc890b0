"""`limits`: the limits in force, since when and set by whom; first ones from a file or a firm's program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from eventstore import EventStore, InvalidEvent
from eventstore.trading import Protection
from gateways.cli import names, options, published, stores
from gateways.cli.options import CommonOptions
from gateways.cli.protection import set_mode
from gateways.cli.queries import LogQuery, open_account_query
from gateways.presenting.approvals import awaited_approvals, awaited_sentence
from gateways.presenting.book_summary import pending_requests
from gateways.presenting.documents import plain
from gateways.presenting.headroom import (
    HEADROOM_COLUMNS,
    WITHOUT_QUOTES,
    headroom_notes,
    headroom_of,
    headroom_row,
    holds_positions,
    unjudged_line,
    unjudged_of,
)
from gateways.presenting.output import note, put, put_json, put_table
from gateways.presenting.protection import in_shadow, mode_lines
from gateways.presenting.rows import LIMIT_COLUMNS, REQUEST_COLUMNS, escalation_lines, limit_row, request_row
from projections import Book
from projections import open as open_book
from projections.risk import programs
from projections.risk.limits.baseline import baseline_notes, lacks_baseline, needs_baseline
from projections.risk.policies.liveness import PolicyRun, enforcement_notes, run_of, why_unjudged
from projections.seeds import Seeds, load
from projections.valuation import Status
from projections.view import GROUP
from projections.views.enforcement import Enforcement
from projections.views.limits.headroom import Headroom, Unjudged
from projections.views.limits.limit import Limit
from projections.views.limits.parameters import rule_id_of

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
            groups = () if account is None else book.groups.of(account)
            accounts = sorted(book.partitions("limits")) if account is None else [account, *map(GROUP.__add__, groups)]
            found = [limit for name in accounts for limit in ask(name, query.now_ns())]
            judged = None if pending else _judged(book, accounts, query)
            enforced = {name: _enforcement(book, name) for name in accounts}
            notes = [*enforcement_notes(book, sorted({limit.account for limit in found})), *baseline_notes(book, found)]
            notes += book.groups.problems() if account is None else ()
            shadow = in_shadow(book, accounts)
            modes = mode_lines(book, accounts, query.shown)
            awaited = awaited_approvals(book, accounts)
            asked = () if pending else pending_requests(book, accounts, query.now_ns())
            more = [
                _more(book, limit, judged, query) | enforced[limit.account] | _asked(limit, asked, query)
                for limit in found
            ]
            more = [each | _mode(limit, shadow) for each, limit in zip(more, found, strict=True)]
        if common.as_json:
            documents: list[dict[str, Any]] = [plain(limit, query.shown.document_zone) for limit in found]
            put_json([each | members | query.missing_tail for each, members in zip(documents, more, strict=True)])
            return
        for line in [*modes, *(awaited_sentence(each, query.shown) for each in awaited)]:
            put(line)
        title = "Pending limits" if pending else "Limits in force"
        put_table(title, LIMIT_COLUMNS, [limit_row(limit, query.shown) for limit in found], shown=rows, notes=notes)
        if judged is not None and judged.headroom:
            _put_headroom(judged, query, rows, shadow)
        if asked:
            _put_requests(asked, query, rows)


class _Judged(NamedTuple):
    """How accounts stand to their limits, as far as a book without quotes can say."""

    headroom: dict[str, tuple[Headroom, ...]]
    unjudged: dict[str, tuple[Unjudged, ...]]
    lacks_quotes: bool


def _put_requests(asked: Sequence[Enforcement], query: LogQuery, rows: int) -> None:
    at = query.now_ns()
    lines = [request_row(each, query.shown, at) for each in asked]
    loud = escalation_lines(asked, query.shown, at)
    put_table("Pending enforcement requests", REQUEST_COLUMNS, lines, shown=rows, notes=loud)


def _judged(book: Book, accounts: list[str], query: LogQuery) -> _Judged:
    at = query.now_ns()
    headroom = headroom_of(book, accounts, at)
    is_known = all(each.status is Status.KNOWN for found in headroom.values() for each in found)
    return _Judged(
        headroom,
        unjudged_of(book, accounts, at),
        not is_known and holds_positions(book, headroom),
    )


def _more(book: Book, limit: Limit, judged: _Judged | None, query: LogQuery) -> dict[str, Any]:
    """Return what else is known of a limit: its baseline; its headroom, unless it is pending."""
    more = _baseline(book, limit)
    if judged is None:
        return more
    rule_id = rule_id_of(limit)
    headroom = [each for each in judged.headroom.get(limit.account, ()) if each.rule_id == rule_id]
    unjudged = [each for each in judged.unjudged.get(limit.account, ()) if each.rule_id == rule_id]
    zone = query.shown.document_zone
    return more | {
        "headroom": plain(headroom[0], zone) if headroom else None,
        "unjudged": plain(unjudged[0], zone) if unjudged else None,
    }


def _mode(limit: Limit, shadow: frozenset[str]) -> dict[str, Any]:
    """Return whether a limit acts; a group has no mode, and its members have their own."""
    if limit.account.startswith(GROUP):
        return {}
    return {"mode": str(Protection.SHADOW if limit.account in shadow else Protection.ARMED)}


def _put_headroom(judged: _Judged, query: LogQuery, rows: int, shadow: frozenset[str]) -> None:
    for name, found in judged.headroom.items():
        notes = headroom_notes({name: found}, judged.unjudged)
        if notes and judged.lacks_quotes:
            notes.append(WITHOUT_QUOTES)
        unjudged = judged.unjudged.get(name, ())
        notes += [unjudged_line(name, each, query.shown, is_shadow=name in shadow) for each in unjudged]
        rows_of = [headroom_row(each, query.shown) for each in found]
        title = f"Headroom of {name}" + (", in SHADOW mode" if name in shadow else "")
        put_table(title, HEADROOM_COLUMNS, rows_of, shown=rows, notes=notes)


def _baseline(book: Book, limit: Limit) -> dict[str, Any]:
    """Return what a limit's result is measured from, and whether somebody has stated that; nothing for other limits."""
    if not needs_baseline(limit) or limit.account.startswith(GROUP):
        return {}
    baseline = book.accounts.configuration(limit.account).baseline
    return {"baseline": str(baseline), "baseline_stated": not lacks_baseline(book, limit.account)}


def _enforcement(book: Book, account: str) -> dict[str, Any]:
    """Return whether policies judge an account's limits, and why they do not."""
    why = why_unjudged(book, account)
    words = {PolicyRun.RUNNING: "enforced", PolicyRun.NEVER: "not enforced"}
    status = "unjudged" if why is not None else words.get(run_of(book, account), "unknown")
    return {"enforcement": status}


def _asked(limit: Limit, asked: Sequence[Enforcement], query: LogQuery) -> dict[str, Any]:
    """Return what a limit's lockout asks for that is pending."""
    own = [each for each in asked if (each.account, each.rule_id) == (limit.account, limit.rule_id)]
    return {"requests": [plain(each, query.shown.document_zone) for each in own]}


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
