"""Which executions of a statement are which trades of the log: by id, by order, by figures, or nearly so."""

from __future__ import annotations

import decimal
import itertools
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from eventstore.clock import NANOSECONDS, utc_date
from projections.auditing.statements.stated import DAY_NS
from projections.decimals import FIXED
from projections.execution_matching import ComparedExecution, compared, kind_of_id

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from eventstore.trading import Side
    from projections.auditing.statements.logged import LoggedAccount, LoggedTrade
    from projections.auditing.statements.stated import Stated, StatedExecution

NEAR_MAX = 100
"""Among how many trades of one moment the nearest one is looked for."""


class ExecutionPair(NamedTuple):
    """Executions of a statement and the trades of the log that are the same, whether or not their figures agree."""

    stated: tuple[StatedExecution, ...]
    trades: tuple[LoggedTrade, ...]


class Pairing:
    """Pairs an account's executions with its trades; what is left over is in `stated` and `trades`.

    Ids count first. Where ids of one source fit, another id of it is another execution, whatever its figures. All else
    is the same if contract, side, quantity, price and second are, one by one, in sum or on average. What differs in one
    of these alone is taken for the same with a difference. A busted trade is paired by its id or its own figures only
    if nothing else fits, and is then in `undone`. `by_figures` counts the pairs whose ids differ.
    """

    def __init__(self, stated: Stated, logged: LoggedAccount) -> None:
        self.pairs: list[ExecutionPair] = []
        self.undone: list[ExecutionPair] = []
        self.by_figures = 0
        self._logged, self._within, self._dates = logged, stated.within_ns, stated.has_dates_only
        self._stated = dict(enumerate(stated.executions))
        self._trades = {each.number: each for each in logged.trades if not each.busted}
        # How far two times of one moment may differ: one is cut off, the other may be rounded.
        self._moment = 0 if self._dates else self._within + NANOSECONDS
        self._spaces: set[tuple[str, str]] = set()
        self._kinds: set[str] = set()
        with decimal.localcontext(FIXED):
            self._by_id()
            self._by_order()
            self._by_figures()
            self._nearly()
            self._by_busts()

    @property
    def stated(self) -> list[StatedExecution]:
        """The executions of the statement that no trade of the log is."""
        return list(self._stated.values())

    @property
    def trades(self) -> list[LoggedTrade]:
        """The trades of the log, without busted ones, that no execution of the statement is."""
        return list(self._trades.values())

    def _take(self, numbers: Iterable[int], trades: Iterable[LoggedTrade]) -> None:
        pair = ExecutionPair(tuple([self._stated.pop(number) for number in numbers]), tuple(trades))
        for each in pair.trades:
            del self._trades[each.number]
        self.pairs.append(pair)

    def _contract(self, execution: StatedExecution) -> str:
        return self._logged.symbol(execution.symbol)

    # By id

    def _by_id(self) -> None:
        known: defaultdict[tuple[str, str], list[LoggedTrade]] = defaultdict(list)
        for each in self._trades.values():
            for name in {each.trade_id, each.exchange_trade_id} - {None, ""}:
                known[each.symbol, name or ""].append(each)
        for number, execution in list(self._stated.items()):
            found = [
                each
                for each in known.get((self._contract(execution), execution.trade_id or ""), ())
                if each.number in self._trades and self._may_be(execution, each)
            ]
            if execution.trade_id is not None and found:
                best = min(found, key=lambda each: _distance(execution, each))
                self._spaces.add(best.space)
                self._kinds.add(kind_of_id(execution.trade_id))
                self._take([number], [best])

    def _may_be(self, execution: StatedExecution, trade: LoggedTrade) -> bool:
        """Return whether an id may stand for one trade: one that is used again is days apart and has other figures."""
        if _figures(execution) == (trade.side, trade.quantity, trade.price):
            return True
        return abs(execution.at - trade.at) <= DAY_NS + self._within

    # By order

    def _by_order(self) -> None:
        by_order: defaultdict[tuple[str, str, Side], list[LoggedTrade]] = defaultdict(list)
        for each in self._trades.values():
            for order_id in each.order_ids:
                by_order[order_id, each.symbol, each.side].append(each)
        orders = self._logged.book.orders
        for number, execution in list(self._stated.items()):
            if not execution.is_order or execution.order_id is None:
                continue
            key = (self._contract(execution), execution.side)
            found = by_order.get((execution.order_id, *key), [])
            if not found:
                order = orders.by_broker_id(self._logged.account, execution.order_id)
                found = [] if order is None else by_order.get((order.order_id, *key), [])
            found = [each for each in found if each.number in self._trades]
            if found:
                self._take([number], found)

    # By figures

    def _by_figures(self) -> None:
        identified = [number for number, each in self._stated.items() if self._is_of_space(each)]
        elsewhere = [each for each in self._candidates() if each.space not in self._spaces]
        self._match(identified, elsewhere)
        known = set(identified)
        self._match([number for number in self._stated if number not in known], self._candidates())

    def _candidates(self) -> list[LoggedTrade]:
        """Return the trades that are left around the executions that are left, not those of all the years."""
        times = [self._stated_at(each) for each in self._stated.values()]
        first, last = min(times, default=0) - 2 * DAY_NS, max(times, default=0) + 2 * DAY_NS
        return [each for each in self._trades.values() if first <= each.at <= last]

    def _is_of_space(self, execution: StatedExecution) -> bool:
        """Return whether an execution has an id of the kind by which others were found."""
        return execution.trade_id is not None and kind_of_id(execution.trade_id) in self._kinds

    def _match(self, numbers: Sequence[int], trades: Iterable[LoggedTrade]) -> None:
        fresh: defaultdict[Hashable, list[ComparedExecution[int]]] = defaultdict(list)
        known: defaultdict[Hashable, list[ComparedExecution[LoggedTrade]]] = defaultdict(list)
        for number in numbers:
            one = self._stated[number]
            at, id_ = self._stated_at(one), one.trade_id or ""
            fresh[self._contract(one), one.side].append(
                ComparedExecution(number, at, one.quantity, one.price, id_, number)
            )
        for index, each in enumerate(trades):
            at = self._logged_at(each)
            known[each.symbol, each.side].append(
                ComparedExecution(index, at, each.quantity, each.price, each.trade_id, each)
            )
        for group, executions in fresh.items():
            for match in compared(executions, known.get(group, ()))[0]:
                self.by_figures += any(self._stated[each.number].trade_id is not None for each in match.fresh)
                self._take([each.number for each in match.fresh], [each.origin for each in match.known])

    def _stated_at(self, execution: StatedExecution) -> int:
        """Return when an execution was, as exactly as the statement has times: of a date, when that day began."""
        if self._dates:
            return self._logged.days.named(execution.trading_day or utc_date(execution.at)).since
        return execution.at // self._within * self._within

    def _logged_at(self, trade: LoggedTrade) -> int:
        """Return when a trade was, as exactly as the statement has times that are cut off to more than a second."""
        if self._dates:
            return self._logged.days.named(self._logged.days.at(trade.at).trading_day).since
        return trade.at if self._within <= NANOSECONDS else trade.at // self._within * self._within

    # Nearly

    def _nearly(self) -> None:
        """Pair what differs in one respect: the price or the quantity, both, the time, or the side."""
        moment, day = self._moment, DAY_NS
        self._near(lambda one: (one.symbol, one.side, one.quantity), moment)
        self._near(lambda one: (one.symbol, one.side, one.price), moment)
        self._near(lambda one: (one.symbol, one.side), moment, alone=True)
        self._near(lambda one: (one.symbol, one.side, one.quantity, one.price), day)
        self._near(lambda one: (one.symbol, one.quantity, one.price), moment)

    def _near(self, key_of: Callable[[_Figures], Hashable], within: int, *, alone: bool = False) -> None:
        """Pair executions with the nearest trade of one key; `alone`: only if there is no other of that moment."""
        known: defaultdict[Hashable, list[tuple[int, tuple[int, int]]]] = defaultdict(list)
        for each in self._candidates():
            figures = _Figures(each.symbol, each.side, each.quantity, each.price)
            known[key_of(figures)].append((self._logged_at(each), each.number))
        for times in known.values():
            times.sort()
        for number, one in sorted(self._stated.items(), key=lambda item: (item[1].at, item[0])):
            figures = _Figures(self._contract(one), one.side, one.quantity, one.price)
            found = list(self._around(known.get(key_of(figures), []), one, within))
            if found and (len(found) == 1 or not alone):
                self._take([number], [min(found, key=lambda each: _distance(one, each))])

    def _around(
        self, times: Sequence[tuple[int, tuple[int, int]]], execution: StatedExecution, within: int
    ) -> Iterator[LoggedTrade]:
        """Yield the trades around an execution that are not paired yet, at most 100."""
        at, excluded = self._stated_at(execution), self._is_of_space(execution)
        first = bisect_left(times, (at - within, (0, 0)))
        found = 0
        for when, number in itertools.islice(times, first, None):
            if when > at + within or found == NEAR_MAX:
                return
            trade = self._trades.get(number)
            if trade is not None and not (excluded and trade.space in self._spaces):
                found += 1
                yield trade

    # Busted ones

    def _by_busts(self) -> None:
        """Find the busted trades that executions of the statement are: the log has them, and they count for nothing."""
        by_id: defaultdict[Hashable, list[LoggedTrade]] = defaultdict(list)
        by_figures: defaultdict[Hashable, list[LoggedTrade]] = defaultdict(list)
        for each in self._logged.trades:
            if each.busted:
                by_id[each.symbol, each.trade_id].append(each)
                by_figures[each.symbol, each.side, each.quantity, each.price].append(each)
        for number, one in list(self._stated.items()):
            symbol = self._contract(one)
            found = by_id.get((symbol, one.trade_id)) or [
                each
                for each in by_figures.get((symbol, *_figures(one)), ())
                if abs(self._logged_at(each) - self._stated_at(one)) <= self._moment
            ]
            if found:
                busted = found.pop(0)
                self.undone.append(ExecutionPair((self._stated.pop(number),), (busted,)))


class _Figures(NamedTuple):
    symbol: str
    side: Side
    quantity: decimal.Decimal
    price: decimal.Decimal


def _figures(execution: StatedExecution) -> tuple[Side, decimal.Decimal, decimal.Decimal]:
    return execution.side, execution.quantity, execution.price


def _distance(execution: StatedExecution, trade: LoggedTrade) -> tuple[object, ...]:
    """Return how far a trade is from an execution: first in what it is, then in its figures, then in time."""
    return (
        execution.side is not trade.side,
        execution.quantity != trade.quantity,
        execution.price != trade.price,
        abs(execution.price - trade.price),
        abs(execution.quantity - trade.quantity),
        abs(execution.at - trade.at),
        trade.number,
    )
