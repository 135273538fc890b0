"""The lockouts view: what each account may not do, by which rule, in which scope and until when; and its queries."""

import heapq
from typing import ClassVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, InvalidEvent, Record
from eventstore.clock import Times, question_ns
from eventstore.errors import shown
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AccountUpdated,
    ClockJumped,
    EquityCorrected,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections.view import SHARED, BookReader, View
from projections.views.contracts.names import names_and_root
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.lockouts.lockout import Lockout, LockoutAnomaly, LockoutAnomalyKind
from projections.views.lockouts.transitions import (
    BROKER,
    LockoutsState,
    TooManyLockouts,
    apply_report,
    clear,
    expire,
    expired_later,
    extend,
    is_news,
    set_lockout,
)

__all__ = [
    "BROKER",
    "Lockout",
    "LockoutAnomaly",
    "LockoutAnomalyKind",
    "Lockouts",
    "LockoutsState",
    "LockoutsView",
    "TooManyLockouts",
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

    An EquityCorrected ends the lockouts that the record it names as wrong led to, irrevocable ones too: no other event
    ends one of those before its time. It ends none that came of no price, mark or rate.
    """

    name: ClassVar[str] = "lockouts"
    revision: ClassVar[int] = 6
    types: ClassVar[tuple[type[Event], ...] | None] = (
        LockoutSet,
        LockoutExtended,
        LockoutCleared,
        LockoutExpired,
        ClockJumped,
        AccountUpdated,
        EquityCorrected,
    )

    def __init__(self, ended_max: int | None = ENDED_MAX) -> None:
        self._ended_max = ended_max

    @override
    def initial(self) -> LockoutsState:
        return LockoutsState()

    @override
    def apply(self, state: LockoutsState, event: Event, record: Record) -> None:
        if isinstance(event, AccountUpdated) and not is_news(state, event, record):
            return
        # One event may end every scope of a rule: readers see all of the change or none of it.
        after = replace(state, active=dict(state.active), ended=list(state.ended), returned=dict(state.returned))
        match event:
            case LockoutSet():
                set_lockout(after, event.rule_id + SEPARATOR + event.scope, event, record)
            case LockoutExtended():
                extend(after, event, record)
            case LockoutCleared():
                clear(after, event, record)
            case LockoutExpired():
                expire(after, event, record)
            case AccountUpdated() | ClockJumped() | EquityCorrected():
                apply_report(after, event, record)
            case _:
                return
        if self._ended_max is not None:
            del after.ended[: -self._ended_max]
        state.active, state.ended = after.active, after.ended
        state.anomalies, state.anomaly_count = after.anomalies, after.anomaly_count
        state.jumped, state.expired_to, state.returned = after.jumped, after.expired_to, after.returned


class Lockouts:
    """Queries about lockouts."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def active(self, account: str, at: Times, symbol: str | None = None) -> tuple[Lockout, ...]:
        """Return the lockouts that hold at an instant (an aware datetime or UNIX ns), longest set first.

        With a symbol, or a broker's name for one: those that apply to it, by account, symbol or root. Raises
        InvalidEvent for an account that the book was not opened for, which would look unlocked.
        """
        at_ns = question_ns(at, self._book.now_ns)
        state: LockoutsState | None = self._book.state(LockoutsView.name, account)
        if state is None and account != SHARED and not self._book.covers(account):
            msg = f"this book knows nothing of account {shown(account)}: open one with accounts= that include it"
            raise InvalidEvent(msg)
        # The usual answer, before every order: no lockout is in force, and none that expired could hold again.
        if state is None or not (state.active or at_ns < state.expired_to):
            return ()
        found = [lockout for lockout in state.active.values() if lockout.is_active(at_ns)]
        if at_ns < state.expired_to:
            found += expired_later(state, at_ns)
        if symbol is not None and found:
            scopes = self._scopes(symbol)
            found = [lockout for lockout in found if lockout.scope in scopes]
        return tuple(sorted(found, key=_set_order))

    def history(self, account: str) -> tuple[Lockout, ...]:
        """Return every lockout the account ever had, folded from the log, in the order they were set."""
        view = LockoutsView(ended_max=None)
        state = view.initial()
        streams = (f"lockout/{account}/", f"account/{account}/")
        records = (self._book.read(stream=stream, types=view.types) for stream in streams)
        for record in heapq.merge(*records, key=_log_position):
            view.apply(state, record.event, record)
        return tuple(sorted([*state.ended, *state.active.values()], key=_set_order))

    def anomalies(self, account: str) -> tuple[LockoutAnomaly, ...]:
        """Return the last 1,000 events that had no effect, or only a part of the one they asked for, oldest first."""
        state: LockoutsState | None = self._book.state(LockoutsView.name, account)
        return () if state is None else state.anomalies

    def _scopes(self, symbol: str) -> set[str]:
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        names, root = names_and_root(contracts, symbol)
        scopes = {"account"} | {f"symbol:{name}" for name in names}
        return scopes if root is None else scopes | {f"root:{root}"}


def _log_position(record: Record) -> int:
    return record.position


def _set_order(lockout: Lockout) -> tuple[int, int]:
    return lockout.set_at, lockout.positions[0]
