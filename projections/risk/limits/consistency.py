"""The consistency rule: no single day may make too large a share of the total profit."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import SessionClosed, Severity
from projections.decimals import FIXED, ZERO
from projections.risk.days import day_of
from projections.risk.limits.base import Breach, Rule, now_of
from projections.risk.limits.parameters import ConsistencyParameters, Parameters
from projections.risk.limits.sentences import money, until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.view import Limit

_HUNDRED = 100


class Consistency(Rule[ConsistencyParameters]):
    """Warns, or locks until the next reset, if at a session's close the best day's share of all profit reaches `limit`.

    The share is as proprietary trading firms define it: the best day's net profit divided by the net profit of all
    days, losing days included; without a total profit there is no share. The newest 400 days with any activity count.
    It is not evaluated while a traded contract has no multiplier.
    """

    name = "consistency"
    parameters: ClassVar[type[Parameters]] = ConsistencyParameters
    types: ClassVar[tuple[type[Event], ...]] = (SessionClosed,)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: ConsistencyParameters
    ) -> Iterable[Breach]:
        event, account = trigger.event, trigger.account
        if not isinstance(event, SessionClosed):
            return
        own = book.accounts.get(account)
        currency = parameters.currency or (None if own is None else own.currency)
        days, others = _days(book, account, currency, net=parameters.net_of_fees)
        total = _sum(days.values())
        if total <= ZERO:
            return
        best_day = max(days, key=lambda name: days[name])
        share = FIXED.divide(days[best_day], total)
        if share < parameters.limit:
            return
        # The ledger marks a date in UTC that no session covers with a tilde.
        unit = f" {currency}" if currency else ""
        # A close exactly at the reset belongs to the day before.
        session = book.sessions.current(account, trigger.at - 1)
        ends_at = day_of(book, account, trigger.at, now_of(trigger)).ends_at
        reason = (
            f"the best day {best_day.removeprefix('~')} made {money(days[best_day])} of {money(total)}{unit}: "
            f"{_percent(share)} %, the limit is {_percent(parameters.limit)} %"
        )
        if parameters.severity is not Severity.WARNING:
            reason += f"; {until(book, account, ends_at)}"
        yield Breach(
            figure=share,
            limit=parameters.limit,
            reason=reason,
            until=ends_at,
            currency=currency,
            basis="best day ÷ total profit",
            trading_day=event.trading_day or (None if session is None else session.trading_day),
            details=others | {"best_day": best_day.removeprefix("~"), "best": str(days[best_day]), "total": str(total)},
        )


def _days(
    book: Book, account: str, currency: str | None, *, net: bool
) -> tuple[dict[str, Decimal], dict[str, dict[str, str]]]:
    """Return the result of each day in a currency, and as a detail the sums of all days in others."""
    days: dict[str, Decimal] = {}
    others: dict[str, list[Decimal]] = {}
    try:
        totals_by_day = book.pnl.days(account)
    except UnknownContract:
        # One unknown day makes every share wrong: the rule waits until the contract is defined.
        return {}, {}
    for name, totals in totals_by_day:
        for one in totals:
            amount = one.net_result if net else one.before_fees
            if one.currency == currency:
                days[name] = amount
            else:
                others.setdefault(one.currency or "", []).append(amount)
    sums = {other: str(_sum(amounts)) for other, amounts in others.items()}
    return days, {"other_currencies": sums} if sums else {}


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    with decimal.localcontext(FIXED):
        return sum(amounts, ZERO)


def _percent(share: Decimal) -> str:
    return f"{FIXED.multiply(share, FIXED.create_decimal(_HUNDRED)):.1f}"
