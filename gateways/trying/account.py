"""One account while it is tried: its trading days, what its limits showed in each, and what would have locked."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.trading import OrderFilled, TradeExecuted
from eventstore.trading.lockouts import ACCOUNT
from gateways.importers.kinds.execution import is_made
from gateways.trying.findings import AccountTried, DayTried, Execution, LimitOfDay, WouldHaveLocked
from projections.decimals import FIXED, ZERO
from projections.valuation import Status
from projections.views.executions.pnl_totals import holdings_of
from projections.views.limits.directions import Measured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Record
    from eventstore.trading import AccountOpened, WouldLock
    from gateways.importers import PlannedEvent
    from projections import Book
    from projections.sessions import Calendar, TradingDay
    from projections.views.executions.pnl_totals import PnlTotals
    from projections.views.limits.headroom import Headroom

OUTSIDE = "lie outside the program's trading hours"
ANOTHER_DAY = "state another trading day than the one that the program's calendar puts them in"
_SEVERITY = {Status.KNOWN: 0, Status.STALE: 1, Status.UNKNOWN: 2}


class _LimitSeen:
    """What a limit showed on one day so far."""

    def __init__(self) -> None:
        self.worst: Headroom | None = None
        self.worst_at: int | None = None
        self.newest: Headroom | None = None
        self.status, self.why, self.unjudged_ns = Status.KNOWN, "", 0

    def see(self, found: Headroom, at: int) -> None:
        """Take in how the account stands at an execution, at a reset or at the day's end."""
        self.newest = found
        if _SEVERITY[found.status] > _SEVERITY[self.status]:
            self.status, self.why = found.status, found.why
        nearest = self.worst
        if found.left is not None and (nearest is None or nearest.left is None or found.left < nearest.left):
            self.worst, self.worst_at = found, at

    def wait(self, found: Headroom, nanoseconds: int) -> None:
        """Take in how the account stands when that much time has passed without an execution."""
        if found.status is not Status.KNOWN:
            self.unjudged_ns += nanoseconds
            self.why = self.why or found.why

    def found(self) -> LimitOfDay | None:
        """Return it; None if it was only waited for."""
        newest, worst = self.newest, self.worst
        if newest is None:
            return None
        return LimitOfDay(
            rule_id=newest.rule_id,
            kind=newest.kind,
            unit=newest.unit,
            currency=newest.currency,
            worst=None if worst is None else worst.figure,
            worst_limit=None if worst is None else worst.limit,
            worst_at=self.worst_at,
            end=newest.figure,
            end_limit=newest.limit,
            end_status=newest.status,
            status=self.status,
            unjudged_ns=self.unjudged_ns,
            why=self.why,
        )


class _Day:
    """A trading day that is being tried."""

    def __init__(self, day: TradingDay, carried: list[Execution]) -> None:
        self.day, self.carried = day, list(carried)
        self.executions: list[Execution] = []
        self.reported: Decimal | None = None
        self.limits: dict[str, _LimitSeen] = {}
        self.locks: list[tuple[WouldHaveLocked, Decimal | None]] = []
        """Each with the day's net result when it would have locked, None where a position was open."""


