"""What each kind of limit says of an order: the figure it would come to, against the limit, in a sentence."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore.trading import Severity, Verdict
from projections.decimals import ZERO
from projections.risk.limits.drawdown import floor_at
from projections.risk.limits.figures import Span, amounts, day_of, week_of
from projections.risk.limits.parameters import (
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
from projections.risk.limits.sentences import money, until
from projections.risk.proposals import MissingInput, Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from projections.views.executions.pnl_totals import PnlTotals
    from projections.views.limits.view import Limit

ONE = Decimal(1)
# Looked up once: an access through the enumeration's class costs more than what is compared.
_ADVISED, _PASS, _REJECT, _EQUITY = Severity.WARNING, Verdict.PASS, Verdict.REJECT, Basis.EQUITY
_NAMES = {Unit.ORDERS: "orders", Unit.FILLS: "fills", Unit.ROUND_TRIPS: "round trips"}


class Finding(NamedTuple):
    """What one rule says of an order. `figure` is what the order would come to, `limit` what is allowed.

    `reason` is a sentence for a trader, empty where the order passes.
    """

    rule_id: str
    verdict: Verdict
    figure: Decimal | None = None
    limit: Decimal | None = None
    reason: str = ""


def maximum_position(s: Situation, limit: Limit, p: MaximumPosition) -> Finding | None:
    """The position that the order and those that work could lead to, in its symbol."""
    most = s.of_any(s.symbol, p.limits, p.limit)
    if most is None:
        return None
    figure = s.exposure()
    verdict = _exceeded(p, figure, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    sentence = f"position {figure:f} of at most {most:f} in {s.symbol}, working orders counted"
    return Finding(limit.rule_id, verdict, figure, most, sentence)


def maximum_contracts(s: Situation, limit: Limit, p: MaximumContracts) -> Finding:
    """Contracts by weight, each symbol at the most that its working orders could make of it."""
    most = p.at(s.standing.balance(p.currency)) if p.scaling else p.limit
    # What all others come to is the same for the next order.
    others = s.standing.kept("sums", (limit.position, s.symbol), lambda: _weighed(s, p.weights, ONE))
    total = others + s.exposure() * s.of_any(s.symbol, p.weights, ONE)
    verdict = _exceeded(p, total, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, total, most)
    sentence = f"{total:f} of at most {most:f} contracts, working orders counted"
    return Finding(limit.rule_id, verdict, total, most, sentence)


def _weighed(s: Situation, weights: dict[str, Decimal], default: Decimal) -> Decimal:
    """Return what all symbols but the order's could come to, each by what a table says of it or its root."""
    return sum((most * s.of_any(symbol, weights, default) for symbol, most in s.others()), ZERO)


def available_balance(s: Situation, limit: Limit, p: AvailableBalance) -> Finding:
    """What is available, less what margin takes, must not fall below the minimum.

    The broker has taken off what is in use already; of the folded balance, all that is held and works takes margin.
    """
    account = s.standing.known
    if account is None:
        msg = f"nothing is known of the balance of {s.account}"
        raise MissingInput(msg)
    currency = p.currency or account.currency
    told = account.broker_balances.get(currency)
    available, quantity, others = None if told is None else told.available, s.quantity, ZERO
    if available is None:
        available = s.standing.balance(None if currency == account.currency else currency)
        if p.margins:
            quantity = s.exposure()
            others = s.standing.kept("sums", (limit.position, s.symbol), lambda: _weighed(s, p.margins, ZERO))
    needed = others + s.of_any(s.symbol, p.margins, ZERO) * quantity
    left, wanted = available - needed, needed + p.minimum
    if left >= p.minimum and (wanted < available * p.warn_at or not wanted):
        return Finding(limit.rule_id, _PASS, left, p.minimum)
    verdict = Verdict.WARNING if left >= p.minimum else _refusal(p)
    sentence = f"of {money(available)}{_in(currency)} available {money(left)} would be left, {money(p.minimum)} must be"
    return Finding(limit.rule_id, verdict, left, p.minimum, sentence)


def daily_loss(s: Situation, limit: Limit, p: DailyLoss) -> Finding:
    """The day's result must stay above minus the limit; trailing, above the day's best minus the limit."""
    figure, currency = _result(s, s.standing.day, p)
    suffix = ""
    if p.trailing:
        best = _best(s, p, figure, currency)
        figure -= best
        suffix = f" from the day's best {money(best)}"
    return _lost(s, limit, p, ("daily loss", suffix), (figure, currency))


