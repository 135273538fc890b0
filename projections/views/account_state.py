"""The state of an account, and what each event makes of it: opened, reopened, updated, cash moved, P&L reported."""

import enum
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec

from eventstore import Instant, Record, StoreError
from eventstore.streams import SEPARATOR
from eventstore.trading import (
    AccountOpened,
    AccountReopened,
    AccountUpdated,
    CashMoved,
    PnlReported,
)
from projections.views.approvals import ApprovalState
from projections.views.cash import is_result, moves_high, received
from projections.views.executions.fees import Fees, with_fee
from projections.views.reported_balances import BalanceReport, BrokerBalance, merged, reported_balance, stated_balance

CURRENCIES_MAX = 1_000
REPORTED_MAX = 1_000
ANOMALIES_MAX = 100


class TooManyCurrencies(StoreError):
    """A view's state is bounded, and an account names more currencies than exist."""

    def __init__(self, account: str, currency: str) -> None:
        self.account, self.currency = account, currency
        super().__init__(
            f"{account} names {CURRENCIES_MAX:,} currencies and {currency} is one more: check what writes its "
            "AccountUpdated and CashMoved events"
        )


class AccountAnomalyKind(enum.StrEnum):
    """Why what was recorded of an account is not certain."""

    OPENED_OTHERWISE = "OPENED_OTHERWISE"
    """It was opened again with other figures: those of the first time, or of the newest reopening, hold."""
    NEVER_OPENED = "NEVER_OPENED"
    """It was reopened, but never opened, and in no currency: nothing began again."""
    REOPENED_IN_USE = "REOPENED_IN_USE"
    """It was reopened while a position was open or an order working: its lockouts hold, and it takes no new exposure
    until it is reopened flat."""


class AccountAnomaly(NamedTuple):
    """An anomalous event: `position` is its log position."""

    kind: AccountAnomalyKind
    position: int


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


class AccountsState(msgspec.Struct):
    """One account. `broker_balances` by currency, "" for the account's own as long as that is not known.

    `cash` is what came from outside, `results` what counts in a trading day's result, `kept_payouts` the payouts in
    `cash` that left the high-water mark as it was, all by currency.
    `cash_position` is the log position of the newest movement of cash; `first_record` and `last_record` are log
    positions too, `reopened_records` those of the newest reopenings.
    """

    opened: AccountOpened | None = None
    opened_position: int | None = None
    broker_balances: dict[str, BrokerBalance] = {}
    balance_reports: dict[str, BalanceReport] = {}
    cash_position: int = 0
    can_trade: bool | None = None
    cash: Fees = ()
    results: Fees = ()
    kept_payouts: Fees = ()
    reported: dict[str, ReportedPnl] = {}
    approvals: ApprovalState = ApprovalState()
    """Its settings, and what waits for a second person to approve."""
    anomalies: tuple[AccountAnomaly, ...] = ()
    reopened_records: tuple[int, ...] = ()
    first_record: int = 0
    last_record: int = 0


def open_account(state: AccountsState, event: AccountOpened, record: Record) -> None:
    known = state.opened
    if known is not None:
        # Programs report it at every start. What it leaves out stands; a correction has events of its own.
        program = known.program if event.program is None else event.program
        if (event.starting_balance, event.currency, program) != (
            known.starting_balance,
            known.currency,
            known.program,
        ):
            _mark(state, AccountAnomalyKind.OPENED_OTHERWISE, record)
        return
    balances = dict(state.broker_balances)
    if "" in balances:
        # Now that the account's currency is known, what named none belongs to it.
        balances[event.currency] = merged(balances.get(event.currency), balances.pop(""))
    state.opened, state.opened_position, state.broker_balances = event, record.position, balances


def reopen_account(state: AccountsState, event: AccountReopened, record: Record) -> None:
    """Begin again with what a reopening states, in the account's own currency and program where it names none."""
    known = state.opened
    currency = event.currency or (None if known is None else known.currency)
    if currency is None:
        _mark(state, AccountAnomalyKind.NEVER_OPENED, record)
        return
    program = event.program or (None if known is None else known.program)
    state.opened = AccountOpened(starting_balance=event.starting_balance, currency=currency, program=program)
    state.opened_position = record.position
    state.cash = state.results = state.kept_payouts = ()
    state.broker_balances, state.balance_reports, state.reported, state.can_trade = {}, {}, {}, None
    state.reopened_records = (*state.reopened_records[1 - ANOMALIES_MAX :], record.position)


def _mark(state: AccountsState, kind: AccountAnomalyKind, record: Record) -> None:
    state.anomalies = (*state.anomalies[1 - ANOMALIES_MAX :], AccountAnomaly(kind, record.position))


def move_cash(state: AccountsState, event: CashMoved, record: Record) -> None:
    state.cash_position = record.position
    held = state.results if is_result(event) else state.cash
    sums = with_fee(held, event.currency, received(event))
    if len(sums) > CURRENCIES_MAX:
        raise TooManyCurrencies(record.account, event.currency)
    if is_result(event):
        state.results = sums
    else:
        state.cash = sums
        if not moves_high(event, state.approvals.configuration.payout):
            state.kept_payouts = with_fee(state.kept_payouts, event.currency, received(event))


def update(state: AccountsState, event: AccountUpdated, record: Record) -> None:
    if event.can_trade is not None:
        state.can_trade = event.can_trade
    fresh = stated_balance(event, record)
    if fresh is None:
        return
    currency = event.currency or ("" if state.opened is None else state.opened.currency)
    known = state.broker_balances.get(currency)
    if known is None and len(state.broker_balances) >= CURRENCIES_MAX:
        raise TooManyCurrencies(record.account, currency)
    state.broker_balances[currency] = merged(known, fresh)
    if event.balance is not None:
        known_report = state.balance_reports.get(currency)
        report = reported_balance(known_report, event.balance, record)
        if report is not known_report:
            state.balance_reports = {**state.balance_reports, currency: report}


def report(state: AccountsState, event: PnlReported, record: Record) -> None:
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
