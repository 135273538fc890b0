"""The facts that a record may change: what each account's state publishes, by name, and what of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore.streams import unescaped
from eventstore.trading import ClockJumped, ContractDefined, PairStateSaved, PortfolioSaved
from projections.view import GROUP, SHARED
from projections.views.accounts import AccountsView
from projections.views.blackouts import BlackoutsView
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.enforcement.view import EnforcementView
from projections.views.equity import EquityView
from projections.views.executions.correction_ids import corrected_trade_id
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.executions.state import ExecutionsState
from projections.views.executions.trades import trade_of
from projections.views.executions.view import ExecutionsView
from projections.views.groups import GroupsView
from projections.views.limits.settings import in_force
from projections.views.limits.view import LimitsView
from projections.views.lockouts.view import LockoutsView
from projections.views.notes import NotesView
from projections.views.orders.view import OrdersView
from projections.views.pairs import PairsView
from projections.views.policies import PoliciesView
from projections.views.sessions import SessionsView
from projections.views.shadow import ShadowView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from eventstore import Event, Record
    from projections.book import Book
    from projections.view import View
    from projections.views.executions.items import Item
    from projections.views.limits.limit import Limit
    from projections.views.limits.settings import RuleSettings
    from projections.views.lockouts.lockout import Lockout
    from projections.views.lockouts.state import LockoutsState

    Named = Mapping[str, Any]
    """Values by name. They are replaced, never changed, so that what is the same object has not changed."""
    Pair = tuple[Any, Any]
    """A value before and after a record; None where there is none."""


class Facts:
    """Facts of one kind, `name`: those that the states of some views publish, as they are.

    `removes`: one that is not published any more has ended. Elsewhere a bounded state has let it go, and that changes
    nothing.
    """

    def __init__(
        self, name: str, within: type[View[Any]], listed: Callable[[Any], Named], *, removes: bool = False
    ) -> None:
        self.name, self.removes = name, removes
        self.within: tuple[type[View[Any]], ...] = (within,)
        self._listed = listed

    def partitions(self, book: Book, record: Record, event: Event) -> list[str]:
        """Return the accounts whose facts a record may change, SHARED for those of none."""
        if self.within[0].shared:
            return [SHARED]
        if isinstance(event, ContractDefined):
            # It may say what positions are worth, and that two of them are one.
            return [name for name in book.partitions(EXECUTIONS) if name != SHARED]
        return [record.account]

    def published(self, book: Book, account: str, record: Record, event: Event) -> Named:
        """Return what a record of this event may change of an account, by name."""
        del record, event
        state = book.state(self.within[0].name, account)
        return {} if state is None else dict(self._listed(state))

    def changed(self, book: Book, before: Any, after: Any, record: Record) -> Pair | None:  # noqa: ANN401 - any fact
        """Return what is shown of one that was published before and after a record; None where that is the same."""
        del book, record
        return None if before == after else (before, after)

    def counts(self, name: str, after: Named, event: Event) -> bool:
        """Return whether what is not published any more has ended."""
        return name in after or self.removes or isinstance(event, ClockJumped)


class _AskedFacts(Facts):
    """Facts that are asked of the book for the account, and for what the record names."""

    def __init__(
        self,
        name: str,
        within: tuple[type[View[Any]], ...],
        ask: Callable[[Book, str, Record, Event], Named],
    ) -> None:
        super().__init__(name, within[0], lambda _state: {}, removes=True)
        self.within, self._ask = within, ask

    @override
    def published(self, book: Book, account: str, record: Record, event: Event) -> Named:
        return self._ask(book, account, record, event)


class _Positions(_AskedFacts):
    """Positions by symbol and side: the fold's holding, joined with its contract when it is asked for."""

    def __init__(self) -> None:
        super().__init__("positions", (ExecutionsView, ContractsView), self._held)
        self._joined: dict[tuple[str, str], tuple[Any, Any, Any]] = {}

    def _held(self, book: Book, account: str, _record: Record, _event: Event) -> Named:
        state: ExecutionsState | None = book.state(EXECUTIONS, account)
        contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
        found = {}
        for holding in [] if state is None else list(state.holdings.values()):
            name = f"{holding.symbol}/{holding.side}"
            contract = None if contracts is None else contracts.find(holding.symbol)
            # Joined again only if one of the two was replaced: a record changes one position of many.
            known = self._joined.get((account, name))
            if known is None or known[0] is not holding or known[1] is not contract:
                position = book.positions.get(account, holding.symbol, holding.side)
                known = self._joined[account, name] = (holding, contract, position)
            found[name] = known[2]
        return found


