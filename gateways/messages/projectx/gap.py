"""After a gap: what the REST interface is asked for, since nothing that was missed is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from eventstore.clock import format_time
from gateways.messages.projectx.mapping import ProjectX, message
from gateways.messages.projectx.positions import with_closed_positions
from projections import reconciliation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateways.messages.recorder import Recorder
    from projections.reconciliation import Difference

DAY_NS = 86_400 * 1_000_000_000


class Ask(Protocol):
    """Sends a request to the gateway, and returns its answer; it raises where there is none."""

    def __call__(self, path: str, **body: object) -> Mapping[str, object]:
        """Post a body to a path such as Order/search."""


def catch_up(
    recorder: Recorder, mapping: ProjectX, account_id: int | str, ask: Ask, *, lookback_ns: int = DAY_NS
) -> tuple[Difference, ...]:
    """Record what an account is by now, and what happened to it; return where that differs from the records.

    Call it after subscribing, at each start and each time a connection was lost. `lookback_ns`: how far back orders and
    trades are asked for, which must reach to before the gap; what is known adds nothing. The differences are those of
    `reconciliation.reconcile`: `reconciliation.record` books the quantities.
    """
    book, id_ = recorder.book, int(account_id)
    since = format_time(book.now_ns() - lookback_ns)
    recorder.record(message("Account/search", ask("Account/search", onlyActiveAccounts=False)))
    for path in ("Order/search", "Trade/search"):
        recorder.record(message(path, ask(path, accountId=id_, startTimestamp=since)))
    answer = ask("Position/searchOpen", accountId=id_)
    recorder.record(message("Position/searchOpen", with_closed_positions(book, mapping, id_, answer)))
    return reconciliation.reconcile(book, mapping.account(str(id_)))
