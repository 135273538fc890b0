"""A broker's statement compared with the log: by account and trading day, with every break."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import msgspec

from eventstore import Instant, InvalidEvent
from eventstore.clock import DAY_YEARS, derived_times, to_ns
from eventstore.readable import Readable
from projections.auditing.statements.breaks import EVIDENCE_MAX, Break, BreakKind
from projections.auditing.statements.cash import CashComparison
from projections.auditing.statements.executions import ExecutionComparison
from projections.auditing.statements.logged import LoggedAccount
from projections.auditing.statements.period import on_their_days, period_of, spans_of
from projections.auditing.statements.positions import INSTANTS_MAX, position_breaks
from projections.auditing.statements.results import ResultComparison
from projections.auditing.statements.shift import shift_of
from projections.decimals import FIXED, ZERO
from projections.replay import as_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.auditing.statements.days import DayName, TradingSpan
    from projections.auditing.statements.period import StatementPeriod
    from projections.auditing.statements.stated import Stated, StatedCash, StatedExecution, StatedPosition

EXECUTIONS_MAX = 1_000_000
T = TypeVar("T")


class StatementDay(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day of an account: executions, costs and profit and loss before costs, of the log and stated.

    Costs and results are by currency, "" where none is known; None where they are not known or not stated. `breaks`
    counts those of the day. `is_whole`: all of the day lies in the period.
    """

    account: str
    trading_day: datetime.date
    executions_here: int
    executions_there: int
    fees_here: dict[str, Decimal]
    fees_there: dict[str, Decimal] | None
    pnl_here: dict[str, Decimal] | None
    pnl_there: Decimal | None
    breaks: int
    is_whole: bool = True


