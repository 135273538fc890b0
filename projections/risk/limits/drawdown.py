"""The trailing drawdown: a floor that follows the highs and never falls, and the marks that preserve it."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import (
    AccountOpened,
    CashMoved,
    EquityMarked,
    SessionClosed,
    Severity,
)
from projections.decimals import FIXED, ZERO
from projections.risk.limits.base import Breach, ValuedRule, in_force, now_of, per_account
from projections.risk.limits.figures import RESULT_EVENTS, cannot_change, day_of, sentence
from projections.risk.limits.parameters import (
    BadLimit,
    Basis,
    DailyLossParameters,
    Parameters,
    TrailingDrawdownParameters,
    kind_of,
    read,
)
from projections.risk.limits.sentences import money
from projections.risk.policies import Decision, Policy
from projections.views.equity import Equity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.view import Limit
    from projections.views.sessions import Session

EVENTS: tuple[type[Event], ...] = (*RESULT_EVENTS, AccountOpened, CashMoved, SessionClosed)


class TrailingDrawdown(ValuedRule[TrailingDrawdownParameters]):
    """Locks without end once the account reaches the floor.

    The floor is `distance` below the highest balance or equity so far, the starting balance included, and never above
    `locks_at`. A floor that was marked stays, whatever is set later. With basis `realized` the balance is compared
    with it, otherwise the equity: with `end_of_day` the floor moves only at the session's close, but can be reached at
    any time. The highest floor of an account's locking limits applies to all of them.

    It is evaluated in the account's own currency; a limit in another one is skipped. While a traded contract has no
    multiplier the equity is unknown; the limit is evaluated once the contract is defined.
    """

    name = "trailing-drawdown"
    parameters: ClassVar[type[Parameters]] = TrailingDrawdownParameters
    types: ClassVar[tuple[type[Event], ...]] = (*EVENTS, EquityMarked)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: TrailingDrawdownParameters
    ) -> Iterable[Breach]:
        basis = parameters.basis
        if cannot_change(trigger, limit, Basis.REALIZED if basis is Basis.REALIZED else Basis.EQUITY):
            return
        account, now = trigger.account, now_of(trigger)
        highs = equity_highs(book, account, now)
        if highs is None or parameters.currency not in {None, highs.equity.currency}:
            return
        floor = highs.floor(parameters)
        if parameters.severity is not Severity.WARNING and highs.equity.floor is not None:
            # A marked floor never falls, even if the limit behind it was loosened since.
            floor = max(floor, highs.equity.floor)
        equity = highs.equity
        what, figure = ("balance", highs.balance) if basis is Basis.REALIZED else ("equity", equity.equity)
        if figure > floor:
            return
        reached = f"{what} {money(figure)} {equity.currency or ''}".rstrip() + f" at the drawdown floor {money(floor)}"
        yield Breach(
            figure=figure,
            limit=floor,
            reason=sentence(book, trigger, parameters, reached, None),
            currency=equity.currency,
            basis=str(basis),
            trading_day=day_of(book, account, trigger.at, now).trading_day,
            details=_details(book, parameters, highs),
        )


class EquityHighs(msgspec.Struct, frozen=True):
    """An account's equity now, and its marked highs, each at least the starting balance."""

    equity: Equity
    marked_balance: Decimal
    marked_equity: Decimal
    marked_close: Decimal

    @property
    def balance(self) -> Decimal:
        return self.equity.balance

    def marked(self, basis: Basis) -> Decimal:
        """Return the highest marked figure of a basis."""
        if basis is Basis.END_OF_DAY:
            return self.marked_close
        return self.marked_balance if basis is Basis.REALIZED else self.marked_equity

    def high(self, basis: Basis) -> Decimal:
        """Return the highest figure of a basis so far, including the current one unless only closes count."""
        marked = self.marked(basis)
        if basis is Basis.REALIZED:
            return max(marked, self.balance)
        # Without a price for a position the equity is a guess, and a floor raised by it would never fall again.
        return max(marked, self.equity.equity) if basis is Basis.EQUITY and not self.equity.unquoted else marked

    def floor(self, parameters: TrailingDrawdownParameters) -> Decimal:
        """Return a limit's floor by the highs alone, whatever floor was marked."""
        return floor_at(self.high(parameters.basis), parameters)


def equity_highs(book: Book, account: str, at: int) -> EquityHighs | None:
    """Return an account's equity and highs; None if it was not opened, or a contract's multiplier is unknown."""
    known = book.accounts.get(account)
    if known is None or known.starting_balance is None:
        return None
    try:
        equity = book.equity.now(account, at)
    except UnknownContract:
        return None
    recorded, starting = book.bests.highs(account), known.starting_balance
    marked = (
        starting if high is None else max(starting, high)
        for high in (recorded.balance, recorded.equity, recorded.close)
    )
    return EquityHighs(equity, *marked)


