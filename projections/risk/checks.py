"""The check of each kind of limit before an order: the resulting figure, the limit, and a sentence that says so."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from eventstore.trading import Severity, Verdict
from projections.decimals import ZERO
from projections.risk.days import TradingPeriod, day_of, week_of
from projections.risk.limits.drawdown import Drawdown, floor_at
from projections.risk.limits.figures import PeriodResult, amounts, period_results
from projections.risk.limits.loss import best_of_day
from projections.risk.limits.parameters import (
    AvailableBalanceParameters,
    Basis,
    ConcentrationParameters,
    DailyLossParameters,
    DailyProfitParameters,
    MaximumContractsParameters,
    MaximumPositionParameters,
    OrderSizeParameters,
    Parameters,
    SymbolBlockParameters,
    TradeLimitParameters,
    TrailingDrawdownParameters,
    WeeklyLossParameters,
)
from projections.risk.limits.sentences import money, until
from projections.risk.proposals import CheckContext, MissingInput
from projections.valuation import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.views.limits.view import Limit

ONE = Decimal(1)
# Looked up once: reading a member of an enumeration costs more than the comparison itself.
_ADVISORY, _PASS, _REJECT, _KNOWN = Severity.WARNING, Verdict.PASS, Verdict.REJECT, Status.KNOWN


class Finding(NamedTuple):
    """One rule's verdict on an order. `figure` is what the order would result in, `limit` what is allowed.

    `reason` is a sentence for the trader, empty if the order passes.
    """

    rule_id: str
    verdict: Verdict
    figure: Decimal | None = None
    limit: Decimal | None = None
    reason: str = ""


def maximum_position(context: CheckContext, limit: Limit, parameters: MaximumPositionParameters) -> Finding | None:
    """The worst-case position in the order's symbol."""
    most = context.value_for(context.symbol, parameters.limits, parameters.limit)
    if most is None:
        return None
    figure = context.exposure()
    verdict = _exceeded(parameters, figure, most)
    # Here and below: most orders pass, and composing a sentence costs more than the comparison.
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    sentence = f"position {figure:f} of at most {most:f} in {context.symbol}, working orders counted"
    return Finding(limit.rule_id, verdict, figure, most, sentence)


def maximum_contracts(context: CheckContext, limit: Limit, parameters: MaximumContractsParameters) -> Finding:
    """The worst-case number of contracts in all symbols, by weight."""
    most = parameters.at(context.cache.balance(parameters.currency)) if parameters.scaling else parameters.limit
    # The other symbols' part is the same for the next order in this one.
    others = context.cache.memoize(
        "exposure", (limit.position, context.symbol), lambda: _weighted_others(context, parameters.weights, ONE)
    )
    total = others + context.exposure() * context.value_for(context.symbol, parameters.weights, ONE)
    verdict = _exceeded(parameters, total, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, total, most)
    sentence = f"{total:f} of at most {most:f} contracts, working orders counted"
    return Finding(limit.rule_id, verdict, total, most, sentence)


def _weighted_others(context: CheckContext, weights: dict[str, Decimal], default: Decimal) -> Decimal:
    """Return the weighted sum of the worst-case positions in all symbols but the order's."""
    exposures = context.other_exposures()
    return sum((most * context.value_for(symbol, weights, default) for symbol, most in exposures), ZERO)


def available_balance(context: CheckContext, limit: Limit, parameters: AvailableBalanceParameters) -> Finding:
    """The available balance less the order's margin must not fall below the minimum.

    The broker's figure excludes margin already in use; from the folded balance, the margin of all positions and
    working orders is subtracted too.
    """
    account = context.cache.account
    if account is None:
        msg = f"account {context.account} has no balance"
        raise MissingInput(msg)
    currency = parameters.currency or account.currency
    reported = account.broker_balances.get(currency)
    available, quantity, others = None if reported is None else reported.available, context.quantity, ZERO
    if available is None:
        available = context.cache.balance(None if currency == account.currency else currency)
        if parameters.margins:
            quantity = context.exposure()
            others = context.cache.memoize(
                "exposure",
                (limit.position, context.symbol),
                lambda: _weighted_others(context, parameters.margins, ZERO),
            )
    needed = others + context.value_for(context.symbol, parameters.margins, ZERO) * quantity
    left, required = available - needed, needed + parameters.minimum
    if left >= parameters.minimum and (required < available * parameters.warn_at or not required):
        return Finding(limit.rule_id, _PASS, left, parameters.minimum)
    verdict = Verdict.WARNING if left >= parameters.minimum else _breach_verdict(parameters)
    sentence = (
        f"available balance {money(available)}{_unit(currency)}, {money(left)} after the order; "
        f"the minimum is {money(parameters.minimum)}"
    )
    return Finding(limit.rule_id, verdict, left, parameters.minimum, sentence)


