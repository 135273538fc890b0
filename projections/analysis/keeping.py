"""The execution fold with a state that keeps what the live one lets go: the same decisions, over a whole history."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from typing_extensions import override

from eventstore.streams import SEPARATOR
from eventstore.trading import AccountReopened, ContractDefined, OrderFilled, TradeExecuted
from projections.analysis.tags import of_record, together
from projections.analysis.trip_items import OpenItems, TripItems, split_trips
from projections.decimals import EXACTLY
from projections.views.executions.anomalies import ANOMALIES_MAX
from projections.views.executions.appending import fix
from projections.views.executions.day_totals import add_all
from projections.views.executions.identity import compared
from projections.views.executions.items import Item
from projections.views.executions.ledger_entry import NO_ENTRY, LedgerEntry
from projections.views.executions.pnl_path import PnlLedger
from projections.views.executions.recent_trades import RecentTrades
from projections.views.executions.reports import report
from projections.views.executions.state import TRIPS_MAX, ExecutionsState, Holding, holding_key
from projections.views.executions.view import ExecutionsView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import Event, Record
    from projections.analysis.tags import Tags
    from projections.views.executions.pnl_path import PnlStep
    from projections.views.executions.trip import RoundTrip

_add = EXACTLY.add
_REPORTS = (OrderFilled, TradeExecuted)


class Keep(enum.IntEnum):
    """What the fold of a frame keeps of a history: each includes those before it, and takes more memory."""

    TRIPS = 1
    """All days, and all round trips."""
    ITEMS = 2
    """All trades, and the items that each round trip is made of."""
    FILLS = 3
    """What each trade has realized, and its first report."""
    REPORTS = 4
    """All reports of executions."""


class KeptReport(NamedTuple):
    """A report of an execution as it was recorded; times in UNIX ns."""

    event: OrderFilled | TradeExecuted
    occurred_at: int
    recorded_at: int
    stream: str


class KeptTrades(RecentTrades):
    """All trades: `gone` are those that reports are no longer compared with, by log position."""

    gone: dict[int, Item] = msgspec.field(default_factory=dict)
    gone_to: int = 0
    """Up to which ordinal all are gone."""
    merged: list[Item] = msgspec.field(default_factory=list)
    """Trades that turned out to be others, until it is known which."""

    @override
    def add(self, trade_id: str, item: Item, known: tuple[Item, ...]) -> None:
        before, gone_to = self.older, self.full_count - self.limit
        super().add(trade_id, item, known)
        if self.older is not before:
            self.gone_to = gone_to
            self.gone.update((each.log_position, each) for items in before.values() for each in items)

    @override
    def remove(self, item: Item) -> None:
        super().remove(item)
        self.merged.append(item)

    def take_fixed(self, items: Sequence[Item]) -> None:
        """Take trades as nothing changes them any more, unless reports are still compared with them."""
        for item in items:
            if item.is_trade and item.ordinal <= self.gone_to:
                self.gone[item.log_position] = item


class KeptHoldings(dict[str, Holding]):
    """Holdings; the anomalies that they have had beyond their bound are in `gone`, by the log positions of records."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[int, list[str]] = {}

    @override
    def __setitem__(self, key: str, holding: Holding) -> None:
        known = self.get(key)
        super().__setitem__(key, holding)
        # Where fewer than the bound are left, an anomaly has ended.
        if known is not None and known.anomalies is not holding.anomalies and len(holding.anomalies) == ANOMALIES_MAX:
            self.let_go(known, holding)

    def let_go(self, known: Holding, now: Holding | None = None) -> None:
        """Keep the anomalies that a holding had and has no more."""
        left = () if now is None else now.anomalies
        for each in known.anomalies:
            if each not in left:
                self.gone.setdefault(each.position, []).append(each.kind.value)


