"""Which records made a figure, and what each added: the fold's own dependencies, asked of a book of the past."""

from __future__ import annotations

import decimal
from bisect import bisect_left
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from typing_extensions import override

from eventstore import Unavailable
from eventstore.clock import NANOSECONDS
from eventstore.streams import SEPARATOR
from eventstore.trading import CashMoved, FeeCharged, OrderSubmitted, PositionSide, TradeBusted, TradeCorrected
from projections.auditing.causes.answer import Role
from projections.book import Book
from projections.decimals import FIXED, ZERO
from projections.fold import Fold
from projections.opening import snapshots_of
from projections.replay import only
from projections.views.accounts import AccountsView, account_rates
from projections.views.cash import is_result, received
from projections.views.contracts.view import ContractsView
from projections.views.executions.correction_ids import corrected_trade_id
from projections.views.executions.items import place_of
from projections.views.executions.ledger_entry import split_key
from projections.views.executions.recent_trades import RECENT_MAX
from projections.views.executions.state import VIEW, ExecutionsState, key_of
from projections.views.executions.view import ExecutionsView
from projections.views.period_sums import sums_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from eventstore import EventReader, Record
    from projections.snapshots import Snapshots
    from projections.views.executions.day_totals import Day
    from projections.views.executions.items import Item, Place
    from projections.views.executions.pnl_path import PnlStep
    from projections.views.executions.trip import RoundTrip

PARTS_MAX = 1_000
"""How many records of a figure are listed: the newest."""
AMENDED_MAX = 200_000
"""How many positions of the log are searched for later fees, busts and corrections."""
_DAY = 24 * 3_600 * NANOSECONDS
_AMENDING = (FeeCharged, TradeBusted, TradeCorrected)


class FigurePart(NamedTuple):
    """A record that a figure is made of, and what it added, net of fees, by currency."""

    role: Role
    log_position: int
    amounts: dict[str, Decimal]


class SteppedExecutions(ExecutionsView):
    """Executions whose results are kept one by one from the first on, whatever else is recorded of the account."""

    # No state that anybody kept, or that a log begins with, is one of these: they are folded from the first record.
    revision: ClassVar[int] = -1

    @override
    def initial(self) -> ExecutionsState:
        state = super().initial()
        state.ledger.keeps_steps = True
        return state


class Parts(NamedTuple):
    """The records that a figure is made of, by log position, their sum by currency, and what is not known of it."""

    found: tuple[FigurePart, ...] = ()
    sums: dict[str, Decimal] | None = None
    unknown: tuple[str, ...] = ()

    def added(self, currency: str | None) -> Decimal | None:
        """Return what the records added in a currency; None where some of it is in another one."""
        return None if self.sums is None or self.others(currency) else self.sums.get(currency or "", ZERO)

    def others(self, currency: str | None) -> str:
        """Return what the records added in other currencies, as text; empty where that is nothing."""
        amounts = {name: amount for name, amount in (self.sums or {}).items() if name != (currency or "") and amount}
        return " and ".join(f"{amount:f} {name}".rstrip() for name, amount in sorted(amounts.items()))


