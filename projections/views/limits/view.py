"""The limits view: each rule's parameters in force, and loosenings that wait for a session; and its queries."""

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Protocol

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.clock import Times, asked_ns
from eventstore.trading import LimitBreached, LimitsSet, SessionOpened, SessionReset, Severity
from projections.valuation import Status
from projections.view import GROUP, BookReader, View
from projections.views.limits.headroom import Headroom, Unjudged, headroom_of
from projections.views.limits.limit import Limit
from projections.views.limits.loosening import loosened

RULES_MAX = 1_000
SETTINGS_MAX = 100
SESSIONS_MAX = 100
BREACHES_MAX = 1_000


class TooManyRules(StoreError):
    """An account's rules are bounded; a rule is set again under its own name, not under a new one."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has limits of {RULES_MAX:,} rules, and the record at position {position} sets one more: set an "
            "existing rule again instead of naming another"
        )


class RecordedBreach(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was reached, as `LimitBreached` states it. `occurred_at` is UNIX ns, `id` is that of the record."""

    account: str
    rule_id: str
    figure: Decimal
    limit: Decimal
    severity: Severity
    basis: str
    currency: str | None
    trading_day: date | None
    reason: str
    details: dict[str, Any] | str
    occurred_at: Instant
    position: int
    id: bytes


class RuleSettings(msgspec.Struct, frozen=True):
    """One rule's newest settings, oldest first; from `known_from` on no other setting was in force or waiting."""

    settings: tuple[Limit, ...] = ()
    known_from: int = 0


class LimitsState(msgspec.Struct):
    """One account: settings by rule, the recorded trading days and when each began, the newest breaches.

    `recorded_to` is the newest record's time: the log's clock has reached it, even if the clock was set back since.
    """

    rules: dict[str, RuleSettings] = {}
    sessions: tuple[tuple[str, int], ...] = ()
    breaches: tuple[RecordedBreach, ...] = ()
    breach_count: int = 0
    recorded_to: Instant = 0


class LimitsView(View[LimitsState]):
    """Which setting of a rule is in force.

    A tightening, or a rule's first setting, is in force from when it was recorded, or from its later `effective_from`.
    A loosening waits for the first trading day that begins at or after that instant and is recorded before the rule's
    next setting; it is then in force from that day's begin, however late the day is recorded. A trading day begins
    once: when the first event about it says.

    A setting is compared as a whole with what is in force when it is recorded, and replaces any that waits: one that
    tightens one parameter and loosens another is a loosening, so set the tighter part first. Settings count in the
    order of the log; their revision numbers are the setter's own.
    """

    name: ClassVar[str] = "limits"
    revision: ClassVar[int] = 3
    types: ClassVar[tuple[type[Event], ...] | None] = (LimitsSet, LimitBreached, SessionOpened, SessionReset)

    def __init__(self, settings_max: int | None = SETTINGS_MAX) -> None:
        self._settings_max = settings_max

    @override
    def initial(self) -> LimitsState:
        return LimitsState()

    @override
    def apply(self, state: LimitsState, event: Event, record: Record) -> None:
        match event:
            case LimitsSet() if record.account.startswith(GROUP):
                # The view of groups folds it, beside the trading days of the members.
                return
            case LimitsSet():
                self._set(state, event, record)
            case LimitBreached():
                state.breaches = (*state.breaches[1 - BREACHES_MAX :], _breach(event, record))
                state.breach_count += 1
            case SessionOpened() | SessionReset():
                _begin(state, *begin_of(event, record))
            case _:
                return
        state.recorded_to = max(state.recorded_to, record.recorded_at)

    def _set(self, state: LimitsState, event: LimitsSet, record: Record) -> None:
        rule = state.rules.get(event.rule_id)
        if rule is None:
            if len(state.rules) >= RULES_MAX:
                raise TooManyRules(record.account, record.position)
            rule = RuleSettings()
        after = with_setting(rule, event, record, state.sessions, self._settings_max)
        state.rules = {**state.rules, event.rule_id: after}


