"""The consistency rule: no single day may have made too large a share of all profit."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore import UnknownContract
from eventstore.trading import SessionClosed, Severity
from projections.decimals import FIXED, ZERO
from projections.risk.limits.base import Breach, Rule, now_of
from projections.risk.limits.figures import day_of
from projections.risk.limits.parameters import Consistency as Parameters
from projections.risk.limits.sentences import money, until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.view import Limit

_HUNDRED = 100


class Consistency(Rule[Parameters]):
    """Warns, or locks until the next reset, where at a session's close the best day made `limit` of all profit or more.

    The share is as proprietary trading firms define it: the best day's net profit by the net profit of all days
    together, losing days counted; where that is no profit there is no share. Days are the newest 400 in which
    anything happened. It says nothing while a contract that was traded has no known worth.
    """

    name = "consistency"
    parameters: ClassVar[type[Parameters]] = Parameters
    types: ClassVar[tuple[type[Event], ...]] = (SessionClosed,)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: Parameters) -> Iterable[Breach]:
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
        named = f" {currency}" if currency else ""
        session = book.sessions.current(account, trigger.at - 1)
        ends_at = day_of(book, account, trigger.at, now_of(trigger)).ends_at
        said = (
            f"the best day {best_day.removeprefix('~')} made {money(days[best_day])} of {money(total)}{named}: "
            f"{_percent(share)} %, and {_percent(parameters.limit)} % are too much"
        )
        if parameters.severity is not Severity.WARNING:
            said += f"; {until(book, account, ends_at)}"
        yield Breach(
            figure=share,
            limit=parameters.limit,
            reason=said,
            until=ends_at,
            currency=currency,
            basis="best day ÷ total profit",
            trading_day=event.trading_day or (None if session is None else session.trading_day),
            details=others | {"best_day": best_day.removeprefix("~"), "best": str(days[best_day]), "total": str(total)},
        )


def _days(
    book: Book, account: str, currency: str | None, *, net: bool
) -> tuple[dict[str, Decimal], dict[str, dict[str, str]]]:
    """Return by day what was made in the currency that counts, and as a detail what all days made in others."""
    days: dict[str, Decimal] = {}
    others: dict[str, list[Decimal]] = {}
    try:
        told = book.pnl.days(account)
    except UnknownContract:
        return {}, {}
    for name, made in told:
        for one in made:
            amount = one.net if net else one.realized
            if one.currency == currency:
                days[name] = amount
            else:
                others.setdefault(one.currency or "", []).append(amount)
    sums = {named: str(_sum(amounts)) for named, amounts in others.items()}
    return days, {"other_currencies": sums} if sums else {}


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    with decimal.localcontext(FIXED):
        return sum(amounts, ZERO)


def _percent(share: Decimal) -> str:
    return f"{FIXED.multiply(share, FIXED.create_decimal(_HUNDRED)):.1f}"
