"""The results that limits are judged by: a day's or week's in a limit's currency, with its status and its parts."""

from __future__ import annotations

import decimal
import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec.structs import replace

from eventstore.trading import (
    AccountConfigured,
    Approved,
    Baseline,
    CashMoved,
    ContractDefined,
    EnforcementAction,
    EquityCorrected,
    FeeCharged,
    LimitsSet,
    OrderFilled,
    PositionAdjusted,
    RateQuoted,
    SessionOpened,
    SessionReset,
    Severity,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.risk.account_figures import AccountFigures
from projections.risk.caches import risk_cache
from projections.risk.limits.breaches import now_of
from projections.risk.limits.sentences import money, until
from projections.risk.policies import TriggerKind
from projections.valuation import KNOWN, Standing, Status, worst
from projections.views.baselines import NOTHING_CARRIED, Carried
from projections.views.limits.directions import ACTION, EITHER, from_loose_to_strict
from projections.views.limits.parameters import Parameters
from projections.views.period_sums import PeriodSums
from projections.views.valuing import Amounts, Total, added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

RESULT_EVENTS: tuple[type[Event], ...] = (
    OrderFilled,
    TradeExecuted,
    FeeCharged,
    TradeBusted,
    TradeCorrected,
    PositionAdjusted,
    CashMoved,
    AccountConfigured,
    EquityCorrected,
    Approved,
    LimitsSet,
    SessionOpened,
    SessionReset,
    ContractDefined,
    RateQuoted,
)
"""Events that may change a day's result or what it is compared with."""


class Basis(enum.StrEnum):
    """The figure that a loss is measured by."""

    REALIZED = "realized"
    """The realized result."""
    EQUITY = "equity"
    """The realized and the unrealized result, at the newest quotes."""
    END_OF_DAY = "end_of_day"
    """The balance at the end of each trading day."""


class ResultParameters(Parameters, frozen=True, kw_only=True):
    """What every kind on a day's or week's result has: what is measured, and whether fees count."""

    basis: Annotated[Basis, EITHER] = Basis.REALIZED
    net_of_fees: Annotated[bool, from_loose_to_strict(False, True)] = True  # noqa: FBT003 - values of a choice
    action: Annotated[EnforcementAction, ACTION] = EnforcementAction.FLATTEN

    @property
    def is_on_equity(self) -> bool:
        """Whether it is measured from a baseline."""
        return self.basis is Basis.EQUITY


class PeriodResult(msgspec.Struct, frozen=True):
    """A day's or week's result in one currency; on basis `equity` with the open positions, less what was carried in.

    `sums` are what was realized, `realized` the same by currency as the limit counts it, `converted` the sum of the
    absolute amounts that were converted.
    """

    amount: Decimal
    currency: str | None
    basis: Basis
    standing: Standing
    figures: AccountFigures
    sums: PeriodSums
    realized: Amounts
    carried: Carried = NOTHING_CARRIED
    converted: Decimal = ZERO
    ceiling: Decimal | None = None
    """What the result is at most where only its baseline is not KNOWN, which is the greater of two; else None."""

    def at_most(self) -> PeriodResult | None:
        """Return the result, or what it is at most; None where neither is known."""
        if self.is_known:
            return self
        if self.ceiling is None:
            return None
        return replace(self, amount=self.ceiling, standing=KNOWN, carried=NOTHING_CARRIED)

    @property
    def is_known(self) -> bool:
        return self.standing.status is Status.KNOWN

    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """Return the least and the greatest result over the confirming window; None if it is not confirmed."""
        with decimal.localcontext(FIXED):
            if self.basis is Basis.EQUITY:
                found = self.figures.confirmed(self.realized, self.currency)
            else:
                found = self.figures.bounds_of(self.realized, self.currency)
            if found is None or not self.is_known:
                return None
            carried = _carried_in(self.figures, self.carried, self.currency).amount
            return found[0] - carried, found[1] - carried

    def details(self) -> dict[str, Any]:
        """Return the parts of the result, as text."""
        currency, sums = self.currency, self.sums
        details: dict[str, Any] = {
            "realized": str(sums.realized.get(currency, ZERO)),
            "fees": str(sums.fees.get(currency, ZERO)),
        }
        if any(sums.cash.values()):
            details["cash"] = str(sums.cash.get(currency, ZERO))
        others, uncertain = dict(self.realized), {
            "unpriced": list(sums.unpriced), "uncertain_fees": list(sums.uncertain_fees)
        }  # fmt: skip
        if self.basis is Basis.EQUITY:
            positions = self.figures.positions
            others = added(others, positions.unrealized)
            details["unrealized"] = str(positions.unrealized.get(currency, ZERO))
            details["quotes"] = {
                symbol: {"price": str(used.price), "at": used.at} for symbol, used in positions.quotes.items()
            }
            uncertain |= positions.uncertain
        if self.carried.amount:
            details["carried"] = str(self.carried.amount)
        others = {other: amount for other, amount in others.items() if other not in {currency, None}}
        details |= {"other_currencies": {other: str(amount) for other, amount in others.items()}} if others else {}
        details |= {name: sorted(set(symbols)) for name, symbols in uncertain.items() if symbols}
        return details if self.is_known else details | {"status": self.standing.status, "why": self.standing.why}


def effective_time(trigger: Trigger) -> int:
    """Return the instant whose trading day a trigger affects: for a quote the time of receipt, not its feed's."""
    return now_of(trigger) if trigger.kind is TriggerKind.QUOTE else trigger.at


def period_results(
    figures: AccountFigures, parameters: ResultParameters, *, basis: Basis, week: bool = False
) -> Sequence[PeriodResult]:
    """Return a day's or week's result in the limit's or the account's currency; if neither is known, in each.

    Callers have set the context of projections.decimals.FIXED.
    """
    key = (basis, week, parameters.net_of_fees, parameters.currency)
    found: Sequence[PeriodResult] | None = figures.results.get(key)
    if found is None:
        found = figures.results[key] = _period_results(figures, parameters, basis=basis, week=week)
    return found


def _period_results(
    figures: AccountFigures, parameters: ResultParameters, *, basis: Basis, week: bool
) -> list[PeriodResult]:
    cache, chosen = figures.cache, parameters.currency or figures.own
    sums = cache.week_sums if week else cache.day_sums
    realized = cache.realized(week=week, net=parameters.net_of_fees)
    parts, carried, standings = realized, NOTHING_CARRIED, [sums.standing]
    if basis is Basis.EQUITY:
        parts = added(realized, figures.positions.unrealized)
        carried = cache.carried_by_week if week else cache.carried
        standings.append(figures.positions.standing)
    deducted = _carried_in(figures, carried, chosen)
    is_least = cache.configuration.baseline is Baseline.MAXIMUM
    # Without a currency of the account's own none is preferred: each is compared with the limit by itself.
    groups = {chosen: parts} if chosen is not None else {each: {each: parts[each]} for each in sorted_names(parts)}
    found = []
    for currency, amounts in (groups or {chosen: {}}).items():
        total = figures.total(amounts, target=currency).at_worst(*standings)
        whole = worst([total.standing, deducted.standing])
        amount = total.amount - deducted.amount
        ceiling = total.amount if is_least and total.standing is KNOWN and whole is not KNOWN else None
        found.append(
            PeriodResult(amount, currency, basis, whole, figures, sums, realized, carried, total.converted, ceiling)
        )
    return found


def sorted_names(amounts: Amounts) -> list[str | None]:
    return sorted(amounts, key=lambda name: name or "")


def _carried_in(figures: AccountFigures, carried: Carried, target: str | None) -> Total:
    """Return what was carried into the day or week, in a currency."""
    if carried is NOTHING_CARRIED:
        return Total(ZERO)
    total = figures.total({figures.own: carried.amount} if carried.amount else {}, target=target)
    return total.at_worst(carried.standing)


def cannot_change(book: Book, trigger: Trigger, limit: Limit, basis: Basis, *, policy: str = "") -> bool:
    """Return whether a trigger cannot change the outcome of a limit, so that computing it would be wasted.

    A quote changes only what includes open positions, or amounts that are converted. Time alone changes the outcome
    only where a limit comes into force later than it was recorded: the first tick after that sees it, however late.
    `policy`: whose evaluation it is, if the limit is not its own.
    """
    if trigger.kind is TriggerKind.QUOTE:
        return basis is not Basis.EQUITY and not _depends_on_rates(book, trigger, limit)
    if trigger.kind is TriggerKind.TIME:
        if (limit.in_force_at or 0) <= limit.set_at:
            return True
        known, key = risk_cache(book, trigger.account, trigger.at).groups["limits"], ("seen", policy, limit.position)
        is_seen = key in known
        known[key] = True
        return is_seen
    return False


def _depends_on_rates(book: Book, trigger: Trigger, limit: Limit) -> bool:
    """Return whether a limit compares converted amounts: the account has some, or the limit is in another currency."""
    cache = risk_cache(book, trigger.account, trigger.at)
    return cache.is_converted or limit.parameters.get("currency") not in {None, cache.currency}


def sentence(book: Book, trigger: Trigger, parameters: Parameters, what: str, ends_at: int | None) -> str:
    """Return a breach's sentence: what was reached and, if it locks, until when."""
    is_over = ends_at is not None and ends_at <= now_of(trigger)
    if parameters.severity is Severity.WARNING or is_over:
        return f"{what} reached"
    return f"{what} reached; {until(book, trigger.account, ends_at)}"


def amounts(figure: Decimal, limit: Decimal, currency: str | None) -> str:
    """Return `-18,500.00 of -20,000.00 USD`."""
    return f"{money(figure)} of {money(limit)} {currency or ''}".rstrip()
