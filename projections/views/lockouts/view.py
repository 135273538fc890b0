"""The lockouts view: what each account may not do, by which rule, in which scope and until when; and its queries."""

from typing import ClassVar

from typing_extensions import override

from eventstore import Event, Record
from eventstore.clock import Times, question_ns
from eventstore.trading import (
    AccountConfigured,
    AccountReopened,
    AccountUpdated,
    Approved,
    ClockJumped,
    EquityCorrected,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections.view import SHARED, BookReader, View, check_covered
from projections.views.approvals import APPROVAL_TYPES
from projections.views.contracts.names import InstrumentNames, instrument_names
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.in_use import in_use_at
from projections.views.lockouts.approving import apply_approval, forget_stale, hold, hold_report, waits
from projections.views.lockouts.bounds import keep_within_bounds
from projections.views.lockouts.jumps import apply_jump
from projections.views.lockouts.lockout import Lockout, LockoutAnomaly, LockoutAnomalyKind
from projections.views.lockouts.state import LockoutsState, expired_later
from projections.views.lockouts.transitions import BROKER, apply_own, apply_report, ended_by_reopening, is_news

__all__ = [
    "BROKER",
    "Lockout",
    "LockoutAnomaly",
    "LockoutAnomalyKind",
    "Lockouts",
    "LockoutsState",
    "LockoutsView",
]

ENDED_MAX = 100


class LockoutsView(View[LockoutsState]):
    """One lockout for each account, rule and scope.

    `until` has passed at an event only if both of the event's times have reached it, so that neither a clock that runs
    ahead nor a wrong `occurred_at` ends a lockout early. If the wall clock is set ahead, lockouts in force are extended
    by as much; once it is set back, those that ended later than it then shows are in force again. `ended_max` bounds
    how many ended lockouts stay in state.

    A broker's report that an account may not trade locks it, under the rule `broker`, until the broker reports that it
    may, or until somebody clears that lockout. It ends no other lockout, not even one of the same rule.

    An EquityCorrected ends the lockouts that the record it names as wrong led to, irrevocable ones too, but none that
    came of no price, mark or rate. An AccountReopened ends all. No other event ends an irrevocable one before its time.

    For an account with a second approver nothing that a person appends ends or weakens a lockout until another person
    has approved it; a policy still ends what it has set itself, and the broker what it reported.
    """

    name: ClassVar[str] = "lockouts"
    revision: ClassVar[int] = 8
    types: ClassVar[tuple[type[Event], ...] | None] = (
        LockoutSet,
        LockoutExtended,
        LockoutCleared,
        LockoutExpired,
        ClockJumped,
        AccountUpdated,
        AccountReopened,
        EquityCorrected,
        *APPROVAL_TYPES,
    )

    def __init__(self, ended_max: int = ENDED_MAX) -> None:
        self._ended_max = ended_max

    @override
    def initial(self) -> LockoutsState:
        return LockoutsState()

    @override
    def apply(self, state: LockoutsState, event: Event, record: Record) -> None:
        if isinstance(event, AccountUpdated) and not is_news(state, event, record):
            return
        # One event may end every scope of a rule: readers see all of the change or none of it.
        after = state.copy()
        _change(after, event, record)
        keep_within_bounds(after, self._ended_max, record)
        state.take(after)


def _change(state: LockoutsState, event: Event, record: Record) -> None:
    match event:
        case LockoutSet() | LockoutExtended() | LockoutCleared() | LockoutExpired():
            if apply_own(state, event, record):
                hold(state, record)
        case AccountUpdated() if not is_news(state, event, record):
            return
        case AccountReopened() | EquityCorrected() if waits(state, event):
            hold_report(state, event, record)
        case AccountUpdated() | AccountReopened() | EquityCorrected():
            apply_report(state, event, record)
        case ClockJumped():
            apply_jump(state, event, record)
        case AccountConfigured() | Approved():
            apply_approval(state, event, record)
        case _:
            return
    forget_stale(state)


class Lockouts:
    """Queries about lockouts."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self._whole: dict[str, tuple[object, LockoutsState]] = {}
        """By account that the log is asked about: what of its bounded state changes with it, and the unbounded one."""

    def active(self, account: str, at: Times, symbol: str | None = None) -> tuple[Lockout, ...]:
        """Return the lockouts that hold at an instant (an aware datetime or UNIX ns), longest set first.

        What other processes have committed is folded first. With a symbol, or a broker's name for one: those that
        apply to it, by account, symbol or root. Raises InvalidEvent for an account that the book was not opened for,
        which would look unlocked, and what keeps the log from being read.
        """
        at_ns = question_ns(at, self._book.now_ns)
        self._book.keep_up()
        return self.active_as_folded(account, at_ns, symbol)

    def active_as_folded(self, account: str, at_ns: int, symbol: str | None = None) -> tuple[Lockout, ...]:
        """Return the same of what the book has folded, at an instant in UNIX ns: for a caller that has kept it up."""
        state: LockoutsState | None = self._book.state(LockoutsView.name, account)
        if state is None:
            check_covered(self._book, account)
        # The usual answer, before every order: no lockout is in force, and none that ended could hold again.
        if state is None or not (
            state.active or state.before_reopening or at_ns < state.expired_to or at_ns < state.forgotten_to
        ):
            return ()
        if at_ns < state.forgotten_to:
            state = self._unbounded(account, state)
        found = [lockout for lockout in state.active.values() if lockout.is_active(at_ns)]
        if at_ns < state.expired_to:
            found += expired_later(state, at_ns)
        if state.before_reopening:
            found += [
                each
                for each in self._not_ended(account, state)
                if (each.is_active(at_ns) if each.ended_at is None else at_ns < each.ended_at)
            ]
        return tuple(sorted(applying_to(self._book, found, symbol), key=_set_order))

    def _not_ended(self, account: str, state: LockoutsState) -> list[Lockout]:
        """Return the lockouts that hold because the account was in use each time that it was reopened since."""
        in_use = in_use_at(self._book, account, state.reopened_records)
        if not in_use:
            return []
        since = max((each for each in state.reopened_records if each not in in_use), default=0)
        return [each for reopened, each in state.before_reopening if reopened > since]

    def history(self, account: str) -> tuple[Lockout, ...]:
        """Return every lockout the account ever had, folded from the log, in the order they were set.

        One that a reopening did not end, because the account was in use then, ends with the first one that does.
        """
        state = self._folded(account)
        found = [*state.ended, *state.expired, *state.active.values()]
        if state.before_reopening:
            longer = self._held_longer(account, state)
            found = [longer.get(_place(each), each) for each in found]
        return tuple(sorted(found, key=_set_order))

    def _held_longer(self, account: str, state: LockoutsState) -> dict[tuple[str, str, int], Lockout]:
        """Return the lockouts that a reopening has not ended, as they are now."""
        in_use = in_use_at(self._book, account, state.reopened_records)
        if not in_use:
            return {}
        effective = [
            record
            for record in self._book.read(account=account, types=(AccountReopened,))
            if record.position in state.reopened_records and record.position not in in_use
        ]
        found = {}
        for reopened, each in state.before_reopening:
            if reopened in in_use:
                ending = next((record for record in effective if record.position > reopened), None)
                found[_place(each)] = each if ending is None else ended_by_reopening(each, ending)
        return found

    def _unbounded(self, account: str, bounded: LockoutsState) -> LockoutsState:
        """Return an account's lockouts without the limits of what the state keeps, folded once for each change."""
        # Whatever changes a lockout publishes a new dict of those in force.
        version = bounded.active
        known = self._whole.get(account)
        if known is None or known[0] is not version:
            known = self._whole[account] = (version, self._folded(account))
        return known[1]

    def _folded(self, account: str) -> LockoutsState:
        state = LockoutsState()
        for record in self._book.read(account=account, types=LockoutsView.types):
            _change(state, record.event, record)
        return state

    def anomalies(self, account: str) -> tuple[LockoutAnomaly, ...]:
        """Return the last 1,000 events that had no effect, or only a part of the one they asked for, oldest first."""
        state: LockoutsState | None = self._book.state(LockoutsView.name, account)
        if state is None:
            check_covered(self._book, account)
        return () if state is None else state.anomalies


def applying_to(book: BookReader, lockouts: list[Lockout], symbol: str | None) -> list[Lockout]:
    """Return those of some lockouts that apply to a symbol, or a broker's name for one; all of them without one."""
    if symbol is None or not lockouts:
        return lockouts
    contracts: ContractsState | None = book.state(ContractsView.name, SHARED)
    instrument = instrument_names(contracts, symbol)
    return [lockout for lockout in lockouts if _applies(lockout.scope, instrument)]


def _applies(scope: str, instrument: InstrumentNames) -> bool:
    """Return whether a lockout's scope includes an instrument; one that is not known for sure is in every scope."""
    kind, _, name = scope.partition(":")
    if kind == "symbol":
        return not instrument.known or name in instrument.names
    return kind != "root" or instrument.may_be_of(name)


def _place(lockout: Lockout) -> tuple[str, str, int]:
    return lockout.rule_id, lockout.scope, lockout.positions[0]


def _set_order(lockout: Lockout) -> tuple[int, int]:
    return lockout.set_at, lockout.positions[0]
