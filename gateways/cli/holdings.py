"""What a book says of some accounts: the orders, positions, lockouts and anomalies that `state` shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from eventstore import Instant, UnknownContract
from eventstore.clock import NANOSECONDS
from gateways.presenting.documents import plain
from projections import SHARED, Book, PartitionParked
from projections.decimals import FIXED
from projections.views.enforcement import Enforcement
from projections.views.executions.positions import Position
from projections.views.lockouts.view import Lockout
from projections.views.orders.view import Order

T = TypeVar("T")


class Total(msgspec.Struct, frozen=True):
    """One account's realized profit and loss, fees and what is left, in one currency."""

    account: str
    currency: str
    realized: Decimal
    fees: Decimal
    net: Decimal


class Today(msgspec.Struct, frozen=True):
    """What one account made in the trading day around the instant asked, or on its date in UTC, in one currency."""

    account: str
    trading_day: str
    currency: str
    realized: Decimal
    fees: Decimal
    net: Decimal
    trades: int


class Anomaly(msgspec.Struct, frozen=True):
    """One kind of anomaly of an account; `positions` are those that are still remembered."""

    account: str
    view: str
    kind: str
    count: int
    positions: tuple[int, ...] = ()


class Holdings(msgspec.Struct, frozen=True):
    """What a book says at its position; `at` is the instant its lockouts were asked for, `parked` what has stopped."""

    log: str
    position: int
    at: Instant
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    totals: tuple[Total, ...]
    days: tuple[Today, ...]
    lockouts: tuple[Lockout, ...]
    pending: tuple[Enforcement, ...]
    anomalies: tuple[Anomaly, ...]
    parked: tuple[str, ...]

    @staticmethod
    def realized(position: Position) -> Decimal | None:
        """Return a position's realized money, None where its contract is unknown."""
        try:
            return position.realized
        except UnknownContract:
            return None

    def as_json(self, zone: tzinfo) -> dict[str, Any]:
        """Return all of it as plain values, each position with its realized money or null."""
        document: dict[str, Any] = plain(self, zone)
        for position, shown in zip(self.positions, document["positions"], strict=True):
            shown["realized"] = plain(self.realized(position))
        return document


def gather(book: Book, log: str, at: int, account: str | None) -> Holdings:
    """Ask a book for one account or all; what has stopped is said and left out."""
    accounts = book.accounts.known() if account is None else (account,)
    positions = _each(accounts, book.positions.of)
    return Holdings(
        log=log,
        position=book.position,
        at=at,
        orders=_each(accounts, book.orders.open),
        positions=positions,
        totals=tuple(_totals(book, accounts, positions)),
        days=_each(accounts, lambda name: _today(book, name, at)),
        lockouts=_each(accounts, lambda name: book.lockouts.active(name, at)),
        pending=_each(accounts, book.enforcement.pending),
        anomalies=_each(accounts, lambda name: _anomalies(book, name)),
        parked=tuple(str(error) for (_, name), error in book.parked.items() if name in {*accounts, SHARED}),
    )


def _each(accounts: Iterable[str], ask: Callable[[str], Iterable[T]]) -> tuple[T, ...]:
    found: list[T] = []
    for account in accounts:
        try:
            found += ask(account)
        except (PartitionParked, UnknownContract):
            # Told once, as what has stopped or what no money can be said of; the other accounts and views go on.
            continue
    return tuple(found)


def _totals(book: Book, accounts: Iterable[str], positions: Iterable[Position]) -> Iterable[Total]:
    realized: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    fees: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for position in positions:
        account, currency = position.account, position.currency or ""
        money = Holdings.realized(position)
        if money is not None:
            realized[account, currency] = FIXED.add(realized[account, currency], money)
        for named, amount in position.fees_by_currency:
            fees[account, named or currency] = FIXED.add(fees[account, named or currency], amount)
    for account in accounts:
        for named, amount in _each([account], book.positions.unassigned_fees):
            fees[account, named] = FIXED.add(fees[account, named], amount)
    for account, currency in sorted({*realized, *fees}):
        earned, paid = realized[account, currency], fees[account, currency]
        yield Total(account, currency, earned, paid, FIXED.subtract(earned, paid))


def _today(book: Book, account: str, at: int) -> Iterable[Today]:
    session = book.sessions.current(account, at)
    day = datetime.fromtimestamp(at // NANOSECONDS, UTC).date() if session is None else session.trading_day
    for made in book.pnl.day(account, at):
        named = made.currency or ""
        yield Today(account, day.isoformat(), named, made.realized, made.fees, made.net, made.trades)


def _anomalies(book: Book, account: str) -> list[Anomaly]:
    found = [Anomaly(account, "orders", kind, count) for kind, count in book.orders.anomalies(account).items()]
    marks: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position in book.positions.of(account):
        for kind, place in position.anomalies:
            marks["positions", kind].append(place)
    for kind, place in book.positions.anomalies(account):
        marks["positions", kind].append(place)
    for anomaly in book.lockouts.anomalies(account):
        marks["lockouts", anomaly.kind].append(anomaly.position)
    found += [Anomaly(account, view, kind, len(places), tuple(places)) for (view, kind), places in marks.items()]
    return found
