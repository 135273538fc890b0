"""`stop`: accounts locked at once, with requests to cancel their orders and to close their positions."""

from __future__ import annotations

from typing import Annotated

import typer

from eventstore import EventStore, InvalidEvent
from eventstore.streams import check_name
from gateways.cli import lockouts, names, options, stores, zones
from gateways.cli.exit_codes import USAGE_ERROR
from gateways.cli.options import CommonOptions
from gateways.presenting.output import diagnose, note
from projections import open as open_book
from projections.risk.enforcement import stopping
from projections.view import GROUP

Reason = Annotated[str, typer.Option(help="Why they are stopped: recorded, and given with each rejected order.")]


@options.command(service=True, zone=True, exact=True)
def stop(
    common: CommonOptions,
    account: lockouts.AccountNames = None,
    *,
    every: lockouts.EveryAccount = False,
    reason: Reason,
    actor: options.Actor = None,
) -> None:
    """Stop accounts: lock them until they are resumed, and ask to cancel their orders and to close their positions.

    Until then no order passes but those that carry the requests out. An account that is stopped already stays as it is.
    @NAME stands for the members of a group.
    """
    lockouts.check_named(account, every=every)
    with stores.open_existing(common) as store:
        chosen, unknown = _chosen(store, account)
        found = stopping.stop(store, chosen, reason, actor=actor)
        shown = zones.presenter(common, store, chosen[0] if len(chosen) == 1 else None)
        lockouts.put_accounts(
            found, "stopped", "was stopped already: nothing was changed", shown=shown, as_json=common.as_json
        )
        if any(each.records for each in found):
            note("the requests are pending until an enforcer or the trading process carries them out")
        for message in unknown:
            # The accounts that exist must not wait for the correction of a name.
            diagnose(f"eventstore: {message}")
        if unknown:
            raise typer.Exit(USAGE_ERROR)


def _chosen(store: EventStore, given: list[str] | None) -> tuple[list[str], list[str]]:
    """Return the accounts to stop, and what is wrong with the other names."""
    if given is None:
        with open_book(store) as book:
            return [name for name in book.accounts.known() if not name.startswith(GROUP)], []
    chosen: list[str] = []
    unknown: list[str] = []
    for name in given:
        if name.startswith(GROUP):
            members = _members(store, name)
            chosen += members
            unknown += (
                []
                if members
                else [f"there is no group {name} with members in log {store.log}; nothing was stopped for it"]
            )
            continue
        try:
            check_name("account", name)
            names.check_account(store, name, "; it was not stopped")
        except InvalidEvent as e:
            unknown.append(str(e))
        else:
            chosen.append(name)
    return chosen, unknown


def _members(store: EventStore, group: str) -> tuple[str, ...]:
    with open_book(store) as book:
        return tuple(book.groups.members(group.removeprefix(GROUP)))
