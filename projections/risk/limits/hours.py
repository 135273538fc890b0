"""Trading hours: orders outside the session are rejected, and positions are flattened before it ends."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from typing_extensions import override

from eventstore.clock import NANOSECONDS, to_ns
from eventstore.trading import (
    Approved,
    EnforcementAction,
    LimitsSet,
    LockoutCleared,
    OrderFilled,
    PositionAdjusted,
    SessionOpened,
    SessionReset,
    TradeExecuted,
)
from eventstore.trading.lockouts import ACCOUNT
from projections.risk.caches import risk_cache
from projections.risk.days import calendar_day_if_missing
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import Finding, Measure, breach_verdict
from projections.risk.limits.sentences import instant
from projections.risk.limits.while_in_breach import WhileInBreach, scope_of
from projections.risk.proposals import MissingInput
from projections.sessions import resolve
from projections.views.limits.directions import ACTION, EITHER, SHORTER, Measured, from_loose_to_strict
from projections.views.limits.parameters import Parameters, not_below_zero

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.sessions import TradingDay
    from projections.views.limits.limit import Limit
    from projections.views.sessions import Session

_MINUTE = 60 * NANOSECONDS


class HoursParameters(Parameters, frozen=True, kw_only=True):
    """`flatten_before`: how long before the close, in ns, positions are flattened and new exposure ends.

    The close is the trading day's `flat_by`, or the local time `flat_by` given here, for `symbols` or roots that close
    earlier (without any: for all). `halts` are pairs of instants between which the venue is closed though the trading
    day continues: a holiday that trades for a part of the day. `outside`: whether orders outside it are refused.
    """

    flatten_before: Annotated[int, SHORTER, Measured.DURATION] = 2 * _MINUTE
    flat_by: Annotated[str | None, EITHER] = None
    symbols: Annotated[tuple[str, ...], EITHER] = ()
    halts: Annotated[tuple[tuple[str | int, str | int], ...], EITHER] = ()
    outside: Annotated[bool, from_loose_to_strict(False, True)] = True  # noqa: FBT003 - values of a choice
    action: Annotated[EnforcementAction, ACTION] = EnforcementAction.FLATTEN

    @override
    def problem(self) -> str | None:
        try:
            closes_at = None if self.flat_by is None else time.fromisoformat(self.flat_by)
            spans = _spans(self)
        except ValueError as e:
            return str(e)
        if closes_at is not None and closes_at.tzinfo is not None:
            return f"flat_by = {self.flat_by}: expected a local time, without a zone"
        if any(start >= stop for start, stop in spans):
            return "halts: each begins before it ends"
        return not_below_zero("flatten_before", self.flatten_before)


class _Hours(NamedTuple):
    """When trading last began, when it ends, and when it begins again; None where that is not known."""

    opens_at: int
    closes_at: int | None
    reopens_at: int | None

    def is_open(self, at: int) -> bool:
        return self.opens_at <= at and (self.closes_at is None or at < self.closes_at)


class Hours(WhileInBreach[HoursParameters]):
    """Rejects orders outside the session, and flattens what is open shortly before it closes.

    The lockout lasts until trading begins again. Orders that reduce a position pass, as under any limit. Its figure is
    how long the session has lasted, its limit when positions are flattened.
    """

    name = "hours"
    parameters: ClassVar[type[Parameters]] = HoursParameters
    unit: ClassVar[Measured | None] = Measured.DURATION
    timed: ClassVar[bool] = True
    types: ClassVar[tuple[type[Event], ...]] = (
        LimitsSet,
        LockoutCleared,
        Approved,
        OrderFilled,
        TradeExecuted,
        PositionAdjusted,
        SessionOpened,
        SessionReset,
    )

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: HoursParameters) -> Measure | None:
        hours = _hours(context.book, context.account, context.at, parameters)
        if hours.closes_at is None:
            return None
        lasts = max(hours.closes_at - parameters.flatten_before - hours.opens_at, 0)
        return Measure(Decimal(min(max(context.at - hours.opens_at, 0), lasts)), Decimal(lasts))

    @override
    def check(self, context: AccountContext, limit: Limit, parameters: HoursParameters) -> Finding | None:
        symbol, chosen = context.symbol or "", parameters.symbols
        named = context.cache.named_in(symbol, chosen) if chosen else []
        if chosen and not named:
            return None
        book, account, at = context.book, context.account, context.at
        hours = _hours(book, account, at, parameters)
        until = "" if hours.reopens_at is None else f" until {instant(book, account, hours.reopens_at)}"
        if not hours.is_open(at):
            said = f"the session is closed{until}" if parameters.outside else ""
        elif hours.closes_at is not None and at >= hours.closes_at - parameters.flatten_before:
            said = f"positions must be flat by {instant(book, account, hours.closes_at)}"
        else:
            said = ""
        if said and named and not set(context.cache.names(symbol)) & set(named):
            # What a future without a stated root is may close as early. It is rejected, and not flattened.
            said += f", if {symbol} is of {', '.join(named)}: define it with its root"
        return Finding(limit.rule_id, breach_verdict(parameters), reason=said) if said else None

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: HoursParameters) -> Iterable[Breach]:
        account, now = trigger.account, now_of(trigger)
        cache = risk_cache(book, account, now)
        chosen = set(parameters.symbols)
        open_ = {
            symbol
            for symbol in cache.exposure.worst_case
            if cache.exposure.worst_case[symbol] and (not chosen or chosen & set(cache.names(symbol)))
        }
        held = {each.scope for each in book.shadow.locks_in_force(account, now) if each.rule_id == limit.rule_id}
        if not open_ and not held:
            return
        try:
            hours = _hours(book, account, now, parameters)
        except MissingInput:
            return
        flattens_at = None if hours.closes_at is None else hours.closes_at - parameters.flatten_before
        is_before_open = now < hours.opens_at
        if hours.closes_at is None or flattens_at is None or (now < flattens_at and not is_before_open):
            return
        reason = f"positions must be flat by {instant(book, account, hours.closes_at)}"
        # What was locked stays so until trading begins again, though it is flat by now, and the next day has begun.
        found = set(map(scope_of, open_)) if chosen else {ACCOUNT} if open_ else set()
        for scope in sorted(held if is_before_open else held | found):
            yield Breach(
                figure=Decimal(now),
                limit=Decimal(flattens_at),
                reason=reason,
                trading_day=cache.day.trading_day,
                until=hours.opens_at if is_before_open else hours.reopens_at or cache.day.ends_at,
                scope=scope,
                symbol=scope.partition(":")[2] or None,
            )


def _hours(book: Book, account: str, at: int, parameters: HoursParameters) -> _Hours:
    """Return the hours around an instant; raise MissingInput where neither a session nor a calendar says."""
    day = book.sessions.current(account, at) or calendar_day_if_missing(book, account, at)
    if day is None:
        msg = "nothing says when the session opens and closes: give the account a calendar, or append SessionOpened"
        raise MissingInput(msg)
    opens_at = day.opens_at or day.began_at or 0
    closes_at = _closes_at(book, account, day, parameters)
    following = _next_open(book, account, day)
    if closes_at is not None and at >= closes_at:
        return _Hours(opens_at, closes_at, following)
    # The halts of the day cut it into parts.
    for start, stop in sorted(_spans(parameters)):
        # One that lasts until the close ends with the next open.
        reopens_at = stop if closes_at is None or stop < closes_at else following
        if at < stop and (closes_at is None or start < closes_at):
            return _Hours(opens_at, start, reopens_at)
        if opens_at < stop <= at:
            opens_at = stop
    return _Hours(opens_at, closes_at, opens_at if at < opens_at else following)


def _closes_at(book: Book, account: str, day: Session | TradingDay, parameters: HoursParameters) -> int | None:
    """Return when trading ends; raise MissingInput for a local time in a zone that nothing names."""
    usual = day.flat_by if day.flat_by is not None else day.resets_at
    if parameters.flat_by is None:
        return usual
    calendar = book.sessions.calendar(account)
    zone = day.zone or (None if calendar is None else calendar.zone)
    if zone is None:
        said = f"no zone is known in which {parameters.flat_by} is local"
        msg = f"{said}: give the account a calendar, or its session a zone"
        raise MissingInput(msg)
    own = resolve(zone, day.trading_day, time.fromisoformat(parameters.flat_by))
    # On a day that closes early, this symbol closes early too.
    return own if usual is None else min(own, usual)


def _next_open(book: Book, account: str, day: Session | TradingDay) -> int | None:
    calendar = book.sessions.calendar(account)
    if day.resets_at is None:
        return None
    return day.resets_at if calendar is None else calendar.day_at(day.resets_at).opens_at


def _spans(parameters: HoursParameters) -> list[tuple[int, int]]:
    return [(to_ns(start), to_ns(stop)) for start, stop in parameters.halts]
