"""What preserves equity in the log: a mark of each new high and floor, of each close, and of equity at a reset."""

from __future__ import annotations

import decimal
import functools
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore.trading import EquityMarked, QuoteUsed, SessionClosed, Severity
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import AccountFigures, figures_of
from projections.risk.caches import risk_cache
from projections.risk.limits.breaches import now_of, per_account
from projections.risk.limits.daily_loss import DailyLossParameters
from projections.risk.limits.results import Basis, ResultParameters, cannot_change
from projections.risk.limits.trailing_drawdown import (
    EVENTS,
    TrailingDrawdownParameters,
    confirmed_now,
    floor_at,
    high_of,
    marked_high,
)
from projections.risk.policies import Decision, Policy, TriggerKind
from projections.valuation import Status
from projections.view import SHARED
from projections.views.baselines import adjusted_since, mark_of
from projections.views.limits.parameters import read_enabled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit
    from projections.views.sessions import Session


class EquityMarks(Policy):
    """Appends EquityMarked: at each session's close of an opened account, at each new high that a limit follows.

    That is a high that a trailing drawdown follows, at least `step` above the last, the day's best equity for a
    trailing daily loss, or a floor raised by a new or tighter limit. It is appended in the call that brought the quote
    or the fill: the high may depend on a quote, which no log has, and must survive a crash. Equity is marked as a high
    only while it is KNOWN, and the lowest over the confirming window counts.

    Once for each trading day that began with an open position, the equity is marked as its baseline, for limits on
    equity basis of an account whose baseline is not the balance at the reset alone.
    """

    name = "equity-marks"
    types: ClassVar[tuple[type[Event], ...]] = EVENTS
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in per_account(book, trigger):
            event = each.event
            with decimal.localcontext(FIXED):
                high = _closing(book, each, event) if isinstance(event, SessionClosed) else _high(book, each)
                found = [decision for decision in (high, _baseline(book, each)) if decision is not None]
            yield from found


class _Followed(msgspec.Struct, frozen=True):
    """The drawdowns in the account's own currency; whether a limit follows the day's best equity, or its result."""

    drawdowns: tuple[TrailingDrawdownParameters, ...]
    day_best: bool
    day_result: bool
    cannot_change: bool
    """Whether the trigger cannot change the outcome of any of these limits."""

    def floors(self, high_at: Callable[[Basis], Decimal | None]) -> list[Decimal]:
        """Return the floors of the limits that lock; the floor of a mere warning is not kept."""
        highs = ((high_at(each.basis), each) for each in self.drawdowns if each.severity is not Severity.WARNING)
        return [floor_at(high, each) for high, each in highs if high is not None]


def _followed(book: Book, trigger: Trigger) -> _Followed:
    """Return what the limits in force follow."""
    drawdowns, day_best, day_result, unaffected = [], False, False, True
    if trigger.account == SHARED:
        return _Followed((), day_best=False, day_result=False, cannot_change=True)
    cache = risk_cache(book, trigger.account, now_of(trigger))
    readable = cache.memoize(
        "limits", EquityMarks.name, lambda: tuple((each, read_enabled(each)) for each in cache.limits)
    )
    own = cache.account
    for limit, parameters in readable:
        if isinstance(parameters, TrailingDrawdownParameters):
            if own is None or parameters.currency in {None, own.currency}:
                drawdowns.append(parameters)
                unaffected = unaffected and _cannot_change(book, trigger, limit, parameters.basis)
        elif isinstance(parameters, ResultParameters) and parameters.is_on_equity:
            day_result = True
            if isinstance(parameters, DailyLossParameters) and parameters.trailing:
                day_best = True
                unaffected = unaffected and _cannot_change(book, trigger, limit, parameters.basis)
    return _Followed(tuple(drawdowns), day_best, day_result, unaffected)


def _cannot_change(book: Book, trigger: Trigger, limit: Limit, basis: Basis) -> bool:
    return cannot_change(book, trigger, limit, basis, policy=EquityMarks.name)


class _Values(msgspec.Struct, frozen=True):
    """What a mark states of an account: its balance and equity, the day's results, and the prices used."""

    balance: Decimal
    equity: Decimal
    realized: Decimal
    fees: Decimal
    quotes: dict[str, QuoteUsed]
    is_confirmed: bool

    @property
    def unrealized(self) -> Decimal:
        return self.equity - self.balance

    def day(self, *, net: bool) -> Decimal:
        """Return the day's result, open positions included."""
        gross = self.realized + self.unrealized
        return gross - self.fees if net else gross


