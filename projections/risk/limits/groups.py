"""The limits of groups of accounts as they are enforced: a breach locks every member, in one decision."""

from __future__ import annotations

import decimal
import hashlib
import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from msgspec.structs import replace
from typing_extensions import override

from eventstore import StoreError
from eventstore.streams import stream_of
from eventstore.trading import (
    ContractDefined,
    EnforcementAction,
    GroupDefined,
    LimitBreached,
    LockoutSet,
    RateQuoted,
    Severity,
    Verdict,
)
from projections.decimals import FIXED, ZERO
from projections.risk.contexts import AccountContext
from projections.risk.enforcement.requests import requests_of
from projections.risk.limits.breaches import Breach, allowed_by, breach_details, covers, now_of
from projections.risk.limits.judge import group_judge
from projections.risk.limits.kill_switch import KillSwitch
from projections.risk.limits.kind import KINDS, LimitKind, Measure
from projections.risk.limits.sentences import until
from projections.risk.limits.while_in_breach import WhileInBreach, cleared
from projections.risk.policies import Decision, Policy, TriggerKind
from projections.valuation import KNOWN
from projections.view import GROUP, SHARED
from projections.views.limits.parameters import Parameters, group_rule_id, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event
    from projections.book import Book
    from projections.risk.limits.judge import Judge
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit
    from projections.views.lockouts.lockout import Lockout

MEASURED_MAX = 1_000


def accounts_concerned(book: Book, account: str) -> tuple[str, ...]:
    """Return the accounts whose records a check of an order rests on.

    The account's own, those of its groups' members and limits (`@NAME`), and what belongs to no account (`-`).
    """
    names = book.groups.of(account)
    members = {member for name in names for member in book.groups.members(name)}
    return (account, *sorted(members - {account}), *(GROUP + name for name in names), SHARED)


class _Found(NamedTuple):
    """A limit's figure at an instant; `parameters` are those by which its breach is enforced."""

    judge: Judge
    kind: LimitKind[Any]
    parameters: Parameters
    measure: Measure
    contexts: list[AccountContext]

    @property
    def name(self) -> str:
        """The group's name."""
        return self.judge.limit.account.removeprefix(GROUP)

    @property
    def limit(self) -> Limit:
        return self.judge.limit

    @property
    def is_breach(self) -> bool:
        return self.kind.is_past(self.measure.figure, self.measure.limit)


class GroupLimits(Policy):
    """Judges the limits of groups whenever something happens in one of their accounts, and locks every member.

    Each member's figure is that of its own trading day or week, which is the present one: one that is over is not
    judged again. What is not known locks nothing, and the check before an order rejects new exposure of every member
    meanwhile. A member is locked until its own period's end.
    """

    name = "group-limits"
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    def __init__(self) -> None:
        types: dict[type[Event], None] = dict.fromkeys([GroupDefined, ContractDefined, RateQuoted])
        for kind in KINDS.values():
            if kind.parameters.group_problem is not Parameters.group_problem:
                types |= dict.fromkeys(kind.types)
        # Those of every kind that is known when policies are started.
        self.types: tuple[type[Event], ...] = tuple(types)  # type: ignore[misc]
        self._measured: weakref.WeakKeyDictionary[Book, dict[int, tuple[object, _Found | None]]] = (
            weakref.WeakKeyDictionary()
        )

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        # Other members may be armed: what is over is not judged again for a group.
        trigger = replace(trigger, as_of=None)
        now = now_of(trigger)
        for name in _groups_of(book, trigger, now):
            over = set()
            for limit in book.limits.of(GROUP + name, max(now, book.groups.reached())):
                judge = group_judge(book, limit)
                if judge is not None and not _may_change(judge, trigger):
                    continue
                found, is_fresh = (None, True) if judge is None else self._measure(book, judge, now)
                if found is not None and found.is_breach:
                    # For each of the members that a quote or a tick concerns, the decision would be the same.
                    yield from _decisions(book, trigger, found, now) if is_fresh else ()
                elif judge is None or found is not None:
                    # Unknown is not over.
                    over.add(group_rule_id(limit.account, limit.rule_id))
            if over:
                yield from _clearances(book, trigger, name, over, now)

    def _measure(self, book: Book, judge: Judge, now: int) -> tuple[_Found | None, bool]:
        """Return a limit's figure, None while it is unknown, and whether it is computed for the first time."""
        key = (now, book.position, book.quotes.change_count, book.rates.stale_after_ns, judge.limit)
        measured = self._measured.setdefault(book, {})
        known = measured.get(judge.limit.position)
        if known is not None and known[0] == key:
            return known[1], False
        if len(measured) >= MEASURED_MAX:
            measured.clear()
        found = _found(book, judge, now)
        measured[judge.limit.position] = (key, found)
        return found, True


