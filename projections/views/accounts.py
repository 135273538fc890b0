"""The accounts view: balances as reported and as folded, by currency; the profit and loss that others report."""

import decimal
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    AccountUpdated,
    CashMoved,
    PnlReported,
)
from projections.decimals import FIXED, ZERO
from projections.view import BookReader, View, accounts_in
from projections.views.cash import is_result, moves_high, received
from projections.views.configuration import DEFAULTS, Configuration, configured
from projections.views.executions.fees import Fees, with_fee
from projections.views.executions.pnl_totals import Rates, holdings_of, since_inception, to_currency

CURRENCIES_MAX = 1_000
REPORTED_MAX = 1_000


class TooManyCurrencies(StoreError):
    """A view's state is bounded, and an account names more currencies than exist."""

    def __init__(self, account: str, currency: str) -> None:
        self.account, self.currency = account, currency
        super().__init__(
            f"{account} names {CURRENCIES_MAX:,} currencies and {currency} is one more: check what writes its "
            "AccountUpdated and CashMoved events"
        )


class BrokerBalance(msgspec.Struct, frozen=True):
    """The broker's figures in one currency, None if never reported; `position` is the newest record's log position."""

    balance: Decimal | None = None
    available: Decimal | None = None
    frozen: Decimal | None = None
    margin: Decimal | None = None
    position: int = 0


class ReportedPnl(msgspec.Struct, frozen=True, kw_only=True):
    """The newest profit and loss that others report for a trading day, symbol and currency.

    A figure is None if the report left it out. `at` is the report's time in UNIX ns, `position` its log position.
    """

    trading_day: date | None
    symbol: str | None
    currency: str | None
    realized: Decimal | None
    unrealized: Decimal | None
    fees: Decimal | None
    at: Instant
    position: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account.

    `broker_balances` and `cash` are by currency: the broker's figures; and the starting balance plus the cash moved.
    The account's own `currency` is the one it was opened in, else the only one that any of its events names.
    `can_trade` is None if it was never reported. `opened_position`, `first_position` and `last_position` are log
    positions.
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


class AccountsState(msgspec.Struct):
    """One account. `broker_balances` by currency, "" for the account's own as long as that is not known.

    `cash` is what came from outside, `results` what counts in a trading day's result, `kept_payouts` the payouts in
    `cash` that left the high-water mark as it was, all by currency.
    `first_record` and `last_record` are log positions.
    """

    opened: AccountOpened | None = None
    opened_position: int | None = None
    broker_balances: dict[str, BrokerBalance] = {}
    can_trade: bool | None = None
    cash: Fees = ()
    results: Fees = ()
    kept_payouts: Fees = ()
    reported: dict[str, ReportedPnl] = {}
    configuration: Configuration = DEFAULTS
    first_record: int = 0
    last_record: int = 0


