"""The trailing drawdown: a floor that follows the highs and never falls, and the marks by which it outlives a crash."""

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
from projections.risk.limits.base import Breach, Rule, in_force, now_of
from projections.risk.limits.figures import RESULT_EVENTS, concerned, day_of, is_idle, sentence
from projections.risk.limits.parameters import BadLimit, Basis, DailyLoss, kind_of, read
from projections.risk.limits.parameters import TrailingDrawdown as Parameters
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


class TrailingDrawdown(Rule[Parameters]):
    """Locks without end once the account has come down to the floor.

    The floor lies `distance` below the highest balance or equity so far, the starting balance among them, and not
    above `locks_at`; where it was marked once it stays, whatever is set later. On the basis of realized figures the
    balance is held against it, on the others the equity: a floor of end of day moves only at the session's close, and
    is reached at any time. The highest floor of an account's limits that lock holds for all of these.

    It is judged in the account's own currency: a limit in another one is passed over. While nobody has told what a
    contract that the account traded is worth, its equity is not known; it is judged when the contract is told.
    """

    name = "trailing-drawdown"
    parameters: ClassVar[type[Parameters]] = Parameters
    types: ClassVar[tuple[type[Event], ...]] = (*EVENTS, EquityMarked)
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in concerned(book, trigger):
            yield from super().decide(book, each)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: Parameters) -> Iterable[Breach]:
        basis = parameters.basis
        if is_idle(trigger, limit, Basis.REALIZED if basis is Basis.REALIZED else Basis.EQUITY):
            return
        account, now = trigger.account, now_of(trigger)
        standing = standing_of(book, account, now)
        if standing is None or parameters.currency not in {None, standing.equity.currency}:
            return
        floor = standing.floor(parameters)
        if parameters.severity is not Severity.WARNING and standing.equity.floor is not None:
            floor = max(floor, standing.equity.floor)
        equity = standing.equity
        what, figure = ("balance", standing.balance) if basis is Basis.REALIZED else ("equity", equity.equity)
        if figure > floor:
            return
        said = f"{what} {money(figure)} {equity.currency or ''}".rstrip() + f" at the drawdown floor {money(floor)}"
        yield Breach(
            figure=figure,
            limit=floor,
            reason=sentence(book, trigger, parameters, said, None),
            currency=equity.currency,
            basis=str(basis),
            trading_day=day_of(book, account, trigger.at, now).trading_day,
            details=_details(book, parameters, standing),
        )


class Standing(msgspec.Struct, frozen=True):
    """How an account stands: its equity now, and the highest of its starting balance and of what was marked."""

    equity: Equity
    marked_balance: Decimal
    marked_equity: Decimal
    marked_close: Decimal

    @property
    def balance(self) -> Decimal:
        return self.equity.balance

    def marked(self, basis: Basis) -> Decimal:
        """Return the highest figure of a basis that was marked."""
        if basis is Basis.END_OF_DAY:
            return self.marked_close
        return self.marked_balance if basis is Basis.REALIZED else self.marked_equity

    def high(self, basis: Basis) -> Decimal:
        """Return the highest figure of a basis so far, the one of now among them where it counts."""
        marked = self.marked(basis)
        if basis is Basis.REALIZED:
            return max(marked, self.balance)
        # With a position that has no price the equity is no more than a guess, and a floor never falls again.
        return max(marked, self.equity.equity) if basis is Basis.EQUITY and not self.equity.unquoted else marked

    def floor(self, parameters: Parameters) -> Decimal:
        """Return where the floor of a limit stands by the highs alone."""
        return floor_at(self.high(parameters.basis), parameters)


def standing_of(book: Book, account: str, at: int) -> Standing | None:
    """Return how an account stands; None where it was not opened, or a contract's worth is not known."""
    known = book.accounts.get(account)
    if known is None or known.starting_balance is None:
        return None
    try:
        equity = book.equity.now(account, at)
    except UnknownContract:
        return None
    highs, starting = book.bests.highs(account), known.starting_balance
    marked = (starting if high is None else max(starting, high) for high in (highs.balance, highs.equity, highs.close))
    return Standing(equity, *marked)


