"""The state of an account's executions: positions with their windows, recent trades, the ledger, round trips."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec.structs import replace

from eventstore import Instant
from eventstore.streams import SEPARATOR
from eventstore.trading import PositionSide
from projections.decimals import ZERO
from projections.on_demand import ON_DEMAND
from projections.views.contracts.directory import Directory
from projections.views.contracts.view import SYMBOLS_MAX, TooManySymbols
from projections.views.executions.anomalies import TradeAnomaly, TradeAnomalyKind, with_anomaly
from projections.views.executions.fees import Fees
from projections.views.executions.items import Figures, Item
from projections.views.executions.order_changes import OrderChange
from projections.views.executions.pnl_path import PnlLedger
from projections.views.executions.position_totals import FLAT, PositionTotals
from projections.views.executions.recent_trades import RecentTrades
from projections.views.executions.reported import NO_REPORT, PositionReport
from projections.views.executions.seconds import SecondCounts
from projections.views.executions.trip import RoundTrip
from projections.views.executions.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

VIEW = "executions"
TRIPS_MAX = 100
AMENDMENTS_MAX = 1_000

CONFLICTS_MAX = 1_000
SIDES = tuple(side.value for side in PositionSide)


class Traded(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Sums over a holding's trades without busted ones, which `busted` counts; values are price × quantity."""

    count: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_value: Decimal = ZERO
    busted: int = 0

    def plus(self, other: Traded) -> Traded:
        return Traded(
            self.count + other.count,
            self.bought + other.bought,
            self.sold + other.sold,
            self.bought_value + other.bought_value,
            self.sold_value + other.sold_value,
            self.busted + other.busted,
        )


NOTHING_TRADED = Traded()


