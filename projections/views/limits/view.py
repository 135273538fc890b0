"""The limits view: each rule's parameters in force, and loosenings that wait for a session; and its queries."""

from typing import ClassVar, Protocol

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Record, StoreError
from eventstore.clock import Times, asked_ns
from eventstore.trading import (
    AccountConfigured,
    Approved,
    ClockJumped,
    LimitBreached,
    LimitJudged,
    LimitsSet,
    LimitUnjudged,
    ProtectionMode,
    SessionOpened,
    SessionReset,
)
from projections.valuation import Status
from projections.view import GROUP, BookReader, View, check_covered
from projections.views.approvals import APPROVAL_TYPES, ApprovalState, folded_approvals
from projections.views.limits.approving import as_approved, awaiting, is_disarming, is_looser, subject_of
from projections.views.limits.headroom import Headroom, Unjudged, headroom_of
from projections.views.limits.limit import Limit
from projections.views.limits.parameters import rule_id_of
from projections.views.limits.protection import with_mode
from projections.views.limits.recorded import RecordedBreach, RecordedUnjudged, breach_of, with_unjudged
from projections.views.limits.settings import (
    Begins,
    RuleSettings,
    begin_of,
    in_force,
    is_in_time,
    put_right,
    resolved,
    with_setting,
    wrong_times,
)
from projections.views.log_clock import MARKS_MAX, LogClock, WrongTime, is_set_back

RULES_MAX = 1_000
SETTINGS_MAX = 100
SESSIONS_MAX = 100
BREACHES_MAX = 1_000
_TIMED: tuple[type[Event], ...] = (LimitsSet, SessionOpened, SessionReset, ClockJumped, *APPROVAL_TYPES)


