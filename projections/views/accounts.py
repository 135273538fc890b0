"""Accounts: balances as told and as folded, per currency; and the profit and loss that others report."""

import decimal
from datetime import date
from decimal import Decimal
from typing import ClassVar, NamedTuple

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.trading import AccountOpened, AccountUpdated, CashKind, CashMoved, PnlReported
from projections.decimals import FIXED, ZERO
from projections.view import SHARED, Lens, View
from projections.views.executions.fees import Fees, with_fee
from projections.views.executions.pnl_totals import Rates, holdings_of, since_inception, to_currency

CURRENCIES_MAX = 1_000
REPORTED_MAX = 1_000

_GOES = {CashKind.WITHDRAWAL, CashKind.PAYOUT}


class TooManyCurrencies(StoreError):
    """A view's state is bounded, and an account names more currencies than there are in the world."""

    def __init__(self, account: str, currency: str) -> None:
        self.account, self.currency = account, currency
        super().__init__(
            f"{account} names {CURRENCIES_MAX:,} currencies and {currency} is one more: look at what writes its "
            "AccountUpdated and CashMoved"
        )


class BrokerBalance(msgspec.Struct, frozen=True):
    """What the broker says of one currency, None where it never said; `position` is the newest record's in the log."""

    balance: Decimal | None = None
    available: Decimal | None = None
    frozen: Decimal | None = None
    margin: Decimal | None = None
    position: int = 0


class ReportedPnl(msgspec.Struct, frozen=True, kw_only=True):
    """What others say was made, in their own newest words for a trading day, symbol and currency.

    None is what they left out. `at` is when it was so, in UNIX ns; `position` is the record's in the log.
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

    `told` and `cash` are by currency: the broker's figures; and the starting balance with the cash that moved. The
    account's own `currency` is the one it was opened in, or the only one that anything of it names. `can_trade` is
    None where nobody said. `opened_position` and the rest are positions in the log.
    """

    account: str
    starting_balance: Decimal | None
    currency: str | None
    program: str | None
    told: dict[str | None, BrokerBalance]
    can_trade: bool | None
    cash: dict[str | None, Decimal]
    opened_position: int | None
    first_position: int
    last_position: int


class Balance(NamedTuple):
    """A balance in one currency: as the broker told it, as folded, and what was told beyond what is folded."""

    currency: str | None
    told: Decimal | None
    folded: Decimal
    difference: Decimal | None


class AccountsState(msgspec.Struct):
    """One account. `told` by currency, "" for the account's own while nobody has told which that is."""

    opened: AccountOpened | None = None
    opened_position: int | None = None
    told: dict[str, BrokerBalance] = {}
    can_trade: bool | None = None
    cash: Fees = ()
    reported: dict[str, ReportedPnl] = {}
    first: int = 0
    last: int = 0


class AccountsView(View[AccountsState]):
    """What was said of an account. Opened again, it is as the newest AccountOpened says, and its cash stays.

    Of what others report, the newest 1,000 trading days, symbols and currencies are kept.
    """

    name: ClassVar[str] = "accounts"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (AccountOpened, AccountUpdated, CashMoved, PnlReported)

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
                cash = with_fee(state.cash, event.currency, _signed(event))
                if len(cash) > CURRENCIES_MAX:
                    raise TooManyCurrencies(record.account, event.currency)
                state.cash = cash
            case AccountOpened():
                _open(state, event, record)
            case _:
                return
        state.first = state.first or record.position
        state.last = record.position


_OF_ACCOUNTS = (
    "accounts", "blackouts", "enforcement", "equity", "limits", "lockouts", "orders", "pairs", "positions",
    "sessions", "trades",
)  # fmt: skip