def _found(book: Book, judge: Judge, now: int) -> _Found | None:
    kind, parameters = judge.kind, judge.parameters
    if kind is None or parameters is None or not kind.locks():
        return None
    # A kind that is the same for each member needs no other account than one that this book has.
    accounts = judge.members if kind.is_summed else tuple(filter(book.covers, judge.members))[:1]
    if not accounts:
        return None
    try:
        with decimal.localcontext(FIXED):
            contexts = [AccountContext(book, account, now) for account in accounts]
            for context in contexts:
                # An order of unknown effect cannot make an exposure less that is past the limit without it, and one
                # wrong report of a position must not lock accounts.
                context.locks = True
            measure = kind.measure_group(contexts, judge.limit, parameters)
    except (StoreError, ArithmeticError):
        # It is unjudged, and says so before each order and as headroom; no other limit must wait for it.
        return None
    if measure is None or measure.standing is not KNOWN:
        return None
    return _Found(judge, kind, kind.enforced(parameters), measure, contexts)


def _may_change(judge: Judge, trigger: Trigger) -> bool:
    """Return whether a limit is judged for a trigger: as an account's is, or whenever a group or a price changes."""
    if trigger.kind is not TriggerKind.RECORD or judge.kind is None:
        return True
    return isinstance(trigger.event, (GroupDefined, ContractDefined, RateQuoted, *judge.kind.types))


def _groups_of(book: Book, trigger: Trigger, now: int) -> list[str]:
    """Return the groups that a trigger concerns: those the account is in, or left while they had locked it."""
    account = trigger.account
    if account.startswith(GROUP):
        return [account.removeprefix(GROUP)]
    if account == SHARED or isinstance(trigger.event, ContractDefined | RateQuoted):
        return list(book.groups.names())
    names = {*book.groups.of(account)}
    if book.covers(account):
        held = book.shadow.locks_in_force(account, now)
        names |= {name for each in held if (name := _group_of(each)) is not None}
    return sorted(names)


def _group_of(held: Lockout) -> str | None:
    """Return the name of the group whose limit led to a lockout; None for any other one."""
    name = held.details.get("group") if isinstance(held.details, dict) else None
    return name if isinstance(name, str) and held.rule_id.startswith(group_rule_id(name, "")) else None


# What a breach leads to


def _decisions(book: Book, trigger: Trigger, found: _Found, now: int) -> Iterator[Decision]:
    breaches = {account: _breach(book, found, account, now) for account in found.judge.members if book.covers(account)}
    if found.parameters.severity is Severity.WARNING:
        yield from _warning(book, found, breaches)
        return

    def needed(book: Book) -> list[str]:
        return [account for account, breach in breaches.items() if not _is_locked(book, found, account, breach, now)]

    lacking = needed(book)
    if trigger.kind is not TriggerKind.RECORD and not isinstance(found.kind, WhileInBreach):
        # As long as time passes, or prices change, once a day is enough: somebody may have released it since.
        lacking = [account for account in lacking if not _was_locked(book, found, account, breaches[account])]
    if not lacking or (_is_final(found, breaches) and not _is_confirmed(found)):
        return
    key = _key(book, trigger, found, {account: breaches[account] for account in lacking})
    events: list[tuple[str, Event]] = []
    for account in lacking:
        breach = breaches[account]
        events += _events(found, account, replace(breach, reason=_reason(book, found, account, breach)), key)
    yield Decision(tuple(events), obsolete_if=lambda book: not set(needed(book)) & set(lacking), key=key)


def _breach(book: Book, found: _Found, account: str, now: int) -> Breach:
    kind, measure = found.kind, found.measure
    period = kind.period(book, account, now)
    shares = {each: str(share) for each, share in sorted(measure.shares.items())}
    return Breach(
        figure=measure.figure,
        limit=measure.limit,
        reason="",
        currency=measure.currency,
        basis=str(getattr(found.parameters, "basis", "")),
        trading_day=period.trading_day,
        until=period.ends_at,
        details={"group": found.name} | ({"accounts": shares} if kind.is_summed else {}),
        renews=isinstance(kind, KillSwitch),
    )


def _reason(book: Book, found: _Found, account: str, breach: Breach) -> str:
    context = next((each for each in found.contexts if each.account == account), found.contexts[0])
    with decimal.localcontext(FIXED):
        said = found.kind.sentence(context, found.parameters, found.measure, Verdict.WARNING)
    reason = f"group {found.name}: {said}"
    is_warning = found.parameters.severity is Severity.WARNING
    return reason if is_warning else f"{reason}; {until(book, account, breach.until)}"


def _is_locked(book: Book, found: _Found, account: str, breach: Breach, now: int) -> bool:
    rule_id = found.judge.rule_id
    return any(
        held.rule_id == rule_id and covers(held, found.limit, breach)
        for held in book.shadow.locks_in_force(account, now)
    )


def _was_locked(book: Book, found: _Found, account: str, breach: Breach) -> bool:
    """Return whether the limit has locked an account for its trading day already, since its equity was corrected."""
    day = None if breach.trading_day is None else breach.trading_day.isoformat()
    corrected = book.equity.last_corrected(account)
    return any(
        held.rule_id == found.judge.rule_id
        and isinstance(held.details, dict)
        and held.details.get("trading_day") == day
        and held.positions[0] > corrected
        for held in book.shadow.lock_history(account)
    )