class KeptLedger(PnlLedger):
    """The ledger of all days and, instead of the newest steps, what each record has realized, if that is kept.

    `realized` is in points, by log position and the ledger's key; `unpriced` counts what had no price, by log position.
    """

    keeps_realized: bool = False
    realized: dict[tuple[int, str], Decimal] = msgspec.field(default_factory=dict)
    unpriced: dict[int, int] = msgspec.field(default_factory=dict)
    gone: dict[str, list[dict[str, LedgerEntry]]] = msgspec.field(default_factory=dict)

    @override
    def add_step(self, step: PnlStep) -> None:
        entry = step.entry
        if not self.keeps_realized:
            return
        if entry.points:
            place, realized = (step.log_position, step.key), self.realized
            known = realized.get(place)
            realized[place] = entry.points if known is None else _add(known, entry.points)
        if entry.unpriced:
            # A name that is known later has another key, under which the count is taken back.
            self.unpriced[step.log_position] = self.unpriced.get(step.log_position, 0) + entry.unpriced

    @override
    def let_go(self, name: str, sums: dict[str, LedgerEntry]) -> None:
        self.gone.setdefault(name, []).append(sums)

    @override
    def names(self) -> list[str]:
        gone = {name for name in self.gone if self.of_day(name)}
        return sorted({*super().names(), *gone}, key=lambda name: (name.removeprefix("~"), name))

    @override
    def of_day(self, name: str) -> dict[str, LedgerEntry]:
        both = super().of_day(name)
        if name not in self.gone:
            return both
        for sums in self.gone[name]:
            add_all(both, sums)
        return {key: entry for key, entry in both.items() if entry != NO_ENTRY}

    @override
    def begin_again(self) -> None:
        super().begin_again()
        self.gone = {}


class KeptHistory:
    """What an account's live state lets go.

    `trips` are the round trips that ended before the state's last 100, `trip_items` the items of these and of the
    state's own, in their order. `open_items` are those of the trips in progress at the windows' bases, by holding's
    key. `reports` are those of executions by log position: the first of each, or all, and then `same_as` has, for each
    other, the log position of the first. `tags` are those of executions, by the log position of the first report.
    """

    def __init__(self, keep: Keep = Keep.REPORTS) -> None:
        self.keep = keep
        self.trips: list[RoundTrip] = []
        self.trip_items: list[TripItems] = []
        self.open_items: dict[str, OpenItems] = {}
        self.reports: dict[int, KeptReport] = {}
        self.same_as: dict[int, int] = {}
        self.tags: dict[int, tuple[str, ...]] = {}

    def first_of(self, log_position: int) -> int:
        """Return the log position of the first report of the execution that a report is of."""
        while (first := self.same_as.get(log_position)) is not None:
            log_position = first
        return log_position

    def move_tags(self, log_position: int, first: int) -> None:
        """Let the tags of a report be those of the execution that it is of."""
        moved = self.tags.pop(log_position, ())
        if moved:
            self.tags[first] = together(self.tags.get(first, ()), moved)


class KeptState(ExecutionsState):
    """One account, and its history."""

    history: KeptHistory = msgspec.field(default_factory=KeptHistory)

    @override
    def take_fixed(self, key: str, items: Sequence[Item], trips: Sequence[RoundTrip]) -> None:
        history = self.history
        if history.keep >= Keep.ITEMS:
            self._take_items(key, items, trips)
        if trips:
            known = (*self.trips, *trips)
            history.trips += known[:-TRIPS_MAX]
            self.trips = known[-TRIPS_MAX:]

    def _take_items(self, key: str, items: Sequence[Item], trips: Sequence[RoundTrip]) -> None:
        history, recent = self.history, self.recent
        assert isinstance(recent, KeptTrades), "as it was made"
        recent.take_fixed(items)
        pending = history.open_items.pop(key, None) or OpenItems()
        ended, left = split_trips(self.windows[key], items, trips, pending)
        history.trip_items += ended
        if left.items:
            history.open_items[key] = left

    def rename(self) -> None:
        """Let the items of round trips in progress stand under the keys that their holdings have now."""
        open_items = self.history.open_items
        for key in [key for key in open_items if key not in self.windows]:
            symbol, _, side = key.partition(SEPARATOR)
            into, moved = holding_key(self, symbol, side), open_items.pop(key)
            known = open_items.get(into)
            open_items[into] = moved if known is None else known.merged(moved)


