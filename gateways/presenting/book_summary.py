"""A summary of a book: the orders, positions, profit and loss, lockouts and anomalies of one account or all."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from eventstore import Instant, UnknownContract
from eventstore.clock import utc_date
from eventstore.trading import Protection
from gateways.presenting.approvals import AwaitedApproval, awaited_approvals, with_groups
from gateways.presenting.documents import plain, realized_or_none
from gateways.presenting.headroom import headroom_of, unjudged_of
from gateways.presenting.protection import modes_of
from projections import SHARED, PartitionParked
from projections.decimals import FIXED
from projections.valuation import Status
from projections.views.accounts import cash_results
from projections.views.enforcement import Enforcement
from projections.views.executions.positions import Position
from projections.views.limits.headroom import Headroom, Unjudged
from projections.views.limits.protection import Mode
from projections.views.lockouts.lockout import Lockout
from projections.views.orders.view import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo

    from projections import Book

T = TypeVar("T")


class CurrencyTotal(msgspec.Struct, frozen=True):
    """An account's realized profit and loss by its own method, fees, cash without a trade, and net, in one currency."""

    account: str
    currency: str
    realized: Decimal
    fees: Decimal
    cash: Decimal
    net: Decimal


class DayTotal(msgspec.Struct, frozen=True):
    """An account's profit and loss of one trading day, in one currency; without sessions, of a date in UTC."""

    account: str
    trading_day: str
    currency: str
    realized: Decimal
    fees: Decimal
    cash: Decimal
    net: Decimal
    trades: int
    unpriced: int = 0
    """How many changes of positions had no price: if there are any, what is realized is not certain."""
    uncertain_fees: int = 0
    """How many trades were reported with several fees."""


class EquityTotal(msgspec.Struct, frozen=True):
    """An opened account's equity in its own currency. `status`: KNOWN, STALE or UNKNOWN, and `why` it is not KNOWN.

    The balance is of all days; what is UNKNOWN is left out of the figures.
    """

    account: str
    currency: str
    balance: Decimal
    unrealized: Decimal
    equity: Decimal
    high_water: Decimal
    floor: Decimal | None
    status: Status
    why: str


class AnomalyCount(msgspec.Struct, frozen=True):
    """How often an account has one kind of anomaly, and the log positions that are still remembered."""

    account: str
    view: str
    kind: str
    count: int
    log_positions: tuple[int, ...] = msgspec.field(default=(), name="positions")


class AccountMode(msgspec.Struct, frozen=True):
    """Whether an account's limits act, and the mode that waits for its next trading day; None where nobody set one."""

    account: str
    held: Mode | None
    waiting: Mode | None

    @property
    def is_shadow(self) -> bool:
        """Whether its limits only record what they would do."""
        return self.held is not None and self.held.mode is Protection.SHADOW


class BookSummary(msgspec.Struct, frozen=True):
    """What a book says at a log position.

    `at`: the instant for which lockouts, requests, headroom and the trading day are shown. Headroom and what is not
    judged are by account. `parked`: the errors of parked partitions.
    """

    log: str
    log_position: int = msgspec.field(name="position")
    at: Instant
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    totals: tuple[CurrencyTotal, ...]
    days: tuple[DayTotal, ...]
    equity: tuple[EquityTotal, ...]
    headroom: dict[str, tuple[Headroom, ...]]
    unjudged: dict[str, tuple[Unjudged, ...]]
    lockouts: tuple[Lockout, ...]
    modes: tuple[AccountMode, ...]
    awaited: tuple[AwaitedApproval, ...]
    pending: tuple[Enforcement, ...]
    anomalies: tuple[AnomalyCount, ...]
    parked: tuple[str, ...]

    def as_json(self, zone: tzinfo) -> dict[str, Any]:
        """Return plain JSON values, each position with its realized money or null."""
        document: dict[str, Any] = plain(self, zone)
        return document | {"positions": positions_json(self.positions, zone)}


def positions_json(positions: Sequence[Position], zone: tzinfo) -> list[dict[str, Any]]:
    """Return positions as plain JSON values, each with its realized money or null."""
    return [plain(each, zone) | {"realized": plain(realized_or_none(each))} for each in positions]


