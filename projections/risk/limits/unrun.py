"""Limits that no process judges though policies run: none has the limit's policy, or one that can read the limit."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from projections.risk.limits.groups import GroupLimits
from projections.risk.policies.abilities import needed_for
from projections.risk.policies.liveness import lacking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from projections.book import Book
    from projections.risk.limits.judge import Judge


class Needs(NamedTuple):
    """What policies must be able to do for each account so that every limit is judged, and for each limit."""

    by_account: Mapping[str, frozenset[str]]
    by_judge: Mapping[Judge, frozenset[str]]


def needs_of(judges: Iterable[Judge]) -> Needs:
    """Return what the judges of an account's limits need; a kind that is judged before orders alone needs nothing."""
    by_judge = {judge: needed for judge in judges if (needed := _needed_by(judge))}
    by_account: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for judge, needed in by_judge.items():
        for account in _accounts_of(judge):
            by_account[account] |= needed
    return Needs(by_account, by_judge)


def why_unrun(book: Book, needs: Needs) -> dict[Judge, str]:
    """Return why no process judges a limit, with what to do, by the limit's judge; nearly always nothing."""
    if not any(lacking(book, account, needed) for account, needed in needs.by_account.items()):
        return {}
    found = {judge: _why(book, judge, needed) for judge, needed in needs.by_judge.items()}
    return {judge: why for judge, why in found.items() if why is not None}


def _needed_by(judge: Judge) -> frozenset[str]:
    if judge.kind is None or not judge.kind.locks():
        return frozenset()
    return needed_for(_policy_of(judge), judge.kind.name, judge.limit.parameters)


def _policy_of(judge: Judge) -> str:
    assert judge.kind is not None
    return GroupLimits.name if judge.is_of_group else judge.kind.name


def _accounts_of(judge: Judge) -> tuple[str, ...]:
    """Return the accounts whose records must lead to a judgement: of a group's limit, those of every member."""
    return judge.members if judge.is_of_group else (judge.limit.account,)


def _why(book: Book, judge: Judge, needed: frozenset[str]) -> str | None:
    policy = _policy_of(judge)
    for account in _accounts_of(judge):
        lacks = lacking(book, account, needed)
        if policy in lacks:
            return (
                f"no process that runs policies for {account} runs {policy}, which judges it: one was started without "
                "it, or is of a version that lacks it; start it again with it"
            )
        if lacks:
            return (
                f"{policy} runs for {account} in a version that may not read it as it is set at position "
                f"{judge.limit.position}: update the process that runs it"
            )
    return None
