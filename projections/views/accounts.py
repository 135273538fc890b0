"""The accounts view: balances as reported and as folded, by currency; the profit and loss that others report."""

import decimal
from collections.abc import Iterable
from decimal import Decimal
from typing import ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from eventstore import Event, Record
from eventstore.readable import Readable
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    Approved,
    CashMoved,
    PnlReported,
)
from projections.decimals import FIXED, ZERO
from projections.view import BookReader, View, accounts_in, check_covered
from projections.views.account_state import (
    AccountAnomaly,
    AccountAnomalyKind,
    AccountsState,
    ReportedPnl,
    TooManyCurrencies,
    move_cash,
    open_account,
    reopen_account,
    report,
    update,
)
from projections.views.approvals import folded_approvals
from projections.views.configuration import DEFAULTS, Configuration
from projections.views.executions.fees import Fees
from projections.views.executions.pnl_totals import Rates, holdings_of, since_inception, to_currency
from projections.views.in_use import in_use_at
from projections.views.reported_balances import BalanceReport, BrokerBalance

__all__ = [
    "Account",
    "AccountAnomaly",
    "AccountAnomalyKind",
    "Accounts",
    "AccountsState",
    "AccountsView",
    "Balance",
    "BrokerBalance",
    "ReportedPnl",
    "TooManyCurrencies",
    "account_rates",
    "balance_reports",
    "capital",
    "cash_by_currency",
    "cash_results",
    "configuration_of",
    "folded_balances",
    "own_currency",
    "starting_balance",
]