class TooManyRules(StoreError):
    """An account's rules are bounded; a rule is set again under its own name, not under a new one."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has limits of {RULES_MAX:,} rules, and the record at position {position} sets one more: set an "
            "existing rule again instead of naming another"
        )


class LimitsState(msgspec.Struct):
    """One account: settings by rule, the recorded trading days and when each began, the newest breaches.

    `clock` is the time that its records show, which the wall clock may be behind. `anomalies` are the newest settings
    that were recorded, or came into force, under a time that later proved wrong. `unjudged` has the rules whose newest
    record says that they are not judged. `protection` are the account's protection modes, set as a limit is.
    """

    rules: dict[str, RuleSettings] = {}
    sessions: tuple[tuple[str, int], ...] = ()
    breaches: tuple[RecordedBreach, ...] = ()
    breach_count: int = 0
    clock: LogClock = LogClock()
    anomalies: tuple[WrongTime, ...] = ()
    unjudged: dict[str, RecordedUnjudged] = {}
    protection: RuleSettings = RuleSettings()
    approvals: ApprovalState = ApprovalState()
    """Who must approve a loosening, and what waits for that."""


class LimitsView(View[LimitsState]):
    """Which setting of a rule is in force.

    A tightening, or a rule's first setting, is in force from when it was recorded, or from its later `effective_from`.
    A loosening waits for the first trading day that begins at or after that instant and is recorded before the rule's
    next setting; it is then in force from that day's begin, however late the day is recorded. A trading day begins
    once: when the first event about it says.

    An account's protection mode is a setting like a rule's: shadow mode is a loosening. Here it is in force at once
    only for an account that has neither a limit nor an earlier mode; `book.shadow` knows of those that never traded.

    A setting is compared as a whole with what is in force when it is recorded, and replaces any that waits: one that
    tightens one parameter and loosens another is a loosening, so set the tighter part first. Settings count in the
    order of the log; their revision numbers are the setter's own.

    Once the wall clock is set back, trading days that begin later have not begun, and bring nothing into force. While
    the log's time is ahead of the clock, it does not say when something was set: a loosening then waits for the next
    day that is recorded as it begins. If the clock is set ahead, a loosening waits for a day that begins after that.

    For an account with a second approver a loosening counts as set once another person has approved it, unless the rule
    was set again before that.
    """

    name: ClassVar[str] = "limits"
    revision: ClassVar[int] = 8
    types: ClassVar[tuple[type[Event], ...] | None] = (
        LimitsSet,
        LimitBreached,
        LimitUnjudged,
        LimitJudged,
        ProtectionMode,
        SessionOpened,
        SessionReset,
        ClockJumped,
        *APPROVAL_TYPES,
    )

    def __init__(self, settings_max: int | None = SETTINGS_MAX) -> None:
        self._settings_max = settings_max

    @override
    def initial(self) -> LimitsState:
        return LimitsState()

    @override
    def apply(self, state: LimitsState, event: Event, record: Record) -> None:
        shown = 0
        match event:
            case LimitsSet() | ProtectionMode() if record.account.startswith(GROUP):
                # The view of groups folds its limits, beside the trading days of the members; a mode is an account's.
                return
            case LimitsSet() | ProtectionMode():
                self._set_or_hold(state, event, record)
            case AccountConfigured() | Approved():
                self._approve(state, event, record)
                return
            case LimitBreached():
                state.breaches = (*state.breaches[1 - BREACHES_MAX :], breach_of(event, record))
                state.breach_count += 1
            case LimitUnjudged() | LimitJudged():
                state.unjudged = with_unjudged(state.unjudged, event, record, RULES_MAX)
            case SessionOpened() | SessionReset():
                name, shown = begin_of(event, record)
                _begin(state, name, shown, record)
            case ClockJumped():
                _jump(state, event, record)
            case _:
                return
        state.clock = state.clock.advanced(record, shown)

    def _set_or_hold(self, state: LimitsState, event: LimitsSet | ProtectionMode, record: Record) -> None:
        subjects, now = (subject_of(event),), state.clock.time_of(record)
        if state.approvals.approver and (
            is_looser(state.rules.get(event.rule_id), event, now)
            if isinstance(event, LimitsSet)
            else is_disarming(state.protection, event, now)
        ):
            state.approvals = state.approvals.holding(record, subjects)
            return
        state.approvals = state.approvals.without(subjects)
        self._set_either(state, event, record)

    def _set_either(self, state: LimitsState, event: LimitsSet | ProtectionMode, record: Record) -> None:
        if isinstance(event, LimitsSet):
            self._set(state, event, record)
        else:
            self._protect(state, event, record)

    def _approve(self, state: LimitsState, event: AccountConfigured | Approved, record: Record) -> None:
        state.approvals, effect = folded_approvals(state.approvals, event, record)
        if effect is None or not isinstance(effect.event, LimitsSet | ProtectionMode):
            return
        self._set_either(state, effect.event, effect.record)
        if isinstance(effect.event, LimitsSet):
            rule_id = effect.event.rule_id
            state.rules = {**state.rules, rule_id: as_approved(state.rules[rule_id], effect)}
        else:
            state.protection = as_approved(state.protection, effect)
        state.clock = state.clock.advanced(record)

    def _set(self, state: LimitsState, event: LimitsSet, record: Record) -> None:
        rule = state.rules.get(event.rule_id)
        if rule is None:
            if len(state.rules) >= RULES_MAX:
                raise TooManyRules(record.account, record.position)
            rule = RuleSettings()
        after = with_setting(rule, event, record, state.sessions, state.clock, settings_max=self._settings_max)
        state.rules = {**state.rules, event.rule_id: after}

    def _protect(self, state: LimitsState, event: ProtectionMode, record: Record) -> None:
        state.protection = with_mode(
            state.protection,
            event,
            record,
            state.sessions,
            state.clock,
            is_limited=bool(state.rules),
            settings_max=self._settings_max,
        )


class GroupSettings(Protocol):
    """What knows the settings of groups' limits."""

    def of(self, account: str) -> tuple[str, ...]:
        """Return the names of the groups that an account is in."""

    def settings(self, account: str, *, folded: bool = False) -> LimitsState | None:
        """Return those of the group that an account `@NAME` stands for; `folded`: all of them, from the log."""