def floor_at(high: Decimal, parameters: Parameters) -> Decimal:
    """Return the floor that belongs to a high."""
    floor = FIXED.subtract(high, parameters.distance)
    return floor if parameters.locks_at is None else min(floor, parameters.locks_at)


class EquityMarks(Policy):
    """Appends EquityMarked: at each session's close of an account that was opened, and at each new high that counts.

    A high counts where a trailing drawdown follows it, by at least its `step`, or a trailing daily loss the day's
    equity; and so does a floor that moves up because its limit was set or tightened. It is appended in the call that
    brought the quote or the fill, so that it outlives the process. No equity is marked as a high while a position
    has no price.
    """

    name = "equity-marks"
    types: ClassVar[tuple[type[Event], ...]] = EVENTS
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in concerned(book, trigger):
            event = each.event
            decision = _closing(book, each, event) if isinstance(event, SessionClosed) else _high(book, each)
            if decision is not None:
                yield decision


class _Followed(msgspec.Struct, frozen=True):
    """What an account's limits follow: the drawdowns in its own currency, and whether a day's best equity counts."""

    drawdowns: tuple[Parameters, ...]
    by_day: bool
    is_idle: bool

    def floors(self, highs: Callable[[Basis], Decimal]) -> list[Decimal]:
        """Return the floors of the limits that lock; a mere warning may stand anywhere."""
        locking = (each for each in self.drawdowns if each.severity is not Severity.WARNING)
        return [floor_at(highs(each.basis), each) for each in locking]


def _followed(book: Book, trigger: Trigger) -> _Followed:
    """Return what the limits in force follow, and whether the trigger can change nothing about any of them."""
    drawdowns, by_day, idle = [], False, True
    own = book.accounts.get(trigger.account)
    for limit in in_force(book, trigger):
        kind = kind_of(limit.rule_id)
        try:
            if kind == TrailingDrawdown.name:
                drawdown = read(limit, Parameters)
                if drawdown.enabled and (own is None or drawdown.currency in {None, own.currency}):
                    drawdowns.append(drawdown)
                    idle = idle and is_idle(trigger, limit, drawdown.basis)
            elif kind == "daily-loss":
                loss = read(limit, DailyLoss)
                if loss.enabled and loss.trailing and loss.basis is Basis.EQUITY:
                    by_day = True
                    idle = idle and is_idle(trigger, limit, loss.basis)
        except BadLimit:
            continue
    return _Followed(tuple(drawdowns), by_day, idle)


def _high(book: Book, trigger: Trigger) -> Decision | None:
    """Mark what is a new high, or a floor that a limit has moved up."""
    followed = _followed(book, trigger)
    standing = None if followed.is_idle else standing_of(book, trigger.account, now_of(trigger))
    if standing is None:
        return None
    equity = standing.equity
    now = now_of(trigger)
    day = day_of(book, trigger.account, now, now).trading_day
    raised = max(followed.floors(standing.marked), default=None)
    is_raised = raised is not None and (equity.floor is None or raised > equity.floor)
    is_high = any(_is_new(standing, each) for each in followed.drawdowns)
    if not (is_raised or is_high or (followed.by_day and _is_day_best(book, equity, day))):
        return None
    floors = [floor for floor in (equity.floor, *followed.floors(standing.high)) if floor is not None]
    told = EquityMarked(
        balance=equity.balance,
        # A guess, where a position has no price, is no high.
        equity=min(equity.equity, standing.marked_equity) if equity.unquoted else equity.equity,
        high_water=_high_water(book, standing) if equity.unquoted else equity.high_water,
        realized=equity.realized,
        unrealized=equity.unrealized,
        fees=equity.fees,
        floor=max(floors, default=None),
        quotes=equity.quotes,
        currency=equity.currency,
        trading_day=day,
    )

    def is_covered(book: Book) -> bool:
        head = standing_of(book, trigger.account, now)
        if head is None or head.marked_balance < told.balance or head.marked_equity < told.equity:
            return False
        floor = head.equity.floor
        is_low = told.floor is not None and (floor is None or floor < told.floor)
        return not is_low and not (followed.by_day and _is_day_best(book, equity, day))

    key = f"{trigger.account}/high/{day}/{told.balance}/{told.equity}/{told.floor}"
    return Decision(((f"equity/{trigger.account}/-", told),), obsolete_if=is_covered, key=key)


