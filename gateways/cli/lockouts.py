"""What `lock` and `unlock` have in common: which lockout is meant, and how those in force are printed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from eventstore import InvalidEvent, Record
from gateways.presenting.documents import plain, record_json
from gateways.presenting.output import put, put_json
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import lockout_effect, lockout_sentence
from projections.views.lockouts.lockout import Lockout

BY_HAND = "manual"

AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account.")]
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