def _values(figures: AccountFigures) -> _Values:
    """Return the confirmed figures; where one is not, a guess, which must not become a high."""
    bounds, balances = figures.equity_bounds, figures.balance_bounds
    realized, fees = figures.day_result
    balance = (
        _at_most(figures.balance.amount, marked_high(figures, Basis.REALIZED)) if balances is None else balances[0]
    )
    if bounds is not None and balances is not None:
        return _Values(balance, bounds[0], realized, fees, figures.lowest_quotes(), is_confirmed=True)
    equity = _at_most(figures.equity.amount, marked_high(figures, Basis.EQUITY))
    return _Values(balance, equity, realized, fees, figures.positions.quotes, is_confirmed=False)


def _at_most(figure: Decimal, high: Decimal | None) -> Decimal:
    return figure if high is None else min(figure, high)


def _high(book: Book, trigger: Trigger) -> Decision | None:
    """Mark a new high, or a floor that a limit has raised."""
    followed, now = _followed(book, trigger), now_of(trigger)
    figures = None if followed.cannot_change else figures_of(book, trigger.account, now)
    if figures is None or not _has_known_balance(figures):
        return None
    marked_floor = figures.cache.marked_floor
    raised = max(followed.floors(lambda basis: marked_high(figures, basis)), default=None)
    is_raised = raised is not None and (marked_floor is None or raised > marked_floor)
    day = figures.cache.day.trading_day
    is_high = any(_is_new(figures, each) for each in followed.drawdowns)
    if not (is_raised or is_high or (followed.day_best and _is_new_best(figures, day))):
        return None
    values = _values(figures)
    floors = [marked_floor, *followed.floors(lambda basis: high_of(figures, basis))]
    mark = _mark(figures, values, max((floor for floor in floors if floor is not None), default=None), day)

    def is_covered(book: Book) -> bool:
        if _is_moved(book, trigger):
            return True
        with decimal.localcontext(FIXED):
            head = figures_of(book, trigger.account, now)
            # Another process may have marked as much by now.
            highs = [(marked_high(head, Basis.REALIZED), mark.balance), (marked_high(head, Basis.EQUITY), mark.equity)]
            if any(high is None or high < reached for high, reached in highs):
                return False
            floor = head.cache.marked_floor
            lacks_floor = mark.floor is not None and (floor is None or floor < mark.floor)
            return not lacks_floor and not (followed.day_best and _is_day_best(head, values, day))

    # By the figures instead of the trigger: two processes that see the same high mark it once. After cash has moved
    # the same figures may be a new high.
    newest = book.equity.get(trigger.account)
    after = 0 if newest is None else newest.position
    key = f"{trigger.account}/high/{day}/{mark.balance}/{mark.equity}/{mark.floor}/{after}"
    return Decision(((f"equity/{trigger.account}/-", mark),), obsolete_if=is_covered, key=key)


def _has_known_balance(figures: AccountFigures) -> bool:
    """Return whether an account can be marked: a balance without a part of it must not become a high."""
    return figures.cache.capital is not None and figures.balance.standing.status is Status.KNOWN


def _mark(figures: AccountFigures, values: _Values, floor: Decimal | None, day: date | None) -> EquityMarked:
    return EquityMarked(
        balance=values.balance,
        equity=values.equity,
        high_water=max(_high_water(figures), values.equity) if values.is_confirmed else _high_water(figures),
        realized=values.realized,
        unrealized=values.unrealized,
        fees=values.fees,
        floor=floor,
        quotes=values.quotes,
        currency=figures.own,
        trading_day=day,
    )


def _is_new(figures: AccountFigures, parameters: TrailingDrawdownParameters) -> bool:
    marked = marked_high(figures, parameters.basis)
    if marked is None or (parameters.basis is Basis.EQUITY and figures.equity.amount <= marked):
        return False
    now = confirmed_now(figures, parameters.basis)
    return now is not None and now > marked and now - marked >= parameters.step


def _is_new_best(figures: AccountFigures, day: date) -> bool:
    """Return whether the day's confirmed result is above its marked best."""
    realized, fees = figures.day_result
    # The lowest over the confirming window is not above the present one, and takes longer to find.
    now = _Values(figures.balance.amount, figures.equity.amount, realized, fees, {}, is_confirmed=True)
    if not _is_day_best(figures, now, day):
        return False
    values = _values(figures)
    return values.is_confirmed and _is_day_best(figures, values, day)


def _is_day_best(figures: AccountFigures, values: _Values, day: date) -> bool:
    """Return whether a day's result is above its marked best, before fees or net of them."""
    marked = [(figures.book.bests.marked(figures.account, day, figures.at, net=net), net) for net in (False, True)]
    return any(values.day(net=net) > (ZERO if high is None else high) for high, net in marked)


