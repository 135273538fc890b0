"""The kinds of facts that records change, and what gives them of each view's state."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from typing_extensions import override

from eventstore.streams import unescaped
from eventstore.trading import PairStateSaved, PortfolioSaved
from projections.auditing.facts import (
    AskedFacts,
    ConcernedTrades,
    Facts,
    GroupLimitFacts,
    LimitFacts,
    LockoutFacts,
    PositionFacts,
    ShadowLockoutFacts,
    TradeFacts,
    by_rule,
)
from projections.view import GROUP, SHARED
from projections.views.accounts import Account, AccountsView
from projections.views.blackouts import BlackoutsView
from projections.views.configuration import DEFAULTS
from projections.views.contracts.view import ContractsView
from projections.views.enforcement.view import EnforcementView
from projections.views.equity import EquityView
from projections.views.executions.view import ExecutionsView
from projections.views.groups import GroupsView
from projections.views.limits.view import LimitsView
from projections.views.lockouts.view import LockoutsView
from projections.views.notes import NotesView
from projections.views.orders.view import OrdersView
from projections.views.pairs import PairsView
from projections.views.policies import PoliciesView
from projections.views.sessions import SessionsView
from projections.views.shadow import ShadowView

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore import Event, Record
    from projections.auditing.facts import Named, Pair
    from projections.book import Book


def kinds() -> tuple[Facts, ...]:
    """Return the kinds of facts that records change, in the order in which they are shown."""
    trades = ConcernedTrades()
    return (
        AskedFacts("orders", (OrdersView, ExecutionsView), partial(_orders, trades)),
        TradeFacts(trades),
        PositionFacts(),
        AccountFacts(),
        AskedFacts("configurations", (AccountsView,), _configuration),
        AskedFacts("balances", (AccountsView, ExecutionsView), _balances),
        AskedFacts("marked equity", (EquityView,), _equity),
        LockoutFacts("lockouts", LockoutsView, by_rule),
        LimitFacts("limits in force", LimitsView, _listed("rules"), waiting=False),
        LimitFacts("limits waiting", LimitsView, _listed("rules"), waiting=True),
        GroupLimitFacts("limits in force", GroupsView, _group_rules, waiting=False),
        GroupLimitFacts("limits waiting", GroupsView, _group_rules, waiting=True),
        AskedFacts("protection modes", (LimitsView,), _protection),
        Facts("unjudged", LimitsView, _listed("unjudged"), removes=True),
        Facts("breaches", LimitsView, _numbered("breaches")),
        AskedFacts("groups", (GroupsView,), _groups),
        Facts("blackouts", BlackoutsView, _listed("blackouts"), removes=True),
        Facts("sessions", SessionsView, _numbered("days", "trading_day")),
        Facts("enforcement", EnforcementView, _listed("pending", "answered")),
        Facts("policies", PoliciesView, _listed("policies")),
        ShadowLockoutFacts("shadow", ShadowView, by_rule),
        Facts("shadow_requests", ShadowView, _numbered("asks")),
        Facts("reported_limits", ShadowView, _reported_limits),
        Facts("contracts", ContractsView, _listed("contracts")),
        Facts("notes", NotesView, _numbered("notes", "uuid")),
        AskedFacts("saved_states", (PairsView,), _pairs),
    )


class AccountFacts(AskedFacts):
    """What is known of an account beside its balances and its configuration."""

    def __init__(self) -> None:
        super().__init__("accounts", (AccountsView,), _accounts)

    @override
    def changed(self, book: Book, before: Any, after: Any, record: Record) -> Pair | None:
        if isinstance(before, Account) and before == replace(after, last_position=before.last_position):
            # Only that it has another record.
            return None
        return super().changed(book, before, after, record)


def _orders(trades: ConcernedTrades, book: Book, account: str, record: Record, event: Event) -> Named:
    # Before its first record an order is unknown: to ask for it would read the log.
    is_known = record.version > 1 or book.position >= record.position
    names = [unescaped(record.entity)] if record.category == "order" and is_known else []
    streams = [item.order_stream for items in trades.of(book, account, record, event) for item in items]
    names += [unescaped(stream.split("/", 2)[2]) for stream in streams if stream is not None]
    return {name: book.orders.get(account, name) for name in dict.fromkeys(names)}


def _balances(book: Book, account: str, _record: Record, _event: Event) -> Named:
    if account == SHARED:
        return {}
    return {each.currency or "": each for each in book.accounts.balances(account)}


def _accounts(book: Book, account: str, _record: Record, _event: Event) -> Named:
    return {} if account == SHARED else {"account": book.accounts.get(account)}


def _configuration(book: Book, account: str, _record: Record, _event: Event) -> Named:
    found = book.accounts.configuration(account)
    return {} if found == DEFAULTS else {"configuration": found}


def _equity(book: Book, account: str, _record: Record, _event: Event) -> Named:
    mark = None if account == SHARED else book.equity.get(account)
    return {} if mark is None else {mark.currency or "": mark}


def _protection(book: Book, account: str, record: Record, _event: Event) -> Named:
    at = record.recorded_at
    return {"in force": book.shadow.setting(account, at), "waiting": book.shadow.pending(account, at)}


def _group_rules(state: Any) -> Named:  # noqa: ANN401 - a listed state
    groups = state.groups.values()
    return {f"{GROUP}{group.name}/{rule_id}": rule for group in groups for rule_id, rule in group.rules.items()}


def _groups(book: Book, _account: str, _record: Record, _event: Event) -> Named:
    found = [book.groups.get(name) for name in book.groups.names()]
    # Their limits are facts of their own.
    return {
        group.name: replace(group, rules={}, begun={}, anomalies=())
        for group in found
        if group is not None and group.defined_at is not None
    }


def _listed(*members: str) -> Callable[[Any], Named]:
    """Return what gives the values of a state's dicts by their keys."""
    return lambda state: {name: value for member in members for name, value in getattr(state, member).items()}


def _numbered(member: str, name: str = "position") -> Callable[[Any], Named]:
    """Return what gives the values of a state's tuple by a member of each."""
    return lambda state: {str(getattr(value, name)): value for value in getattr(state, member)}


def _reported_limits(state: Any) -> Named:  # noqa: ANN401 - a listed state
    return {"/".join((each.kind, str(each.trading_day or ""), each.currency or "")): each for each in state.reported}


def _pairs(book: Book, account: str, record: Record, event: Event) -> Named:
    name = unescaped(record.entity)
    if isinstance(event, PairStateSaved):
        return {f"pair {event.pair or name}": book.pairs.get(account, event.pair or name)}
    if isinstance(event, PortfolioSaved):
        return {f"portfolio {event.portfolio or name}": book.pairs.portfolio(account, event.portfolio or name)}
    return {}
