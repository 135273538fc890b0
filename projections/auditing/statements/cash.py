"""The breaks of cash: movements that one side lacks, or has with another amount or time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from eventstore.clock import NANOSECONDS
from eventstore.trading import CashMoved
from projections.auditing.statements.agreement import is_same_amount
from projections.auditing.statements.breaks import Break, BreakKind
from projections.auditing.statements.stated import DAY_NS
from projections.views.cash import received

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from typing import Any

    from eventstore.trading import CashKind
    from projections.auditing.statements.logged import LoggedAccount
    from projections.auditing.statements.period import StatementPeriod
    from projections.auditing.statements.stated import Stated, StatedCash

_HALF_DAY = DAY_NS // 2


class LoggedCash(NamedTuple):
    """A movement of cash that the log has; `amount` is above zero when received."""

    at: int
    position: int
    kind: CashKind
    currency: str
    amount: Decimal
    reference: str | None


def logged_cash(logged: LoggedAccount) -> list[LoggedCash]:
    """Return the account's movements of cash, in the order of the log."""
    found = []
    for record in logged.book.read(account=logged.account, types=(CashMoved,)):
        event = record.event
        assert isinstance(event, CashMoved), event
        amount = received(event)
        found.append(
            LoggedCash(record.occurred_at, record.position, event.kind, event.currency, amount, event.reference)
        )
    return found


class CashComparison:
    """An account's movements of cash in a statement and in the log: by reference, by figures, or nearly so."""

    def __init__(self, stated: Stated, logged: LoggedAccount, period: StatementPeriod) -> None:
        self._stated, self._logged, self._period = stated, logged, period
        self._known = {each.position: each for each in logged_cash(logged)}
        self._left = dict(enumerate(stated.cash))
        self._pairs: list[tuple[StatedCash, LoggedCash]] = []
        within = max(stated.within_ns, NANOSECONDS)
        self._pair_references()
        self._pair(within, is_equal=True)
        self._pair(_HALF_DAY, is_equal=True)
        self._pair(within, is_equal=False)

    def _pair_references(self) -> None:
        known: defaultdict[tuple[object, ...], list[LoggedCash]] = defaultdict(list)
        for each in self._known.values():
            if each.reference:
                known[_key(each, each.reference)].append(each)
        for number, one in list(self._left.items()):
            found = [each for each in known.get(_key(one, one.reference), ()) if each.position in self._known]
            if found:
                self._take(number, found)

    def _pair(self, within: int, *, is_equal: bool) -> None:
        """Pair each movement with the nearest one of its kind and currency, and of its amount if that is asked for."""
        known: defaultdict[tuple[object, ...], list[LoggedCash]] = defaultdict(list)
        for each in sorted(self._known.values()):
            known[_key(each)].append(each)
        for number, one in list(self._left.items()):
            of_kind = known.get(_key(one), [])
            begin, end = self._span(one)
            first = bisect_left(of_kind, begin - within, key=_time)
            last = bisect_right(of_kind, end + within, key=_time)
            found = [
                each
                for each in of_kind[first:last]
                if each.position in self._known and (not is_equal or is_same_amount(each.amount, one.amount))
            ]
            if found:
                self._take(number, found)

    def _take(self, number: int, found: Sequence[LoggedCash]) -> None:
        one = self._left.pop(number)
        nearest = min(found, key=lambda each: (each.amount != one.amount, self._lag(one, each), each.position))
        self._pairs.append((one, self._known.pop(nearest.position)))

    def _span(self, one: StatedCash) -> tuple[int, int]:
        """Return the instants between which a row's cash moved, both included: those of its day, if it has no time."""
        return one.at, one.at if one.trading_day is None else self._logged.days.at(one.at).until

    def _lag(self, one: StatedCash, each: LoggedCash) -> int:
        begin, end = self._span(one)
        return max(begin - each.at, each.at - end, 0)

    def breaks(self) -> Iterator[Break]:
        """Yield the breaks."""
        for one, each in self._pairs:
            yield from self._of_pair(one, each)
        for one in self._left.values():
            text = f"the statement has {_words(one)}, the log has not"
            yield self._break(BreakKind.MISSING_HERE, one, None, text, there=one.amount, there_at=one.at)
        for each in self._known.values():
            if self._period.holds(each.at) and each.kind in self._stated.cash_kinds:
                text = f"the log has {_words(each)}, the statement has not"
                beyond = self._period.is_beyond_rows(each.at)
                kind = BreakKind.MISSING_THERE
                yield self._break(kind, None, each, text, here=each.amount, here_at=each.at, beyond_rows=beyond)

    def _of_pair(self, one: StatedCash, each: LoggedCash) -> Iterator[Break]:
        if not is_same_amount(each.amount, one.amount):
            text = f"the statement has {_words(one)}, the log {each.amount:f}"
            yield self._break(BreakKind.OTHER_CASH, one, each, text, here=each.amount, there=one.amount)
        days = [self._logged.days.at(at).trading_day for at in (one.at, each.at)]
        if self._lag(one, each) > max(self._stated.within_ns, NANOSECONDS) and (
            days[0] != days[1] or not self._stated.has_dates_only
        ):
            text = f"the statement has {_words(one)} on {days[0]}, the log on {days[1]}"
            text = text if days[0] != days[1] else f"the statement has {_words(one)} at another time than the log"
            yield self._break(BreakKind.OTHER_TIME, one, each, text, here_at=each.at, there_at=one.at)

    def _break(
        self,
        kind: BreakKind,
        one: StatedCash | None,
        each: LoggedCash | None,
        sentence: str,
        **members: Any,  # noqa: ANN401 - a break's own
    ) -> Break:
        first = each or one
        assert first is not None, "a break has a side"
        return Break(
            kind=kind,
            account=self._logged.account,
            sentence=sentence,
            trading_day=self._logged.days.at(first.at).trading_day,
            at=first.at,
            currency=first.currency,
            lines=() if one is None else (one.line,),
            records=() if each is None else (each.position,),
            **members,
        )


def _key(of: StatedCash | LoggedCash, *more: object) -> tuple[object, ...]:
    return (of.kind, of.currency, *more)


def _time(of: LoggedCash) -> int:
    return of.at


def _words(of: StatedCash | LoggedCash) -> str:
    return f"{of.kind} {of.amount:f} {of.currency}"
