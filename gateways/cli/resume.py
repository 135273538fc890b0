"""`resume`: the end of what `stop` did, by somebody, for a reason; other lockouts stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from eventstore import InvalidEvent
from eventstore.streams import check_name
from gateways.cli import lockouts, names, options, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.approvals import awaited_approvals, awaited_sentence
from gateways.presenting.output import note, put
from projections import Book
from projections import open as open_book
from projections.risk.enforcement import stopping

Actor = Annotated[str, typer.Option(metavar="NAME", callback=options.check_actor, help="Who resumes them: a person.")]
Reason = Annotated[str, typer.Option(help="Why they may trade again.")]


@options.command(service=True, zone=True, exact=True)
def resume(
    common: CommonOptions,
    account: lockouts.AccountNames = None,
    *,
    every: lockouts.EveryAccount = False,
    actor: Actor,
    reason: Reason,
) -> None:
    """Resume accounts that were stopped; what the stop asked for and nobody has answered is withdrawn.

    Other lockouts stay in force, and are shown. An account with a second approver stays stopped until that person
    has approved it, with exit code 1.
    """
    lockouts.check_named(account, every=every)
    with stores.open_existing(common) as store:
        for name in account or ():
            check_name("account", name)
            names.check_account(store, name)
        with open_book(store, accounts=account) as book:
            chosen = _stopped(book, book.accounts.known()) if account is None else account
            if account and not _stopped(book, account):
                are = "is" if len(account) == 1 else "are"
                msg = f"{', '.join(account)} {are} not stopped: `limits` and `state` show what locks"
                raise InvalidEvent(msg)
            found = stopping.resume(book, chosen, actor=actor, reason=reason)
            shown = zones.presenter(common, store, chosen[0] if len(chosen) == 1 else None)
            now = store.clock.now_ns()
            waiting = awaited_approvals(book, [each.account for each in found if each.waits])
            left = {each.account: list(book.lockouts.active(each.account, now)) for each in found}
            lockouts.put_accounts(
                found, "resumed", "was not stopped: nothing was changed", shown=shown, as_json=common.as_json, left=left
            )
        if not found and not common.as_json:
            put("no account is stopped")
        for name, others in left.items():
            if others:
                note(f"{name} is still locked by {', '.join(each.rule_id for each in others)}")
        for request in waiting:
            note(awaited_sentence(request, shown))
        if waiting:
            end_with_problem()


def _stopped(book: Book, accounts: Sequence[str]) -> list[str]:
    """Return which accounts are stopped; one whose lockouts cannot be read is an error that names it."""
    now = book.now_ns()
    return [name for name in accounts if any(map(stopping.is_stop, book.lockouts.active(name, now)))]
