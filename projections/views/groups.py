"""The groups view: which accounts are limited together, and the settings of each group's limits; and its queries."""

from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.streams import unescaped
from eventstore.trading import (
    AccountConfigured,
    Approved,
    ClockJumped,
    GroupDefined,
    LimitsSet,
    SessionOpened,
    SessionReset,
)
from projections.view import GROUP, SHARED, BookReader, View
from projections.views.accounts import starting_balance
from projections.views.approvals import APPROVAL_TYPES, ApprovalState
from projections.views.group_approvals import approved, approver_of, fold_member, must_wait, subject
from projections.views.limits.approving import as_approved
from projections.views.limits.limit import Limit
from projections.views.limits.settings import (
    Begins,
    RuleSettings,
    begin_of,
    is_in_time,
    put_right,
    waits_until,
    with_setting,
    wrong_times,
)  # fmt: skip
from projections.views.limits.view import RULES_MAX, SETTINGS_MAX, LimitsState, TooManyRules
from projections.views.log_clock import MARKS_MAX, LogClock, WrongTime, is_set_back

GROUPS_MAX = 1_000
DAYS_MAX = 20


class TooManyGroups(StoreError):
    """The groups of a log are bounded."""

    def __init__(self, name: str, position: int) -> None:
        self.name, self.position = name, position
        super().__init__(
            f"there are {GROUPS_MAX:,} groups, and the record at position {position} names one more, {name}: define "
            "an existing group again instead of naming another"
        )


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of a group, sorted; none before it is defined, and once it is dissolved.

    `actor`, `note` and `position` are the newest definition's, `defined_at` when it was recorded, in UNIX ns.
    `rules` are the settings of its limits. `begun` has of each rule when the first trading day began, for each account,
    that the newest setting may wait for. `anomalies` are the newest settings that were recorded, or came into force,
    under a time that later proved wrong.
    """

    name: str
    accounts: tuple[str, ...] = ()
    defined_at: Instant | None = None
    actor: str = ""
    note: str = ""
    position: int = 0
    rules: dict[str, RuleSettings] = {}
    begun: dict[str, dict[str, int]] = {}
    anomalies: tuple[WrongTime, ...] = ()
    approvals: ApprovalState = ApprovalState()
    """What waits for a second person, because a member has a second approver."""


class GroupsState(msgspec.Struct):
    """Every group by name, and the newest trading days of each account that is in one, with when each began.

    `clock` is the time that the records of definitions, settings and days show.
    """

    groups: dict[str, Group] = {}
    days: dict[str, Begins] = {}
    clock: LogClock = LogClock()
    settings: dict[str, ApprovalState] = {}
    """The settings of each account that somebody has configured."""


class GroupsView(View[GroupsState]):
    """Each group's members, and which setting of its limits is in force.

    A definition holds from its record on. A group's limits are set as an account's are, in the account `@NAME`; but a
    loosening waits until a trading day has begun, and was recorded, for each account that is a member then. It is in
    force from the last of these beginnings, or from the definition that leaves no other member to wait for. A group
    without members waits until it has some.

    A wall clock that is set ahead or back does to a group's limits what it does to an account's: what was recorded of
    it, for any account, counts, because all of them are recorded by the same clock.

    If a member has a second approver, a loosening, and other members of a group with limits, count once a person who
    may approve for each of these has done so, in a stream `approval/-/ID`.
    """

    name: ClassVar[str] = "groups"
    revision: ClassVar[int] = 4
    types: ClassVar[tuple[type[Event], ...] | None] = (
        GroupDefined,
        LimitsSet,
        SessionOpened,
        SessionReset,
        ClockJumped,
        *APPROVAL_TYPES,
    )
    shared: ClassVar[bool] = True

    def __init__(self, settings_max: int | None = SETTINGS_MAX) -> None:
        self._settings_max = settings_max

    @override
    def initial(self) -> GroupsState:
        return GroupsState()

    @override
    def partition(self, record: Record) -> str:
        return SHARED

    @override
    def apply(self, state: GroupsState, event: Event, record: Record) -> None:
        shown = 0
        match event:
            case GroupDefined():
                self._decide(state, event, record, unescaped(record.entity))
            case LimitsSet() if record.account.startswith(GROUP):
                self._decide(state, event, record, record.account.removeprefix(GROUP))
            case AccountConfigured() | Approved():
                self._approve(state, event, record)
                return
            case SessionOpened() | SessionReset():
                name, shown = begin_of(event, record)
                _begin(state, record, name, shown)
            case ClockJumped():
                _jump(state, event, record)
            case _:
                return
        state.clock = state.clock.advanced(record, shown)

    def _decide(self, state: GroupsState, event: GroupDefined | LimitsSet, record: Record, name: str) -> None:
        group, about = _group(state, name, record), (subject(event),)
        if approver_of(state.settings, group.accounts) and must_wait(
            event, group.rules, group.accounts, state.clock.time_of(record)
        ):
            _put(state, replace(group, approvals=group.approvals.holding(record, about)))
            return
        if group.approvals.waiting:
            _put(state, replace(group, approvals=group.approvals.without(about)))
        self._take(state, event, record, record.position)

    def _take(self, state: GroupsState, event: GroupDefined | LimitsSet, record: Record, asked: int) -> None:
        if isinstance(event, GroupDefined):
            _define(state, event, record, asked)
        else:
            self._set(state, event, record)

    def _approve(self, state: GroupsState, event: AccountConfigured | Approved, record: Record) -> None:
        fold_member(state.settings, event, record)
        for name, group in list(state.groups.items()):
            approver = approver_of(state.settings, group.accounts)
            after, effect = approved(group.approvals, approver, event, record)
            if after is not group.approvals:
                _put(state, replace(group, approvals=after))
            if effect is None or not isinstance(effect.event, GroupDefined | LimitsSet):
                continue
            self._take(state, effect.event, effect.record, effect.asked)
            if isinstance(effect.event, LimitsSet):
                rules, rule_id = state.groups[name].rules, effect.event.rule_id
                rules = {**rules, rule_id: as_approved(rules[rule_id], effect)}
                _put(state, replace(state.groups[name], rules=rules))
            state.clock = state.clock.advanced(record)

    def _set(self, state: GroupsState, event: LimitsSet, record: Record) -> None:
        group = _group(state, record.account.removeprefix(GROUP), record)
        rule = group.rules.get(event.rule_id)
        if rule is None and len(group.rules) >= RULES_MAX:
            raise TooManyRules(record.account, record.position)
        after = with_setting(rule or RuleSettings(), event, record, (), state.clock, settings_max=self._settings_max)
        rules, begun = {**group.rules, event.rule_id: after}, {**group.begun, event.rule_id: {}}
        _put(state, replace(group, rules=rules, begun=begun))


class Groups:
    """Queries about groups of accounts."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def names(self) -> tuple[str, ...]:
        """Return the names of the groups that have members, or limits, sorted."""
        return tuple(sorted(self._state().groups))

    def get(self, name: str) -> Group | None:
        """Return a group; None if nothing was ever recorded of it."""
        return self._state().groups.get(name)

    def of(self, account: str) -> tuple[str, ...]:
        """Return the names of the groups that an account is in, sorted."""
        return tuple(sorted([group.name for group in self._state().groups.values() if account in group.accounts]))

    def members(self, name: str) -> tuple[str, ...]:
        """Return the accounts of a group, sorted; none of one that is not defined, or dissolved."""
        group = self.get(name)
        return () if group is None else group.accounts

    def problems(self) -> tuple[str, ...]:
        """Return a sentence for each member that nobody opened, and each group that has limits and no members."""
        found = []
        for name, group in sorted(self._state().groups.items()):
            found += [
                f"{account}, a member of group {name}, was never opened: open it, or define the group again"
                for account in group.accounts
                if self._book.covers(account) and starting_balance(self._book, account) is None
            ]
            if group.rules and not group.accounts:
                found.append(f"group {name} has limits and no members: define it, or disable them")
        return tuple(found)

    def settings(self, account: str, *, folded: bool = False) -> LimitsState | None:
        """Return the settings of a group's limits, named as the account `@NAME`; `folded`: all, from the log."""
        state = self._folded() if folded else self._state()
        group = state.groups.get(account.removeprefix(GROUP))
        if group is None:
            return None
        return LimitsState(rules=group.rules, clock=state.clock, anomalies=group.anomalies, approvals=group.approvals)

    def reached(self) -> int:
        """Return the latest time that the records about groups show, and nothing proved wrong: limits are as of then.

        By a clock that is behind it, what is recorded already would not be in force.
        """
        return self._state().clock.reached

    def _state(self) -> GroupsState:
        state: GroupsState | None = self._book.state(GroupsView.name, SHARED)
        return GroupsState() if state is None else state

    def _folded(self) -> GroupsState:
        view = GroupsView(settings_max=None)
        state = view.initial()
        for record in self._book.read(types=view.types):
            view.apply(state, record.event, record)
        return state