def with_setting(
    rule: RuleSettings,
    event: LimitsSet,
    record: Record,
    sessions: tuple[tuple[str, int], ...],
    settings_max: int | None,
) -> RuleSettings:
    """Return a rule with one more setting, in force or waiting."""
    # The log's own time decides, not `occurred_at`: a loosening cannot be backdated.
    now = record.recorded_at
    held = _in_force(rule.settings, now)
    fresh = Limit(
        account=record.account,
        rule_id=event.rule_id,
        revision=event.revision,
        parameters=event.parameters,
        set_at=now,
        effective_from=event.effective_from,
        loosened=() if held is None else loosened(event.rule_id, held.parameters, event.parameters),
        in_force_at=None,
        actor=record.actor,
        note=record.note,
        position=record.position,
    )
    settings = (*_superseded(rule.settings, now), _resolved(fresh, sessions))
    return _trimmed(replace(rule, settings=settings), now, settings_max)


def begin_of(event: SessionOpened | SessionReset, record: Record) -> tuple[str, int]:
    """Return the name of a trading day and when it began, as an event about it says."""
    if isinstance(event, SessionReset):
        return event.trading_day.isoformat(), event.scheduled_for
    began_at = event.opens_at if event.began_at is None else event.began_at
    return event.trading_day.isoformat(), record.occurred_at if began_at is None else began_at


class GroupSettings(Protocol):
    """What knows the settings of groups' limits."""

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
        """Return what was in force at an instant, as known now, sorted by rule."""
        at_ns = self._at(account, at)
        found = [_in_force(rule.settings, at_ns) for rule in self._rules(account, at_ns).values()]
        return tuple(sorted([limit for limit in found if limit is not None], key=_rule_id))

    def get(self, account: str, rule_id: str, at: Times | None = None) -> Limit | None:
        """Return the setting of a rule that was in force at an instant, or None."""
        at_ns = self._at(account, at)
        rule = self._rules(account, at_ns, rule_id).get(rule_id)
        return None if rule is None else _in_force(rule.settings, at_ns)

    def pending(self, account: str, at: Times | None = None) -> tuple[Limit, ...]:
        """Return what had been set at an instant and was not in force yet, sorted by rule.

        Loosenings wait for a session, the others for their own `effective_from`.
        """
        at_ns = self._at(account, at)
        rules = self._rules(account, at_ns).values()
        waiting = [limit for rule in rules for limit in rule.settings if limit.is_pending(at_ns)]
        return tuple(sorted(waiting, key=_rule_id))

    def history(self, account: str, rule_id: str | None = None) -> tuple[Limit, ...]:
        """Return every setting ever made, folded from the log, oldest first."""
        state = self._settings(account, folded=True)
        rules = () if state is None else state.rules.values()
        found = [limit for rule in rules for limit in rule.settings if rule_id in {None, limit.rule_id}]
        return tuple(sorted(found, key=_log_position))

    def headroom(self, account: str, at: Times | None = None) -> tuple[Headroom, ...]:
        """Return how far an account is from each limit in force, in the order in which orders are checked."""
        return headroom_of(self._book, account, self._at(account, at))

    def unjudged(self, account: str, at: Times | None = None) -> tuple[Unjudged, ...]:
        """Return the limits in force that are not judged, and why: new exposure is rejected while there is one."""
        return tuple(
            Unjudged(rule_id=each.rule_id, why=each.why)
            for each in self.headroom(account, at)
            if each.status is not Status.KNOWN
        )

    def breaches(self, account: str, rule_id: str | None = None) -> tuple[RecordedBreach, ...]:
        """Return the account's last 1,000 breaches, or those of a rule among them, oldest first."""
        state = self._state(account)
        found = () if state is None else state.breaches
        return found if rule_id is None else tuple(breach for breach in found if breach.rule_id == rule_id)

    def _state(self, account: str) -> LimitsState | None:
        state: LimitsState | None = self._book.state(LimitsView.name, account)
        return state

    def _settings(self, account: str, *, folded: bool = False) -> LimitsState | None:
        if account.startswith(GROUP) and self._groups is not None:
            return self._groups.settings(account, folded=folded)
        return self._folded(account) if folded else self._state(account)

    def _at(self, account: str, at: Times | None) -> int:
        if at is not None:
            return asked_ns(at, self._book.now_ns)
        state = self._settings(account)
        return max(self._book.now_ns(), 0 if state is None else state.recorded_to)

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
        for record in self._book.read(account=account, types=(LimitsSet, SessionOpened, SessionReset)):
            view.apply(state, record.event, record)
        return state


