"""A broker's statement compared with the log: by account and trading day, with every break."""

from __future__ import annotations

import datetime
import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant, InvalidEvent, UnknownContract
from eventstore.clock import derived_times, to_ns
from eventstore.readable import Readable
from projections.auditing.statements.breaks import EVIDENCE_MAX, Break, BreakKind
from projections.auditing.statements.cash import CashComparison
from projections.auditing.statements.executions import ExecutionComparison
from projections.auditing.statements.logged import LoggedAccount
from projections.auditing.statements.period import period_of
from projections.auditing.statements.positions import INSTANTS_MAX, position_breaks
from projections.auditing.statements.results import ResultComparison
from projections.decimals import FIXED, ZERO
from projections.replay import as_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.auditing.statements.days import TradingSpan
    from projections.auditing.statements.period import StatementPeriod
    from projections.auditing.statements.stated import Stated

EXECUTIONS_MAX = 1_000_000


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
    statement or the log leaves unknown, and `notes` what is no difference. `shift_ns`: all times of the statement
    are off by so much, which is its time zone.
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
    found = _Found(store, stated, head)
    for name in accounts:
        found.add(name, given[0], given[1])
    return found.statement()


class _Found:
    """What is found, account by account."""

    def __init__(self, store: EventReader, stated: Stated, head: int) -> None:
        self._store, self._stated, self._head = store, stated, head
        self._parts: list[StatementPart] = []
        self._days: list[StatementDay] = []
        self._breaks: list[Break] = []
        self._not_compared = _unknown(stated)
        self._by_figures = 0
        self._lags: list[int] = []

    def add(self, account: str, start: int | None, stop: int | None) -> None:
        own = self._stated.of(account)
        if next(self._store.read(account=account, until=self._head, limit=1), None) is None:
            self._breaks.append(_unknown_account(account, own))
            return
        with derived_times():
            book = as_of(self._store, position=self._head, account=account)
        logged = LoggedAccount(book, account)
        period = period_of(own, logged.days, start, stop)
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
        self._lags += [one.at - pair.trades[0].at for pair in pairing.pairs for one in pair.stated]
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
            shift_ns=self._shift(),
        )

    def _notes(self) -> Iterator[str]:
        if self._stated.repeated:
            yield f"{self._stated.repeated:,} rows repeat an earlier row, and count once"
        if self._by_figures:
            yield (
                f"{self._by_figures:,} executions have other ids here: they are the same by contract, side, quantity, "
                "price and time"
            )

    def _shift(self) -> int | None:
        """Return by how much all times are off, if they all are by the same quarters of an hour."""
        if self._stated.has_dates_only or len(self._lags) < 2 or self._stated.within_ns > _QUARTER:  # noqa: PLR2004
            return None
        rounded = {(lag + _QUARTER // 2) // _QUARTER * _QUARTER for lag in self._lags}
        [first, *others] = rounded
        is_one = not others and all(abs(lag - first) <= 2 * self._stated.within_ns for lag in self._lags)
        return first if is_one and first else None


_QUARTER = 900 * 1_000_000_000


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
        (not stated.positions, "positions: the statement lists none"),
        (bool(stated.left_out), f"{stated.left_out:,} rows that could not be read: what they say may be missing"),
    )
    return [*(text for is_so, text in said if is_so), *stated.not_compared]


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
    times = [each.at for each in stated.executions] + [each.at for each in logged.trades]
    last = max([*times, *[each.at for each in stated.cash]], default=period.since)
    there = results.there()
    for day in logged.days.between(period.since, min(period.until, last + 1)):
        is_whole = period.holds_all(day)
        held = [each for each in logged.trades if day.since <= each.at < day.until]
        here = [each for each in held if not each.busted and period.holds(each.at)]
        rows = [each for each in stated.executions if _is_of(each.at, each.trading_day, day, stated)]
        count = sum(each.trading_day == day.trading_day for each in breaks)
        if not (here or rows or count):
            continue
        fees_here, fees_there = dict[str, Decimal](), dict[str, Decimal]()
        with decimal.localcontext(FIXED):
            for trade in here:
                _add(fees_here, logged.fees_of(trade.fees, trade.symbol))
            for row in rows:
                _add(fees_there, logged.fees_of(((row.fee_currency or "", row.fee),), logged.symbol(row.symbol)))
            stated_pnl = [each.pnl for one in there.get(day.name, {}).values() for each in one if each.pnl is not None]
            yield StatementDay(
                account=logged.account,
                trading_day=day.trading_day,
                executions_here=len(here),
                executions_there=len(rows),
                fees_here=fees_here,
                fees_there=fees_there if stated.has_fees and stated.has_executions else None,
                pnl_here=_pnl(results, day) if is_whole else None,
                pnl_there=sum(stated_pnl, ZERO) if stated_pnl else None,
                breaks=count,
                is_whole=is_whole,
            )


def _is_of(at: int, trading_day: datetime.date | None, day: TradingSpan, stated: Stated) -> bool:
    if stated.has_dates_only and trading_day is not None:
        return trading_day == day.trading_day
    return day.since <= at < day.until


def _pnl(results: ResultComparison, day: TradingSpan) -> dict[str, Decimal] | None:
    try:
        here = results.here(day)
    except UnknownContract:
        return None
    found = dict[str, Decimal]()
    for each in here.values():
        _add(found, {each.currency or "": each.realized})
    return found


def _add(sums: dict[str, Decimal], more: dict[str, Decimal]) -> None:
    for currency, amount in more.items():
        sums[currency] = FIXED.add(sums.get(currency, ZERO), amount)