class Limits:
    """Queries about limits.

    Without an instant: now by the store's clock, or the newest record's time if that clock was set back behind it.
    A group of accounts is asked for as the account `@NAME`.
    """

    def __init__(self, book: BookReader, groups: GroupSettings | None = None) -> None:
        self._book, self._groups = book, groups

    def of(self, account: str, at: Times | None = None) -> tuple[Limit, ...]:
        """Return what was in force at an instant, as known now, sorted by rule.

        What other processes have committed is folded first.
        """
        self._book.keep_up()
        at_ns = self._at(account, at)
        found = [in_force(rule.settings, at_ns) for rule in self._rules(account, at_ns).values()]
        return tuple(sorted([limit for limit in found if limit is not None], key=_rule_id))

    def judging(self, account: str, at: Times | None = None) -> dict[str, Limit]:
        """Return what an account is judged by, as `of` does, by rule id: also its groups', as `group:NAME:RULE`."""
        groups = () if self._groups is None else self._groups.of(account)
        found = [limit for name in (account, *map(GROUP.__add__, groups)) for limit in self.of(name, at)]
        return {rule_id_of(limit): limit for limit in found}

    def get(self, account: str, rule_id: str, at: Times | None = None) -> Limit | None:
        """Return the setting of a rule that was in force at an instant, or None, as `of` does."""
        self._book.keep_up()
        at_ns = self._at(account, at)
        rule = self._rules(account, at_ns, rule_id).get(rule_id)
        return None if rule is None else in_force(rule.settings, at_ns)

    def pending(self, account: str, at: Times | None = None) -> tuple[Limit, ...]:
        """Return what had been set at an instant and was not in force yet, sorted by rule.

        Loosenings wait for a session, and before that for a second approver if the account has one (`awaits_approval`);
        the others for their own `effective_from`. Others' commits are folded first.
        """
        self._book.keep_up()
        at_ns = self._at(account, at)
        rules = self._rules(account, at_ns).values()
        waiting = [limit for rule in rules for limit in rule.settings if limit.is_pending(at_ns)]
        state = self._settings(account)
        waiting += [] if state is None else [each for each in awaiting(state.approvals) if each.set_at <= at_ns]
        return tuple(sorted(waiting, key=_rule_id))

    def history(self, account: str, rule_id: str | None = None) -> tuple[Limit, ...]:
        """Return every setting ever made, folded from the log, oldest first: without those that nobody approved."""
        state = self._settings(account, folded=True)
        rules = () if state is None else state.rules.values()
        found = [limit for rule in rules for limit in rule.settings if rule_id in {None, limit.rule_id}]
        return tuple(sorted(found, key=_log_position))

    def headroom(self, account: str, at: Times | None = None) -> tuple[Headroom, ...]:
        """Return how far an account is from each limit in force, in the order in which orders are checked."""
        self._book.keep_up()
        return headroom_of(self._book, account, self._at(account, at))

    def unjudged(self, account: str, at: Times | None = None) -> tuple[Unjudged, ...]:
        """Return the limits in force that are not judged, and why: new exposure is rejected while there is one."""
        found = [each for each in self.headroom(account, at) if each.status is not Status.KNOWN]
        if not found:
            return ()
        settings = {rule_id: limit.position for rule_id, limit in self.judging(account, at).items()}
        # What was recorded of an earlier setting says nothing about the one in force.
        since = {
            each.rule_id: each.since
            for each in self.recorded_unjudged(account)
            if each.limit_position in {None, settings.get(each.rule_id)}
        }
        return tuple(Unjudged(rule_id=each.rule_id, why=each.why, since=since.get(each.rule_id)) for each in found)

    def recorded_unjudged(self, account: str) -> tuple[RecordedUnjudged, ...]:
        """Return the limits that the process with the policies recorded as not judged, by `LimitUnjudged`, by rule."""
        state = self._state(account)
        return () if state is None else tuple(each for _, each in sorted(state.unjudged.items()))

    def breaches(self, account: str, rule_id: str | None = None) -> tuple[RecordedBreach, ...]:
        """Return the account's last 1,000 breaches, or those of a rule among them, oldest first."""
        state = self._state(account)
        found = () if state is None else state.breaches
        return found if rule_id is None else tuple(breach for breach in found if breach.rule_id == rule_id)

    def anomalies(self, account: str) -> tuple[WrongTime, ...]:
        """Return the newest 1,000 settings that were recorded, or came into force, under a wrong time, oldest first."""
        state = self._settings(account)
        return () if state is None else state.anomalies

    def _state(self, account: str) -> LimitsState | None:
        state: LimitsState | None = self._book.state(LimitsView.name, account)
        if state is None:
            check_covered(self._book, account)
        return state

    def _settings(self, account: str, *, folded: bool = False) -> LimitsState | None:
        if account.startswith(GROUP) and self._groups is not None:
            return self._groups.settings(account, folded=folded)
        return self._folded(account) if folded else self._state(account)

    def _at(self, account: str, at: Times | None) -> int:
        if at is not None:
            return asked_ns(at, self._book.now_ns)
        state = self._settings(account)
        return max(self._book.now_ns(), 0 if state is None else state.clock.reached)

    def _rules(self, account: str, at_ns: int, rule_id: str | None = None) -> dict[str, RuleSettings]:
        """Return an account's rules as of an instant: from the log if it lies before what the state keeps."""
        state = self._settings(account)
        if state is None:
            return {}
        rules = state.rules
        asked = rules.values() if rule_id is None else [rule for rule in (rules.get(rule_id),) if rule is not None]
        if not any(at_ns < rule.known_from for rule in asked):
            return rules
        folded = self._settings(account, folded=True)
        return {} if folded is None else folded.rules

    def _folded(self, account: str) -> LimitsState:
        view = LimitsView(settings_max=None)
        state = view.initial()
        for record in self._book.read(account=account, types=_TIMED):
            view.apply(state, record.event, record)
        return state


