"""What each kind of limit says of an order: the figure it would come to, against the limit, in a sentence."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.trading import Severity, Verdict
from projections.proposals import MissingInput, Situation
from projections.rules.drawdown import floor_at
from projections.rules.parameters import (
    AvailableBalance,
    Basis,
    Concentration,
    DailyLoss,
    DailyProfit,
    MaximumContracts,
    MaximumPosition,
    OrderSize,
    Parameters,
    SymbolBlock,
    TradeLimit,
    TrailingDrawdown,
    Unit,
    WeeklyLoss,
)
from projections.rules.sentences import money

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from projections.views.limits import Limit
    from projections.views.pnl import Made

ZERO = Decimal(0)
ONE = Decimal(1)
# Looked up once: an access through the enumeration's class costs more than what is compared.
_ADVISED, _PASS, _EQUITY = Severity.WARNING, Verdict.PASS, Basis.EQUITY


class Finding(NamedTuple):
    """What one rule says of an order. `figure` is what the order would come to, `limit` what is allowed.

    `reason` is a sentence for a trader, empty where the order passes; `details` are more figures, by name.
    """

    rule_id: str
    verdict: Verdict
    figure: Decimal | None = None
    limit: Decimal | None = None
    reason: str = ""
    details: dict[str, Any] | None = None


def daily_loss(s: Situation, limit: Limit, p: DailyLoss) -> Finding:
    """The day's result must stay above minus the limit; trailing, above the day's best minus the limit."""
    figure = _result(s, s.standing.day, p)
    if p.trailing:
        on_equity = p.basis is _EQUITY
        best = s.standing.best_of_day(p.currency or s.standing.currency, net=p.net_of_fees, marked=on_equity)
        figure -= max(best, figure) if on_equity else best
    return _lost(s, limit, p, "daily loss", figure)


def weekly_loss(s: Situation, limit: Limit, p: WeeklyLoss) -> Finding:
    """The result of this week's days must stay above minus the limit."""
    return _lost(s, limit, p, "weekly loss", _result(s, s.standing.week, p))


def daily_profit(s: Situation, limit: Limit, p: DailyProfit) -> Finding:
    """The day's result must stay below the target."""
    figure = _result(s, s.standing.day, p)
    verdict = _reached(p, figure, p.target)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, p.target)
    sentence = f"daily profit {money(figure)} of {money(p.target)}{_in(p.currency or s.standing.currency)}"
    return _found(limit, verdict, figure, p.target, sentence)


def trailing_drawdown(s: Situation, limit: Limit, p: TrailingDrawdown) -> Finding:
    """Equity, or on the realized basis the balance, must stay above the floor.

    The figure is how much of the distance is used up.
    """
    known = s.standing.known
    if known is None or known.starting_balance is None:
        msg = f"nobody told the starting balance of {s.account}"
        raise MissingInput(msg)
    figure = s.standing.balance if p.basis is Basis.REALIZED else s.equity()
    floor = floor_at(_high(s, p.basis, figure, known.starting_balance), p)
    if s.standing.floor is not None and p.severity is not _ADVISED:
        floor = max(floor, s.standing.floor)
    used = p.distance - (figure - floor)
    verdict = _reached(p, used, p.distance)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, used, p.distance)
    what = "balance" if p.basis is Basis.REALIZED else "equity"
    sentence = f"{what} {money(figure)}{_in(s.standing.currency)} at the drawdown floor {money(floor)}"
    return _found(limit, verdict, used, p.distance, sentence)


def _high(s: Situation, basis: Basis, figure: Decimal, starting: Decimal) -> Decimal:
    """Return the highest figure of a basis so far."""
    highs = s.standing.highs
    if basis is Basis.END_OF_DAY:
        return starting if highs.close is None else max(starting, highs.close)
    marked = highs.balance if basis is Basis.REALIZED else highs.equity
    return max(starting, figure, figure if marked is None else marked)


def maximum_contracts(s: Situation, limit: Limit, p: MaximumContracts) -> Finding:
    """Contracts by weight, each symbol at the most that its working orders could make of it."""
    most = p.limit
    balance = s.standing.balance if p.scaling else ZERO
    for reached, scaled in p.scaling:
        most = scaled if balance >= reached else most
    total = ZERO
    for symbol in s.symbols():
        total += s.exposure(symbol) * _weight(s, p.weights, symbol)
    verdict = _exceeded(p, total, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, total, most)
    return _found(limit, verdict, total, most, f"{total:f} of {most:f} contracts, working orders counted")


