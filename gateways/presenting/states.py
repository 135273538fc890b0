"""What a book says about an account, by the name of a view: one question each, for the service and its followers."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import UnknownContract
from gateways.presenting.approvals import awaited_approvals, with_groups
from gateways.presenting.book_summary import anomalies_of, positions_json
from gateways.presenting.documents import plain
from gateways.presenting.headroom import unjudged_of
from gateways.presenting.limits import accounts_with_groups, limits_in_force
from projections.view import SHARED
from projections.views.contracts.names import same_contract
from projections.views.contracts.view import ContractsView

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections import Book
    from projections.views.groups import Group

ATTEMPTS = 4


class StateQuestion(NamedTuple):
    """What is asked: of which account, `-` for what belongs to none, and for which instant in UNIX ns.

    None is now, which is not the clock's time where that was set back: a limit set a minute ago stays in force.
    """

    account: str
    at: int | None = None
    symbol: str | None = None
    order_id: str | None = None


class StateOf(NamedTuple):
    """How a view's state is asked for. `is_shared`: it needs no account; `has_past`: records tell what it once was."""

    ask: Callable[[Book, StateQuestion], Any]
    is_shared: bool = False
    has_past: bool = True


def answered(book: Book, view: str, question: StateQuestion) -> tuple[Any, int]:
    """Return the state of a view as plain JSON values, and the one log position that it is of.

    Raises KeyError for a view that is not in STATES, PartitionParked for one that has failed for the account.
    """
    ask = STATES[view].ask
    found, position = at_one_position(book, lambda: ask(book, question))
    return plain(found), position


def at_one_position(book: Book, ask: Callable[[], Any]) -> tuple[Any, int]:
    """Return the answer to several questions, and the one log position that they are all of."""
    for _ in range(ATTEMPTS):
        position = book.position
        found = ask()
        # Without a lock, another thread may have folded a record between two lookups: then all are asked again.
        if book.unchanged_since(position):
            return found, position
    with book.paused():
        return ask(), book.position


def _instant(book: Book, asked: StateQuestion) -> int:
    return book.now_ns() if asked.at is None else asked.at


def _orders(book: Book, asked: StateQuestion) -> Any:  # noqa: ANN401 - one of two
    if asked.order_id is None:
        return book.orders.open(asked.account, asked.symbol)
    return book.orders.get(asked.account, asked.order_id)


def _trades(book: Book, asked: StateQuestion) -> dict[str, Any]:
    is_asked_for = _wanted(book, asked)
    return {
        "trades": book.trades.of(asked.account, asked.symbol),
        "totals": [each for each in book.trades.totals(asked.account) if is_asked_for(each.symbol)],
        "unassigned_fees": book.trades.unassigned_fees(asked.account),
    }


def _positions(book: Book, asked: StateQuestion) -> list[dict[str, Any]]:
    is_asked_for = _wanted(book, asked)
    return positions_json([each for each in book.positions.of(asked.account) if is_asked_for(each.symbol)], UTC)


def _wanted(book: Book, asked: StateQuestion) -> Callable[[str | None], bool]:
    """Return a test of whether a name means the contract that is asked about; True for all where none is named."""
    if asked.symbol is None:
        return lambda _: True
    return same_contract(book.state(ContractsView.name, SHARED), asked.symbol)


def _lockouts(book: Book, asked: StateQuestion) -> dict[str, Any]:
    return {
        "active": book.lockouts.active(asked.account, _instant(book, asked), asked.symbol),
        "history": book.lockouts.history(asked.account),
    }


def _equity(book: Book, asked: StateQuestion) -> dict[str, Any]:
    return {
        "now": book.equity.now(asked.account, asked.at),
        "marked": book.equity.get(asked.account),
        "highs": book.bests.highs(asked.account),
    }


def _limits(book: Book, asked: StateQuestion) -> dict[str, Any]:
    return {
        "in_force": limits_in_force(book, asked.account, asked.at, UTC),
        "pending": book.limits.pending(asked.account, asked.at),
        "history": book.limits.history(asked.account),
        "breaches": book.limits.breaches(asked.account),
        "unjudged": unjudged_of(book, accounts_with_groups(book, asked.account), asked.at),
    }


def _enforcement(book: Book, asked: StateQuestion) -> dict[str, Any]:
    return {
        "pending": book.enforcement.pending(asked.account, asked.at),
        "requests": book.enforcement.of(asked.account),
    }