def _is_new(standing: Standing, parameters: Parameters) -> bool:
    basis = parameters.basis
    gain = FIXED.subtract(standing.high(basis), standing.marked(basis))
    return gain > ZERO and gain >= parameters.step


def _is_day_best(book: Book, equity: Equity, day: date) -> bool:
    """Tell whether the day's result was never marked as high, before fees or net of them."""
    if equity.unquoted:
        return False
    gross = FIXED.add(equity.realized, equity.unrealized)
    results = {False: gross, True: FIXED.subtract(gross, equity.fees)}
    return any(book.bests.marked(equity.account, day, equity.at, net=net) < made for net, made in results.items())


def _high_water(book: Book, standing: Standing) -> Decimal:
    """Return the highest equity that was marked, or the starting balance."""
    marked = book.equity.get(standing.equity.account)
    return standing.marked_equity if marked is None else max(standing.marked_equity, marked.high_water)


def _closing(book: Book, trigger: Trigger, event: SessionClosed) -> Decision | None:
    """Mark a trading day's close with its own figures, also where it is told when the next day has begun."""
    account, now = trigger.account, now_of(trigger)
    standing = standing_of(book, account, now)
    if standing is None:
        return None
    equity = standing.equity
    session = _session_of(book, trigger, event)
    day = event.trading_day if session is None else session.trading_day
    ended_at = trigger.at if session is None or session.resets_at is None else session.resets_at
    later = book.bests.realized_since(account, ended_at)
    realized, fees = _made_on(book, account, day, equity)
    with decimal.localcontext(FIXED):
        balance = equity.balance if later is None else equity.balance - later
        # What is open is priced as of now: after trades of a later day it says nothing of the close.
        unrealized = ZERO if later is not None else equity.unrealized
        high_water, worth = _high_water(book, standing), balance + unrealized
    # A guess, where a position has no price, is no high.
    worth = min(worth, high_water) if equity.unquoted else worth

    def high(basis: Basis) -> Decimal:
        return max(standing.marked_close, balance) if basis is Basis.END_OF_DAY else standing.high(basis)

    floors = [floor for floor in (equity.floor, *_followed(book, trigger).floors(high)) if floor is not None]
    told = EquityMarked(
        balance=balance,
        equity=worth,
        high_water=max(high_water, worth),
        realized=realized,
        unrealized=unrealized,
        fees=fees,
        floor=max(floors, default=None),
        quotes={} if later is not None else equity.quotes,
        currency=equity.currency,
        trading_day=day,
    )
    return Decision(((f"equity/{account}/-", told),))


def _session_of(book: Book, trigger: Trigger, event: SessionClosed) -> Session | None:
    """Return the trading day that a closing is about: the one it names, or the one it was told in."""
    if event.trading_day is not None:
        return book.sessions.day(trigger.account, event.trading_day)
    # At its very end the next day has begun already.
    return book.sessions.current(trigger.account, trigger.at - 1)


def _made_on(book: Book, account: str, day: date | None, equity: Equity) -> tuple[Decimal, Decimal]:
    made = book.pnl.day(account, equity.at) if day is None else book.pnl.day(account, trading_day=day)
    found = next((each for each in made if each.currency == equity.currency), None)
    return (ZERO, ZERO) if found is None else (found.realized, found.fees)


def _details(book: Book, parameters: Parameters, standing: Standing) -> dict[str, Any]:
    equity = standing.equity
    told: dict[str, Any] = {
        "balance": str(equity.balance),
        "equity": str(equity.equity),
        "unrealized": str(equity.unrealized),
        "high": str(standing.high(parameters.basis)),
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
    return {name: value for name, value in told.items() if value not in (None, [], {})}