class Account(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account.

    `broker_balances` and `cash` are by currency: the broker's figures; and the starting balance plus the cash moved.
    The account's own `currency` is the one it was opened in, else the only one that any of its events names.
    `can_trade` is None if it was never reported. `opened_position`, `first_position` and `last_position` are log
    positions; `opened_position` is that of its newest reopening, if it has one.
    """

    account: str
    starting_balance: Decimal | None
    currency: str | None
    program: str | None
    broker_balances: dict[str | None, BrokerBalance]
    can_trade: bool | None
    cash: dict[str | None, Decimal]
    opened_position: int | None
    first_position: int
    last_position: int


class Balance(NamedTuple):
    """A balance in one currency: as the broker reported it, as folded, and the reported excess over the folded one."""

    currency: str | None
    reported: Decimal | None
    folded: Decimal
    difference: Decimal | None


class AccountsView(View[AccountsState]):
    """What is recorded of an account. Opened again, it stays as it was, and other figures are marked.

    Reopened, it begins again with what that event states: without cash, balances or reports from before. Its settings
    stay.
    Of the profit and loss that others report, the newest 1,000 trading days, symbols and currencies are kept.
    """

    name: ClassVar[str] = "accounts"
    revision: ClassVar[int] = 7
    types: ClassVar[tuple[type[Event], ...] | None] = (
        AccountOpened,
        AccountReopened,
        AccountConfigured,
        Approved,
        AccountUpdated,
        CashMoved,
        PnlReported,
    )

    @override
    def initial(self) -> AccountsState:
        return AccountsState()

    @override
    def apply(self, state: AccountsState, event: Event, record: Record) -> None:
        match event:
            case AccountUpdated():
                update(state, event, record)
            case PnlReported():
                report(state, event, record)
                return
            case CashMoved():
                move_cash(state, event, record)
            case AccountOpened():
                open_account(state, event, record)
            case AccountReopened():
                reopen_account(state, event, record)
            case AccountConfigured() | Approved():
                state.approvals, _ = folded_approvals(state.approvals, event, record)
            case _:
                return
        state.first_record = state.first_record or record.position
        state.last_record = record.position


# Policies are evaluated for an account that has state in one of these.
_VIEWS_OF_ACTIVITY = ("accounts", "limits", "lockouts", "orders", "executions", "sessions")
_VIEWS_BY_ACCOUNT = (*_VIEWS_OF_ACTIVITY, "blackouts", "enforcement", "equity", "notes", "pairs", "shadow")


class Accounts:
    """Queries about accounts. Amounts in different currencies are never added together."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def known(self) -> tuple[str, ...]:
        """Return the accounts that any built-in view has a state of, sorted: all that the book was opened for."""
        return self._in_any(_VIEWS_BY_ACCOUNT)

    def active(self) -> tuple[str, ...]:
        """Return the known accounts that have more than blackouts, requests, marks, notes or pairs, sorted."""
        return self._in_any(_VIEWS_OF_ACTIVITY)

    def _in_any(self, views: Iterable[str]) -> tuple[str, ...]:
        names = {name for view in views for name in accounts_in(self._book, view)}
        return tuple(sorted(names))

    def get(self, account: str) -> Account | None:
        """Return what is known of an account; None if nothing was ever recorded of it."""
        state: AccountsState | None = self._book.state(AccountsView.name, account)
        if state is None:
            check_covered(self._book, account)
        if state is None or not state.first_record:
            return None
        own = own_currency(self._book, account)
        opened = state.opened
        with decimal.localcontext(FIXED):
            cash = _cash(state, own)
        return Account(
            account=account,
            starting_balance=None if opened is None else opened.starting_balance,
            currency=own,
            program=None if opened is None else opened.program,
            broker_balances=_broker_balances(state, own),
            can_trade=state.can_trade,
            cash=cash,
            opened_position=state.opened_position,
            first_position=state.first_record,
            last_position=state.last_record,
        )

    def reopened(self, account: str) -> int:
        """Return the log position of the newest reopening, 0 without one: what precedes it is an earlier life."""
        state: AccountsState | None = self._book.state(AccountsView.name, account)
        return state.reopened_records[-1] if state is not None and state.reopened_records else 0

    def anomalies(self, account: str) -> tuple[AccountAnomaly, ...]:
        """Return what is anomalous of an account's newest openings and reopenings, in the order of the log."""
        state: AccountsState | None = self._book.state(AccountsView.name, account)
        if state is None:
            check_covered(self._book, account)
            return ()
        in_use = in_use_at(self._book, account, state.reopened_records)
        found = [*state.anomalies, *(AccountAnomaly(AccountAnomalyKind.REOPENED_IN_USE, each) for each in in_use)]
        return tuple(sorted(found, key=lambda each: each.position))

    def why_not_reopened(self, account: str) -> str | None:
        """Return why the newest reopening does not count, None if it does or there is none."""
        newest = self.reopened(account)
        if not newest or newest not in in_use_at(self._book, account, (newest,)):
            return None
        return (
            f"account {account} was reopened at position {newest:,} while a position was open or an order working: "
            "close and cancel them, then reopen it again"
        )

    def configuration(self, account: str) -> Configuration:
        """Return an account's settings, with the defaults where nobody has set one."""
        return configuration_of(self._book, account)

    def balance(self, account: str, currency: str | None = None) -> Decimal:
        """Return cash plus realized profit and loss less fees, in a currency, by default the account's own.

        Realized is by the account's method (`Configuration.cost`).
        Raises UnknownContract if anything was realized in a contract whose multiplier is not known.
        """
        check_covered(self._book, account)
        own = own_currency(self._book, account)
        return folded_balances(self._book, account, own).get(currency or own, ZERO)

    def balances(self, account: str) -> tuple[Balance, ...]:
        """Return, for each currency, the balance as reported and as folded, and the difference of both."""
        check_covered(self._book, account)
        own = own_currency(self._book, account)
        state: AccountsState | None = self._book.state(AccountsView.name, account)
        folded = folded_balances(self._book, account, own)
        reported = {} if state is None else _broker_balances(state, own)
        found = []
        for currency in sorted({*folded, *reported}, key=lambda name: name or ""):
            there, here = reported.get(currency, BrokerBalance()).balance, folded.get(currency, ZERO)
            difference = None if there is None else FIXED.subtract(there, here)
            found.append(Balance(currency, there, here, difference))
        return tuple(found)


def configuration_of(book: BookReader, account: str) -> Configuration:
    """Return an account's settings."""
    state: AccountsState | None = book.state(AccountsView.name, account)
    return DEFAULTS if state is None else state.approvals.configuration


def account_rates(book: BookReader, account: str) -> Rates:
    """Return the money value of points for an account: in its currency where none is named, by its cost method."""
    return Rates(book, own_currency(book, account), configuration_of(book, account).cost)


def balance_reports(book: BookReader, account: str) -> dict[str | None, BalanceReport]:
    """Return the broker's newest balances by currency; those that named none under the account's own."""
    state: AccountsState | None = book.state(AccountsView.name, account)
    if state is None or not state.balance_reports:
        return {}
    own = own_currency(book, account)
    return {currency or own: report for currency, report in sorted(state.balance_reports.items())}


def own_currency(book: BookReader, account: str) -> str | None:
    """Return the currency that an account was opened in, else the only one that any of its events names, else None."""
    state: AccountsState | None = book.state(AccountsView.name, account)
    if state is not None and state.opened is not None:
        return state.opened.currency
    rates = Rates(book, None)
    held = holdings_of(book, account)
    named = {rates.currency(holding.symbol) for holding in held}
    named |= {currency for holding in held for currency, _ in holding.fees}
    if state is not None:
        named |= {*state.broker_balances, *(currency for currency, _ in (*state.cash, *state.results))}
    found = [currency for currency in named if currency]
    return found[0] if len(found) == 1 else None


def folded_balances(book: BookReader, account: str, own: str | None) -> dict[str | None, Decimal]:
    """Return cash plus realized profit and loss less fees, by currency; raise UnknownContract."""
    with decimal.localcontext(FIXED):
        sums = cash_by_currency(book, account, own)
        rates = Rates(book, own, configuration_of(book, account).cost)
        for totals in to_currency(since_inception(book, account, rates), rates):
            sums[totals.currency] = sums.get(totals.currency, ZERO) + totals.net_result
    return sums


def capital(book: BookReader, account: str, own: str | None) -> dict[str | None, Decimal]:
    """Return what high-water marks begin with, by currency: the starting balance, and cash that came from outside.

    No part of it is performance. Payouts that leave the high-water mark as it is are left out.
    """
    state: AccountsState | None = book.state(AccountsView.name, account)
    with decimal.localcontext(FIXED):
        sums = {} if state is None else _capital(state, own)
        for currency, amount in () if state is None else state.kept_payouts:
            sums[currency] = sums.get(currency, ZERO) - amount
    return sums


def cash_results(book: BookReader, account: str) -> Fees:
    """Return the funding, interest and dividends received less the fees that no trade had, by currency."""
    state: AccountsState | None = book.state(AccountsView.name, account)
    return () if state is None else state.results


def cash_by_currency(book: BookReader, account: str, own: str | None) -> dict[str | None, Decimal]:
    """Return the starting balance plus the cash moved, by currency. Callers have set the context FIXED."""
    state: AccountsState | None = book.state(AccountsView.name, account)
    return {} if state is None else _cash(state, own)


def starting_balance(book: BookReader, account: str) -> Decimal | None:
    state: AccountsState | None = book.state(AccountsView.name, account)
    return None if state is None or state.opened is None else state.opened.starting_balance


def _cash(state: AccountsState, own: str | None) -> dict[str | None, Decimal]:
    sums = _capital(state, own)
    for currency, amount in state.results:
        sums[currency] = sums.get(currency, ZERO) + amount
    return sums


def _capital(state: AccountsState, own: str | None) -> dict[str | None, Decimal]:
    sums: dict[str | None, Decimal] = {}
    opened = state.opened
    if opened is not None:
        sums[own] = opened.starting_balance
    for currency, amount in state.cash:
        sums[currency] = sums.get(currency, ZERO) + amount
    return sums


def _broker_balances(state: AccountsState, own: str | None) -> dict[str | None, BrokerBalance]:
    """Return the broker's figures by currency; those that named none under the account's own, unless it has others."""
    balances: dict[str | None, BrokerBalance] = dict(state.broker_balances.items())
    unnamed = balances.pop("", None)
    if unnamed is not None:
        balances[None if own in balances else own] = unnamed
    return balances