def _best(s: Situation, p: DailyLoss, figure: Decimal, currency: str | None) -> Decimal:
    if p.basis is not _EQUITY:
        return s.standing.best_of_day(currency, net=p.net_of_fees)
    # Marks are in the account's own currency.
    marked = s.standing.marked_of_day(net=p.net_of_fees) if currency == s.currency else ZERO
    return max(marked, figure)


def weekly_loss(s: Situation, limit: Limit, p: WeeklyLoss) -> Finding:
    """The result of this week's days must stay above minus the limit."""
    return _lost(s, limit, p, ("weekly loss", ""), _result(s, s.standing.week, p))


def _lost(
    s: Situation, limit: Limit, p: DailyLoss | WeeklyLoss, words: tuple[str, str], result: tuple[Decimal, str | None]
) -> Finding:
    figure, currency = result
    verdict = _reached(p, -figure, p.limit)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, -figure, p.limit)
    what, suffix = words
    sentence = f"{what} {amounts(figure, -p.limit, currency)}{suffix}"
    find = week_of if isinstance(p, WeeklyLoss) else day_of
    return Finding(limit.rule_id, verdict, -figure, p.limit, sentence + _locking(s, verdict, -figure >= p.limit, find))


def daily_profit(s: Situation, limit: Limit, p: DailyProfit) -> Finding:
    """The day's result must stay below the target."""
    figure, currency = _result(s, s.standing.day, p, best=True)
    verdict = _reached(p, figure, p.target)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, p.target)
    sentence = f"daily profit {amounts(figure, p.target, currency)}"
    return Finding(limit.rule_id, verdict, figure, p.target, sentence + _locking(s, verdict, figure >= p.target))


def trailing_drawdown(s: Situation, limit: Limit, p: TrailingDrawdown) -> Finding:
    """Equity, or on the realized basis the balance, must stay above the floor.

    The figure is how much of the distance is used up.
    """
    known, own = s.standing.known, s.currency
    if known is None or known.starting_balance is None:
        msg = f"nobody told the starting balance of {s.account}"
        raise MissingInput(msg)
    if p.currency not in {None, own}:
        msg = f"it is in {p.currency}, and the floor of an account in {own} is"
        raise MissingInput(msg)
    figure = s.standing.balance() if p.basis is Basis.REALIZED else s.equity()
    floor = floor_at(_high(s, p.basis, figure, known.starting_balance), p)
    if s.standing.floor is not None and p.severity is not _ADVISED:
        floor = max(floor, s.standing.floor)
    used = p.distance - (figure - floor)
    verdict = _reached(p, used, p.distance)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, used, p.distance)
    what = "balance" if p.basis is Basis.REALIZED else "equity"
    sentence = f"{what} {money(figure)}{_in(own)} at the drawdown floor {money(floor)}"
    if figure > floor:
        sentence = f"{what} {money(figure)}{_in(own)}, {money(figure - floor)} above the drawdown floor {money(floor)}"
    elif verdict is _REJECT:
        sentence += f" reached; {until(s.book, s.account, None)}"
    return Finding(limit.rule_id, verdict, used, p.distance, sentence)


def _high(s: Situation, basis: Basis, figure: Decimal, starting: Decimal) -> Decimal:
    """Return the highest figure of a basis so far."""
    highs = s.standing.highs
    if basis is Basis.END_OF_DAY:
        return starting if highs.close is None else max(starting, highs.close)
    marked = highs.balance if basis is Basis.REALIZED else highs.equity
    return max(starting, figure, figure if marked is None else marked)


def concentration(s: Situation, limit: Limit, p: Concentration) -> Finding:
    """The value of the position in one symbol, as a share of equity."""
    equity = s.equity()
    if equity <= ZERO:
        msg = f"the equity of {s.account} is {money(equity)}: nothing can be a share of it"
        raise MissingInput(msg)
    share = s.value() / equity
    verdict = _exceeded(p, share, p.limit)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, share, p.limit)
    sentence = f"{share * 100:.1f} % of equity in {s.symbol}, at most {p.limit * 100:.1f} % are allowed"
    return Finding(limit.rule_id, verdict, share, p.limit, sentence)