def _pnl(book: Book, asked: StateQuestion) -> dict[str, Any]:
    """Return profit and loss; where a contract's multiplier is not known, why there is none."""
    account, at = asked.account, asked.at
    try:
        return {
            "total": book.pnl.total(account),
            "day": book.pnl.day(account, at),
            "week": book.pnl.week(account, at),
            "days": [{"day": day, "totals": totals} for day, totals in book.pnl.days(account)],
            "unrealized": book.pnl.unrealized(account, at),
            "reported": book.pnl.reported(account),
            "status": "KNOWN",
            "why": "",
        }
    except UnknownContract as e:
        return {"status": "UNKNOWN", "why": str(e)}


def _account(book: Book, asked: StateQuestion) -> dict[str, Any]:
    try:
        balances, why = book.accounts.balances(asked.account), ""
    except UnknownContract as e:
        balances, why = (), str(e)
    return {
        "account": book.accounts.get(asked.account),
        "configuration": book.accounts.configuration(asked.account),
        "balances": balances,
        "status": "UNKNOWN" if why else "KNOWN",
        "why": why,
        "why_not_reopened": book.accounts.why_not_reopened(asked.account),
    }


def _groups(book: Book, asked: StateQuestion) -> list[dict[str, Any]]:
    names = book.groups.names() if asked.account == SHARED else book.groups.of(asked.account)
    return [_group(group) for name in names if (group := book.groups.get(name)) is not None]


def _group(group: Group) -> dict[str, Any]:
    document = plain(group)
    return {name: document[name] for name in ("name", "accounts", "actor", "note", "defined_at", "position")}


def _sessions(book: Book, asked: StateQuestion) -> dict[str, Any]:
    sessions, account, at = book.sessions, asked.account, asked.at
    return {"current": sessions.current(account, at), "history": sessions.history(account)}


def _approvals(book: Book, asked: StateQuestion) -> dict[str, Any]:
    accounts = with_groups(book, (asked.account,))
    return {"approvers": book.approvals.approvers(asked.account), "waiting": awaited_approvals(book, accounts)}


def _shadow(book: Book, asked: StateQuestion) -> dict[str, Any]:
    account, at = asked.account, asked.at
    return {
        "mode": book.shadow.mode(account, at),
        "setting": book.shadow.setting(account, at),
        "pending": book.shadow.pending(account, at),
        "locks": book.shadow.locks(account, at),
        "asks": book.shadow.asks(account),
    }


def _pairs(book: Book, asked: StateQuestion) -> dict[str, Any]:
    return {"pairs": book.pairs.of(asked.account), "portfolios": book.pairs.portfolios(asked.account)}


STATES: dict[str, StateOf] = {
    "accounts": StateOf(_account),
    "anomalies": StateOf(lambda book, asked: anomalies_of(book, asked.account)),
    "approvals": StateOf(_approvals),
    "blackouts": StateOf(lambda book, asked: book.blackouts.scheduled(asked.account, _instant(book, asked))),
    "contracts": StateOf(lambda book, _: book.contracts.all(), is_shared=True),
    "counts": StateOf(lambda book, asked: book.counters.of(asked.account, asked.at)),
    "enforcement": StateOf(_enforcement),
    "equity": StateOf(_equity),
    "groups": StateOf(_groups, is_shared=True),
    "headroom": StateOf(lambda book, asked: book.limits.headroom(asked.account, asked.at)),
    "limits": StateOf(_limits),
    "lockouts": StateOf(_lockouts),
    "notes": StateOf(lambda book, asked: book.notes.of(asked.account)),
    "orders": StateOf(_orders),
    "pairs": StateOf(_pairs),
    "pnl": StateOf(_pnl),
    "policies": StateOf(lambda book, asked: book.policies.stopped(asked.account), is_shared=True),
    "positions": StateOf(_positions),
    "quotes": StateOf(lambda book, asked: book.quotes.all(asked.at), is_shared=True, has_past=False),
    "sessions": StateOf(_sessions),
    "shadow": StateOf(_shadow),
    "timers": StateOf(lambda book, asked: book.timers.of(asked.account, asked.at), has_past=False),
    "trades": StateOf(_trades),
    "trips": StateOf(lambda book, asked: book.trips.of(asked.account, asked.symbol)),
}
"""Every view that can be asked for by name."""
