"""What happens while an open position has no usable price: quotes are asked for, and after a while exposure is cut."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore.clock import NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import (
    Allows,
    EnforcementAction,
    LockoutCleared,
    LockoutSet,
    Protection,
    QuotesWanted,
    Unpriced,
)
from eventstore.trading.lockouts import ACCOUNT
from projections.decimals import FIXED
from projections.risk.account_figures import figures_of
from projections.risk.days import calendar_day_if_missing, day_of
from projections.risk.enforcement.requests import requests_of
from projections.risk.limits.breaches import now_of
from projections.risk.limits.sentences import until
from projections.risk.policies import Decision, LeasedPolicy
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.valuation import Standing
    from projections.views.lockouts.lockout import Lockout
    from projections.views.lockouts.state import LockoutsState

RULE = "unpriced"
_NOT_KNOWN = (f"{Status.STALE}: ", f"{Status.UNKNOWN}: ")
"""One of these begins each detail of the policy's lockouts."""
WANTED_EVERY_NS = 60 * NANOSECONDS
"""How often quotes are asked for while a position stays without a usable price."""
_DAY_NS = 24 * 3_600 * NANOSECONDS


class UnpricedPositions(LeasedPolicy):
    """Asks for quotes of positions without a usable price, and cuts exposure if they stay without one.

    New exposure is rejected at once by the check before an order. After the account's `unpriced_after` in trading
    hours, the account is locked until the trading day's end, as its `unpriced` says: REDUCE_ONLY, NOTHING, or FLATTEN,
    which also asks to flatten it. The lockout is revocable, and ends as soon as all prices are KNOWN again.

    Since when a price is missing is each process's own: after a restart the count starts again.
    """

    name = RULE
    types: ClassVar[tuple[type[Event], ...]] = ()
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._asked: dict[str, int] = {}

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        account, now = trigger.account, now_of(trigger)
        with decimal.localcontext(FIXED):
            standings = figures_of(book, account, now).positions.standings
        if not standings:
            self._since.pop(account, None)
            yield from _cleared(book, account, now)
            return
        # A clock that was set back does not make it wait longer.
        since = min(self._since.get(account, now), now)
        asked = self._asked.get(account)
        if asked is None or not asked <= now < asked + WANTED_EVERY_NS:
            self._asked[account] = now
            yield _wanted(account, standings, now)
        began_at = trading_since(book, account, now)
        # Only trading hours count.
        since = self._since[account] = now if began_at is None else max(since, began_at)
        if began_at is not None and now - since >= book.accounts.configuration(account).unpriced_after:
            yield from _locked(book, account, standings, since, now)


def _cleared(book: Book, account: str, now: int) -> Iterator[Decision]:
    state: LockoutsState | None = book.state("lockouts", account)
    if (state is None or not state.active) and book.shadow.mode(account) is Protection.ARMED:
        return
    held = next((each for each in book.shadow.locks_in_force(account, now) if _is_own(each)), None)
    if held is not None:
        reason = "all prices are known again"
        cleared = LockoutCleared(by=f"policy:{RULE}", reason=reason, rule_id=RULE, scope=held.scope)

        def is_over(book: Book) -> bool:
            return not any(map(_is_own, book.shadow.locks_in_force(account, now)))

        key = f"{account}/priced/{held.cause.hex()}"
        yield Decision(((stream_of("lockout", account, RULE), cleared),), obsolete_if=is_over, key=key)


def _is_own(held: Lockout) -> bool:
    """Return whether this policy has set a lockout: its details say of each symbol why the price is not known.

    A lockout that somebody else set under its rule id is left alone.
    """
    reasons = list(held.details.values()) if isinstance(held.details, dict) else []
    is_of_prices = bool(reasons) and all(isinstance(each, str) and each.startswith(_NOT_KNOWN) for each in reasons)
    return is_of_prices and held.rule_id == RULE and held.scope == ACCOUNT and held.revocable


def _wanted(account: str, standings: Mapping[str, Standing], now: int) -> Decision:
    """Return the request for quotes: a second one in the same minute, by a restarted process, has its key."""
    name = f"quotes-{now // WANTED_EVERY_NS}"
    reason = "; ".join(dict.fromkeys(each.why for each in standings.values()))
    wanted = QuotesWanted(symbols=tuple(standings), reason=reason)
    return Decision(((stream_of("enforcement", account, name), wanted),), key=f"{account}/{name}")


def _locked(book: Book, account: str, standings: Mapping[str, Standing], since: int, now: int) -> Iterator[Decision]:
    def is_locked(book: Book) -> bool:
        active = book.shadow.locks_in_force(account, now)
        return any(each.rule_id == RULE and each.scope == ACCOUNT for each in active)

    if is_locked(book):
        return
    choice, period = book.accounts.configuration(account).unpriced, day_of(book, account, now, now)
    # What is not known locks nothing without end.
    day, ends_at = period.trading_day, now + _DAY_NS if period.ends_at is None else period.ends_at
    symbols = ", ".join(standings)
    reason = f"no usable price of {symbols} for {(now - since) / NANOSECONDS:,.0f} s"
    details = {symbol: f"{each.status}: {each.why}" for symbol, each in standings.items()}
    lockout = LockoutSet(
        rule_id=RULE,
        allows=Allows.NOTHING if choice is Unpriced.NOTHING else Allows.REDUCE_ONLY,
        reason=f"{reason}; {until(book, account, ends_at)}",
        until=ends_at,
        details=details,
    )
    events: list[tuple[str, Event]] = [(stream_of("lockout", account, RULE), lockout)]
    if choice is Unpriced.FLATTEN:
        name, flatten = f"{RULE}-{since}-{day}", EnforcementAction.FLATTEN
        events += requests_of(account, RULE, flatten, name=name, reason=reason, details=details)
    # A position may stay without a price for days, and each has a lockout of its own.
    yield Decision(tuple(events), obsolete_if=is_locked, key=f"{account}/{since}/{day}")


def trading_since(book: Book, account: str, now: int) -> int | None:
    """Return when the trading hours began that an instant lies in, None outside them; without any session long ago.

    They last from a session's open to its close.
    """
    session = book.sessions.current(account, now)
    if session is None:
        planned = calendar_day_if_missing(book, account, now)
        opens_at, is_closed = (0 if planned is None else planned.opens_at), False
    else:
        opens_at = session.opens_at or session.began_at or 0
        is_closed = session.closed_at is not None and session.closed_at <= now
    return None if is_closed or opens_at > now else opens_at