def _group(state: GroupsState, name: str, record: Record) -> Group:
    """Return a group, a new one if there is room: what is dissolved and has no limits makes some."""
    known = state.groups.get(name)
    if known is None and len(state.groups) >= GROUPS_MAX:
        state.groups = {each: group for each, group in state.groups.items() if group.accounts or group.rules}
        if len(state.groups) >= GROUPS_MAX:
            raise TooManyGroups(name, record.position)
    return Group(name=name) if known is None else known


def _put(state: GroupsState, group: Group) -> None:
    state.groups = {**state.groups, group.name: group}


def _define(state: GroupsState, event: GroupDefined, record: Record, log_position: int) -> None:
    group, now = _group(state, unescaped(record.entity), record), state.clock.time_of(record)
    accounts = tuple(sorted(set(event.accounts)))
    defined = replace(
        group, accounts=accounts, defined_at=now, actor=record.actor, note=record.note, position=log_position
    )
    rules = {
        rule_id: _awaited(_reconsidered(rule, now), group.begun.get(rule_id, {}), accounts, now)
        for rule_id, rule in group.rules.items()
    }
    _put(state, replace(defined, rules=rules))
    members = {account for each in state.groups.values() for account in each.accounts}
    state.days = {account: days for account, days in state.days.items() if account in members}


