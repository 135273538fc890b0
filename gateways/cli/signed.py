"""`signed`: the trading days that somebody agreed to, and whether they have changed since."""

from __future__ import annotations

from gateways.cli import options, queries
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import auditing
from projections.auditing import SignedDay

_COLUMNS = ("account", "day", "signed at", "by", ">breaks", "~statement", "~note", "changed since")


@options.command(url=True, read_only=True, zone=True)
def signed(common: CommonOptions, *, account: options.Account = None, rows: options.Rows = options.ROWS) -> None:
    """Show the trading days that were signed with eventstore statement --sign, and what has changed of them since.

    A day has changed if one of its trades was recorded, busted, corrected or charged later, if cash was moved in it, or
    if its profit and loss is another one. Exit code 1 if one has.
    """
    with queries.open_account_query(common, account) as query:
        found = auditing.signed_days(query.store, account=account)
        if common.as_json:
            put_json(plain(found, query.shown.document_zone))
        else:
            _put(found, query.shown, rows)
    if any(each.changes for each in found):
        end_with_problem()


def _put(found: tuple[SignedDay, ...], shown: Presenter, rows: int) -> None:
    cells = [
        (
            each.account,
            str(each.trading_day),
            shown.time(each.signed_at),
            each.by,
            f"{each.breaks_count:,}",
            each.statement or NONE,
            each.note or NONE,
            "yes" if each.changes else "no",
        )
        for each in found
    ]
    put_table("Signed days", _COLUMNS, cells, shown=rows)
    changes = [
        (each.account, str(each.trading_day), change.sentence, ", ".join(map(str, change.records)) or NONE)
        for each in found
        for change in each.changes
    ]
    if changes:
        put_table("Changed since", ("account", "day", "~what", "records"), changes, shown=rows)