def _rule_id(limit: Limit) -> str:
    return limit.rule_id


def _log_position(limit: Limit) -> int:
    return limit.position


def _jump(state: LimitsState, event: ClockJumped, record: Record) -> None:
    """Once the clock is set back, take back the days that have not come yet, and what they brought into force."""
    state.clock = state.clock.jumped(event, record)
    if not is_set_back(event):
        return
    now = event.after
    state.sessions = tuple((name, began_at) for name, began_at in state.sessions if began_at <= now)
    marks = wrong_times([*state.rules.values(), state.protection], now, record.position)
    state.anomalies = (*state.anomalies, *marks)[-MARKS_MAX:]
    state.rules = {name: put_right(rule, state.sessions, state.clock) for name, rule in state.rules.items()}
    state.protection = put_right(state.protection, state.sessions, state.clock)


def _begin(state: LimitsState, name: str, began_at: int, record: Record) -> None:
    """Add a trading day's begin; the newest setting of each rule may have waited for it."""
    # A day begins once: when the first event about it says, even if a later event gives another begin.
    if any(known == name for known, _ in state.sessions):
        return
    in_time = is_in_time(record, began_at)
    sessions = (*state.sessions[1 - SESSIONS_MAX :], (name, began_at))
    rules = {rule_id: _awaited(rule, sessions, state.clock, in_time=in_time) for rule_id, rule in state.rules.items()}
    protection = state.protection
    if protection.settings:
        state.protection = _awaited(protection, sessions, state.clock, in_time=in_time)
    state.rules, state.sessions = rules, sessions


def _awaited(rule: RuleSettings, sessions: Begins, clock: LogClock, *, in_time: bool) -> RuleSettings:
    """Return a rule after a session was added; a session recorded late may bring the newest setting forward."""
    newest = rule.settings[-1]
    if not (newest.dated or in_time):
        return rule
    after = resolved(newest, sessions[-1:], clock)
    known = newest.in_force_at
    if not newest.loosens or after.in_force_at is None or (known is not None and known <= after.in_force_at):
        return rule
    return replace(rule, settings=(*rule.settings[:-1], after))