class _Trades(_AskedFacts):
    """The trades that an event names, as they stand, by id; the second of an id with its log position."""

    def __init__(self) -> None:
        super().__init__("trades", (ExecutionsView,), self._named)

    def _named(self, book: Book, account: str, _record: Record, event: Event) -> Named:
        items = enumerate(trades_named(book, account, event))
        return {(item.trade_id or "") + (f" at {item.log_position}" if number else ""): item for number, item in items}

    @override
    def changed(self, book: Book, before: Item | None, after: Item | None, record: Record) -> Pair | None:
        if before == after:
            return None
        shown = [
            None if item is None else trade_of(item, _first_report(book, item, record)) for item in (before, after)
        ]
        return (shown[0], shown[1])


class OwnState(Facts):
    """The state of a view that was added to the built-in ones, as plain values."""

    def __init__(self, view: View[Any]) -> None:
        super().__init__(view.name, type(view), lambda _state: {}, removes=True)
        self.view = view

    @override
    def partitions(self, book: Book, record: Record, event: Event) -> list[str]:
        return [self.view.partition(record)]

    @override
    def published(self, book: Book, account: str, record: Record, event: Event) -> Named:
        state = book.state(self.view.name, account)
        return {} if state is None else {"state": msgspec.to_builtins(state, enc_hook=repr)}


class _Lockouts(Facts):
    """The lockouts of a rule, as a tuple: those that the record changes."""

    def __init__(self, name: str, within: type[View[Any]]) -> None:
        super().__init__(name, within, _by_rule)

    @override
    def changed(self, book: Book, before: Any, after: Any, record: Record) -> Pair | None:
        was, is_now = _by_place(before), _by_place(after)
        # What is no longer there was let go by a bounded state.
        differing = [place for place, lockout in is_now.items() if was.get(place) != lockout]
        if not differing:
            return None
        return (
            tuple([was[place] for place in differing if place in was]) or None,
            tuple([is_now[place] for place in differing]),
        )


class _Limits(Facts):
    """Of each rule the setting in force when the record came, or the one that waited then."""

    def __init__(self, name: str, within: type[View[Any]], rules: Callable[[Any], Named], *, waiting: bool) -> None:
        super().__init__(name, within, rules)
        self._waiting = waiting

    @override
    def changed(self, book: Book, before: Any, after: Any, record: Record) -> Pair | None:
        if before is after:
            return None
        at = max([record.recorded_at, *(each.set_at for each in after.settings)]) if after else record.recorded_at
        was, is_now = self._at(before, at), self._at(after, at)
        return None if was == is_now else (was, is_now)

    def _at(self, rule: RuleSettings | None, at: int) -> Limit | None:
        if rule is None:
            return None
        if not self._waiting:
            return in_force(rule.settings, at)
        return next((limit for limit in reversed(rule.settings) if limit.is_pending(at)), None)


def trades_named(book: Book, account: str, event: Event) -> tuple[Item, ...]:
    """Return the remembered trades of an account that an event names by an id, of themselves or of a correction."""
    trade_id = getattr(event, "trade_id", None)
    state: ExecutionsState | None = None if trade_id is None else book.state(EXECUTIONS, account)
    if state is None or trade_id is None:
        return ()
    return state.recent.find(corrected_trade_id(state, trade_id))


def _first_report(book: Book, item: Item, record: Record) -> Event:
    if item.log_position == record.position:
        return record.event
    return next(book.reader.read(after=item.log_position - 1, limit=1)).event


def _by_rule(state: LockoutsState) -> dict[str, tuple[Lockout, ...]]:
    found: dict[str, list[Lockout]] = {}
    for lockout in (*state.ended, *state.expired, *state.active.values()):
        found.setdefault(lockout.rule_id, []).append(lockout)
    return {rule_id: tuple(lockouts) for rule_id, lockouts in found.items()}


def _by_place(lockouts: Iterable[Lockout] | None) -> dict[tuple[str, int], Lockout]:
    return {(lockout.scope, lockout.positions[0]): lockout for lockout in lockouts or ()}