class AccountsView(View[AccountsState]):
    """What is recorded of an account. Opened again, it is as the newest AccountOpened states, and its cash stays.

    Of the profit and loss that others report, the newest 1,000 trading days, symbols and currencies are kept.
    """

    name: ClassVar[str] = "accounts"
    revision: ClassVar[int] = 3
    types: ClassVar[tuple[type[Event], ...] | None] = (
        AccountOpened,
        AccountConfigured,
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
                _update(state, event, record)
            case PnlReported():
                _report(state, event, record)
                return
            case CashMoved():
                _move(state, event, record)
            case AccountOpened():
                _open(state, event, record)
            case AccountConfigured():
                state.configuration = configured(state.configuration, event)
            case _:
                return
        state.first_record = state.first_record or record.position
        state.last_record = record.position


# Policies are evaluated for an account that has state in one of these.
_VIEWS_OF_ACTIVITY = ("accounts", "limits", "lockouts", "orders", "executions", "sessions")
_VIEWS_BY_ACCOUNT = (*_VIEWS_OF_ACTIVITY, "blackouts", "enforcement", "equity", "pairs")


class Accounts:
    """Queries about accounts. Amounts in different currencies are never added together."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def known(self) -> tuple[str, ...]:
        """Return the accounts that any built-in view has a state of, sorted: all that the book was opened for."""
        return self._in_any(_VIEWS_BY_ACCOUNT)

    def active(self) -> tuple[str, ...]:
        """Return the known accounts without those that only have blackouts, requests, marks or pairs, sorted."""
        return self._in_any(_VIEWS_OF_ACTIVITY)

    def _in_any(self, views: Iterable[str]) -> tuple[str, ...]:
        names = {name for view in views for name in accounts_in(self._book, view)}
        return tuple(sorted(names))

    def get(self, account: str) -> Account | None:
        """Return what is known of an account; None if nothing was ever recorded of it."""
        state: AccountsState | None = self._book.state(AccountsView.name, account)
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

    def configuration(self, account: str) -> Configuration:
        """Return an account's settings, with the defaults where nobody has set one."""
        return configuration_of(self._book, account)

    def balance(self, account: str, currency: str | None = None) -> Decimal:
        """Return cash plus realized profit and loss less fees, in a currency, by default the account's own.

        Realized is by the account's method (`Configuration.cost`).
        Raises UnknownContract if anything was realized in a contract whose multiplier is not known.
        """
        own = own_currency(self._book, account)
        return folded_balances(self._book, account, own).get(currency or own, ZERO)

    def balances(self, account: str) -> tuple[Balance, ...]:
        """Return, for each currency, the balance as reported and as folded, and the difference of both."""
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
    return DEFAULTS if state is None else state.configuration


def account_rates(book: BookReader, account: str) -> Rates:
    """Return the money value of points for an account: in its currency where none is named, by its cost method."""
    return Rates(book, own_currency(book, account), configuration_of(book, account).cost)


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
        for totals in to_currency(since_inception(book, account), rates):
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


def _open(state: AccountsState, event: AccountOpened, record: Record) -> None:
    balances = dict(state.broker_balances)
    if "" in balances:
        # Now that the account's currency is known, what named none belongs to it.
        balances[event.currency] = _merged(balances.get(event.currency), balances.pop(""))
    state.opened, state.opened_position, state.broker_balances = event, record.position, balances


def _merged(one: BrokerBalance | None, other: BrokerBalance) -> BrokerBalance:
    """Return the newer figures, completed by the older ones."""
    if one is None:
        return other
    older, newer = sorted((one, other), key=lambda each: each.position)
    return BrokerBalance(
        older.balance if newer.balance is None else newer.balance,
        older.available if newer.available is None else newer.available,
        older.frozen if newer.frozen is None else newer.frozen,
        older.margin if newer.margin is None else newer.margin,
        newer.position,
    )


def _move(state: AccountsState, event: CashMoved, record: Record) -> None:
    held = state.results if is_result(event) else state.cash
    sums = with_fee(held, event.currency, received(event))
    if len(sums) > CURRENCIES_MAX:
        raise TooManyCurrencies(record.account, event.currency)
    if is_result(event):
        state.results = sums
    else:
        state.cash = sums
        if not moves_high(event, state.configuration.payout):
            state.kept_payouts = with_fee(state.kept_payouts, event.currency, received(event))


def _update(state: AccountsState, event: AccountUpdated, record: Record) -> None:
    if event.can_trade is not None:
        state.can_trade = event.can_trade
    fresh = BrokerBalance(event.balance, event.available, event.frozen, event.margin, record.position)
    if fresh == BrokerBalance(position=record.position):
        return
    currency = event.currency or ("" if state.opened is None else state.opened.currency)
    known = state.broker_balances.get(currency)
    if known is None and len(state.broker_balances) >= CURRENCIES_MAX:
        raise TooManyCurrencies(record.account, currency)
    state.broker_balances[currency] = _merged(known, fresh)


def _report(state: AccountsState, event: PnlReported, record: Record) -> None:
    day = None if event.trading_day is None else event.trading_day.isoformat()
    key = f"{day}{SEPARATOR}{event.symbol or ''}{SEPARATOR}{event.currency or ''}"
    fresh = ReportedPnl(
        trading_day=event.trading_day,
        symbol=event.symbol,
        currency=event.currency,
        realized=event.realized,
        unrealized=event.unrealized,
        fees=event.fees,
        at=record.occurred_at,
        position=record.position,
    )
    known = state.reported.get(key)
    if known is not None and known.at > fresh.at:
        return
    # Moved to the end: those without a report for the longest time are dropped first.
    reported = dict(state.reported)
    reported.pop(key, None)
    reported[key] = fresh
    if len(reported) > REPORTED_MAX:
        del reported[next(iter(reported))]
    state.reported = reported