def summarize(book: Book, log: str, at: int, account: str | None) -> BookSummary:
    """Summarize one account or all; what a parked partition cannot answer is left out."""
    accounts = book.accounts.known() if account is None else (account,)
    positions = _each(accounts, book.positions.of)
    return BookSummary(
        log=log,
        log_position=book.position,
        at=at,
        orders=_each(accounts, book.orders.open),
        positions=positions,
        totals=tuple(_totals(book, accounts, positions)),
        days=_each(accounts, lambda name: day_totals_of(book, name, at)),
        equity=_each(accounts, lambda name: _equity(book, name, at)),
        headroom=headroom_of(book, accounts, at),
        unjudged=unjudged_of(book, accounts, at),
        lockouts=_each(accounts, lambda name: book.lockouts.active(name, at)),
        awaited=awaited_approvals(book, with_groups(book, accounts)),
        modes=tuple(AccountMode(*each) for each in modes_of(book, accounts)),
        pending=pending_requests(book, accounts, at),
        anomalies=_each(accounts, lambda name: anomalies_of(book, name)),
        parked=tuple(str(error) for (_, name), error in book.parked.items() if name in {*accounts, SHARED}),
    )


def pending_requests(book: Book, accounts: Iterable[str], at: int | None) -> tuple[Enforcement, ...]:
    """Return the pending enforcement requests of accounts; what a parked partition cannot answer is left out."""
    return _each(accounts, lambda name: book.enforcement.pending(name, at))


def _each(accounts: Iterable[str], ask: Callable[[str], Iterable[T]]) -> tuple[T, ...]:
    found: list[T] = []
    for account in accounts:
        try:
            found += ask(account)
        except (PartitionParked, UnknownContract):
            # Parked partitions have a list of their own, and positions without a contract say so.
            continue
    return tuple(found)


def _totals(book: Book, accounts: Iterable[str], positions: Iterable[Position]) -> Iterable[CurrencyTotal]:
    realized: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    fees: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    cash: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for position in positions:
        account, currency = position.account, position.currency or ""
        money = realized_or_none(position, book.accounts.configuration(account).cost)
        if money is not None:
            realized[account, currency] = FIXED.add(realized[account, currency], money)
        for fee_currency, amount in position.fees_by_currency:
            key = (account, fee_currency or currency)
            fees[key] = FIXED.add(fees[key], amount)
    for account in accounts:
        for fee_currency, amount in _each([account], book.positions.unassigned_fees):
            fees[account, fee_currency] = FIXED.add(fees[account, fee_currency], amount)
        for cash_currency, amount in _each([account], lambda name: cash_results(book, name)):
            cash[account, cash_currency] = amount
    for account, currency in sorted({*realized, *fees, *cash}):
        gross, paid, received = (sums[account, currency] for sums in (realized, fees, cash))
        net = FIXED.add(FIXED.subtract(gross, paid), received)
        yield CurrencyTotal(account, currency, gross, paid, received, net)


def day_totals_of(book: Book, account: str, at: int) -> Iterable[DayTotal]:
    """Return the profit and loss of an account's trading day; raise UnknownContract where it cannot be money."""
    session = book.sessions.current(account, at)
    day = utc_date(at) if session is None else session.trading_day
    for totals in book.pnl.day(account, at):
        amounts = (totals.result, totals.fees, totals.cash, totals.net_result)
        uncertain = (totals.unpriced, totals.uncertain_fees)
        yield DayTotal(account, day.isoformat(), totals.currency or "", *amounts, totals.trades, *uncertain)


def _equity(book: Book, account: str, at: int) -> Iterable[EquityTotal]:
    known = book.accounts.get(account)
    if known is None or known.starting_balance is None:
        return
    now = book.equity.now(account, at)
    figures = (now.balance, now.unrealized, now.equity, now.high_water, now.floor)
    yield EquityTotal(account, now.currency or "", *figures, now.status, now.why)


def anomalies_of(book: Book, account: str) -> list[AnomalyCount]:
    """Return how often an account has each kind of anomaly."""
    found = [AnomalyCount(account, "orders", kind, count) for kind, count in book.orders.anomalies(account).items()]
    marks: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position in book.positions.of(account):
        for kind, log_position in position.anomalies:
            marks["positions", kind].append(log_position)
    for kind, log_position in book.positions.anomalies(account):
        marks["positions", kind].append(log_position)
    for account_kind, log_position in book.accounts.anomalies(account):
        marks["accounts", account_kind].append(log_position)
    for anomaly in book.lockouts.anomalies(account):
        marks["lockouts", anomaly.kind].append(anomaly.position)
    for view, wrong in (("sessions", book.sessions.anomalies(account)), ("limits", book.limits.anomalies(account))):
        for each in wrong:
            marks[view, "WRONG_TIME"].append(each.positions[0])
    found += [
        AnomalyCount(account, view, kind, len(found_at), tuple(found_at)) for (view, kind), found_at in marks.items()
    ]
    return found