def daily_loss(context: CheckContext, limit: Limit, parameters: DailyLossParameters) -> Finding:
    """The day's loss must stay below the limit; trailing: measured from the day's best result."""
    result, suffix = _result(context, parameters), ""
    figure = result.amount
    if parameters.trailing:
        best = best_of_day(result, parameters)
        bounds = result.bounds()
        # One price is enough to reject, though not to lock.
        best = best if bounds is None else max(best, bounds[1])
        figure -= best
        suffix = f" from the day's best {money(best)}"
    return _loss_finding(context, limit, parameters, ("daily loss", suffix), replace(result, amount=figure))


def weekly_loss(context: CheckContext, limit: Limit, parameters: WeeklyLossParameters) -> Finding:
    """The loss of the week's trading days must stay below the limit."""
    result = _result(context, parameters, week=True)
    return _loss_finding(context, limit, parameters, ("weekly loss", ""), result)


def _loss_finding(
    context: CheckContext,
    limit: Limit,
    parameters: DailyLossParameters | WeeklyLossParameters,
    words: tuple[str, str],
    result: PeriodResult,
) -> Finding:
    figure, reserve = result.amount, _haircut(context, result.converted)
    verdict = _reached(parameters, reserve - figure, parameters.limit)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, -figure, parameters.limit)
    what, suffix = words
    sentence = f"{what} {amounts(figure, -parameters.limit, result.currency)}{suffix}{_reserved(reserve)}"
    find = week_of if isinstance(parameters, WeeklyLossParameters) else day_of
    sentence += _lock_suffix(context, verdict, -figure >= parameters.limit, find)
    return Finding(limit.rule_id, verdict, -figure, parameters.limit, sentence)


def daily_profit(context: CheckContext, limit: Limit, parameters: DailyProfitParameters) -> Finding:
    """The day's result must stay below the target."""
    result = _result(context, parameters, best=True)
    figure, currency = result.amount, result.currency
    verdict = _reached(parameters, figure, parameters.target)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, parameters.target)
    sentence = f"daily profit {amounts(figure, parameters.target, currency)}"
    sentence += _lock_suffix(context, verdict, figure >= parameters.target)
    return Finding(limit.rule_id, verdict, figure, parameters.target, sentence)


def trailing_drawdown(context: CheckContext, limit: Limit, parameters: TrailingDrawdownParameters) -> Finding:
    """Equity, or with basis `realized` the balance, must stay above the floor.

    The figure is the part of the distance that is used up. The floor that follows from the highest price of the
    confirming window counts: one price is enough to reject, though not to lock.
    """
    own, found = context.currency, Drawdown.of(context.figures, parameters)
    if context.cache.capital is None:
        msg = f"account {context.account} has no starting balance"
        raise MissingInput(msg)
    if found is None:
        msg = f"its currency is {parameters.currency}, but the account's is {own}"
        raise MissingInput(msg)
    if found.standing.status is not _KNOWN:
        raise MissingInput(found.standing.why)
    figure = found.figure
    floor = max(found.floor, floor_at(found.highest(), parameters))
    used = parameters.distance - (figure - floor)
    reserve = _haircut(context, found.converted)
    verdict = _reached(parameters, used + reserve, parameters.distance)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, used, parameters.distance)
    what = "balance" if parameters.basis is Basis.REALIZED else "equity"
    sentence = f"{what} {money(figure)}{_unit(own)} at the drawdown floor {money(floor)}"
    if figure > floor:
        sentence = (
            f"{what} {money(figure)}{_unit(own)}, {money(figure - floor)} above the drawdown floor {money(floor)}"
            f"{_reserved(reserve)}"
        )
    elif verdict is _REJECT:
        sentence += f" reached; {until(context.book, context.account, None)}"
    return Finding(limit.rule_id, verdict, used, parameters.distance, sentence)


def concentration(context: CheckContext, limit: Limit, parameters: ConcentrationParameters) -> Finding:
    """The value of the worst-case position in the order's symbol, as a share of equity."""
    equity = context.equity()
    if equity <= ZERO:
        msg = f"the equity of account {context.account} is {money(equity)}, so that no share of it can be computed"
        raise MissingInput(msg)
    share = context.exposure_value() / equity
    verdict = _exceeded(parameters, share, parameters.limit)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, share, parameters.limit)
    sentence = f"{share * 100:.1f} % of equity in {context.symbol}, at most {parameters.limit * 100:.1f} % allowed"
    return Finding(limit.rule_id, verdict, share, parameters.limit, sentence)


def order_size(context: CheckContext, limit: Limit, parameters: OrderSizeParameters) -> Finding | None:
    """The order's own quantity."""
    most = context.value_for(context.symbol, parameters.limits, parameters.limit)
    if most is None:
        return None
    verdict = _exceeded(parameters, context.quantity, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, context.quantity, most)
    sentence = f"order of {context.quantity:f}, at most {most:f} {context.symbol}"
    return Finding(limit.rule_id, verdict, context.quantity, most, sentence)


