"""The limits that an account is judged by, in the order in which orders are checked, and its headroom."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore.clock import derived_from
from projections.decimals import FIXED
from projections.risk.contexts import AccountContext
from projections.risk.limits.groups import GroupLimits
from projections.risk.limits.judge import Judge, StatedLimit, group_judge
from projections.risk.limits.kind import KINDS
from projections.risk.limits.shipped import SHIPPED
from projections.risk.limits.unrun import needs_of, why_unrun
from projections.risk.policies import stopped_policies
from projections.risk.policies.liveness import why_unjudged
from projections.risk.queried import book_of
from projections.valuation import Status
from projections.view import GROUP
from projections.views.limits.headroom import Headroom, provide
from projections.views.limits.parameters import BadLimit, UnknownKind, is_disabled, kind_of, read, rule_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.view import BookReader
    from projections.views.limits.limit import Limit

_ORDER = {kind.name: number for number, kind in enumerate(SHIPPED)}


def judges_of(cache: RiskCache) -> tuple[Judge, ...]:
    """Return how the limits in force are judged, in the order in which the first rejection counts."""
    return cache.memoize("limits", "judges", lambda: tuple(sorted(_judges(cache), key=_rank)))


def accounts_of(cache: RiskCache) -> tuple[str, ...]:
    """Return the accounts whose records the figures of an account's limits rest on, its own included, sorted."""
    return cache.memoize(
        "limits", "accounts", lambda: tuple(sorted({each for judge in judges_of(cache) for each in judge.accounts}))
    )


def unrun_of(cache: RiskCache) -> dict[Judge, str]:
    """Return which limits no process judges though policies run, and why."""
    needs = cache.memoize("limits", "needs", lambda: needs_of(judges_of(cache)))
    return why_unrun(cache.book, needs)


def is_unrun(book: Book, limit: Limit) -> bool:
    """Return whether no process judges a limit though policies run."""
    judge = _judge(book, limit)
    return judge is not None and bool(why_unrun(book, needs_of((judge,))))


def _headroom_of(reader: BookReader, account: str, at: int) -> tuple[Headroom, ...]:
    return headroom(book_of(reader), account, at)


def headroom(book: Book, account: str, at: int) -> tuple[Headroom, ...]:
    """Return how an account stands to each of its limits in force, in the order in which orders are checked.

    Its groups' limits are among them. Of a group, asked for as the account `@NAME`, they are its own alone.
    """
    if account.startswith(GROUP):
        members = book.groups.members(account.removeprefix(GROUP))
        member = next(filter(book.covers, members), next(iter(members), None))
        rule_ids = set(map(rule_id_of, book.limits.of(account, at)))
        return () if member is None else tuple(each for each in headroom(book, member, at) if each.rule_id in rule_ids)
    with derived_from(at), decimal.localcontext(FIXED):
        context = AccountContext(book, account, at)
        figures, cache = context.figures, context.cache
        judges = judges_of(cache)
        # The figures are the same object as long as neither a record nor a quote nor the time can have changed them. A
        # group's are also of other accounts.
        own = figures.headroom
        if own is None:
            own = figures.headroom = {
                judge.rule_id: judge.headroom(context) for judge in judges if not judge.is_of_group
            }
        found = tuple([
            own[judge.rule_id] if not judge.is_of_group else judge.headroom(context) for judge in judges
        ])  # fmt: skip
    stopped = {each: _stopped(book, each) for each in accounts_of(cache)}
    unrun = unrun_of(cache)
    if not unrun and not any(stopped.values()):
        return found
    pairs = ((judge, _unless_unrun(each, unrun.get(judge))) for judge, each in zip(judges, found, strict=True))
    return tuple(_unless_stopped(judge, each, stopped) for judge, each in pairs)


def stated_limits(book: Book, account: str, at: int) -> tuple[StatedLimit, ...]:
    """Return how an account stands to each of its own limits that compares a figure, as a firm states it."""
    with derived_from(at), decimal.localcontext(FIXED):
        context = AccountContext(book, account, at)
        found = [judge.stated(context) for judge in judges_of(context.cache) if not judge.is_of_group]
    return tuple(each for each in found if each is not None)


def _stopped(book: Book, account: str) -> dict[str, str]:
    """Return why policies do not judge an account's limits, by their names; by "" why none does."""
    found = {each.policy: each.sentence for each in book.policies.stopped(account)} | stopped_policies(book, account)
    why = None if found else why_unjudged(book, account)
    return found if why is None else {"": why}


def _unless_stopped(judge: Judge, found: Headroom, stopped: dict[str, dict[str, str]]) -> Headroom:
    """Return the headroom of a limit whose policy stopped, or one that every limit rests on, as unknown."""
    if found.status is not Status.KNOWN:
        return found
    own = GroupLimits.name if judge.is_of_group else found.kind
    reasons = {
        policy: why
        for account in judge.accounts
        for policy, why in stopped[account].items()
        if policy == own or not (policy in KINDS or policy == GroupLimits.name)
    }
    why = reasons.get(own) or next(iter(reasons.values()), "")
    return replace(found, status=Status.UNKNOWN, why=why) if why else found


def _unless_unrun(found: Headroom, why: str | None) -> Headroom:
    if why is None or found.status is not Status.KNOWN:
        return found
    return replace(found, status=Status.UNKNOWN, why=why)


provide(_headroom_of)


def _rank(judge: Judge) -> tuple[int, str]:
    return _ORDER.get(kind_of(judge.limit.rule_id), len(_ORDER)), judge.limit.rule_id


def _judges(cache: RiskCache) -> Iterator[Judge]:
    for limit in (*cache.limits, *cache.group_limits):
        judge = _judge(cache.book, limit)
        if judge is not None:
            yield judge


def _judge(book: Book, limit: Limit) -> Judge | None:
    """Return how a limit of an account, or of a group, is judged; None where it is disabled."""
    if limit.account.startswith(GROUP):
        return group_judge(book, limit)
    try:
        parameters = read(limit)
    except (BadLimit, UnknownKind) as error:
        return None if is_disabled(limit.parameters) else Judge(limit, error=str(error))
    return Judge(limit, KINDS[kind_of(limit.rule_id)](), parameters) if parameters.enabled else None