def _orders(book: Book, account: str, record: Record, event: Event) -> Named:
    # Before its first record an order is unknown: to ask for it would read the log.
    is_known = record.version > 1 or book.position >= record.position
    names = [unescaped(record.entity)] if record.category == "order" and is_known else []
    streams = [item.order_stream for item in trades_named(book, account, event)]
    names += [unescaped(stream.split("/", 2)[2]) for stream in streams if stream is not None]
    return {name: book.orders.get(account, name) for name in dict.fromkeys(names)}


def _balances(book: Book, account: str, _record: Record, _event: Event) -> Named:
    if account == SHARED:
        return {}
    return {each.currency or "": each for each in book.accounts.balances(account)}


def _accounts(book: Book, account: str, _record: Record, _event: Event) -> Named:
    known = None if account == SHARED else book.accounts.get(account)
    return {} if known is None else {"account": known, "settings": book.accounts.configuration(account)}


def _equity(book: Book, account: str, _record: Record, _event: Event) -> Named:
    mark = None if account == SHARED else book.equity.get(account)
    return {} if mark is None else {mark.currency or "": mark}


def _protection(book: Book, account: str, record: Record, _event: Event) -> Named:
    at = record.recorded_at
    return {"in force": book.shadow.setting(account, at), "waiting": book.shadow.pending(account, at)}


def _group_rules(state: Any) -> Named:  # noqa: ANN401 - a listed state
    groups = state.groups.values()
    return {f"{GROUP}{group.name}/{rule_id}": rule for group in groups for rule_id, rule in group.rules.items()}


def _members(book: Book, _account: str, _record: Record, _event: Event) -> Named:
    names = book.groups.names()
    return {name: book.groups.members(name) for name in names}


def _listed(*members: str) -> Callable[[Any], Named]:
    """Return what gives the values of a state's dicts by their keys."""
    return lambda state: {name: value for member in members for name, value in getattr(state, member).items()}


def _numbered(member: str, name: str = "position") -> Callable[[Any], Named]:
    """Return what gives the values of a state's tuple by a member of each."""
    return lambda state: {str(getattr(value, name)): value for value in getattr(state, member)}


def kinds() -> tuple[Facts, ...]:
    """Return the kinds of facts that records change, in the order in which they are shown."""
    return (
        _AskedFacts("orders", (OrdersView, ExecutionsView), _orders),
        _Trades(),
        _Positions(),
        _AskedFacts("accounts", (AccountsView,), _accounts),
        _AskedFacts("balances", (AccountsView, ExecutionsView), _balances),
        _AskedFacts("equity", (EquityView,), _equity),
        _Lockouts("lockouts", LockoutsView),
        _Limits("limits", LimitsView, _listed("rules"), waiting=False),
        _Limits("pending limits", LimitsView, _listed("rules"), waiting=True),
        _Limits("limits of groups", GroupsView, _group_rules, waiting=False),
        _Limits("pending limits of groups", GroupsView, _group_rules, waiting=True),
        _AskedFacts("protection", (LimitsView,), _protection),
        Facts("unjudged limits", LimitsView, _listed("unjudged"), removes=True),
        Facts("breaches", LimitsView, _numbered("breaches")),
        _AskedFacts("groups", (GroupsView,), _members),
        Facts("blackouts", BlackoutsView, _listed("blackouts"), removes=True),
        Facts("sessions", SessionsView, _numbered("days", "trading_day")),
        Facts("enforcement", EnforcementView, _listed("pending", "answered")),
        Facts("policies", PoliciesView, _listed("policies")),
        _Lockouts("shadow lockouts", ShadowView),
        Facts("shadow requests", ShadowView, _numbered("asks")),
        Facts("reported limits", ShadowView, _numbered("reported")),
        Facts("contracts", ContractsView, _listed("contracts")),
        Facts("notes", NotesView, _numbered("notes")),
        _AskedFacts("pairs", (PairsView,), _pairs),
    )


def _pairs(book: Book, account: str, record: Record, event: Event) -> Named:
    name = unescaped(record.entity)
    if isinstance(event, PairStateSaved):
        return {f"pair {event.pair or name}": book.pairs.get(account, event.pair or name)}
    if isinstance(event, PortfolioSaved):
        return {f"portfolio {event.portfolio or name}": book.pairs.portfolio(account, event.portfolio or name)}
    return {}