def floor_at(high: Decimal, parameters: TrailingDrawdownParameters) -> Decimal:
    """Return the floor that follows from a high."""
    floor = FIXED.subtract(high, parameters.distance)
    return floor if parameters.locks_at is None else min(floor, parameters.locks_at)


class EquityMarks(Policy):
    """Appends EquityMarked: at each session's close of an opened account, and at each new high that a limit follows.

    That is a high that a trailing drawdown follows, at least `step` above the last, the day's best equity for a
    trailing daily loss, or a floor raised by a new or tighter limit. It is appended in the call that brought the quote
    or the fill: the high may depend on a quote, which no log has, and must survive a crash. No equity is marked as a
    high while a position has no price.
    """

    name = "equity-marks"
    types: ClassVar[tuple[type[Event], ...]] = EVENTS
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in per_account(book, trigger):
            event = each.event
            decision = _closing(book, each, event) if isinstance(event, SessionClosed) else _high(book, each)
            if decision is not None:
                yield decision


class _Followed(msgspec.Struct, frozen=True):
    """The drawdowns in the account's own currency, and whether a limit follows the day's best equity."""

    drawdowns: tuple[TrailingDrawdownParameters, ...]
    day_best: bool
    cannot_change: bool
    """Whether the trigger cannot change the outcome of any of these limits."""

    def floors(self, high_of: Callable[[Basis], Decimal]) -> list[Decimal]:
        """Return the floors of the limits that lock; the floor of a mere warning is not kept."""
        locking = (each for each in self.drawdowns if each.severity is not Severity.WARNING)
        return [floor_at(high_of(each.basis), each) for each in locking]


def _followed(book: Book, trigger: Trigger) -> _Followed:
    """Return what the limits in force follow."""
    drawdowns, day_best, unaffected = [], False, True
    own = book.accounts.get(trigger.account)
    for limit in in_force(book, trigger):
        kind = kind_of(limit.rule_id)
        try:
            if kind == TrailingDrawdown.name:
                drawdown = read(limit, TrailingDrawdownParameters)
                if drawdown.enabled and (own is None or drawdown.currency in {None, own.currency}):
                    drawdowns.append(drawdown)
                    unaffected = unaffected and cannot_change(trigger, limit, drawdown.basis)
            elif kind == "daily-loss":
                loss = read(limit, DailyLossParameters)
                if loss.enabled and loss.trailing and loss.basis is Basis.EQUITY:
                    day_best = True
                    unaffected = unaffected and cannot_change(trigger, limit, loss.basis)
        except BadLimit:
            continue
    return _Followed(tuple(drawdowns), day_best, unaffected)


def _high(book: Book, trigger: Trigger) -> Decision | None:
    """Mark a new high, or a floor that a limit has raised."""
    followed = _followed(book, trigger)
    highs = None if followed.cannot_change else equity_highs(book, trigger.account, now_of(trigger))
    if highs is None:
        return None
    equity = highs.equity
    now = now_of(trigger)
    day = day_of(book, trigger.account, now, now).trading_day
    raised = max(followed.floors(highs.marked), default=None)
    is_raised = raised is not None and (equity.floor is None or raised > equity.floor)
    is_high = any(_is_new(highs, each) for each in followed.drawdowns)
    if not (is_raised or is_high or (followed.day_best and _is_day_best(book, equity, day))):
        return None
    floors = [floor for floor in (equity.floor, *followed.floors(highs.high)) if floor is not None]
    mark = EquityMarked(
        balance=equity.balance,
        # Without a price for a position the equity is a guess, and must not become a high.
        equity=min(equity.equity, highs.marked_equity) if equity.unquoted else equity.equity,
        high_water=_high_water(book, highs) if equity.unquoted else equity.high_water,
        realized=equity.realized,
        unrealized=equity.unrealized,
        fees=equity.fees,
        floor=max(floors, default=None),
        quotes=equity.quotes,
        currency=equity.currency,
        trading_day=day,
    )

    def is_covered(book: Book) -> bool:
        head = equity_highs(book, trigger.account, now)
        # Another process may have marked as much by now.
        if head is None or head.marked_balance < mark.balance or head.marked_equity < mark.equity:
            return False
        floor = head.equity.floor
        lacks_floor = mark.floor is not None and (floor is None or floor < mark.floor)
        return not lacks_floor and not (followed.day_best and _is_day_best(book, equity, day))

    # By the figures instead of the trigger: two processes that see the same high mark it once.
    key = f"{trigger.account}/high/{day}/{mark.balance}/{mark.equity}/{mark.floor}"
    return Decision(((f"equity/{trigger.account}/-", mark),), obsolete_if=is_covered, key=key)