def trade_limit(context: CheckContext, limit: Limit, parameters: TradeLimitParameters) -> Finding:
    """The day's number of orders, fills or round trips must be below the limit."""
    # The units are named like the counts.
    figure, most = Decimal(getattr(context.cache.counts, parameters.unit)), Decimal(parameters.limit)
    verdict = _reached(parameters, figure, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    sentence = f"trade limit {figure:,} of {most:,} {parameters.unit.label}"
    return Finding(limit.rule_id, verdict, figure, most, sentence + _lock_suffix(context, verdict, figure >= most))


def symbol_block(context: CheckContext, limit: Limit, parameters: SymbolBlockParameters) -> Finding:
    """Neither the order's symbol nor its root may be blocked; a name that no contract has may be any of them."""
    symbols = parameters.symbols
    blocked = context.cache.named_in(context.symbol, symbols) if symbols else []
    if not blocked:
        return Finding(limit.rule_id, _PASS)
    sentence = f"{context.symbol} is blocked for {context.account} ({', '.join(blocked)})"
    return Finding(limit.rule_id, _breach_verdict(parameters), reason=sentence)


def _result(
    context: CheckContext,
    parameters: DailyLossParameters | WeeklyLossParameters | DailyProfitParameters,
    *,
    week: bool = False,
    best: bool = False,
) -> PeriodResult:
    """Return the result on the limit's basis, in the limit's currency or the account's own.

    If neither is known, no currency is preferred: the worst of all results counts, or for a profit the best. Raises
    MissingInput while it is not KNOWN.
    """
    results = tuple(period_results(context.figures, parameters, basis=parameters.basis, week=week))
    for each in results:
        if not each.is_known:
            raise MissingInput(each.standing.why)
    return (max if best else min)(results, key=lambda each: each.amount)


def _haircut(context: CheckContext, converted: Decimal) -> Decimal:
    """Return by how much the account's haircut on converted amounts narrows headroom; it changes no figure."""
    haircut = context.cache.configuration.haircut
    return converted * haircut if haircut else ZERO


def _reserved(reserve: Decimal) -> str:
    return f", {money(reserve)} held back for converted amounts" if reserve else ""


def _unit(currency: str | None) -> str:
    return "" if currency is None else f" {currency}"


def _lock_suffix(
    context: CheckContext,
    verdict: Verdict,
    reached: bool,  # noqa: FBT001 - internal
    find: Callable[..., TradingPeriod] = day_of,
) -> str:
    """Return the end of the sentence: a limit that is reached locks until the end of the day or week."""
    if not reached or verdict is not _REJECT:
        return " reached" if reached else ""
    book, account, at = context.book, context.account, context.at
    return f" reached; {until(book, account, find(book, account, at, at).ends_at)}"


def _breach_verdict(parameters: Parameters) -> Verdict:
    return Verdict.WARNING if parameters.severity is _ADVISORY else _REJECT


def _reached(parameters: Parameters, figure: Decimal, most: Decimal) -> Verdict:
    """Compare a figure that exists already: reaching the limit is a breach."""
    if figure >= most:
        return _breach_verdict(parameters)
    return Verdict.WARNING if figure >= most * parameters.warn_at else _PASS


def _exceeded(parameters: Parameters, figure: Decimal, most: Decimal) -> Verdict:
    """Compare a figure that the order would cause: it may reach the limit, but not exceed it."""
    if figure > most:
        return _breach_verdict(parameters)
    return Verdict.WARNING if figure >= most * parameters.warn_at else _PASS


class LimitCheck(NamedTuple):
    """How limits of one kind are checked.

    `group` is the RiskCache group of the realized results or counts that the kind compares; None if the finding
    depends on the order.
    """

    find: Callable[[CheckContext, Limit, Any], Finding | None]
    group: str | None = None

    def cache_group(self, parameters: Parameters) -> str | None:
        """Return the cache group whose change invalidates a PASS; None if every order must be checked again."""
        # With open positions in the figure, or a best that moves with them, each quote may change the finding.
        by_quotes = getattr(parameters, "basis", Basis.REALIZED) is not Basis.REALIZED or getattr(
            parameters, "trailing", False
        )
        # A limit in a currency of its own is compared at the newest rate.
        return None if by_quotes or parameters.currency is not None else self.group


CHECKS: dict[str, LimitCheck] = {
    "maximum-position": LimitCheck(maximum_position),
    "maximum-contracts": LimitCheck(maximum_contracts),
    "available-balance": LimitCheck(available_balance),
    "daily-loss": LimitCheck(daily_loss, "pnl"),
    "weekly-loss": LimitCheck(weekly_loss, "pnl"),
    "daily-profit": LimitCheck(daily_profit, "pnl"),
    "trailing-drawdown": LimitCheck(trailing_drawdown),
    "concentration": LimitCheck(concentration),
    "order-size": LimitCheck(order_size),
    "trade-limit": LimitCheck(trade_limit, "counts"),
    "symbol-block": LimitCheck(symbol_block),
}
"""By kind of rule, in the order in which they are checked.

A cooldown acts by its lockout, blackouts are checked separately, and consistency does not depend on a single order.
"""