def order_size(s: Situation, limit: Limit, p: OrderSize) -> Finding | None:
    """The order's own quantity."""
    most = s.of_any(s.symbol, p.limits, p.limit)
    if most is None:
        return None
    verdict = _exceeded(p, s.quantity, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, s.quantity, most)
    return Finding(limit.rule_id, verdict, s.quantity, most, f"order of {s.quantity:f}, at most {most:f} {s.symbol}")


def trade_limit(s: Situation, limit: Limit, p: TradeLimit) -> Finding:
    """So many orders, fills or round trips today; the order would be one more."""
    # A unit is a count's name.
    figure, most = Decimal(getattr(s.standing.counts, p.unit)), Decimal(p.limit)
    verdict = _reached(p, figure, most)
    if verdict is _PASS:
        return Finding(limit.rule_id, verdict, figure, most)
    sentence = f"trade limit {figure:,} of {most:,} {_NAMES[p.unit]}"
    return Finding(limit.rule_id, verdict, figure, most, sentence + _locking(s, verdict, figure >= most))


def symbol_block(s: Situation, limit: Limit, p: SymbolBlock) -> Finding:
    """The order's symbol, or its root, must not be among those blocked."""
    blocked = [name for name in s.standing.names(s.symbol) if name in p.symbols] if p.symbols else []
    if not blocked:
        return Finding(limit.rule_id, _PASS)
    return Finding(limit.rule_id, _refusal(p), reason=f"{s.symbol} is blocked for {s.account} ({', '.join(blocked)})")


def _result(
    s: Situation, made: Iterable[PnlTotals], p: DailyLoss | WeeklyLoss | DailyProfit, *, best: bool = False
) -> tuple[Decimal, str | None]:
    """Return what was made on the limit's basis, and in which currency: the limit's or the account's own.

    Where neither is known there is none to prefer: it is the worst of all of them, or the best.
    """
    sums = {one.currency: one.net if p.net_of_fees else one.realized for one in made}
    if p.basis is _EQUITY:
        for currency, amount in s.unrealized().items():
            sums[currency] = sums.get(currency, ZERO) + amount
    wanted = p.currency or s.currency
    if wanted is not None or not sums:
        return sums.get(wanted, ZERO), wanted
    currency = (max if best else min)(sums, key=lambda name: sums[name])
    return sums[currency], currency


def _in(currency: str | None) -> str:
    return "" if currency is None else f" {currency}"


def _locking(s: Situation, verdict: Verdict, reached: bool, find: Callable[..., Span] = day_of) -> str:  # noqa: FBT001 - internal
    """Return how the sentence ends: what is reached locks until the day's end, or the week's."""
    if not reached or verdict is not _REJECT:
        return " reached" if reached else ""
    return f" reached; {until(s.book, s.account, find(s.book, s.account, s.at, s.at).ends_at)}"


def _refusal(p: Parameters) -> Verdict:
    return Verdict.WARNING if p.severity is _ADVISED else _REJECT


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


class Judge(NamedTuple):
    """How limits of one kind are checked, and of what a finding is made that no order and no quote changes.

    `group` names that as Standing does, for limits on the basis of what was realized; None where there is no such.
    """

    check: Callable[[Situation, Limit, Any], Finding | None]
    group: str | None = None

    def lasts(self, p: Parameters) -> str | None:
        """Return for as long as which group a limit's finding holds, whatever the order; None: it does not."""
        by_quotes = getattr(p, "basis", Basis.REALIZED) is not Basis.REALIZED or getattr(p, "trailing", False)
        return None if by_quotes else self.group


CHECKS: dict[str, Judge] = {
    "maximum-position": Judge(maximum_position),
    "maximum-contracts": Judge(maximum_contracts),
    "available-balance": Judge(available_balance),
    "daily-loss": Judge(daily_loss, "earned"),
    "weekly-loss": Judge(weekly_loss, "earned"),
    "daily-profit": Judge(daily_profit, "earned"),
    "trailing-drawdown": Judge(trailing_drawdown),
    "concentration": Judge(concentration),
    "order-size": Judge(order_size),
    "trade-limit": Judge(trade_limit, "counted"),
    "symbol-block": Judge(symbol_block),
}
"""By kind of rule, in the order in which they are asked.

Cooldowns are lockouts, blackouts are asked for apart, consistency is no matter of one order.
"""
