"""What an account may not do and was asked to do: lockouts, breaches, blackouts, requests, and in shadow mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.streams import unescaped
from eventstore.trading import (
    AccountConfigured,
    AccountReopened,
    AccountUpdated,
    Approved,
    BlackoutCanceled,
    BlackoutScheduled,
    ClockJumped,
    EquityCorrected,
    LimitBreached,
    LimitJudged,
    LimitReported,
    LimitUnjudged,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    ProtectionMode,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from projections.changes.compared import ANY, ComparedView, ListedView, numbered
from projections.views.approvals import APPROVAL_TYPES
from projections.views.blackouts import BlackoutsView
from projections.views.enforcement import EnforcementView
from projections.views.limits.recorded import breach_of
from projections.views.limits.view import LimitsView
from projections.views.lockouts.transitions import BROKER
from projections.views.lockouts.view import LockoutsView
from projections.views.shadow import ShadowView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventstore import Record
    from projections.book import Book
    from projections.changes.compared import Concerned
    from projections.changes.pasts import ComparedBooks
    from projections.views.lockouts.lockout import Lockout

Facts = Mapping[str, Any]


class ComparedLockouts(ComparedView):
    """Every lockout of a rule, by the rule: an account may have had several."""

    name: ClassVar[str] = "lockouts"
    absent: ClassVar[Any] = ()

    @override
    def partitions(self, book: Book) -> Iterable[str]:
        return book.partitions(LockoutsView.name)

    @override
    def values(self, book: Book, account: str) -> Facts:
        if book.state(LockoutsView.name, account) is None:
            return {}
        return _by_rule(book.lockouts.history(account))

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        account = record.account
        match record.event:
            case LockoutSet() | LockoutExtended() | LockoutCleared() | LockoutExpired() as event:
                yield account, event.rule_id or unescaped(record.entity)
            case AccountUpdated(can_trade=bool()):
                yield account, BROKER
            case ClockJumped() | AccountReopened() | EquityCorrected() | Approved() | AccountConfigured():
                yield account, ANY
            case _:
                return


def _by_rule(lockouts: Iterable[Lockout]) -> Facts:
    found: dict[str, tuple[Lockout, ...]] = {}
    for lockout in lockouts:
        found[lockout.rule_id] = (*found.get(lockout.rule_id, ()), lockout)
    return found


def _unjudged(book: Book, account: str) -> Facts:
    return {each.rule_id: each for each in book.limits.recorded_unjudged(account)}


def _breaches(book: Book, account: str) -> Facts:
    state = book.state(LimitsView.name, account)
    if state is None or not state.breach_count:
        return {}
    records = book.read(account=account, types=(LimitBreached,))
    return {
        str(record.position): breach_of(event, record)
        for record in records
        if isinstance(event := record.event, LimitBreached)
    }


def _blackouts(book: Book, account: str) -> Facts:
    state = book.state(BlackoutsView.name, account)
    return {} if state is None else state.blackouts


def _requests(book: Book, account: str) -> Facts:
    return numbered((each.request_id, each) for each in book.enforcement.of(account))


def _would_lock(book: Book, account: str) -> Facts:
    return {} if book.state(ShadowView.name, account) is None else _by_rule(book.shadow.history(account))


def _would_ask(book: Book, account: str) -> Facts:
    return {str(each.position): each for each in book.shadow.asks(account)}


def _reported_limits(book: Book, account: str) -> Facts:
    return {
        "/".join((each.kind, str(each.trading_day or ""), each.currency or "")): each
        for each in book.shadow.reported(account)
    }


def _rule_of(event: Any, record: Record) -> str | None:  # noqa: ANN401 - an event of any class
    return getattr(event, "rule_id", None) or (
        unescaped(record.entity) if isinstance(event, WouldLock | WouldClear) else None
    )


def _request_of(event: Any, record: Record) -> str | None:  # noqa: ANN401 - an event of any class
    # Asked again, it supersedes the attempt before; a clock that is put right may concern any.
    if isinstance(event, ClockJumped) or getattr(event, "attempt", 1) > 1:
        return None
    named: str | None = event.request_id
    return named or unescaped(record.entity)


def _position_of(_event: object, record: Record) -> str:
    return str(record.position)


def _entity_of(_event: object, record: Record) -> str:
    return unescaped(record.entity)


PROTECTION = (
    ComparedLockouts(),
    ListedView("unjudged", LimitsView.name, _unjudged, (LimitUnjudged, LimitJudged), _rule_of),
    ListedView("breaches", LimitsView.name, _breaches, (LimitBreached,), _position_of),
    ListedView("blackouts", BlackoutsView.name, _blackouts, (BlackoutScheduled, BlackoutCanceled), _entity_of),
    ListedView("enforcement", EnforcementView.name, _requests, EnforcementView.types, _request_of),
    ListedView(
        "shadow",
        ShadowView.name,
        _would_lock,
        (WouldLock, WouldClear, ProtectionMode, AccountReopened, EquityCorrected, *APPROVAL_TYPES),
        _rule_of,
        absent=(),
    ),
    ListedView("shadow_requests", ShadowView.name, _would_ask, (WouldAsk,), _position_of),
    ListedView("reported_limits", ShadowView.name, _reported_limits, (LimitReported,)),
)
"""The views of this subject, in the order in which they are compared."""
