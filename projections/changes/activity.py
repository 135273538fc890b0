"""What an account did and was worth: trades, results by day, counts, cash, balances, equity as marked."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from eventstore import Event, UnknownContract
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountReopened,
    Approved,
    CashMoved,
    ClockJumped,
    EquityCorrected,
    EquityMarked,
    OrderSubmitted,
    PnlReported,
    PositionReported,
    SessionClosed,
    SessionOpened,
    SessionReset,
)
from projections.changes.change import Unanswered
from projections.changes.compared import ListedView, numbered
from projections.decimals import FIXED, ZERO
from projections.view import SHARED
from projections.views.accounts import AccountsView, Balance, account_rates
from projections.views.approvals import APPROVAL_TYPES
from projections.views.baselines import BaselinesView
from projections.views.configuration import DEFAULTS
from projections.views.equity import EquityView
from projections.views.executions.counters import NONE, CountersView
from projections.views.executions.pnl_totals import to_currency
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.executions.view import EXECUTION_EVENTS
from projections.views.high_water_marks import HighMarks, HighWaterMarksView

if TYPE_CHECKING:
    from eventstore import Record
    from projections.book import Book

Facts = Mapping[str, Any]

Types = tuple[type[Event], ...]

_BOOKED: Types = EXECUTION_EVENTS
_DAYS: Types = (SessionOpened, SessionReset, ClockJumped, AccountReopened)
_KNOWN: Types = (*_BOOKED, *(AccountsView.types or ()))
# A contract that is only reported as held has its currency's balance: of nothing.
_BALANCES: Types = (*_KNOWN, PositionReported)
_MARKS: Types = (
    EquityMarked,
    SessionClosed,
    ClockJumped,
    EquityCorrected,
    CashMoved,
    AccountOpened,
    AccountReopened,
    Approved,
)
_WITH_PAYOUTS: Types = (*_MARKS, AccountConfigured)


def _trades(book: Book, account: str) -> Facts:
    if account == SHARED or book.state(EXECUTIONS, account) is None:
        return {}
    return numbered((trade.trade_id, trade) for trade in book.trades.of(account))


def _trade_of(event: Any, _record: Record) -> str | None:  # noqa: ANN401 - an event of any class
    trade_id: str | None = getattr(event, "trade_id", None)
    return trade_id


def _days(book: Book, account: str) -> Facts:
    state = book.state(EXECUTIONS, account)
    if account == SHARED or state is None:
        return {}
    rates = account_rates(book, account)
    found: dict[str, Any] = {}
    with decimal.localcontext(FIXED):
        for name in state.ledger.names():
            try:
                found[name] = to_currency(state.ledger.of_day(name).items(), rates, by_symbol=True)
            except UnknownContract as e:
                # A day without a known value is not one without a result.
                found[name] = Unanswered(str(e))
    return found


def _counts(book: Book, account: str) -> Facts:
    states = [book.state(view, account) for view in (CountersView.name, EXECUTIONS)]
    names = {name.removeprefix("~") for state in states if state is not None for name in state.ledger.names()}
    found = {name: book.counters.day(account, date.fromisoformat(name)) for name in sorted(names)}
    return {name: count for name, count in found.items() if count != NONE}


def _accounts(book: Book, account: str) -> Facts:
    return {} if account == SHARED else {"account": book.accounts.get(account)}


def _configuration(book: Book, account: str) -> Facts:
    found = book.accounts.configuration(account)
    return {} if found == DEFAULTS else {"configuration": found}


def _balances(book: Book, account: str) -> Facts:
    if account == SHARED:
        return {}
    # Of an account that has neither money nor a currency, nothing in no currency says nothing.
    known = [each for each in book.accounts.balances(account) if each != Balance(None, None, ZERO, None)]
    return {each.currency or "": each for each in known}


def _reported(book: Book, account: str) -> Facts:
    return {
        "/".join((str(each.trading_day or ""), each.symbol or "", each.currency or "")): each
        for each in book.pnl.reported(account)
    }


def _equity(book: Book, account: str) -> Facts:
    state = book.state(EquityView.name, account)
    if state is None:
        return {}
    parts = {"mark": state.marks, "high water": state.highs, "floor": state.floors}
    return {f"{part} {currency}".rstrip(): each for part, marks in parts.items() for currency, each in marks.items()}


def _high_water(book: Book, account: str) -> Facts:
    state = book.state(HighWaterMarksView.name, account)
    if state is None:
        return {}
    return {**({} if state.highs == HighMarks() else {"highs": state.highs}), **state.days}


def _baselines(book: Book, account: str) -> Facts:
    state = book.state(BaselinesView.name, account)
    return {} if state is None else state.marks


ACTIVITY = (
    ListedView("trades", EXECUTIONS, _trades, _BOOKED, _trade_of, of_contracts=True),
    ListedView("days", EXECUTIONS, _days, (*_KNOWN, *_DAYS), of_contracts=True),
    ListedView("counts", (EXECUTIONS, CountersView.name), _counts, (*_BOOKED, *_DAYS, OrderSubmitted)),
    ListedView("accounts", AccountsView.name, _accounts, _KNOWN, of_contracts=True),
    ListedView("configurations", AccountsView.name, _configuration, APPROVAL_TYPES),
    ListedView("balances", (AccountsView.name, EXECUTIONS), _balances, _BALANCES, of_contracts=True),
    ListedView("reported_pnl", AccountsView.name, _reported, (PnlReported, AccountReopened)),
    ListedView("equity", EquityView.name, _equity, _WITH_PAYOUTS),
    ListedView("high_water", HighWaterMarksView.name, _high_water, _WITH_PAYOUTS),
    ListedView("baselines", BaselinesView.name, _baselines, (EquityMarked, AccountReopened, ClockJumped)),
)
"""The views of this subject, in the order in which they are compared."""
