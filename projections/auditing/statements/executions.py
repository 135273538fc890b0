"""The breaks of executions: missing on one side, or of another price, quantity, side, time, day or cost."""

from __future__ import annotations

import decimal
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.clock import NANOSECONDS
from projections.auditing.statements.agreement import is_same_amount, is_same_price
from projections.auditing.statements.breaks import EVIDENCE_MAX, Break, BreakKind
from projections.auditing.statements.pairing import ExecutionPair, Pairing
from projections.decimals import FIXED, ZERO

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from projections.auditing.statements.logged import LoggedAccount, LoggedTrade
    from projections.auditing.statements.period import StatementPeriod
    from projections.auditing.statements.stated import Stated, StatedExecution

_Member = tuple[str, object]


class ExecutionComparison:
    """An account's executions in a statement and in the log: `pairing` has which are the same."""

    def __init__(self, stated: Stated, logged: LoggedAccount, period: StatementPeriod) -> None:
        self._stated, self._logged, self._period = stated, logged, period
        self.pairing = Pairing(stated, logged)
        self._held = logged.held_at(period.until) if stated.closed_only else frozenset[str]()

    def breaks(self) -> Iterator[Break]:
        """Yield the breaks, those of pairs first."""
        with decimal.localcontext(FIXED):
            for pair in self.pairing.pairs:
                yield from self._of_pair(pair)
            if self._stated.has_fees:
                yield from self._fees()
            for stated in self.pairing.stated:
                yield self._missing_here(stated)
            for pair in self.pairing.undone:
                yield self._undone(pair)
            for trade in self.pairing.trades:
                if self._is_expected(trade):
                    yield self._missing_there(trade)

    # Missing

    def _missing_here(self, stated: StatedExecution) -> Break:
        text = f"the statement has {_words(stated)}, the log has not"
        return self._break(BreakKind.MISSING_HERE, (stated,), (), text, there=stated.quantity, there_at=stated.at)

    def _undone(self, pair: ExecutionPair) -> Break:
        [stated], [trade] = pair
        text = f"the statement has {_words(stated)}, which the log has as busted"
        return self._break(BreakKind.MISSING_HERE, (stated,), (trade,), text, there=stated.quantity, there_at=stated.at)

    def _missing_there(self, trade: LoggedTrade) -> Break:
        beyond = self._period.is_beyond_rows(trade.at)
        text = f"the log has {_words(trade)}, the statement has not"
        if beyond:
            text += ": it lies outside the statement's rows, which may end before the day does (--start and --stop)"
        kind = BreakKind.MISSING_THERE
        return self._break(kind, (), (trade,), text, here=trade.quantity, here_at=trade.at, beyond_rows=beyond)

    def _is_expected(self, trade: LoggedTrade) -> bool:
        """Return whether a trade has to be in the statement."""
        if not self._stated.has_executions or not self._period.holds(trade.at):
            return False
        return bool(self._least(trade))

    def _least(self, trade: LoggedTrade) -> Decimal:
        """Return how much of a trade has to be in the statement: where it is of what is closed, what this closed."""
        return trade.closing if trade.symbol in self._held else trade.quantity

    # Pairs

    def _of_pair(self, pair: ExecutionPair) -> Iterator[Break]:
        yield from self._quantity(pair)
        stated, trades = pair
        tick = self._tick(trades[0].symbol)
        parts = [(each.quantity, each.price) for each in trades]
        for each in stated:
            if not is_same_price(each.price, parts, tick):
                here = parts[0][1] if len(parts) == 1 else _average(parts)
                text = f"the statement has {_words(each)}, the log {here:f}{self._earlier(each, trades)}"
                yield self._break(BreakKind.OTHER_PRICE, (each,), trades, text, here=here, there=each.price)
            if each.side is not trades[0].side:
                text = f"the statement has {_words(each)}, the log {_words(trades[0])}"
                yield self._break(BreakKind.OTHER_SIDE, (each,), trades, text)
            yield from self._time(each, trades)

    def _quantity(self, pair: ExecutionPair) -> Iterator[Break]:
        stated, trades = pair
        there = sum((each.quantity for each in stated), ZERO)
        here = sum((each.quantity for each in trades), ZERO)
        least = sum((self._least(each) for each in trades if self._period.holds(each.at)), ZERO)
        if there == here or (self._stated.closed_only and least <= there < here):
            return
        text = f"the statement has {there:f} {trades[0].symbol}, the log {here:f}{self._earlier(stated[0], trades)}"
        yield self._break(BreakKind.OTHER_QUANTITY, stated, trades, text, here=here, there=there)

    @staticmethod
    def _earlier(stated: StatedExecution, trades: Sequence[LoggedTrade]) -> str:
        """Return that the statement has a trade as it was before it was corrected, if it has."""
        was = any((stated.quantity, stated.price) in each.corrected_from for each in trades)
        return ", which was corrected since" if was else ""

    def _time(self, stated: StatedExecution, trades: Sequence[LoggedTrade]) -> Iterator[Break]:
        days = [self._logged.days.at(each.at) for each in trades]
        times: dict[str, Any] = {"here_at": trades[0].at, "there_at": stated.at}
        known = {each.trading_day for each in days if each.is_known or self._stated.has_dates_only}
        if stated.trading_day is not None and known and stated.trading_day not in known:
            text = f"the statement has it on {stated.trading_day}, the log on {min(known)}"
            yield self._break(BreakKind.OTHER_TIME, (stated,), trades, text, **times)
        elif not self._stated.has_dates_only and not self._is_in_time(stated, trades):
            text = f"the statement has {_words(stated)} {_lag(stated.at - trades[0].at)} than the log"
            yield self._break(BreakKind.OTHER_TIME, (stated,), trades, text, **times)

    def _is_in_time(self, stated: StatedExecution, trades: Sequence[LoggedTrade]) -> bool:
        # Cut off, the statement's time is before ours by less than its unit; rounded, after it by half of that.
        within = self._stated.within_ns
        first, last = trades[0].at, trades[-1].at
        if not all(each.timed for each in trades) and first - _UNTIMED_NS <= stated.at <= last + within:
            return True
        return first - within < stated.at <= last + within // 2

    # Costs

    def _fees(self) -> Iterator[Break]:
        """Yield where costs differ, added up over what is stated together: a pair, or all pairs of round trips."""
        for pairs in self._together():
            yield from self._fees_of([each for pair in pairs for each in pair.stated], pairs)

    def _fees_of(self, stated: Sequence[StatedExecution], pairs: Sequence[ExecutionPair]) -> Iterator[Break]:
        trades = [each for pair in pairs for each in pair.trades]
        # Each row's part of a trade's costs may be rounded.
        rows = len({each.line for each in stated})
        symbol, there, here = trades[0].symbol, dict[str, Decimal](), dict[str, Decimal]()
        for one in stated:
            _add(there, self._logged.fees_of(((one.fee_currency or "", one.fee),), symbol))
        for pair in pairs:
            share = self._share(pair)
            for trade in pair.trades:
                fees = self._logged.fees_of(trade.fees, trade.symbol)
                _add(here, {currency: amount * share for currency, amount in fees.items()})
        for currency in sorted({*here, *there}):
            ours, theirs = here.get(currency, ZERO), there.get(currency, ZERO)
            unit = f" {currency}" if currency else ""
            if not is_same_amount(ours, theirs, rows):
                text = f"the statement has costs of {theirs:f}{unit}, the log {ours:f}"
                yield self._break(
                    BreakKind.OTHER_FEE,
                    stated,
                    trades,
                    text.strip(),
                    here=ours,
                    there=theirs,
                    currency=currency or None,
                )

    def _share(self, pair: ExecutionPair) -> Decimal:
        """Return which part of its trades' costs a pair has: of what is not closed yet, none."""
        if not self._stated.closed_only:
            return Decimal(1)
        there, here = (sum((each.quantity for each in side), ZERO) for side in pair)
        return min(there / here, Decimal(1))

    def _together(self) -> Iterator[list[ExecutionPair]]:
        """Yield the pairs whose costs are stated together; not those of a round trip of which a side is missing."""
        incomplete = {each.trip for each in (*self.pairing.stated, *_stated_of(self.pairing.undone))} - {None}
        groups: list[set[int]] = []
        by_trip: defaultdict[int, list[int]] = defaultdict(list)
        for index, pair in enumerate(self.pairing.pairs):
            for trip in {each.trip for each in pair.stated if each.trip is not None}:
                by_trip[trip].append(index)
        groups = _joined(len(self.pairing.pairs), by_trip.values())
        for group in groups:
            pairs = [self.pairing.pairs[index] for index in sorted(group)]
            if not any(each.trip in incomplete for each in _stated_of(pairs)):
                yield pairs

    def _tick(self, symbol: str) -> Decimal | None:
        contract = self._logged.book.contracts.find(symbol)
        return None if contract is None else contract.tick_size

    def _break(
        self,
        kind: BreakKind,
        stated: Sequence[StatedExecution],
        trades: Sequence[LoggedTrade],
        sentence: str,
        **members: Any,  # noqa: ANN401 - a break's own
    ) -> Break:
        first = trades[0] if trades else stated[0]
        day: datetime.date | None = stated[0].trading_day if stated else None
        return Break(
            kind=kind,
            account=self._logged.account,
            sentence=sentence,
            symbol=self._logged.symbol(first.symbol),
            trading_day=self._logged.days.at(first.at).trading_day if trades or day is None else day,
            at=first.at,
            trade_id=first.trade_id,
            lines=tuple(sorted({each.line for each in stated})[:EVIDENCE_MAX]),
            records=self._logged.records_of(*trades),
            **members,
        )


