"""Where a broker's reports contradict what is recorded here: new exposure waits until they are reconciled."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from eventstore.trading import (
    FeeCharged,
    PositionAdjusted,
    TradeBusted,
    TradeCorrected,
)
from projections.decimals import ZERO
from projections.risk.holdings import OpenPosition
from projections.risk.limits.sentences import money
from projections.valuation import Status
from projections.views.accounts import AccountsState, AccountsView
from projections.views.configuration import NET_LIQUIDATION, REALIZED, WALLET
from projections.views.confirming import GRACE_NS
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.valuing import Total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.book import Book
    from projections.risk.account_figures import AccountFigures
    from projections.risk.contexts import AccountContext
    from projections.risk.holdings import OpenOrder
    from projections.views.executions.state import ExecutionsState
    from projections.views.reported_balances import BalanceReport

_TOLERANCE, _SHARE = Decimal(1), Decimal("0.001")
_KNOWN = Status.KNOWN


def contradictions(context: AccountContext) -> Iterator[str]:
    """Yield a sentence for each report that contradicts the records, with what ends that."""
    for each in context.cache.contradictions:
        yield _of_position(each) if isinstance(each, OpenPosition) else _of_order(context, each)
    for currency, report in context.cache.balance_reports.items():
        sentence = _of_balance(context, currency, report)
        if sentence is not None:
            yield sentence


def _of_position(position: OpenPosition) -> str:
    return (
        f"the broker reports {position.reported:f} {position.symbol}, the fills give {position.quantity:f}: "
        "append the missing fills, or reconcile the position"
    )


def _of_order(context: AccountContext, order: OpenOrder) -> str:
    known = context.book.orders.get(context.account, order.order_id)
    if known is not None and known.unexplained:
        filled = known.cumulative + known.unexplained
        return (
            f"the broker reports {filled:f} filled of order {order.order_id}, the fills give {known.cumulative:f}: "
            "append the missing fills, or a report of the position"
        )
    stated = None if known is None else known.reported_quantity
    return (
        f"the broker reports a quantity of {stated} for order {order.order_id}, its own events give "
        f"{None if known is None else known.quantity}: append the OrderReplaced that is missing, or a newer report"
    )


def _of_balance(context: AccountContext, currency: str | None, report: BalanceReport) -> str | None:
    """Return the sentence of a balance that differs; one that was made before the last change is not compared."""
    changed = _last_change(context)
    sentence = _compared(context, currency, report, changed)
    if sentence is None:
        return None
    # Only now, as the log has to be read: what changed earlier trades, or positions without a trade, and what happened
    # after the report was made, though something that happened before was recorded later still.
    cache = context.cache
    if cache.has_changed_since(report.made_at, report_position=report.position):
        return None
    after = report.first_position
    amended = cache.memoize("pnl", ("amended", after), lambda: _last_amendment(context, after))
    return sentence if amended <= changed else _compared(context, currency, report, amended)


def _compared(context: AccountContext, currency: str | None, report: BalanceReport, changed: int) -> str | None:
    """Return the sentence of a balance that differs from what it is after the record that last changed it."""
    if not context.cache.is_known_to(changed, report_position=report.position, made_at=report.made_at):
        return None
    since = report.first_at if changed <= report.first_position else report.at
    is_second = report.first_position < report.position and changed <= report.first_position
    if not is_second and context.at < since + GRACE_NS:
        return None
    figures = context.figures
    comparable = _comparable(figures, currency, context.at - report.at)
    tolerance = figures.configuration.balance_tolerance
    if tolerance is None:
        tolerance = max(_TOLERANCE, abs(report.balance) * _SHARE)
    if not comparable or any(abs(report.balance - each) <= tolerance for each in comparable):
        return None
    unit = "" if currency is None else f" {currency}"
    return (
        f"the broker reports a balance of {money(report.balance)}{unit}, the records give {money(comparable[0])}: "
        "append what is missing (fills, fees, CashMoved), or a newer report"
    )


def _comparable(figures: AccountFigures, currency: str | None, age: int) -> list[Decimal]:
    """Return the figures here that a broker's balance may mean; none where they are not known.

    Without a stated kind it may mean any of them. Equity moves with the prices: with open positions, only a report that
    is as new as a price may be is compared with it.
    """
    kind = figures.configuration.balance_kind
    wallet = figures.balances.amounts.get(currency, ZERO)
    if currency not in {None, figures.own}:
        return [wallet]
    totals = {
        WALLET: Total(wallet, figures.balances.standing),
        REALIZED: figures.balance,
        NET_LIQUIDATION: figures.equity,
    }
    meant = {name: total for name, total in totals.items() if kind in {None, name}}
    is_old = NET_LIQUIDATION in meant and bool(figures.held) and age > STALE_NS
    if is_old or any(total.standing.status is not _KNOWN for total in meant.values()):
        return []
    return [total.amount for total in meant.values()]


STALE_NS = 2 * GRACE_NS
"""How old a report of the equity may be, while positions are open, to be compared with the equity at newest prices."""


def _last_change(context: AccountContext) -> int:
    """Return the log position of the newest trade, or cash, of the account."""
    state: ExecutionsState | None = context.book.state(EXECUTIONS, context.account)
    newest = () if state is None else next(reversed(state.recent.newer.values()), ())
    return max(newest[-1].log_position if newest else 0, _last_cash(context.book, context.account))


_AMENDMENTS = (FeeCharged, PositionAdjusted, TradeBusted, TradeCorrected)


def _last_amendment(context: AccountContext, after: int) -> int:
    """Return the log position of the newest record after one that changed money without a trade; 0 without any."""
    book = context.book
    found = book.reader.read(after=after, until=book.position, account=context.account, types=_AMENDMENTS)
    return max((record.position for record in found), default=0)


def _last_cash(book: Book, account: str) -> int:
    """Return the log position of the newest movement of cash; 0 without any."""
    state: AccountsState | None = book.state(AccountsView.name, account)
    return 0 if state is None else max(state.cash_position, state.opened_position or 0)