class Accounts:
    """Questions about accounts. What is in another currency is never summed up with what is in one's own."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def known(self) -> tuple[str, ...]:
        """Return the accounts that any shipped view has something of, sorted: all that the book was opened for."""
        names = {name for view in _OF_ACCOUNTS for name in self._lens.partitions(view)}
        return tuple(sorted(names - {SHARED}))

    def get(self, account: str) -> Account | None:
        """Return what is known of an account; None where nothing was ever said of it."""
        state: AccountsState | None = self._lens.state(AccountsView.name, account)
        if state is None or not state.first:
            return None
        own = own_currency(self._lens, account)
        opened = state.opened
        with decimal.localcontext(FIXED):
            cash = _cash(state, own)
        return Account(
            account=account,
            starting_balance=None if opened is None else opened.starting_balance,
            currency=own,
            program=None if opened is None else opened.program,
            told=_told(state, own),
            can_trade=state.can_trade,
            cash=cash,
            opened_position=state.opened_position,
            first_position=state.first,
            last_position=state.last,
        )

    def balance(self, account: str, currency: str | None = None) -> Decimal:
        """Return cash with what was realized, less the fees, in a currency, by default the account's own.

        Raises UnknownContract where anything was realized in a contract whose multiplier nobody told.
        """
        own = own_currency(self._lens, account)
        return self._folded(account, own).get(currency or own, ZERO)

    def balances(self, account: str) -> tuple[Balance, ...]:
        """Return, for each currency, the balance as told and as folded, and the difference of both."""
        own = own_currency(self._lens, account)
        state: AccountsState | None = self._lens.state(AccountsView.name, account)
        folded = self._folded(account, own)
        told = {} if state is None else _told(state, own)
        found = []
        for currency in sorted({*folded, *told}, key=lambda name: name or ""):
            one, other = told.get(currency, BrokerBalance()).balance, folded.get(currency, ZERO)
            difference = None if one is None else FIXED.subtract(one, other)
            found.append(Balance(currency, one, other, difference))
        return tuple(found)

    def _folded(self, account: str, own: str | None) -> dict[str | None, Decimal]:
        state: AccountsState | None = self._lens.state(AccountsView.name, account)
        with decimal.localcontext(FIXED):
            sums = {} if state is None else _cash(state, own)
            for made in to_currency(since_inception(self._lens, account), Rates(self._lens, own)):
                sums[made.currency] = sums.get(made.currency, ZERO) + made.net
        return sums


def own_currency(lens: Lens, account: str) -> str | None:
    """Return the currency that an account was opened in, else the only one that anything of it names, else None."""
    state: AccountsState | None = lens.state(AccountsView.name, account)
    if state is not None and state.opened is not None:
        return state.opened.currency
    rates = Rates(lens, None)
    held = holdings_of(lens, account)
    named = {rates.currency(holding.symbol) for holding in held}
    named |= {currency for holding in held for currency, _ in holding.fees}
    if state is not None:
        named |= {*state.told, *(currency for currency, _ in state.cash)}
    found = [currency for currency in named if currency]
    return found[0] if len(found) == 1 else None


def cash_in(lens: Lens, account: str, own: str | None) -> Decimal:
    """Return the starting balance and the cash that moved, in the account's own currency."""
    state: AccountsState | None = lens.state(AccountsView.name, account)
    return ZERO if state is None else _cash(state, own).get(own, ZERO)


def starting_balance(lens: Lens, account: str) -> Decimal | None:
    state: AccountsState | None = lens.state(AccountsView.name, account)
    return None if state is None or state.opened is None else state.opened.starting_balance


def _cash(state: AccountsState, own: str | None) -> dict[str | None, Decimal]:
    sums: dict[str | None, Decimal] = {}
    opened = state.opened
    if opened is not None:
        sums[own] = opened.starting_balance
    for currency, amount in state.cash:
        sums[currency] = sums.get(currency, ZERO) + amount
    return sums


def _told(state: AccountsState, own: str | None) -> dict[str | None, BrokerBalance]:
    """Return what was told by currency, that in none named under the account's own, where no other stands there."""
    told: dict[str | None, BrokerBalance] = dict(state.told.items())
    unnamed = told.pop("", None)
    if unnamed is not None:
        told[None if own in told else own] = unnamed
    return told


def _open(state: AccountsState, event: AccountOpened, record: Record) -> None:
    told = dict(state.told)
    if "" in told:
        told[event.currency] = _later(told.get(event.currency), told.pop(""))
    state.opened, state.opened_position, state.told = event, record.position, told


def _later(one: BrokerBalance | None, other: BrokerBalance) -> BrokerBalance:
    """Return the newer figures, with the older ones where those leave something out."""
    if one is None:
        return other
    older, newer = sorted((one, other), key=lambda told: told.position)
    return BrokerBalance(
        older.balance if newer.balance is None else newer.balance,
        older.available if newer.available is None else newer.available,
        older.frozen if newer.frozen is None else newer.frozen,
        older.margin if newer.margin is None else newer.margin,
        newer.position,
    )


def _update(state: AccountsState, event: AccountUpdated, record: Record) -> None:
    if event.can_trade is not None:
        state.can_trade = event.can_trade
    fresh = BrokerBalance(event.balance, event.available, event.frozen, event.margin, record.position)
    if fresh == BrokerBalance(position=record.position):
        return
    currency = event.currency or ("" if state.opened is None else state.opened.currency)
    known = state.told.get(currency)
    if known is None and len(state.told) >= CURRENCIES_MAX:
        raise TooManyCurrencies(record.account, currency)
    state.told[currency] = _later(known, fresh)


def _report(state: AccountsState, event: PnlReported, record: Record) -> None:
    day = None if event.trading_day is None else event.trading_day.isoformat()
    key = f"{day}\0{event.symbol or ''}\0{event.currency or ''}"
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
    # Put at the end: those that were longest without news are dropped first.
    reported = dict(state.reported)
    reported.pop(key, None)
    reported[key] = fresh
    if len(reported) > REPORTED_MAX:
        del reported[next(iter(reported))]
    state.reported = reported


def _signed(event: CashMoved) -> Decimal:
    if event.kind is CashKind.DEPOSIT:
        return abs(event.amount)
    if event.kind in _GOES:
        return -abs(event.amount)
    return -event.amount if event.kind is CashKind.FEE else event.amount