class StatementPart(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared of one account: from `since` to before `until`, and how many executions were found here."""

    account: str
    since: Instant
    until: Instant
    executions: int
    found: int


class Statement(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A broker's statement compared with a log up to a log position.

    `source` and `digest` are the statement's. `breaks` are ordered by account and time. `not_compared` says what the
    statement or the log leaves unknown, and `notes` what does not count as a difference. `shift_ns`: by so
    much all times of the statement are off, which is its time zone.
    """

    log: str
    log_position: int
    source: str
    digest: str
    parts: tuple[StatementPart, ...]
    days: tuple[StatementDay, ...]
    breaks: tuple[Break, ...]
    not_compared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shift_ns: int | None = None

    @property
    def agrees(self) -> bool:
        """Whether there is no break."""
        return not self.breaks


def statement(
    store: EventReader,
    stated: Stated,
    *,
    account: str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    known_by: Times | None = None,
) -> Statement:
    """Return how a broker's statement differs from the log, as the log is known now or was known by an instant.

    Of each of the statement's accounts, or of one, the period is compared that its rows are of: whole trading days,
    from `start` (included) to `stop` (not) where these are given. Trades count as they stand: corrected ones as
    corrected, busted ones not at all. What the statement cannot say is not compared and named in `not_compared`.
    Raises InvalidEvent for a statement without rows of the account, or without any that say the time.
    """
    head = store.head() if known_by is None else store.position_at(known_by)
    accounts = stated.accounts if account is None else (account,)
    given = [None if each is None else to_ns(each) for each in (start, stop)]
    if not accounts:
        msg = f"{stated.source} has no rows to compare: name the account, with --start and --stop, or another file"
        raise InvalidEvent(msg)
    if len(stated.executions) > EXECUTIONS_MAX:
        msg = f"{stated.source} has more than {EXECUTIONS_MAX:,} executions: split it, for example by month"
        raise InvalidEvent(msg)
    _check_days(stated)
    found = _Findings(store, stated, head)
    for name in accounts:
        found.add(name, given[0], given[1])
    return found.statement()


def _check_days(stated: Stated) -> None:
    days = [(each.line, each.trading_day) for each in stated.executions]
    days += [(each.line, each.trading_day) for each in stated.cash]
    days += [(each.line, each.trading_day) for each in stated.positions]
    days += [(each.line, each.trading_day) for each in stated.results]
    for line, day in days:
        if day is not None and day.year not in DAY_YEARS:
            msg = (
                f"{stated.source}, line {line}: trading day {day} lies outside {DAY_YEARS[0]} to "
                f"{DAY_YEARS[-1]}: correct the row, or leave it out"
            )
            raise InvalidEvent(msg)


class _Findings:
    """What is found, account by account."""

    def __init__(self, store: EventReader, stated: Stated, head: int) -> None:
        self._store, self._stated, self._head = store, stated, head
        self._parts: list[StatementPart] = []
        self._days: list[StatementDay] = []
        self._breaks: list[Break] = []
        self._not_compared = _unknown(stated)
        self._by_figures = 0
        self._shifts: set[int | None] = set()

    def add(self, account: str, start: int | None, stop: int | None) -> None:
        if next(self._store.read(account=account, until=self._head, limit=1), None) is None:
            self._breaks.append(_unknown_account(account, self._stated.of(account)))
            return
        with derived_times():
            book = as_of(self._store, position=self._head, account=account)
        logged = LoggedAccount(book, account)
        stated = on_their_days(self._stated, logged.days)
        own = stated.of(account)
        # The statement's period is one, also for an account with few rows.
        period = period_of(stated, logged.days, start, stop)
        inside = _within(own, period)
        executions = ExecutionComparison(inside, logged, period)
        results = ResultComparison(inside, logged, period)
        breaks = [
            *executions.breaks(),
            *(CashComparison(inside, logged, period).breaks() if own.cash_kinds else ()),
            *position_breaks(self._store, own, logged),
            *results.breaks(),
        ]
        self._breaks += sorted(breaks, key=lambda each: (each.trading_day or datetime.date.min, each.at or 0))
        self._not_compared += results.not_compared
        if why := book.unread.why(account, self._store):
            self._not_compared.append(f"what is certain of {account}: {why}")
        pairing = executions.pairing
        found = sum(len(each.stated) for each in pairing.pairs)
        self._parts.append(
            StatementPart(
                account=account,
                since=period.since,
                until=period.until,
                executions=len(inside.executions),
                found=found,
            )
        )
        self._days += _days(inside, logged, period, results, breaks)
        self._by_figures += pairing.by_figures
        self._shifts.add(shift_of(inside, logged))
        if len({each.at for each in own.positions}) > INSTANTS_MAX:
            self._not_compared.append(f"positions of {account} before the newest {INSTANTS_MAX} instants")

    def statement(self) -> Statement:
        return Statement(
            log=self._store.log,
            log_position=self._head,
            source=self._stated.source,
            digest=self._stated.digest,
            parts=tuple(self._parts),
            days=tuple(self._days),
            breaks=tuple(self._breaks),
            not_compared=tuple(dict.fromkeys(self._not_compared)),
            notes=tuple(self._notes()),
            shift_ns=next(iter(self._shifts)) if len(self._shifts) == 1 else None,
        )

    def _notes(self) -> Iterator[str]:
        if self._stated.repeated:
            yield f"{self._stated.repeated:,} rows repeat an earlier row, and count once"
        if self._by_figures:
            yield (
                f"{self._by_figures:,} executions have other ids here: they are the same by contract, side, quantity, "
                "price and time"
            )


def _unknown(stated: Stated) -> list[str]:
    """Return what a statement does not say."""
    has_pnl = bool(stated.results) or any(each.pnl is not None for each in stated.executions)
    has_executions = stated.has_executions
    said = (
        (not has_executions, "executions: the statement has none"),
        (has_executions and not stated.has_fees, "costs: the statement has no column of them"),
        (has_executions and stated.has_dates_only, "times of day: the statement has dates only"),
        (has_executions and not has_pnl, "profit and loss: the statement states none before costs"),
        (stated.closed_only, "what is still open: the statement has only what is closed"),
        (not stated.cash_kinds, "cash: the statement lists none"),
        (_has_days(stated.cash), "times of day of cash: the statement has dates only"),
        (_has_days(stated.positions), "times of day of positions: the statement has dates only, and means their ends"),
        (not stated.positions, "positions: the statement lists none"),
        (bool(stated.left_out), f"{stated.left_out:,} rows that could not be read: what they say may be missing"),
    )
    return [*(text for is_so, text in said if is_so), *stated.not_compared]


def _has_days(rows: Iterable[StatedCash | StatedPosition]) -> bool:
    return any(each.trading_day is not None for each in rows)


def _unknown_account(account: str, stated: Stated) -> Break:
    rows = stated.rows
    lines = sorted({line for _, line in rows})
    return Break(
        kind=BreakKind.MISSING_HERE,
        account=account,
        sentence=f"the statement has {len(rows):,} rows of {account}, an account that the log does not have",
        lines=tuple(lines[:EVIDENCE_MAX]),
    )


def _within(stated: Stated, period: StatementPeriod) -> Stated:
    """Return a statement without the rows outside a period that the caller gave."""
    if not (period.is_start_given or period.is_stop_given):
        return stated
    entries = {each.trip for each in stated.executions if each.closes and period.holds(each.at)} - {None}
    executions = [each for each in stated.executions if period.holds(each.at) or each.trip in entries]
    return msgspec.structs.replace(
        stated,
        executions=tuple(executions),
        cash=tuple(each for each in stated.cash if period.holds(each.at)),
    )


def _days(
    stated: Stated,
    logged: LoggedAccount,
    period: StatementPeriod,
    results: ResultComparison,
    breaks: Sequence[Break],
) -> Iterator[StatementDay]:
    """Yield the days on which either side has anything."""
    here = _by_day((logged.days.at(each.at), each) for each in logged.trades if period.holds(each.at))
    there = _by_day((results.day_of(each), each) for each in stated.executions)
    counts = Counter(each.trading_day for each in breaks)
    results_there = results.there()
    times = [each.at for each in logged.trades if period.holds(each.at)]
    times += [each.since for each in spans_of(stated, logged.days)]
    last = max(times, default=period.since)
    for day in logged.days.between(period.since, min(period.until, last + 1)):
        trades = [each for each in here.get(day.name, ()) if not each.busted]
        rows, count = there.get(day.name, []), counts.pop(day.trading_day, 0)
        if trades or rows or count:
            is_whole = period.holds_all(day)
            stated_pnl = [
                each.pnl for one in results_there.get(day.name, {}).values() for each in one if each.pnl is not None
            ]
            yield StatementDay(
                account=logged.account,
                trading_day=day.trading_day,
                executions_here=len(trades),
                executions_there=len(rows),
                fees_here=_sums(logged.fees_of(each.fees, each.symbol) for each in trades),
                fees_there=_stated_fees(rows, logged) if stated.has_fees and stated.has_executions else None,
                pnl_here=_pnl(results, day),
                pnl_there=sum(stated_pnl, ZERO) if stated_pnl else None,
                breaks=count,
                is_whole=is_whole,
            )


def _stated_fees(rows: Sequence[StatedExecution], logged: LoggedAccount) -> dict[str, Decimal]:
    fees = (((each.fee_currency or "", each.fee), logged.symbol(each.symbol)) for each in rows)
    return _sums(logged.fees_of((fee,), symbol) for fee, symbol in fees)


def _pnl(results: ResultComparison, day: TradingSpan) -> dict[str, Decimal] | None:
    here = results.known(day)
    return None if here is None else _sums({each.currency or "": each.realized} for each in here.values())


def _sums(amounts: Iterable[dict[str, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for each in amounts:
        for currency, amount in each.items():
            found[currency] = FIXED.add(found.get(currency, ZERO), amount)
    return found


def _by_day(found: Iterable[tuple[TradingSpan, T]]) -> dict[DayName, list[T]]:
    days: defaultdict[DayName, list[T]] = defaultdict(list)
    for day, each in found:
        days[day.name].append(each)
    return days