_UNTIMED_NS = 86_400 * NANOSECONDS
"""How long before it was recorded a trade may have happened whose report states no time."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def _words(of: StatedExecution | LoggedTrade) -> str:
    return f"{of.side} {of.quantity:f} {of.symbol} at {of.price:f}"


def _average(parts: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    money = sum((quantity * price for quantity, price in parts), ZERO)
    return money / sum((quantity for quantity, _ in parts), ZERO)


def _lag(nanoseconds: int) -> str:
    """Return a difference in time, as in "1h 2m later"."""
    left, found = abs(nanoseconds) // NANOSECONDS, list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            found.append(f"{count}{unit}")
    return f"{' '.join(found) or 'less than 1s'} {'later' if nanoseconds > 0 else 'earlier'}"


def _add(sums: dict[str, Decimal], more: dict[str, Decimal]) -> None:
    for currency, amount in more.items():
        sums[currency] = sums.get(currency, ZERO) + amount


def _stated_of(pairs: Iterable[ExecutionPair]) -> Iterator[StatedExecution]:
    return (each for pair in pairs for each in pair.stated)


def _joined(count: int, together: Iterable[Sequence[int]]) -> list[set[int]]:
    """Return numbers below a count in sets, so that those that belong together are in one."""
    leader = list(range(count))

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = number = leader[leader[number]]
        return number

    for numbers in together:
        for each in numbers[1:]:
            leader[find(each)] = find(numbers[0])
    groups: defaultdict[int, set[int]] = defaultdict(set)
    for number in range(count):
        groups[find(number)].add(number)
    return list(groups.values())
