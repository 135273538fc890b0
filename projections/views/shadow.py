"""The shadow view: what policies would have locked and asked for, and the firm's own figures; queries, and the mode."""

import itertools
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from msgspec.structs import asdict, replace
from typing_extensions import override

from eventstore import Event, Instant, Record
from eventstore.clock import Times, asked_ns, question_ns
from eventstore.readable import Readable
from eventstore.trading import (
    AccountReopened,
    CashMoved,
    EnforcementAction,
    EquityCorrected,
    LimitReported,
    LockoutCleared,
    LockoutSet,
    OrderFilled,
    OrderReported,
    OrderSubmitted,
    PnlReported,
    PositionAdjusted,
    PositionReported,
    Protection,
    ProtectionMode,
    TradeExecuted,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from projections.view import GROUP, BookReader, View, check_covered
from projections.views.cash import is_result
from projections.views.groups import Groups
from projections.views.limits.limit import Limit
from projections.views.limits.protection import Mode, as_loosening, held_mode, is_shadow, mode_of
from projections.views.limits.view import LimitsState, LimitsView
from projections.views.lockouts.bounds import keep_within_bounds
from projections.views.lockouts.lockout import Lockout
from projections.views.lockouts.state import LockoutsState
from projections.views.lockouts.transitions import apply_report, clear, end, key_of, scope_read, set_lockout
from projections.views.lockouts.view import Lockouts, LockoutsView, applying_to

ENDED_MAX = 1_000
ASKS_MAX = 1_000
REPORTS_MAX = 1_000
TRADING = (
    OrderSubmitted,
    OrderReported,
    OrderFilled,
    TradeExecuted,
    PositionReported,
    PositionAdjusted,
    PnlReported,
    LockoutSet,
)
"""Records that show an account in use: putting it in shadow mode then waits for its next session."""


class WouldBeAsked(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A request that would have been made, as `WouldAsk` states it; `id` and `position` are its record's."""

    account: str
    rule_id: str
    action: EnforcementAction
    reason: str
    details: dict[str, Any] | str
    request_id: str | None
    symbol: str | None
    quantity: Decimal | None
    trading_day: date | None
    attempt: int
    asked_at: Instant
    position: int
    id: bytes


class ReportedLimit(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """What the firm says of a limit, as `LimitReported` states it; a figure that it left out is None, and unknown."""

    account: str
    kind: str
    figure: Decimal | None
    limit: Decimal | None
    currency: str | None
    trading_day: date | None
    reported_at: Instant
    position: int


class ShadowState(LockoutsState):
    """One account: the lockouts that would be in force and the last 1,000 that have ended, as those of lockouts are.

    `asks` are the last 1,000 requests that would have been made. `reported` is the newest that the firm said of each
    kind, trading day and currency, by its own time; of 1,000 of these.
    """

    asks: tuple[WouldBeAsked, ...] = ()
    reported: tuple[ReportedLimit, ...] = ()


class ShadowView(View[ShadowState]):
    """What would have been done to accounts in shadow mode, and what the firm reports of their limits.

    A lockout that would be in force ends as a real one does, and once the account is armed. One of an earlier instant
    than another of its rule and scope, recorded late, leaves that one as it is. Changes of the wall clock move none.
    """

    name: ClassVar[str] = "shadow"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (
        WouldLock,
        WouldClear,
        WouldAsk,
        LimitReported,
        ProtectionMode,
        AccountReopened,
        EquityCorrected,
    )

    def __init__(self, ended_max: int = ENDED_MAX) -> None:
        self._ended_max = ended_max

    @override
    def initial(self) -> ShadowState:
        return ShadowState()

    @override
    def apply(self, state: ShadowState, event: Event, record: Record) -> None:
        match event:
            case LimitReported():
                state.reported = _with_report(state.reported, event, record)
            case WouldAsk():
                state.asks = (*state.asks[1 - ASKS_MAX :], _asked(event, record))
            case _:
                # One event may end several: readers see all of the change or none of it.
                after = state.copy()
                _change(after, event, record)
                keep_within_bounds(after, self._ended_max, record)
                state.take(after)


def _change(state: ShadowState, event: Event, record: Record) -> None:
    match event:
        case WouldLock():
            _lock(state, LockoutSet(**asdict(event)), record)
        case WouldClear():
            clear(state, LockoutCleared(**asdict(event)), record)
        case ProtectionMode() if event.mode is Protection.ARMED:
            for key, held in list(state.active.items()):
                at = min(record.occurred_at, record.recorded_at)
                end(state, key, max(at, held.set_at), f"the account was armed by {record.actor}", record)
        case AccountReopened() | EquityCorrected():
            apply_report(state, event, record)
            # Nothing here protects the account: what a reopening has ended stays ended.
            state.before_reopening = ()
        case _:
            return


def _lock(state: ShadowState, event: LockoutSet, record: Record) -> None:
    key = key_of(event.rule_id, scope_read(event.scope))
    held = state.active.get(key)
    if held is None or min(record.occurred_at, record.recorded_at) >= held.set_at:
        set_lockout(state, key, event, record)
        return
    del state.active[key]
    set_lockout(state, key, event, record)
    earlier = state.active[key]
    is_over = earlier.until is not None and earlier.until <= held.set_at
    end(state, key, earlier.until if is_over else held.set_at, "expired" if is_over else "replaced")
    state.active[key] = held


def _asked(event: WouldAsk, record: Record) -> WouldBeAsked:
    return WouldBeAsked(
        account=record.account, asked_at=record.occurred_at, position=record.position, id=record.id, **asdict(event)
    )


def _with_report(known: tuple[ReportedLimit, ...], event: LimitReported, record: Record) -> tuple[ReportedLimit, ...]:
    fresh = report_of(event, record)
    if any(_subject(each) == _subject(fresh) and each.reported_at > fresh.reported_at for each in known):
        # It was recorded late: what the firm said after it counts.
        return known
    others = [each for each in known if _subject(each) != _subject(fresh)]
    return tuple(sorted([*others, fresh], key=_reported_order)[-REPORTS_MAX:])


def report_of(event: LimitReported, record: Record) -> ReportedLimit:
    """Return what the firm says, as of its own time."""
    return ReportedLimit(
        account=record.account,
        kind=event.kind,
        figure=event.figure,
        limit=event.limit,
        currency=event.currency,
        trading_day=event.trading_day,
        reported_at=record.occurred_at if event.reported_at is None else event.reported_at,
        position=record.position,
    )


def _subject(report: ReportedLimit) -> tuple[str, date | None, str | None]:
    return report.kind, report.trading_day, report.currency


def _reported_order(report: ReportedLimit) -> tuple[int, int]:
    return report.reported_at, report.position


class Shadow:
    """Queries about the protection mode, and about what would have been done in shadow mode."""

    def __init__(self, book: BookReader, lockouts: Lockouts, groups: Groups) -> None:
        self._book, self._lockouts, self._groups = book, lockouts, groups
        self._traded: dict[str, int] = {}
        """By account, the log position of its first record of trading: it never changes."""

    def mode(self, account: str, at: Times | None = None) -> Protection:
        """Return whether an account's limits act, or only record what they would do. Without a mode it is armed."""
        held = self.setting(account, at)
        return Protection.ARMED if held is None else held.mode

    def setting(self, account: str, at: Times | None = None) -> Mode | None:
        """Return the mode in force as it was set, None for an account that is armed because nobody set one.

        Without an instant: now, or the newest record's time if the clock was set back behind it.
        """
        state = self._modes(account)
        if state is None:
            return None
        at_ns, newest = self._at(state, at), state.protection.settings[-1]
        if self._is_of_unused(state, newest, at_ns):
            return replace(mode_of(newest), in_force_at=newest.set_at)
        held = held_mode(state.protection, at_ns)
        return None if held is None or self._waits_for_group(state, held, at_ns) else mode_of(held)

    def pending(self, account: str, at: Times | None = None) -> Mode | None:
        """Return the mode that has been set and waits for the account's next trading day, None without one."""
        state = self._modes(account)
        if state is None:
            return None
        at_ns, newest = self._at(state, at), state.protection.settings[-1]
        if self._is_of_unused(state, newest, at_ns):
            return None
        waits = newest.is_pending(at_ns) or self._waits_for_group(state, newest, at_ns)
        return mode_of(newest) if waits else None

    def locks(self, account: str, at: Times | None = None, symbol: str | None = None) -> tuple[Lockout, ...]:
        """Return the lockouts that would be in force at an instant, in the order in which they would have been set.

        With a symbol: those that would apply to it. None of them locks: `book.lockouts` knows the real ones.
        """
        at_ns = self._book.now_ns() if at is None else question_ns(at, self._book.now_ns)
        found = [each for each in self.ended_and_held(account) if _holds(each, at_ns)]
        return tuple(applying_to(self._book, found, symbol))

    def ended_and_held(self, account: str) -> tuple[Lockout, ...]:
        """Return the lockouts that would be in force, and the last 1,000 that would have ended, as `locks` does."""
        state = self._state(account)
        found = [] if state is None else [*state.active.values(), *state.ended, *state.expired]
        return tuple(sorted(found, key=_set_order))

    def history(self, account: str) -> tuple[Lockout, ...]:
        """Return every lockout that would ever have been in force, folded from the log, as `locks` does."""
        state = ShadowState()
        for record in self._book.read(account=account, types=ShadowView.types):
            _change(state, record.event, record)
        return tuple(sorted([*state.active.values(), *state.ended, *state.expired], key=_set_order))

    def asks(self, account: str) -> tuple[WouldBeAsked, ...]:
        """Return the last 1,000 requests that would have been made, oldest first."""
        state = self._state(account)
        return () if state is None else state.asks

    def reported(self, account: str, kind: str | None = None) -> tuple[ReportedLimit, ...]:
        """Return the newest that the firm said, of each kind, trading day and currency, in the order of its times."""
        state = self._state(account)
        return () if state is None else tuple(each for each in state.reported if kind in {None, each.kind})

    # What policies take as locked

    def locks_in_force(self, account: str, at: int, day: date | None = None) -> tuple[Lockout, ...]:
        """Return what policies take as in force at an instant: in shadow mode also the lockouts that would be.

        With a trading day: those of it too, if they were set for something that happened later in it.
        """
        real = self._lockouts.active(account, at)
        if self.mode(account) is Protection.ARMED:
            return real
        kept = self.ended_and_held(account)
        return (*real, *(each for each in kept if _holds(each, at) or (at < each.set_at and _is_of_day(each, day))))

    def lock_history(self, account: str) -> tuple[Lockout, ...]:
        """Return what policies take as the lockouts so far: in shadow mode also those that would have been."""
        if self.mode(account) is Protection.ARMED:
            return self._lockouts.history(account)
        # To fold the log for each record of an import would take long, and most such accounts never had a lockout.
        state: LockoutsState | None = self._book.state(LockoutsView.name, account)
        real = () if state is None or state.is_unused else self._lockouts.history(account)
        return (*real, *self.ended_and_held(account))

    def would_hold(self, lockout: Lockout) -> bool:
        """Return whether a lockout is one that would be in force, and has not ended."""
        state = self._state(lockout.account)
        return state is not None and any(each.cause == lockout.cause for each in state.active.values())

    def _state(self, account: str) -> ShadowState | None:
        state: ShadowState | None = self._book.state(ShadowView.name, account)
        if state is None:
            check_covered(self._book, account)
        return state

    def _modes(self, account: str) -> LimitsState | None:
        """Return the state of an account that was ever given a mode."""
        state: LimitsState | None = self._book.state(LimitsView.name, account)
        if state is None:
            check_covered(self._book, account)
        return None if state is None or not state.protection.settings else state

    def _at(self, state: LimitsState, at: Times | None) -> int:
        return max(self._book.now_ns(), state.clock.reached) if at is None else asked_ns(at, self._book.now_ns)

    def _is_of_unused(self, state: LimitsState, setting: Limit, at_ns: int) -> bool:
        """Return whether a setting is of the shadow mode, for an account that had not traded when it was first set.

        Such a mode waits for no session: there is no loss or lockout that it could keep from counting.
        """
        if not is_shadow(setting) or at_ns < setting.set_at:
            return False
        traded = self._first_trading(setting.account)
        return traded is None or traded > _first_of(state, setting).position

    def _first_trading(self, account: str) -> int | None:
        """Return the log position of an account's first record of an order, a trade or a position; None without one."""
        known = self._traded.get(account)
        if known is None:
            records = self._book.read(account=account, types=(*TRADING, CashMoved))
            found = next(filter(_shows_use, records), None)
            if found is None:
                return None
            known = self._traded[account] = found.position
        return known

    def _waits_for_group(self, state: LimitsState, setting: Limit, at_ns: int) -> bool:
        """Return whether a shadow mode waits for a session because a group's limit was in force before it.

        The account's own records do not say so: without limits of its own the mode came into force at once.
        """
        if not is_shadow(setting):
            return False
        first = _first_of(state, setting)
        if first.loosens:
            return False
        is_limited = any(
            limit.position < first.position
            for name in self._groups.of(setting.account)
            for rule in self._group_rules(name)
            for limit in rule[:1]
        )
        return is_limited and not as_loosening(first, state.sessions, state.clock).is_in_force(at_ns)

    def _group_rules(self, name: str) -> list[tuple[Limit, ...]]:
        settings = self._groups.settings(GROUP + name)
        return [] if settings is None else [rule.settings for rule in settings.rules.values()]


def _shows_use(record: Record) -> bool:
    """Return whether a record shows that an account is in use: a deposit or a withdrawal does not."""
    if record.type != CashMoved.__name__:
        return True
    event = record.event
    return not isinstance(event, CashMoved) or is_result(event)


def _first_of(state: LimitsState, setting: Limit) -> Limit:
    """Return the first of the settings of the shadow mode up to one: set again, it waits no longer and no less."""
    until_now = [each for each in state.protection.settings if each.position <= setting.position]
    return list(itertools.takewhile(is_shadow, reversed(until_now)))[-1]


def _holds(lockout: Lockout, at_ns: int) -> bool:
    """Return whether a lockout would hold at an instant: unlike a real one, never before it is set."""
    return lockout.set_at <= at_ns and lockout.is_active(at_ns)


def _is_of_day(lockout: Lockout, day: date | None) -> bool:
    details = lockout.details if isinstance(lockout.details, dict) else {}
    return day is not None and details.get("trading_day") == day.isoformat()


def _set_order(lockout: Lockout) -> tuple[int, int]:
    return lockout.set_at, lockout.positions[0]