class KeptExecutionsView(ExecutionsView):
    """The executions view with states that keep what is asked for of the whole history.

    `tags` are those that executions may have.
    """

    def __init__(self, keep: Keep, tags: Tags | None = None) -> None:
        super().__init__()
        self._keep, self._tags = keep, tags
        self._is_noting = keep >= Keep.FILLS or (keep >= Keep.ITEMS and bool(tags))

    @override
    def initial(self) -> KeptState:
        usual = super().initial()
        recent, keeps_realized = usual.recent, self._keep >= Keep.FILLS
        if self._keep >= Keep.ITEMS:
            recent = KeptTrades(limit=recent.limit, full_count=recent.full_count)
        return KeptState(
            holdings=KeptHoldings() if keeps_realized else {},
            recent=recent,
            seconds=usual.seconds,
            trip_seconds=usual.trip_seconds,
            # Without steps nothing is added to what is realized.
            ledger=KeptLedger(keeps_steps=keeps_realized, keeps_realized=keeps_realized),
            history=KeptHistory(self._keep),
        )

    @override
    def apply_beside(self, shared: ExecutionsState, state: ExecutionsState, event: Event, record: Record) -> None:
        assert isinstance(state, KeptState), "the states of this view are its own"
        if isinstance(event, _REPORTS) and self._is_noting:
            self._report(shared, state, event, record)
            return
        if isinstance(event, AccountReopened):
            self._let_go(state)
        super().apply_beside(shared, state, event, record)
        if isinstance(event, ContractDefined) and state is not shared:
            state.rename()
            if self._is_noting:
                _name_merged(state)

    def _report(
        self, shared: ExecutionsState, state: KeptState, event: OrderFilled | TradeExecuted, record: Record
    ) -> None:
        trade = report(state, shared, event, record)
        position, first, history = record.position, trade.log_position, state.history
        if first == position:
            return
        if self._keep >= Keep.REPORTS:
            history.same_as[position] = first
        else:
            history.reports.pop(position, None)
        history.move_tags(position, first)

    def _let_go(self, state: KeptState) -> None:
        """Take what a reopened account forgets; its round trips and days are those of its new life alone."""
        self.finish(state)
        holdings, history = state.holdings, state.history
        for key, window in state.windows.items():
            fix(state, key, len(window.items))
            if isinstance(holdings, KeptHoldings):
                holdings.let_go(holdings[key])
        history.trips, history.trip_items = [], []

    @override
    def apply_page(
        self, state: ExecutionsState, pairs: Iterator[tuple[Any, Record]], apply: Callable[[Any, Record], None]
    ) -> None:
        assert isinstance(state, KeptState), "the states of this view are its own"
        super().apply_page(state, self._noted(state.history, pairs) if self._is_noting else pairs, apply)

    def _noted(self, history: KeptHistory, pairs: Iterator[tuple[Any, Record]]) -> Iterator[tuple[Any, Record]]:
        """Yield what is folded, after noting what a frame needs of the reports themselves."""
        reports, tags = history.reports, self._tags
        keeps_reports = self._keep >= Keep.FILLS
        for pair in pairs:
            event, record = pair
            if event.__class__ in _REPORTS:
                if keeps_reports:
                    reports[record.position] = KeptReport(event, record.occurred_at, record.recorded_at, record.stream)
                if tags and (found := of_record(tags, record)):
                    history.tags[record.position] = found
            yield pair


def trades(state: KeptState) -> KeptTrades:
    """Return the trades of a state."""
    recent = state.recent
    assert isinstance(recent, KeptTrades), "as it was made"
    return recent


def _name_merged(state: KeptState) -> None:
    """Note of which trades those are that have turned out to be others."""
    recent, history = trades(state), state.history
    for twin in recent.merged:
        known = recent.find(twin.trade_id or "")
        _, found = compared(twin, known)
        if found is None:
            # Its figures were corrected meanwhile: it is the one of this contract.
            found = next((each for each in known if each.symbol == twin.symbol), known[-1] if known else None)
        if found is not None:
            history.same_as[twin.log_position] = found.log_position
            history.move_tags(twin.log_position, found.log_position)
    recent.merged.clear()