def _high_water(figures: AccountFigures) -> Decimal:
    """Return the highest marked equity, at least the capital."""
    high, mark = marked_high(figures, Basis.EQUITY) or ZERO, figures.book.equity.get(figures.account)
    return high if mark is None else max(high, mark.high_water)


def _baseline(book: Book, trigger: Trigger) -> Decision | None:
    """Mark the equity at the trading day's reset, once two observations show it."""
    account, now = trigger.account, now_of(trigger)
    if account == SHARED:
        return None
    cache = risk_cache(book, account, now)
    began_at = cache.day.began_at
    # After a fill, what was carried in and what was made since cannot be separated; nor after an expiry, transfer or
    # reconciliation, which are asked for below.
    if began_at is None or cache.carried.standing.status is not Status.UNKNOWN or cache.counts.fills:
        return None
    if not _followed(book, trigger).day_result or adjusted_since(book, account, began_at):
        return None
    figures = figures_of(book, account, now)
    values = _values(figures)
    if not _has_known_balance(figures) or not values.is_confirmed or not _is_quoted_since(figures, began_at):
        return None
    day = cache.day.trading_day
    mark = replace(_mark(figures, values, figures.cache.marked_floor, day), reset_at=began_at)

    def is_marked(book: Book) -> bool:
        return _is_moved(book, trigger) or mark_of(book, account, began_at) is not None

    # A mark of a day that had not come yet does not count: it is marked again.
    key = f"{account}/reset/{began_at}" + (f"/{again}" if (again := book.sessions.put_right(account)) else "")
    return Decision(((f"equity/{account}/-", mark),), obsolete_if=is_marked, key=key)


def _is_quoted_since(figures: AccountFigures, began_at: int) -> bool:
    """Return whether both observations of each position are of the day: one from before it may be hours old."""
    quotes, valuation = figures.book.quotes, figures.cache.configuration.valuation
    return all(
        (quotes.confirmed_since(held.symbol, figures.at, valuation, long=held.totals.quantity > ZERO) or 0) >= began_at
        for held in figures.cache.held
    )


def _closing(book: Book, trigger: Trigger, event: SessionClosed) -> Decision | None:
    """Mark a trading day's close with the day's own figures, even if the next day has begun when it is recorded."""
    account, now = trigger.account, now_of(trigger)
    figures = figures_of(book, account, now)
    if not _has_known_balance(figures):
        return None
    session = _session_of(book, trigger, event)
    day = event.trading_day if session is None else session.trading_day
    ended_at = trigger.at if session is None or session.resets_at is None else session.resets_at
    values = _values(figures)
    later = book.bests.realized_since(account, ended_at)
    if later is not None:
        # Open positions are priced now: after trades of a later day that says nothing about the close.
        balance = values.balance - later
        values = replace(values, balance=balance, equity=balance, quotes={})
    if day is not None:
        totals = book.pnl.day(account, trading_day=day)
        realized = figures.total({one.currency: one.result + one.cash for one in totals}, target=figures.own).amount
        fees = figures.total({one.currency: one.fees for one in totals}, target=figures.own).amount
        values = replace(values, realized=realized, fees=fees)

    def high(basis: Basis) -> Decimal | None:
        if basis is not Basis.END_OF_DAY:
            return high_of(figures, basis)
        return max(marked_high(figures, basis) or ZERO, values.balance)

    floors = [figures.cache.marked_floor, *_followed(book, trigger).floors(high)]
    mark = _mark(figures, values, max((floor for floor in floors if floor is not None), default=None), day)
    return Decision(((f"equity/{account}/-", mark),), obsolete_if=functools.partial(_is_moved, trigger=trigger))


def _is_moved(book: Book, trigger: Trigger) -> bool:
    """Return whether cash, a correction or a new life of the account came after the record that a mark is of.

    Appended now, the mark would say what the account was before that as if it were since.
    """
    record = trigger.record if trigger.kind is TriggerKind.RECORD else None
    return record is not None and book.equity.last_moved(trigger.account) > record.position


def _session_of(book: Book, trigger: Trigger, event: SessionClosed) -> Session | None:
    """Return the trading day that a close belongs to: the one it names, or the one it was recorded in."""
    if event.trading_day is not None:
        return book.sessions.day(trigger.account, event.trading_day)
    # A close recorded exactly at the reset belongs to the day before, not to the next one.
    return book.sessions.current(trigger.account, trigger.at - 1)