def _begin(state: GroupsState, record: Record, day: str, began_at: int) -> None:
    """Add the begin of an account's trading day to the settings that may wait for it."""
    account = record.account
    groups = [group for group in state.groups.values() if account in group.accounts]
    days = state.days.get(account, ())
    # A day begins once: when the first event about it says.
    if not groups or any(known == day for known, _ in days):
        return
    state.days = {**state.days, account: (*days[1 - DAYS_MAX :], (day, began_at))}
    in_time = is_in_time(record, began_at)
    for group in groups:
        rules, begun = dict(group.rules), dict(group.begun)
        for rule_id, rule in group.rules.items():
            newest = rule.settings[-1]
            if not newest.loosens or began_at < waits_until(newest, state.clock) or not (newest.dated or in_time):
                continue
            known = begun.get(rule_id, {})
            begun[rule_id] = {**known, account: min(began_at, known.get(account, began_at))}
            rules[rule_id] = _awaited(rule, begun[rule_id], group.accounts, 0)
        _put(state, replace(group, rules=rules, begun=begun))


def _jump(state: GroupsState, event: ClockJumped, record: Record) -> None:
    """Once the clock is set back, take back the days that have not come yet, and what they brought into force."""
    ahead = state.clock.ahead
    # The same jump is recorded for each account, and only so many are kept.
    if event.after < event.before or not ahead or ahead[-1][1] != event.after:
        state.clock = state.clock.jumped(event, record)
    if not is_set_back(event):
        return
    now = event.after
    state.days = {
        account: tuple((day, began_at) for day, began_at in days if began_at <= now)
        for account, days in state.days.items()
    }
    state.groups = {name: _group_put_right(group, state.clock, record) for name, group in state.groups.items()}


def _group_put_right(group: Group, clock: LogClock, record: Record) -> Group:
    now = clock.put_right_to
    begun = {
        rule_id: {account: began_at for account, began_at in begins.items() if began_at <= now}
        for rule_id, begins in group.begun.items()
    }
    # Without days: what came into force too early waits again, and then for the days that had begun by now.
    rules = {
        rule_id: _awaited(put_right(rule, (), clock), begun.get(rule_id, {}), group.accounts, now)
        for rule_id, rule in group.rules.items()
    }
    marks = wrong_times(group.rules.values(), now, record.position)
    return replace(group, rules=rules, begun=begun, anomalies=(*group.anomalies, *marks)[-MARKS_MAX:])


def _reconsidered(rule: RuleSettings, now: int) -> RuleSettings:
    """Return a rule whose newest setting waits again, if it was still to come into force: other members decide it."""
    newest = rule.settings[-1]
    if not newest.loosens or newest.in_force_at is None or newest.in_force_at <= now:
        return rule
    return _with_newest(rule, replace(newest, in_force_at=None))


def _awaited(rule: RuleSettings, begun: dict[str, int], accounts: tuple[str, ...], now: int) -> RuleSettings:
    """Return a rule whose newest setting has come into force, if a day has begun for each account; not before `now`."""
    newest = rule.settings[-1]
    begins = [begun[account] for account in accounts if account in begun]
    if not newest.loosens or not accounts or len(begins) < len(accounts):
        return rule
    at = max(*begins, now)
    known = newest.in_force_at
    # A day that is recorded late may have begun earlier than the one that was waited for.
    return rule if known is not None and known <= at else _with_newest(rule, replace(newest, in_force_at=at))


def _with_newest(rule: RuleSettings, newest: Limit) -> RuleSettings:
    return replace(rule, settings=(*rule.settings[:-1], newest))