def maximum_position(s: Situation, limit: Limit, p: MaximumPosition) -> Finding | None:
    """The position that the order and those that work could lead to, in its symbol."""
    most = s.of_symbol(p.limits, p.limit)
    if most is None:
        return None
    figure = s.exposure(s.symbol)
    verdict = _exceeded(p, figure, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    return _found(limit, verdict, figure, most, f"position {figure:f} of {most:f} in {s.symbol}")


def order_size(s: Situation, limit: Limit, p: OrderSize) -> Finding | None:
    """The order's own quantity."""
    most = s.of_symbol(p.limits, p.limit)
    if most is None:
        return None
    figure = abs(s.quantity)
    verdict = _exceeded(p, figure, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    return _found(limit, verdict, figure, most, f"order of {figure:f} of at most {most:f} {s.symbol}")


def available_balance(s: Situation, limit: Limit, p: AvailableBalance) -> Finding:
    """What is available, less what the order's margin takes, must not fall below the minimum."""
    account = s.standing.known
    if account is None:
        msg = f"nothing is known of the balance of {s.account}"
        raise MissingInput(msg)
    currency = p.currency or account.currency
    told = account.told.get(currency)
    available = None if told is None else told.available
    if available is None:
        own = currency == account.currency
        available = s.standing.balance if own else s.book.accounts.balance(s.account, currency)
    left = available - (s.of_symbol(p.margins, ZERO) or ZERO) * abs(s.quantity)
    if left >= p.minimum:
        return Finding(limit.rule_id, _PASS, left, p.minimum)
    sentence = f"of {money(available)}{_in(currency)} available {money(left)} would be left, below {money(p.minimum)}"
    return Finding(limit.rule_id, _refusal(p), left, p.minimum, sentence)


def concentration(s: Situation, limit: Limit, p: Concentration) -> Finding:
    """The value of the position in one symbol, as a share of equity."""
    equity = s.equity()
    if equity <= ZERO:
        msg = f"the equity of {s.account} is {money(equity)}: nothing can be a share of it"
        raise MissingInput(msg)
    share = s.exposure(s.symbol) * s.price() * s.multiplier() / equity
    verdict = _exceeded(p, share, p.limit)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, share, p.limit)
    sentence = f"{share * 100:.1f} % of equity in {s.symbol}, {p.limit * 100:.1f} % are allowed"
    return _found(limit, verdict, share, p.limit, sentence)


def trade_limit(s: Situation, limit: Limit, p: TradeLimit) -> Finding:
    """So many orders, fills or round trips today; the order would be one more."""
    counts = s.standing.counts
    count = {Unit.ORDERS: counts.orders, Unit.FILLS: counts.fills, Unit.ROUND_TRIPS: counts.round_trips}[p.unit]
    figure, most = Decimal(count), Decimal(p.limit)
    verdict = _reached(p, figure, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    return _found(limit, verdict, figure, most, f"{count} of {p.limit} {p.unit.value.replace('_', ' ')} today")


def symbol_block(s: Situation, limit: Limit, p: SymbolBlock) -> Finding:
    """The order's symbol, or its root, must not be among those blocked."""
    blocked = [name for name in s.standing.names(s.symbol) if name in p.symbols]
    if not blocked:
        return Finding(limit.rule_id, _PASS)
    return Finding(limit.rule_id, _refusal(p), reason=f"{s.symbol} is blocked for {s.account} ({', '.join(blocked)})")


def _lost(s: Situation, limit: Limit, p: DailyLoss | WeeklyLoss, what: str, figure: Decimal) -> Finding:
    verdict = _reached(p, -figure, p.limit)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, -figure, p.limit)
    sentence = f"{what} {money(figure)} of {money(-p.limit)}{_in(p.currency or s.standing.currency)}"
    return _found(limit, verdict, -figure, p.limit, sentence)


def _result(s: Situation, made: Iterable[Made], p: DailyLoss | WeeklyLoss | DailyProfit) -> Decimal:
    """Return what was made, in the limit's currency and on its basis."""
    currency = p.currency or s.standing.currency
    figure = ZERO
    for one in made:
        if one.currency == currency:
            figure = one.net if p.net_of_fees else one.realized
    return figure + s.unrealized().get(currency, ZERO) if p.basis is _EQUITY else figure


def _weight(s: Situation, weights: dict[str, Decimal], symbol: str) -> Decimal:
    """Return how much one contract of a symbol counts."""
    for name in s.standing.names(symbol) if weights else ():
        if name in weights:
            return weights[name]
    return ONE


def _in(currency: str | None) -> str:
    return "" if currency is None else f" {currency}"


def _refusal(p: Parameters) -> Verdict:
    return Verdict.WARNING if p.severity is _ADVISED else Verdict.REJECT


def _reached(p: Parameters, figure: Decimal, most: Decimal) -> Verdict:
    """Judge what is so already: reaching the limit is a breach."""
    if figure >= most:
        return _refusal(p)
    return Verdict.WARNING if figure >= most * p.warn_at else _PASS


def _exceeded(p: Parameters, figure: Decimal, most: Decimal) -> Verdict:
    """Judge what the order would make so: it may come to the limit, not beyond."""
    if figure > most:
        return _refusal(p)
    return Verdict.WARNING if figure >= most * p.warn_at else _PASS


def _found(limit: Limit, verdict: Verdict, figure: Decimal, most: Decimal, sentence: str) -> Finding:
    return Finding(limit.rule_id, verdict, figure, most, sentence + (" reached" if figure >= most else ""))


class Judge(NamedTuple):
    """How limits of one kind are checked: their parameters, and what they say of an order."""

    parameters: type[Any]
    check: Callable[[Situation, Limit, Any], Finding | None]


CHECKS: dict[str, Judge] = {
    "maximum-position": Judge(MaximumPosition, maximum_position),
    "maximum-contracts": Judge(MaximumContracts, maximum_contracts),
    "available-balance": Judge(AvailableBalance, available_balance),
    "daily-loss": Judge(DailyLoss, daily_loss),
    "weekly-loss": Judge(WeeklyLoss, weekly_loss),
    "daily-profit": Judge(DailyProfit, daily_profit),
    "trailing-drawdown": Judge(TrailingDrawdown, trailing_drawdown),
    "concentration": Judge(Concentration, concentration),
    "order-size": Judge(OrderSize, order_size),
    "trade-limit": Judge(TradeLimit, trade_limit),
    "symbol-block": Judge(SymbolBlock, symbol_block),
}
"""By kind of rule. Cooldowns are lockouts, blackouts are asked for apart, consistency is no matter of one order."""
