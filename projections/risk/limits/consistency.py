"""The consistency rule: no single day may make too large a share of the total profit."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, cast

from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import SessionClosed, Severity
from projections.decimals import FIXED, ZERO
from projections.risk.caches import risk_cache
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import LimitKind, Measure
from projections.risk.limits.sentences import money, unit_of, until
from projections.views.limits.directions import HIGHER, Measured, from_loose_to_strict
from projections.views.limits.parameters import Parameters, above_zero

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

_HUNDRED = 100
PROFITABLE_DAYS_MIN = 2
"""With one profitable day its share is all there is, and says nothing about consistency."""


class ConsistencyParameters(Parameters, frozen=True, kw_only=True):
    """`limit`: the largest share (0 to 1) of the total profit made on the best day; a breach is a warning.

    It is judged from the second profitable day on.
    """

    limit: Annotated[Decimal, HIGHER, Measured.SHARE]
    net_of_fees: Annotated[bool, from_loose_to_strict(False, True)] = True  # noqa: FBT003 - values of a choice
    severity: Annotated[Severity, from_loose_to_strict("WARNING", "LOCKOUT")] = Severity.WARNING

    @override
    def problem(self) -> str | None:
        # More than all of the profit is made on no day without losses on others: 50 is meant as a percentage.
        return above_zero("limit", self.limit) or (
            f"limit = {self.limit}: expected a share from 0 to 1, such as 0.5" if self.limit > 1 else None
        )


class _BestDay(NamedTuple):
    """The best day, its profit, and that of all days."""

    day: str
    profit: Decimal
    total: Decimal


class Consistency(LimitKind[ConsistencyParameters]):
    """Warns, or locks until the next reset, if at a session's close the best day's share of all profit reaches `limit`.

    The share is as proprietary trading firms define it: the best day's net profit divided by the net profit of all
    days, losing days included; without a total profit, or with a single profitable day, there is no share. The newest
    400 days with any activity count. It is not judged while a traded contract has no multiplier.
    """

    name = "consistency"
    parameters: ClassVar[type[Parameters]] = ConsistencyParameters
    unit: ClassVar[Measured | None] = Measured.SHARE
    group: ClassVar[str | None] = "pnl"
    checked: ClassVar[bool] = False
    types: ClassVar[tuple[type[Event], ...]] = (SessionClosed,)

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: ConsistencyParameters) -> Measure:
        return _measure(context.cache, parameters)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: ConsistencyParameters
    ) -> Iterable[Breach]:
        event, account = trigger.event, trigger.account
        if not isinstance(event, SessionClosed):
            return
        try:
            measure = _measure(risk_cache(book, account, now_of(trigger)), parameters)
        except UnknownContract:
            # One unknown day makes every share wrong: the limit is unjudged until the contract is defined.
            return
        best, currency = cast("_BestDay | None", measure.parts), measure.currency
        if best is None or measure.figure < measure.limit:
            return
        # A close exactly at the reset belongs to the day before.
        session = book.sessions.current(account, trigger.at - 1)
        ends_at = day_of(book, account, trigger.at, now_of(trigger)).ends_at
        reason = (
            f"the best day {best.day} made {money(best.profit)} of {money(best.total)}{unit_of(currency)}: "
            f"{_percent(measure.figure)} %, the limit is {_percent(parameters.limit)} %"
        )
        if parameters.severity is not Severity.WARNING:
            reason += f"; {until(book, account, ends_at)}"
        details = {"best_day": best.day, "best": str(best.profit), "total": str(best.total)}
        yield Breach(
            figure=measure.figure,
            limit=parameters.limit,
            reason=reason,
            until=ends_at,
            currency=currency,
            basis="best day ÷ total profit",
            trading_day=event.trading_day or (None if session is None else session.trading_day),
            details=_others(book, account, currency, net=parameters.net_of_fees) | details,
        )


def _measure(cache: RiskCache, parameters: ConsistencyParameters) -> Measure:
    """Return the best day's share, zero where there is none; raise UnknownContract while a day is not known."""
    currency = parameters.currency or cache.currency
    days = {
        name: one.net_result if parameters.net_of_fees else one.before_fees
        for name, totals in cache.days
        for one in totals
        if one.currency == currency
    }
    total = _sum(days.values())
    if total <= ZERO or sum(amount > ZERO for amount in days.values()) < PROFITABLE_DAYS_MIN:
        return Measure(ZERO, parameters.limit, currency=currency)
    best = max(days, key=lambda name: days[name])
    share = FIXED.divide(days[best], total)
    parts = _BestDay(_shown(best), days[best], total)
    return Measure(share, parameters.limit, currency=currency, parts=parts)


def _shown(name: str) -> str:
    """Return how a day is called: a trading day may have the same date as one in UTC that no session covers yet."""
    return f"{name.removeprefix('~')} in UTC" if name.startswith("~") else name


def _others(book: Book, account: str, currency: str | None, *, net: bool) -> dict[str, dict[str, str]]:
    """Return, as a detail, the sums of all days in other currencies."""
    others: dict[str, list[Decimal]] = {}
    for _, totals in book.pnl.days(account):
        for one in totals:
            if one.currency != currency:
                others.setdefault(one.currency or "", []).append(one.net_result if net else one.before_fees)
    sums = {other: str(_sum(amounts)) for other, amounts in others.items()}
    return {"other_currencies": sums} if sums else {}


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    with decimal.localcontext(FIXED):
        return sum(amounts, ZERO)


def _percent(share: Decimal) -> str:
    return f"{FIXED.multiply(share, FIXED.create_decimal(_HUNDRED)):.1f}"