def _is_new(highs: EquityHighs, parameters: TrailingDrawdownParameters) -> bool:
    basis = parameters.basis
    gain = FIXED.subtract(highs.high(basis), highs.marked(basis))
    return gain > ZERO and gain >= parameters.step


def _is_day_best(book: Book, equity: Equity, day: date) -> bool:
    """Return whether the day's result is above its marked best, before fees or net of them."""
    if equity.unquoted:
        return False
    gross = FIXED.add(equity.realized, equity.unrealized)
    results = {False: gross, True: FIXED.subtract(gross, equity.fees)}
    return any(book.bests.marked(equity.account, day, equity.at, net=net) < result for net, result in results.items())


def _high_water(book: Book, highs: EquityHighs) -> Decimal:
    """Return the highest marked equity, at least the starting balance."""
    marked = book.equity.get(highs.equity.account)
    return highs.marked_equity if marked is None else max(highs.marked_equity, marked.high_water)


def _closing(book: Book, trigger: Trigger, event: SessionClosed) -> Decision | None:
    """Mark a trading day's close with the day's own figures, even if the next day has begun when it is recorded."""
    account, now = trigger.account, now_of(trigger)
    highs = equity_highs(book, account, now)
    if highs is None:
        return None
    equity = highs.equity
    session = _session_of(book, trigger, event)
    day = event.trading_day if session is None else session.trading_day
    ended_at = trigger.at if session is None or session.resets_at is None else session.resets_at
    later = book.bests.realized_since(account, ended_at)
    realized, fees = _realized_on(book, account, day, equity)
    with decimal.localcontext(FIXED):
        balance = equity.balance if later is None else equity.balance - later
        # Open positions are priced now: after trades of a later day that says nothing about the close.
        unrealized = ZERO if later is not None else equity.unrealized
        high_water, marked_equity = _high_water(book, highs), balance + unrealized
    # As in `_high`: a guess must not become a high.
    marked_equity = min(marked_equity, high_water) if equity.unquoted else marked_equity

    def high(basis: Basis) -> Decimal:
        return max(highs.marked_close, balance) if basis is Basis.END_OF_DAY else highs.high(basis)

    floors = [floor for floor in (equity.floor, *_followed(book, trigger).floors(high)) if floor is not None]
    mark = EquityMarked(
        balance=balance,
        equity=marked_equity,
        high_water=max(high_water, marked_equity),
        realized=realized,
        unrealized=unrealized,
        fees=fees,
        floor=max(floors, default=None),
        quotes={} if later is not None else equity.quotes,
        currency=equity.currency,
        trading_day=day,
    )
    return Decision(((f"equity/{account}/-", mark),))


def _session_of(book: Book, trigger: Trigger, event: SessionClosed) -> Session | None:
    """Return the trading day that a close belongs to: the one it names, or the one it was recorded in."""
    if event.trading_day is not None:
        return book.sessions.day(trigger.account, event.trading_day)
    # A close recorded exactly at the reset belongs to the day before, not to the next one.
    return book.sessions.current(trigger.account, trigger.at - 1)


def _realized_on(book: Book, account: str, day: date | None, equity: Equity) -> tuple[Decimal, Decimal]:
    totals = book.pnl.day(account, equity.at) if day is None else book.pnl.day(account, trading_day=day)
    found = next((each for each in totals if each.currency == equity.currency), None)
    return (ZERO, ZERO) if found is None else (found.realized, found.fees)


def _details(book: Book, parameters: TrailingDrawdownParameters, highs: EquityHighs) -> dict[str, Any]:
    equity = highs.equity
    details: dict[str, Any] = {
        "balance": str(equity.balance),
        "equity": str(equity.equity),
        "unrealized": str(equity.unrealized),
        "high": str(highs.high(parameters.basis)),
        "distance": str(parameters.distance),
        "locks_at": None if parameters.locks_at is None else str(parameters.locks_at),
        "quotes": {symbol: {"price": str(used.price), "at": used.at} for symbol, used in equity.quotes.items()},
        "stale": list(equity.stale),
        "unquoted": list(equity.unquoted),
        "other_currencies": {
            one.currency or "": str(one.folded)
            for one in book.accounts.balances(equity.account)
            if one.currency != equity.currency
        },
    }
    return {name: value for name, value in details.items() if value not in (None, [], {})}
