"""Limits as JSON: each with its headroom, why it is not judged, who enforces it, and what its lockout asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.trading import Protection
from gateways.presenting.book_summary import pending_requests
from gateways.presenting.documents import plain
from gateways.presenting.headroom import headroom_of, holds_positions, unjudged_of
from gateways.presenting.protection import in_shadow
from projections.risk.limits.baseline import lacks_baseline, needs_baseline
from projections.risk.limits.judging import is_unrun
from projections.risk.policies.liveness import PolicyRun, run_of, why_unjudged
from projections.valuation import Status
from projections.view import GROUP
from projections.views.limits.parameters import rule_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from projections import Book
    from projections.views.enforcement import Enforcement
    from projections.views.limits.headroom import Headroom, Unjudged
    from projections.views.limits.limit import Limit

_UNJUDGED = "unjudged"
_RUNS = {PolicyRun.RUNNING: "enforced", PolicyRun.NEVER: "not enforced"}


class Judged(NamedTuple):
    """How accounts stand to their limits, as far as a book without quotes can say."""

    headroom: dict[str, tuple[Headroom, ...]]
    unjudged: dict[str, tuple[Unjudged, ...]]
    lacks_quotes: bool


def judged_of(book: Book, accounts: Sequence[str], at: int | None) -> Judged:
    """Return how accounts stand to their limits at an instant, or now."""
    headroom = headroom_of(book, accounts, at)
    is_known = all(each.status is Status.KNOWN for found in headroom.values() for each in found)
    return Judged(
        headroom,
        unjudged_of(book, accounts, at),
        not is_known and holds_positions(book, headroom),
    )


def accounts_with_groups(book: Book, account: str) -> list[str]:
    """Return an account, and the groups whose limits are its own as well, as `@NAME`."""
    return [account, *map(GROUP.__add__, book.groups.of(account))]


def limit_documents(
    book: Book,
    limits: Sequence[Limit],
    judged: Judged | None,
    asked: Sequence[Enforcement],
    zone: tzinfo,
) -> list[dict[str, Any]]:
    """Return limits with all that is known of each; without `judged`, of those that are pending, less."""
    accounts = {limit.account for limit in limits}
    enforced = {name: enforcement_of(book, name) for name in accounts}
    unrun = [limit for limit in limits if is_unrun(book, limit)]
    shadow = in_shadow(book, accounts)
    return [
        plain(limit, zone)
        | _baseline(book, limit)
        | _standing(limit, judged, zone)
        | {"enforcement": enforced[limit.account] if limit not in unrun else _UNJUDGED}
        | {"requests": [plain(each, zone) for each in asked if _is_of(limit, each)]}
        | _mode(limit, shadow)
        for limit in limits
    ]


def limits_in_force(book: Book, account: str, at: int | None, zone: tzinfo) -> list[dict[str, Any]]:
    """Return the limits of an account, and of its groups, that are in force at an instant, or now."""
    accounts = accounts_with_groups(book, account)
    found = [limit for name in accounts for limit in book.limits.of(name, at)]
    asked = pending_requests(book, accounts, at)
    return limit_documents(book, found, judged_of(book, accounts, at), asked, zone)


def enforcement_of(book: Book, account: str) -> str:
    """Return whether policies judge an account's limits, in a word or two."""
    return _UNJUDGED if why_unjudged(book, account) is not None else _RUNS.get(run_of(book, account), "unknown")


def _standing(limit: Limit, judged: Judged | None, zone: tzinfo) -> dict[str, Any]:
    if judged is None:
        return {}
    rule_id = rule_id_of(limit)
    headroom = [each for each in judged.headroom.get(limit.account, ()) if each.rule_id == rule_id]
    unjudged = [each for each in judged.unjudged.get(limit.account, ()) if each.rule_id == rule_id]
    return {
        "headroom": plain(headroom[0], zone) if headroom else None,
        "unjudged": plain(unjudged[0], zone) if unjudged else None,
    }


def _mode(limit: Limit, shadow: frozenset[str]) -> dict[str, Any]:
    """Return whether a limit acts; a group has no mode, and its members have their own."""
    if limit.account.startswith(GROUP):
        return {}
    return {"mode": str(Protection.SHADOW if limit.account in shadow else Protection.ARMED)}


def _baseline(book: Book, limit: Limit) -> dict[str, Any]:
    """Return what a limit's result is measured from, and whether somebody has stated that; nothing for other limits."""
    if not needs_baseline(limit) or limit.account.startswith(GROUP):
        return {}
    baseline = book.accounts.configuration(limit.account).baseline
    return {"baseline": str(baseline), "baseline_stated": not lacks_baseline(book, limit.account)}


def _is_of(limit: Limit, request: Enforcement) -> bool:
    return (request.account, request.rule_id) == (limit.account, limit.rule_id)