def _rule_id(limit: Limit) -> str:
    return limit.rule_id


def _log_position(limit: Limit) -> int:
    return limit.position


def _in_force(settings: tuple[Limit, ...], at_ns: int) -> Limit | None:
    return next((limit for limit in reversed(settings) if limit.is_in_force(at_ns)), None)


def _superseded(settings: tuple[Limit, ...], now: int) -> tuple[Limit, ...]:
    """Return a rule's settings as the next one leaves them: if the last one still waits, it is superseded."""
    if not settings or not settings[-1].is_pending(now):
        return settings
    return (*settings[:-1], replace(settings[-1], superseded_at=now))


def _resolved(limit: Limit, sessions: tuple[tuple[str, int], ...]) -> Limit:
    """Return a setting with the instant at which it comes into force, if the recorded sessions determine it."""
    if not limit.loosens:
        return replace(limit, in_force_at=limit.ready_at)
    # Of the days that begin late enough the earliest, in whatever order they were recorded.
    return replace(limit, in_force_at=min([at for _, at in sessions if at >= limit.ready_at], default=None))


def _begin(state: LimitsState, name: str, began_at: int) -> None:
    """Add a trading day's begin; the newest setting of each rule may have waited for it."""
    # A day begins once: when the first event about it says, even if a later event gives another begin.
    if any(known == name for known, _ in state.sessions):
        return
    sessions = (*state.sessions[1 - SESSIONS_MAX :], (name, began_at))
    rules = {rule_id: _awaited(rule, sessions) for rule_id, rule in state.rules.items()}
    state.rules, state.sessions = rules, sessions


def _awaited(rule: RuleSettings, sessions: tuple[tuple[str, int], ...]) -> RuleSettings:
    """Return a rule after a session was added; a session recorded late may bring the newest setting forward."""
    newest = rule.settings[-1]
    resolved = _resolved(newest, sessions[-1:])
    known = newest.in_force_at
    if not newest.loosens or resolved.in_force_at is None or (known is not None and known <= resolved.in_force_at):
        return rule
    return replace(rule, settings=(*rule.settings[:-1], resolved))


def _trimmed(rule: RuleSettings, now: int, settings_max: int | None) -> RuleSettings:
    """Return a rule bounded to its newest settings, always including the one in force."""
    settings, known_from = list(rule.settings), rule.known_from
    while settings_max is not None and len(settings) > settings_max:
        held = _in_force(tuple(settings), now)
        # The setting in force may be the oldest one, when all newer ones still wait or were superseded.
        index = 1 if settings[0] is held else 0
        gone = settings.pop(index)
        known_from = max(known_from, gone.set_at, _over_at(gone, settings[index:]))
    return RuleSettings(tuple(settings), known_from)


def _over_at(gone: Limit, later: list[Limit]) -> int:
    """Return the instant from which on a dropped setting is neither in force nor waiting."""
    if gone.superseded_at is not None:
        return gone.superseded_at
    return next(limit.in_force_at for limit in later if limit.superseded_at is None and limit.in_force_at is not None)


def _breach(event: LimitBreached, record: Record) -> RecordedBreach:
    return RecordedBreach(
        account=record.account,
        rule_id=event.rule_id,
        figure=event.figure,
        limit=event.limit,
        severity=event.severity,
        basis=event.basis,
        currency=event.currency,
        trading_day=event.trading_day,
        reason=event.reason,
        details=event.details,
        occurred_at=record.occurred_at,
        position=record.position,
        id=record.id,
    )
