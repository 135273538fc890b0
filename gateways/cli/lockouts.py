"""What the commands of lockouts have in common: which one is meant, and how those in force are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from eventstore import InvalidEvent, Record
from gateways.presenting.documents import plain, record_json
from gateways.presenting.output import put, put_json
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import lockout_effect, lockout_sentence
from projections.risk.enforcement.stopping import StoppedAccount
from projections.views.lockouts.lockout import Lockout

BY_HAND = "manual"

AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account.")]
AccountNames = Annotated[list[str] | None, typer.Argument(metavar="[ACCOUNT]...", help="Accounts.")]
EveryAccount = Annotated[bool, typer.Option("--all", help="Every account of the log.")]
Symbol = Annotated[str | None, typer.Option(metavar="NAME", help="Only this symbol; by default the whole account.")]
Root = Annotated[str | None, typer.Option(metavar="NAME", help="Only the futures with this root, for example ES.")]
Reason = Annotated[str, typer.Option(help="Reason, recorded and given with each rejected order.")]
RuleId = Annotated[str, typer.Option("--rule", metavar="RULE_ID", help="Rule that the lockout belongs to.")]


def scope_of(symbol: str | None, root: str | None) -> str | None:
    """Return the scope that the options name; None for the whole account."""
    if symbol is not None and root is not None:
        msg = "give --symbol or --root, not both: a lockout has one scope"
        raise InvalidEvent(msg)
    if symbol is not None:
        return f"symbol:{symbol}"
    return None if root is None else f"root:{root}"


def check_named(accounts: list[str] | None, *, every: bool) -> None:
    """Raise InvalidEvent unless either accounts are named or all are meant."""
    if every is bool(accounts):
        msg = "name the accounts or give --all, not both" if every else "which accounts: name them, or give --all"
        raise InvalidEvent(msg)


def put_accounts(
    found: Sequence[StoppedAccount],
    changed: str,
    unchanged: str,
    *,
    shown: Presenter,
    as_json: bool,
    left: Mapping[str, list[Lockout]] | None = None,
) -> None:
    """Print what became of several accounts: what was appended, and the lockouts in force after it."""
    in_force = left or {each.account: [] if each.lockout is None else [each.lockout] for each in found}
    if as_json:
        put_json({"accounts": [_account_document(each, in_force[each.account], shown) for each in found]})
        return
    for each in found:
        positions = ", ".join(f"{record.position:,}" for record in each.records)
        if each.waits:
            put(f"{each.account} stays stopped until a second person approves it")
        else:
            put(f"{each.account} {f'{changed}: positions {positions}' if each.records else unchanged}")
        for held in in_force[each.account]:
            put(f"{lockout_sentence(held, shown)}, {lockout_effect(held)}")


def _account_document(stopped: StoppedAccount, lockouts: list[Lockout], shown: Presenter) -> dict[str, Any]:
    return {
        "account": stopped.account,
        "changed": bool(stopped.records) and not stopped.waits,
        "awaits_approval": stopped.waits,
        "records": [record_json(record, shown.document_zone) for record in stopped.records],
        "lockouts": [plain(each, shown.document_zone) for each in lockouts],
    }


def put_result(record: Record, state: str, lockouts: list[Lockout], shown: Presenter, *, as_json: bool) -> None:
    """Print the record of a change, and the lockouts in force after it."""
    if as_json:
        document: dict[str, Any] = {
            "record": record_json(record, shown.document_zone),
            "lockouts": [plain(each, shown.document_zone) for each in lockouts],
        }
        put_json(document)
        return
    put(f"{record.account} {state}: position {record.position}  {record.stream}")
    for each in lockouts:
        put(f"{lockout_sentence(each, shown)}, {lockout_effect(each)}")