class FigureParts:
    """What an account's figures are made of, as of a log position, which is that of the `book` if one is given."""

    def __init__(self, store: EventReader, account: str, log_position: int, book: Book | None = None) -> None:
        self._store, self._account, self._until = store, account, log_position
        self.book = _executions_at(store, account, log_position) if book is None else book
        state: ExecutionsState | None = self.book.state(VIEW, account)
        self._state = self._with_steps(ExecutionsState() if state is None else state)
        self.is_known = self.book.accounts.get(account) is not None or state is not None
        self._unknown: list[str] = []

    def _with_steps(self, state: ExecutionsState) -> ExecutionsState:
        """Return the state with its results one by one: before an account is opened, it has sums alone."""
        ledger = state.ledger
        lacks_some = not ledger.keeps_steps or (ledger.steps_from and state.recent.count <= RECENT_MAX)
        if not lacks_some or not ledger.names():
            return state
        try:
            book = _folded_at(self._store, self._account, self._until, SteppedExecutions())
            found: ExecutionsState | None = book.state(VIEW, self._account)
        except Unavailable:
            # A log before this one is not here.
            found = None
        return state if found is None else found

    @property
    def opened(self) -> int:
        """The log position of the record that the account began with, 0 without one: programs open it at each start."""
        known = self.book.accounts.get(self._account)
        return (known and known.opened_position) or 0

    @property
    def life(self) -> int:
        """The log position of the newest reopening, 0 without one: the balance has nothing of what precedes it."""
        return self.book.accounts.reopened(self._account)

    def of_days(self, names: Iterable[str]) -> Parts:
        """Return what the results of trading days are made of; `~` before a name is a date in UTC without a day."""
        wanted, ledger = frozenset(names), self._state.ledger
        later = [day for name in wanted if (day := self._later_day(name)) is not None]
        begins = [day.began_at for day in later]
        begins += [began for name in wanted if (began := self._begin_of(name)) is not None]
        began = min(begins, default=0)

        def counts(at: int) -> bool:
            return ledger.name_at(at) in wanted or any(day.holds(at) for day in later)

        first = bisect_left(ledger.steps, began - 1, key=_time)
        steps = [step for step in ledger.steps[first:] if counts(step.at)]
        if began < ledger.steps_from:
            self._note("the oldest results of the period are kept as sums only, without the records behind them")
        before = self._store.position_at(began - 1) if began > 0 else 0
        return self._parts(steps, lambda item: counts(item.at), before)

    def _later_day(self, name: str) -> Day | None:
        """Return a day that no session had stated then, and that one has stated since."""
        has_sessions, head = bool(self._state.ledger.published.days), self._store.head()
        if not name.startswith("~") or not has_sessions or self._until >= head:
            return None
        state: ExecutionsState | None = _executions_at(self._store, self._account, head).state(VIEW, self._account)
        return None if state is None else state.ledger.day_named(name[1:])

    def newest(self, trading_day: str, amount: Decimal, currency: str) -> Parts | None:
        """Return the newest results that add up to an amount; None where none do.

        For a day that no session states: the process that decided knew it from its calendar, and no record has that.
        """
        steps, rates = self._state.ledger.steps, account_rates(self.book, self._account)
        ended = max((day.resets_at or day.began_at for day in self._state.ledger.published.days), default=0)
        with decimal.localcontext(FIXED):
            for index in range(len(steps) - 1, -1, -1):
                if steps[index].at < ended:
                    break
                sums = sums_of([(step.key, step.entry) for step in steps[index:]], rates).amounts(net=True)
                if sums.get(currency or None, ZERO) == amount:
                    self._note(
                        f"no session states when the trading day {trading_day} began: the results listed are the "
                        "newest that add up to what was decided on"
                    )
                    return self._from(steps[index:])
        return None

    def _from(self, steps: Sequence[PnlStep]) -> Parts:
        """Return what made up the newest steps of the ledger."""
        began = steps[0].at
        return self._parts(steps, lambda item: item.at >= began, self._store.position_at(began - 1))

    def since(self, log_position: int) -> Parts:
        """Return what has changed the balance since a record."""
        ledger = self._state.ledger
        steps = [step for step in ledger.steps if step.log_position > log_position]
        first = self._store.read(after=log_position - 1, limit=1) if log_position else ()
        began = next((record.recorded_at for record in first), 0)
        if began < ledger.steps_from:
            self._note("the oldest results since then are kept as sums only, without the records behind them")
        return self._parts(steps, lambda item: item.log_position > log_position, log_position)

    def of_balance(self, log_position: int) -> Parts:
        """Return what has changed the balance since a record, the cash that came from outside and left it included."""
        made, capital = self.since(log_position), list(self._capital(log_position))
        sums = dict(made.sums or {})
        with decimal.localcontext(FIXED):
            for each in capital:
                for currency, amount in each.amounts.items():
                    sums[currency] = sums.get(currency, ZERO) + amount
        return self._listed({each.log_position: each for each in (*made.found, *capital)}, sums)

    def _capital(self, log_position: int) -> Iterator[FigurePart]:
        """Yield the deposits, withdrawals, transfers and payouts since a record: they are not results."""
        for record in self._store.read(account=self._account, types=CashMoved, after=log_position, until=self._until):
            event = record.event
            if isinstance(event, CashMoved) and not is_result(event):
                yield FigurePart(Role.CASH, record.position, {event.currency: received(event)})

    def held(self, symbol: str | None = None, sides: Collection[PositionSide] = tuple(PositionSide)) -> Parts:
        """Return what opened the positions, or those in a symbol, that are open."""
        names = None if symbol is None else {symbol, self._state.symbols.get(symbol, symbol)}
        holdings = [
            each
            for each in self._state.holdings.values()
            if (names is None or each.symbol in names) and each.side in sides
        ]
        opened = {
            lot.position: FigurePart(Role.EXECUTION, lot.position, {}) for each in holdings for lot in each.totals.lots
        }
        return self._listed(opened, None)

    def of_trips(self, log_positions: Iterable[int]) -> Parts:
        """Return the executions of round trips, which are named by the log position of the record that ended them."""
        wanted = set(log_positions)
        trips = [trip for trip in self.book.trips.of(self._account) if trip.position in wanted]
        if len(trips) < len(wanted):
            self._note(f"{len(wanted) - len(trips):,} of the round trips are not remembered any more")
        found = {position: FigurePart(Role.EXECUTION, position, {}) for position in wanted}
        for trip in trips:
            for position in {trip.number, *(item.log_position for item in self._trades() if _is_in(item, trip))}:
                found[position] = FigurePart(Role.EXECUTION, position, {})
        return self._with_amounts(found)

    def counted(self, name: str, *, orders: bool, count: Decimal | None) -> Parts:
        """Return the orders, or the trades, of a trading day, which a decision counted.

        Of a day that no session states they are the newest ones.
        """
        ledger = self._state.ledger
        role, all_ = (Role.ORDER, self._orders(name)) if orders else (Role.EXECUTION, self._made())
        found = [position for at, position in all_ if ledger.name_at(at) == name]
        if count is not None and count >= 0 and len(found) != count and name.startswith("~"):
            self._note(f"no session states when the trading day {name[1:]} began: the newest {count} are listed")
            found = [position for _, position in sorted(all_)[-int(count) :]] if count else []
        return self._listed({each: FigurePart(role, each, {}) for each in found}, None)

    def _orders(self, name: str) -> list[Place]:
        """Return when each order was submitted, since two days before the date of a trading day, and its record."""
        began = _midnight(date.fromisoformat(name.removeprefix("~"))) - 2 * _DAY
        before = self._store.position_at(began) if began > 0 else 0
        records = self._store.read(account=self._account, types=OrderSubmitted, after=before, until=self._until)
        return [(each.occurred_at, each.position) for each in records]

    def _made(self) -> list[Place]:
        # A busted trade counts too, as venues count.
        return [(item.at, item.log_position) for item in self._trades()]

    def day_name(self, trading_day: str) -> str:
        """Return the name under which a trading day's results are kept."""
        return trading_day if self._state.ledger.day_named(trading_day) is not None else f"~{trading_day}"

    def name_at(self, at: int) -> str:
        """Return the name of the trading day that an instant counts for."""
        return self._state.ledger.name_at(at)

    def names_of_week(self, trading_day: str) -> list[str]:
        """Return the names of the days of a trading day's week."""
        day = self._state.ledger.day_named(trading_day)
        at = _midnight(date.fromisoformat(trading_day)) if day is None else day.began_at
        return self._state.ledger.names_of_week(at)

    def _note(self, text: str) -> None:
        self._unknown.append(f"{self._account}: {text}")

    def _begin_of(self, name: str) -> int | None:
        """Return when a day began; None for one that no session states, and that is not a date in UTC."""
        day = self._state.ledger.day_named(name)
        if day is not None:
            return day.began_at
        return _midnight(date.fromisoformat(name[1:])) if name.startswith("~") else None

    def _parts(self, steps: Sequence[PnlStep], is_included: Callable[[Item], bool], before: int) -> Parts:
        """Return what made up steps of the ledger, with the trades that opened what these closed."""
        keys = {_holding_of(step.key) for step in steps}
        trades = [item for item in self._trades() if key_of(item) in keys and not self._is_whole(item)]
        found: dict[int, FigurePart] = {}
        for position in self._carried(keys, before):
            found[position] = FigurePart(Role.CARRIED, position, {})
        for item in trades:
            is_own = is_included(item)
            # What was recorded late may have opened what was carried into the period.
            if is_own or item.log_position > before:
                found[item.log_position] = FigurePart(Role.EXECUTION if is_own else Role.CARRIED, item.log_position, {})
        for step in steps:
            role = Role.CASH if step.entry.cash else Role.EXECUTION
            found[step.log_position] = FigurePart(role, step.log_position, {})
        self._note_forgotten(before)
        named = {item.trade_id for item in self._trades() if is_included(item) or item.log_position in found}
        for position in self._amended(named, before):
            found.setdefault(position, FigurePart(Role.AMENDMENT, position, {}))
        return self._with_amounts(found, steps)

    def _is_whole(self, item: Item) -> bool:
        """Return whether a trade has realized nothing: it was busted, or all that it opened is still open."""
        return item.busted or self._open_lots(key_of(item)).get(item.log_position) == item.moved

    def _open_lots(self, key: str) -> dict[int, Decimal]:
        holding = self._state.holdings.get(key)
        return {} if holding is None else {lot.position: lot.quantity for lot in holding.totals.lots}

    def _note_forgotten(self, before: int) -> None:
        recent = self._state.recent
        if recent.count > RECENT_MAX and min(item.log_position for item in self._trades()) > before:
            self._note(f"only the newest {RECENT_MAX:,} trades are remembered: what older ones opened is not listed")

    def _with_amounts(self, found: dict[int, FigurePart], steps: Sequence[PnlStep] | None = None) -> Parts:
        """Return parts with what each added, as the sums of the limits count it."""
        chosen = [each for each in self._state.ledger.steps if each.log_position in found] if steps is None else steps
        rates = account_rates(self.book, self._account)
        by_record: dict[int, list[PnlStep]] = {}
        for step in chosen:
            by_record.setdefault(step.log_position, []).append(step)
        with decimal.localcontext(FIXED):
            for position, own in by_record.items():
                sums = sums_of([(step.key, step.entry) for step in own], rates)
                if sums.standing.why:
                    self._note(f"what position {position:,} added is not known: {sums.standing.why}")
                amounts = {currency or "": amount for currency, amount in sums.amounts(net=True).items() if amount}
                found[position] = found[position]._replace(amounts=amounts)
            total = sums_of([(step.key, step.entry) for step in chosen], rates).amounts(net=True)
        return self._listed(found, {currency or "": amount for currency, amount in total.items()})

    def _listed(self, found: dict[int, FigurePart], sums: dict[str, Decimal] | None) -> Parts:
        positions = sorted(position for position in found if 0 < position <= self._until)
        if len(positions) > PARTS_MAX:
            self._note(f"the newest {PARTS_MAX:,} of {len(positions):,} records behind the figure are listed")
        return Parts(tuple(found[each] for each in positions[-PARTS_MAX:]), sums, tuple(self._unknown))

    def _trades(self) -> list[Item]:
        return self._state.recent.all()

    def _carried(self, keys: set[str], before: int) -> list[int]:
        """Return the records that opened what some holdings held at a log position, and have lost since."""
        if before <= 0 or not keys:
            return []
        then = _executions_at(self._store, self._account, before)
        state: ExecutionsState | None = then.state(VIEW, self._account)
        return [
            lot.position
            for key in keys
            if state is not None and key in state.holdings
            for lot in state.holdings[key].totals.lots
            if self._open_lots(key).get(lot.position) != lot.quantity
        ]

    def _amended(self, trade_ids: set[str | None], before: int) -> list[int]:
        """Return the records of later fees, busts and corrections of trades."""
        after = max(before, self._until - AMENDED_MAX)
        if after > before:
            self._note(f"fees, busts and corrections recorded before position {after:,} are not listed, but counted")
        if not trade_ids:
            return []
        records = self._store.read(account=self._account, types=_AMENDING, after=after, until=self._until)
        return [each.position for each in records if self._trade_id_of(each) in trade_ids]

    def _trade_id_of(self, record: Record) -> str | None:
        """Return the id of the trade that a record names, be it by the id of one of its corrections."""
        named = getattr(record.event, "trade_id", None)
        return None if named is None else corrected_trade_id(self._state, named)


def _executions_at(store: EventReader, account: str, log_position: int) -> Book:
    """Return a book of the past of an account's executions alone, with what gives them a worth in money."""
    return _folded_at(store, account, log_position, ExecutionsView(), snapshots_of(store, None))


def _folded_at(
    store: EventReader, account: str, log_position: int, view: ExecutionsView, snapshots: Snapshots | None = None
) -> Book:
    accounts = only(account)
    book = Book(store, Fold(accounts=accounts), accounts=accounts, snapshots=snapshots)
    book.load([view, ContractsView(), AccountsView()], log_position)
    book.freeze()
    book.detach()
    return book


def _holding_of(key: str) -> str:
    """Return the key of the holding that a ledger's key belongs to."""
    symbol, side, _ = split_key(key)
    return symbol + SEPARATOR + side


def _is_in(item: Item, trip: RoundTrip) -> bool:
    return (item.symbol, item.side) == (trip.symbol, trip.side) and trip.first <= place_of(item) <= trip.last


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * NANOSECONDS


def _time(step: PnlStep) -> int:
    return step.at
