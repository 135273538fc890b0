"""The facts that a record may change: what each account's state publishes, by name, and what of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore.trading import AccountReopened, ClockJumped, ContractDefined
from projections.view import SHARED
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.executions.correction_ids import corrected_trade_id
from projections.views.executions.merging import concerned
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.executions.state import ExecutionsState
from projections.views.executions.trades import trade_of
from projections.views.executions.view import ExecutionsView
from projections.views.limits.settings import in_force
from projections.views.lockouts.view import LockoutsView

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

    def place(self, account: str, name: str) -> tuple[str, str]:
        """Return the account and the name under which a fact is shown."""
        return account, name

    def counts(self, name: str, after: Named, event: Event) -> bool:
        """Return whether what is not published any more has ended."""
        return name in after or self.removes or isinstance(event, ClockJumped)


class AskedFacts(Facts):
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


class PositionFacts(AskedFacts):
    """Positions by symbol and side: the fold's holding, joined with its contract when it is asked for."""

    def __init__(self) -> None:
        super().__init__("positions", (ExecutionsView, ContractsView), self._held)
        self._joined: dict[tuple[str, str], tuple[Any, ...]] = {}

    def _held(self, book: Book, account: str, _record: Record, _event: Event) -> Named:
        state: ExecutionsState | None = book.state(EXECUTIONS, account)
        contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
        if state is None:
            return {}
        # What waits for its trade marks the positions that it may be of.
        waiting = [*state.anomalies, *(each for amendments in state.waiting.values() for each in amendments)]
        found = {}
        for holding in state.holdings.values():
            name = f"{holding.symbol}/{holding.side}"
            contract = None if contracts is None else contracts.find(holding.symbol)
            # Joined again only if one of these was replaced: a record changes one position of many.
            known = self._joined.get((account, name))
            if known is None or known[0] is not holding or known[1] is not contract or known[2] != waiting:
                position = book.positions.get(account, holding.symbol, holding.side)
                known = self._joined[account, name] = (holding, contract, waiting, position)
            found[name] = known[3]
        return found


class ConcernedTrades:
    """The trades that a record may change: those that it names, and of a definition those that what it learns concerns.

    A name that becomes known says what busts, corrections and fees that wait are about, and which trades are one.
    """

    def __init__(self) -> None:
        self._ids: dict[str, tuple[int, tuple[str, ...]]] = {}

    def of(self, book: Book, account: str, record: Record, event: Event) -> list[tuple[Item, ...]]:
        """Return the trades, those of each id together; just before and just after a record those of the same ids."""
        if not isinstance(event, ContractDefined):
            return [trades_named(book, account, event)]
        state: ExecutionsState | None = book.state(EXECUTIONS, account)
        if state is None:
            return []
        known = self._ids.get(account)
        if known is None or known[0] != record.position:
            several = (
                [items[0].trade_id or "" for items in state.recent.shared_ids()] if concerned(state, event) else []
            )
            known = self._ids[account] = (record.position, tuple(dict.fromkeys([*state.waiting, *several])))
        return [state.recent.find(trade_id) for trade_id in known[1]]


class TradeFacts(AskedFacts):
    """The trades that an event concerns, as they stand, by id; the second of an id with its log position."""

    def __init__(self, trades: ConcernedTrades) -> None:
        super().__init__("trades", (ExecutionsView,), self._named)
        self._trades = trades

    def _named(self, book: Book, account: str, record: Record, event: Event) -> Named:
        return {
            (item.trade_id or "") + (f" at {item.log_position}" if number else ""): item
            for items in self._trades.of(book, account, record, event)
            for number, item in enumerate(items)
        }

    @override
    def changed(self, book: Book, before: Item | None, after: Item | None, record: Record) -> Pair | None:
        if before == after:
            return None
        was, is_now = (
            None if item is None else trade_of(item, _first_report(book, item, record)) for item in (before, after)
        )
        # A report that only repeats it is noted with the trade, and changes none of its figures.
        return None if was == is_now else (was, is_now)


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


class ShadowLockoutFacts(Facts):
    """The lockouts of a rule, as a tuple: those that the record changes."""

    @override
    def changed(self, book: Book, before: Any, after: Any, record: Record) -> Pair | None:
        was, is_now = _by_place(before), _by_place(after)
        # What has ended and is not there any more was let go by a bounded state, unless all are listed. What was in
        # force has become a part of another one.
        all_listed = record.type in _ALL_LISTED
        gone = {place for place in was.keys() - is_now.keys() if all_listed or was[place].ended_by is None}
        differing = [place for place, lockout in is_now.items() if was.get(place) != lockout] + sorted(gone)
        if not differing:
            return None
        return (
            tuple([was[place] for place in differing if place in was]) or None,
            tuple([is_now[place] for place in differing if place in is_now]) or None,
        )


class LockoutFacts(ShadowLockoutFacts):
    """Those that lock: a reopening ends none that is irrevocable while the account is in use."""

    @override
    def published(self, book: Book, account: str, record: Record, event: Event) -> Named:
        state: LockoutsState | None = book.state(LockoutsView.name, account)
        if state is None:
            return {}
        if record.type in _ALL_LISTED or state.before_reopening:
            return _grouped(book.lockouts.history(account))
        return by_rule(state)


_ALL_LISTED = frozenset({AccountReopened.__name__, ClockJumped.__name__})
"""Records after which lockouts of any age may be otherwise: all are listed, from the log."""


class LimitFacts(Facts):
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


class GroupLimitFacts(LimitFacts):
    """Those of a group's rules: what is in force depends on all its members."""

    @override
    def place(self, account: str, name: str) -> tuple[str, str]:
        group, _, rule_id = name.partition("/")
        return group, rule_id


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


def by_rule(state: LockoutsState) -> dict[str, tuple[Lockout, ...]]:
    return _grouped((*state.ended, *state.expired, *state.active.values()))


def _grouped(lockouts: Iterable[Lockout]) -> dict[str, tuple[Lockout, ...]]:
    found: dict[str, list[Lockout]] = {}
    for lockout in lockouts:
        found.setdefault(lockout.rule_id, []).append(lockout)
    return {rule_id: tuple(several) for rule_id, several in found.items()}


def _by_place(lockouts: Iterable[Lockout] | None) -> dict[tuple[str, int], Lockout]:
    return {(lockout.scope, lockout.positions[0]): lockout for lockout in lockouts or ()}