class TermsPoints(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What was realized under later terms of a contract than its first, by FIFO and by average cost."""

    terms: int
    points: Decimal
    points_average_cost: Decimal


def with_points(by_terms: tuple[TermsPoints, ...], further: TermsPoints) -> tuple[TermsPoints, ...]:
    """Return sums by terms with further points in them; none of terms whose points add up to nothing."""
    if not further.points and not further.points_average_cost:
        return by_terms
    sums = {each.terms: each for each in by_terms}
    known = sums.pop(further.terms, TermsPoints(further.terms, ZERO, ZERO))
    points = known.points + further.points
    average = known.points_average_cost + further.points_average_cost
    # With what adds up to nothing, the state would depend on which of several items was fixed first.
    if points or average:
        sums[further.terms] = TermsPoints(further.terms, points, average)
    return tuple(sums[terms] for terms in sorted(sums))


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What is folded of one contract and side. `symbol` is the contract's, or the one reported where none is known.

    `anomalies` are those of records, `marks` those that follow from the window's items; `conflicts` the log positions
    of trades that were reported with other figures too. `by_terms` are the parts of the realized points that belong to
    later terms than the contract's first. `first_record` and `last_record` are log positions.
    """

    symbol: str
    side: PositionSide
    totals: PositionTotals
    fees: Fees
    report: PositionReport
    anomalies: tuple[TradeAnomaly, ...]
    marks: tuple[TradeAnomaly, ...]
    traded: Traded
    first_record: int
    last_record: int
    conflicts: tuple[int, ...] = ()
    by_terms: tuple[TermsPoints, ...] = ()
    uncertain_fees: int = 0
    """How many trades were reported with several fees."""


class AmendmentKind(enum.StrEnum):
    """What an amendment does to its trade."""

    FEE = "FEE"
    BUST = "BUST"
    CORRECTION = "CORRECTION"


class Amendment(msgspec.Struct, frozen=True, gc=False):
    """What a later record says of a trade: a fee, a bust or a correction, by the trade's id and whatever it states.

    `quantity` and `price` are the trade's own for a bust, the new ones for a correction, whose earlier ones are
    `previous`. `signed` is 1 for a purchase, -1 for a sale.
    """

    kind: AmendmentKind
    log_position: int
    at: Instant
    recorded_at: Instant
    stream: str
    trade_id: str
    symbol: str | None
    side: PositionSide
    signed: int | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    previous: Figures | None = None
    fees: Fees = ()
    terms: int = 0
    key: str = ""
    """The holding that a fee was charged to, or a bust or correction booked in, before its trade was known."""
    parts: int = 0
    """Of how many items what was booked consists."""
    is_ahead: bool = False
    """Whether it states a time that the log has not reached."""

    @property
    def is_bust(self) -> bool:
        return self.kind is AmendmentKind.BUST

    @property
    def unknown(self) -> bool:
        """Whether it changed nothing: a bust or correction that does not say enough."""
        return self.kind is not AmendmentKind.FEE and not self.key


class Unsettled(msgspec.Struct, frozen=True):
    """A window's items before a change that is not folded yet, and when that was recorded."""

    recorded_at: Instant
    items: tuple[Item, ...]


class ExecutionsState(msgspec.Struct):
    """One account; or, in the partition of what belongs to none, the directory of contracts.

    Holdings and windows are by symbol, NUL and side. `symbols` has the names whose contract has another symbol.
    `waiting` are amendments of trades that are not known, by trade id; `corrections` has what each id of a correction
    is a correction of. `fees` and `anomalies` belong to no holding.
    `trips` are the last 100 round trips that ended before their windows. `reopened_open` are the log positions of the
    newest reopenings that found a position open. `unsettled` are windows whose items have
    changed and are not folded yet: between pages there are none. `amended_at` is when the newest bust or correction was
    made.
    """

    holdings: dict[str, Holding] = {}
    windows: Annotated[dict[str, Window], ON_DEMAND] = {}
    symbols: dict[str, str] = {}
    recent: RecentTrades = msgspec.field(default_factory=RecentTrades)
    waiting: dict[str, tuple[Amendment, ...]] = {}
    corrections: dict[str, str] = {}
    order_changes: dict[str, tuple[OrderChange, ...]] = {}
    order_changes_count: int = 0
    fees: Fees = ()
    anomalies: tuple[TradeAnomaly, ...] = ()
    trips: tuple[RoundTrip, ...] = ()
    seconds: SecondCounts = msgspec.field(default_factory=SecondCounts)
    trip_seconds: SecondCounts = msgspec.field(default_factory=SecondCounts)
    ledger: PnlLedger = msgspec.field(default_factory=PnlLedger)
    reopened_open: tuple[int, ...] = ()
    unsettled: dict[str, Unsettled] = {}
    directory: Directory = msgspec.field(default_factory=Directory)
    amended_at: Instant = 0

    def take_fixed(self, key: str, items: Sequence[Item], trips: Sequence[RoundTrip]) -> None:
        """Take what leaves a holding's window, before it does: its oldest items, and the round trips that they end.

        Here the items are forgotten; a frame's fold keeps them.
        """
        if trips:
            self.trips = (*self.trips, *trips)[-TRIPS_MAX:]


def holding_key(state: ExecutionsState, symbol: str, side: str) -> str:
    """Return the key of the holding that a name of a contract belongs to."""
    return state.symbols.get(symbol, symbol) + SEPARATOR + side


def key_of(item: Item) -> str:
    """Return the key of an item's holding."""
    return item.symbol + SEPARATOR + item.side


def named(state: ExecutionsState, shared: ExecutionsState, symbol: str, log_position: int) -> str:
    """Return the symbol of the contract that a name means, and remember that it does."""
    name = shared.directory.symbol_at(symbol, log_position)
    if name != symbol:
        state.symbols[symbol] = name
    return name


def opened(state: ExecutionsState, shared: ExecutionsState, symbol: str, side: str, log_position: int) -> str:
    """Return the key of a holding, which is added, flat, where there is none yet."""
    key = (name := named(state, shared, symbol, log_position)) + SEPARATOR + side
    if key not in state.holdings:
        if len(state.holdings) >= SYMBOLS_MAX:
            raise TooManySymbols(VIEW, name)
        state.windows[key] = window = Window()
        take_terms(window, shared.directory, name, log_position)
        state.holdings[key] = Holding(
            name, PositionSide(side), FLAT, (), NO_REPORT, (), (), NOTHING_TRADED, log_position, log_position
        )
    return key


def take_terms(window: Window, directory: Directory, symbol: str, log_position: int) -> None:
    """Let the terms of a contract that are in force at a log position be those of a window's next item."""
    window.terms = directory.terms_at(symbol, log_position)
    window.inverse = directory.is_inverse_at(symbol, log_position)
    window.coin = directory.coin_at(symbol, log_position)


def mark(state: ExecutionsState, key: str, kind: TradeAnomalyKind, log_position: int) -> None:
    """Mark an anomaly on a holding, or on the account where there is none."""
    holding = state.holdings.get(key)
    if holding is None:
        state.anomalies = with_anomaly(state.anomalies, kind, log_position)
    else:
        state.holdings[key] = replace(holding, anomalies=with_anomaly(holding.anomalies, kind, log_position))


def replace_trade(state: ExecutionsState, key: str, trade: Item, fresh: Item) -> bool:
    """Replace a trade by its changed self, at the same place; return whether it lies in the window."""
    window = state.windows[key]
    index = window.find(trade)
    if index is not None:
        window.items[index] = fresh
    state.recent.put(fresh)
    return index is not None