class AccountOnTrial:
    """One account of the file, on a book whose clock is at the file's time."""

    def __init__(self, book: Book, account: str, opened: AccountOpened, calendar: Calendar, starts_at: int) -> None:
        self.book, self.account, self.opened, self.calendar = book, account, opened, calendar
        self.doubtful: dict[str, list[int]] = {}
        """The lines of executions that do not fit the calendar, by what is wrong."""
        self._day = _Day(calendar.day_at(starts_at), [])
        self._days: list[DayTried] = []
        self._open: list[Execution] = []
        """The executions since the account was last flat."""
        self._by_record: dict[bytes, Execution] = {}
        self._ended: Decimal | None = None
        """The net result when the account would have ended; None before that, or if a position was open then."""
        self._ended_at: int | None = None
        self._flattens_at: int | None = None
        """When an open position reaches the end of the trading hours by one of its limits."""
        self.is_flat = True

    @property
    def day(self) -> TradingDay:
        """The trading day that the clock is in."""
        return self._day.day

    def dues(self, now: int) -> list[int]:
        """Return when its day is reset, lockouts and timers end, and what is open has to be flat, after now."""
        found = [self.day.resets_at, *(() if self.is_flat else (self.day.flat_by, self._flattens_at))]
        found += [each.ends_at for each in self.book.shadow.locks(self.account, now)]
        found += [each.expires_at for each in self.book.timers.of(self.account, now)]
        return [at for at in found if at is not None and at > now]

    # What happens

    def execute(self, item: PlannedEvent, record: Record, at: int) -> None:
        """Take in an execution that was just appended, with what it led to."""
        event = item.event
        assert isinstance(event, OrderFilled | TradeExecuted)
        trade_id = None if is_made(event.trade_id) else event.trade_id
        execution = Execution(
            item.line, trade_id, item.occurred_at, event.symbol, event.side, event.quantity, event.price
        )
        self._by_record[record.id] = execution
        self._day.executions.append(execution)
        self._open.append(execution)
        if event.reported_pnl is not None:
            self._day.reported = (self._day.reported or ZERO) + event.reported_pnl
        self._check_hours(event, item)
        self.is_flat = not any(held.totals.quantity for held in holdings_of(self.book, self.account))
        if self.is_flat:
            self._open.clear()
        self.see(at)

    def see(self, at: int) -> None:
        """Look at the account's limits at an instant."""
        for found in self._headroom(at):
            self._day.limits.setdefault(found.rule_id, _LimitSeen()).see(found, at)

    def wait(self, at: int, nanoseconds: int) -> None:
        """Look at what is not judged after so much time without an execution."""
        if self.is_flat:
            return
        for found in self._headroom(at):
            self._day.limits.setdefault(found.rule_id, _LimitSeen()).wait(found, nanoseconds)

    def lock(self, record: Record, event: WouldLock, at: int) -> None:
        """Take in a lockout that would have come into force."""
        details = event.details if isinstance(event.details, dict) else {}
        day = self._day
        lock = WouldHaveLocked(
            rule_id=event.rule_id,
            scope=event.scope,
            allows=event.allows,
            reason=event.reason,
            at=at,
            until=event.until,
            revocable=event.revocable,
            figure=_figure(details.get("figure")),
            limit=_figure(details.get("limit")),
            execution=self._by_record.get(record.correlation_id or b""),
            executions=(*day.carried, *day.executions),
        )
        day.locks.append((lock, self._net_of(day.day) if self.is_flat else None))
        if lock.ends_account and self._ended_at is None:
            self._ended_at = at
            self._ended = self._net() if self.is_flat else None

    def begin_day(self, at: int) -> None:
        """Begin the day after the one that has just been reset, with what is open."""
        self._finish()
        self._day = _Day(self.calendar.following(self.day), self._open)
        if not self.is_flat:
            self.see(at)

    # What was found

    def found(self) -> AccountTried:
        """Return the days so far; the present one, which has no end yet, is left out unless something locked in it."""
        days = self._days
        if self._day.locks:
            days = [*days, self._tried(self._day)]
        return AccountTried(
            account=self.account,
            currency=self.opened.currency,
            starting_balance=self.opened.starting_balance,
            zone=self.calendar.zone,
            days=tuple(map(self._with_end, days)),
        )

    def _finish(self) -> None:
        """Keep the day that is over, if anything happened in it."""
        if self._day.executions or self._day.locks:
            self._days.append(self._tried(self._day))

    def _tried(self, day: _Day) -> DayTried:
        totals = self._totals_of(day.day)
        equity = self.book.equity.now(self.account)
        limits = (each.found() for each in day.limits.values())
        return DayTried(
            trading_day=day.day.trading_day,
            executions=len(day.executions),
            realized=ZERO if totals is None else totals.result,
            fees=ZERO if totals is None else totals.fees,
            reported=day.reported,
            balance=equity.balance,
            floor=equity.floor,
            limits=tuple(limit for limit in limits if limit is not None),
            locks=tuple(self._with_after(lock, then, day.day) for lock, then in day.locks),
        )

    def _with_after(self, lock: WouldHaveLocked, then: Decimal | None, day: TradingDay) -> WouldHaveLocked:
        """Return a lockout of the account until its day's end with what was realized after it, where that is exact."""
        if then is None or not self.is_flat or lock.scope != ACCOUNT or lock.until != day.resets_at:
            return lock
        return replace(lock, after=FIXED.subtract(self._net_of(day), then))

    def _with_end(self, day: DayTried) -> DayTried:
        """Return a day with what was realized after the account's end, if that is in it and if it is exact."""
        if self._ended is None or not self.is_flat:
            return day
        ended = next((lock for lock in day.locks if lock.ends_account), None)
        if ended is None or ended.at != self._ended_at:
            return day
        after = FIXED.subtract(self._net(), self._ended)
        return replace(day, locks=tuple(replace(each, after=after) if each is ended else each for each in day.locks))

    # Asking the book

    def _headroom(self, at: int) -> tuple[Headroom, ...]:
        found = self.book.limits.headroom(self.account, at)
        # What is left of a limit on time is the time until it acts.
        left = (each.left for each in found if each.unit == Measured.DURATION and each.left)
        self._flattens_at = min((at + int(each) for each in left if each > 0), default=None)
        return found

    def _totals_of(self, day: TradingDay) -> PnlTotals | None:
        return _in(self.opened.currency, self.book.pnl.day(self.account, trading_day=day.trading_day))

    def _net_of(self, day: TradingDay) -> Decimal:
        totals = self._totals_of(day)
        return ZERO if totals is None else totals.net_result

    def _net(self) -> Decimal:
        """Return the result since the account was opened, net of fees."""
        totals = _in(self.opened.currency, self.book.pnl.total(self.account))
        return ZERO if totals is None else totals.net_result

    def _check_hours(self, event: OrderFilled | TradeExecuted, item: PlannedEvent) -> None:
        day, at = self.day, item.occurred_at
        if at < day.opens_at or (day.flat_by is not None and at > day.flat_by):
            self.doubtful.setdefault(OUTSIDE, []).append(item.line)
        if event.trading_day not in {None, day.trading_day}:
            self.doubtful.setdefault(ANOTHER_DAY, []).append(item.line)


def _in(currency: str, found: Iterable[PnlTotals]) -> PnlTotals | None:
    """Return the totals in a currency."""
    return next((each for each in found if each.currency == currency), None)


def _figure(text: object) -> Decimal | None:
    return Decimal(text) if isinstance(text, str) else None