def _is_final(found: _Found, breaches: dict[str, Breach]) -> bool:
    """Return whether a lockout would be without end, or could not be taken back."""
    return not found.parameters.revocable or any(breach.until is None for breach in breaches.values())


def _is_confirmed(found: _Found) -> bool:
    with decimal.localcontext(FIXED):
        return found.kind.is_confirmed(found.contexts, found.parameters, found.measure)


def _key(book: Book, trigger: Trigger, found: _Found, breaches: dict[str, Breach]) -> str:
    """Return a key that is the same whichever member's quote or tick the decision is made at.

    The accounts are part of it: a decision of which only some events are recorded could not be appended.
    """
    days = [f"{account}/{breach.trading_day}" for account, breach in sorted(breaches.items())]
    if trigger.kind is TriggerKind.RECORD:
        days.append(trigger.key)
    elif isinstance(found.kind, WhileInBreach):
        days.append(str(book.position))
    else:
        days += [str(book.equity.last_corrected(account)) for account in sorted(breaches)]
    digest = hashlib.sha256("\n".join(days).encode()).hexdigest()[:16]
    return f"{found.limit.account}/{found.limit.rule_id}/{digest}"


def _events(found: _Found, account: str, breach: Breach, key: str) -> Iterator[tuple[str, Event]]:
    parameters, rule_id = found.parameters, found.judge.rule_id
    details = breach_details(found.limit, breach)
    lockout = LockoutSet(
        rule_id=rule_id,
        allows=allowed_by(parameters),
        reason=breach.reason,
        until=breach.until,
        revocable=parameters.revocable,
        details=details,
    )
    yield stream_of("lockout", account, rule_id), lockout
    action, quantity = parameters.action, None
    if action is EnforcementAction.REDUCE_TO:
        quantity = _part(found.measure, account)
    if action is EnforcementAction.REDUCE_TO and quantity is None:
        return
    yield from requests_of(
        account,
        rule_id,
        action,
        name=f"{rule_id}-{key[-12:]}",
        reason=breach.reason,
        details=details,
        quantity=quantity,
        trading_day=breach.trading_day,
    )


def _part(measure: Measure, account: str) -> Decimal | None:
    """Return what a member may keep: its part of the limit, rounded down; None where it has nothing to reduce."""
    share = measure.shares.get(account, ZERO)
    if not share:
        return None
    with decimal.localcontext(FIXED) as context:
        context.rounding = decimal.ROUND_DOWN
        exact = share * measure.limit / measure.figure
        return exact.quantize(share if share.as_tuple().exponent <= 0 else Decimal(1))  # type: ignore[operator]


def _warning(book: Book, found: _Found, breaches: dict[str, Breach]) -> Iterator[Decision]:
    """Yield what records a breach that locks nothing: once for the members' trading days."""
    account, rule_id = found.limit.account, found.limit.rule_id
    days = {each: str(breach.trading_day) for each, breach in sorted(breaches.items())}
    first = next(iter(breaches))
    breach = replace(breaches[first], reason=_reason(book, found, first, breaches[first]))
    # What a member did before it was reopened is another life's.
    began = max(map(book.accounts.reopened, breaches))

    def is_recorded(book: Book) -> bool:
        known = [each for each in book.limits.breaches(account, rule_id) if each.position > began]
        return any(isinstance(each.details, dict) and each.details.get("trading_days") == days for each in known)

    if is_recorded(book):
        return
    event = LimitBreached(
        rule_id=rule_id,
        figure=breach.figure,
        limit=breach.limit,
        severity=found.parameters.severity,
        basis=breach.basis,
        currency=breach.currency,
        reason=breach.reason,
        details=breach_details(found.limit, breach) | {"trading_days": days},
    )
    lives = f"+{began}" if began else ""
    digest = hashlib.sha256(f"{days}{lives}".encode()).hexdigest()[:16]
    key = f"{account}/{rule_id}/{digest}"
    yield Decision(((stream_of("breach", account, rule_id), event),), obsolete_if=is_recorded, key=key)


def _clearances(book: Book, trigger: Trigger, name: str, over: set[str], now: int) -> Iterator[Decision]:
    """Yield what ends the group's lockouts whose breach is over, also of an account that has left the group."""
    accounts = {trigger.account}
    if trigger.kind is TriggerKind.RECORD:
        # As time passes, each member has its own turn.
        accounts |= {*book.groups.members(name)}
    for account in sorted(accounts - {SHARED}):
        if account.startswith(GROUP) or not book.covers(account):
            continue
        for held in book.shadow.locks_in_force(account, now):
            if held.rule_id in over and held.revocable and _group_of(held) == name and _lasts_as_breach(held, name):
                yield cleared(held)


def _lasts_as_breach(held: Lockout, name: str) -> bool:
    kind = KINDS.get(kind_of(held.rule_id.removeprefix(group_rule_id(name, ""))))
    return kind is not None and issubclass(kind, WhileInBreach)
