"""The equity view: high-water mark and drawdown floor, as marked; and queries, which value positions at quotes."""

import decimal
from datetime import date
from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, UnknownContract
from eventstore.clock import Times, asked_ns
from eventstore.trading import EquityMarked, QuoteUsed
from projections.decimals import FIXED, ZERO
from projections.view import BookReader, View
from projections.views.accounts import cash_in, own_currency, starting_balance
from projections.views.executions.fees import Fees
from projections.views.executions.ledger_entry import LedgerEntry
from projections.views.executions.pnl import quotes_of
from projections.views.executions.pnl_totals import Rates, multiplier, since_inception, to_currency
from projections.views.executions.position_totals import PositionTotals
from projections.views.executions.state import VIEW, ExecutionsState, Holding

CURRENCIES_MAX = 1_000


class EquityMark(msgspec.Struct, frozen=True, kw_only=True):
    """The newest mark, with the highest high-water mark and the highest floor of all marks in its currency.

    `at` is the mark's time in UNIX ns, `position` its log position.
    """

    balance: Decimal
    equity: Decimal
    high_water: Decimal
    floor: Decimal | None
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    quotes: dict[str, QuoteUsed]
    currency: str | None
    trading_day: date | None
    at: Instant
    position: int


class Equity(msgspec.Struct, frozen=True, kw_only=True):
    """Equity in the account's own currency at the newest quotes: `balance` + `unrealized`.

    `realized` and `fees` are the trading day's; the balance is of all days. `high_water` is the highest of the marks,
    the starting balance and this equity; `floor` is as marked. `quotes` are those used, by symbol, including those in
    `stale`; a position in `unquoted` counts as zero. Positions in `elsewhere` are in other currencies and left out:
    nothing is summed across currencies.
    """

    account: str
    at: Instant
    currency: str | None
    balance: Decimal
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    equity: Decimal
    high_water: Decimal
    floor: Decimal | None
    quotes: dict[str, QuoteUsed]
    stale: tuple[str, ...]
    unquoted: tuple[str, ...]
    elsewhere: tuple[str, ...]


class EquityState(msgspec.Struct):
    """One account: marks by currency, "" for those that named none."""

    marks: dict[str, EquityMark] = {}


class EquityView(View[EquityState]):
    """The marks of an account. The high-water mark is the highest ever marked; the floor never falls."""

    name: ClassVar[str] = "equity"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (EquityMarked,)

    @override
    def initial(self) -> EquityState:
        return EquityState()

    @override
    def apply(self, state: EquityState, event: Event, record: Record) -> None:
        if not isinstance(event, EquityMarked):
            return
        fresh = EquityMark(
            balance=event.balance,
            equity=event.equity,
            high_water=max(event.high_water, event.equity),
            floor=event.floor,
            realized=event.realized,
            unrealized=event.unrealized,
            fees=event.fees,
            quotes=event.quotes,
            currency=event.currency,
            trading_day=event.trading_day,
            at=record.occurred_at,
            position=record.position,
        )
        marks = dict(state.marks)
        known = marks.pop(event.currency or "", None)
        # Moved to the end: the currencies without a mark for the longest time are dropped first.
        marks[event.currency or ""] = fresh if known is None else _highest(known, fresh)
        if len(marks) > CURRENCIES_MAX:
            del marks[next(iter(marks))]
        state.marks = marks


class Equities:
    """Queries about equity."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def get(self, account: str, currency: str | None = None) -> EquityMark | None:
        """Return the mark in a currency, by default the account's own; None without one.

        A mark that names no currency is in the account's own.
        """
        own = own_currency(self._book, account)
        return self._marked(account, currency or own, own)

    def now(self, account: str, at: Times | None = None) -> Equity:
        """Return the equity at the newest quotes, with their ages as of an instant, by default now.

        Raises UnknownContract if the multiplier of a position or of a realized figure is not known.
        """
        book = self._book
        at_ns = asked_ns(at, book.now_ns)
        own = own_currency(book, account)
        with decimal.localcontext(FIXED):
            tally = _Tally(book, own, at_ns)
            tally.balance = cash_in(book, account, own)
            state: ExecutionsState | None = book.state(VIEW, account)
            realized = fees = ZERO
            if state is not None:
                for key, entry in since_inception(book, account):
                    tally.add(key, entry)
                for holding in list(state.holdings.values()):
                    if holding.totals.quantity:
                        tally.value(holding)
                realized, fees = _of_today(state.ledger.at(at_ns), tally.rates)
            equity = tally.balance + tally.unrealized
            # The highest of the marks, the starting balance and this equity; the first two may be missing.
            marked = self._marked(account, own, own)
            known = [starting_balance(book, account), None if marked is None else marked.high_water]
            high_water = max((each for each in known if each is not None), default=equity)
        return Equity(
            account=account,
            at=at_ns,
            currency=own,
            balance=tally.balance,
            realized=realized,
            unrealized=tally.unrealized,
            fees=fees,
            equity=equity,
            high_water=max(high_water, equity),
            floor=None if marked is None else marked.floor,
            quotes=tally.quotes,
            stale=tuple(sorted(tally.stale)),
            unquoted=tuple(sorted(tally.unquoted)),
            elsewhere=tuple(sorted(tally.elsewhere)),
        )

    def _marked(self, account: str, currency: str | None, own: str | None) -> EquityMark | None:
        state: EquityState | None = self._book.state(EquityView.name, account)
        if state is None:
            return None
        marks = state.marks
        found = marks.get(currency or "")
        unnamed = marks.get("") if currency == own else None
        # The account's currency may have become known after the first marks, which named none.
        if found is None or unnamed is None or found is unnamed:
            return found or unnamed
        older, newer = sorted((found, unnamed), key=lambda mark: (mark.at, mark.position))
        return _highest(older, newer)


class _Tally:
    """The value of an account's positions in one currency, added up one by one."""

    def __init__(self, book: BookReader, own: str | None, at_ns: int) -> None:
        self.rates, self.own, self.at = Rates(book, own), own, at_ns
        self.balance = self.unrealized = ZERO
        self.quotes: dict[str, QuoteUsed] = {}
        self.stale: set[str] = set()
        self.unquoted: set[str] = set()
        self.elsewhere: set[str] = set()
        self._quotes = quotes_of(book)

    def charge(self, fees: Fees, currency: str | None) -> None:
        """Subtract the fees that are in the account's own currency; `currency` is that of fees that name none."""
        for named, amount in fees:
            if (named or currency or self.own) == self.own:
                self.balance -= amount

    def add(self, key: str, entry: LedgerEntry) -> None:
        """Add what was realized, less fees, in the account's own currency."""
        symbol, _, currency, point_value = self.rates.of_key(key)
        self.charge(entry.fees, currency)
        if entry.points and currency == self.own:
            if point_value is None:
                raise UnknownContract(symbol)
            self.balance += entry.points * point_value

    def value(self, holding: Holding) -> None:
        """Add the value of an open position at its quote."""
        symbol = holding.symbol
        contract = self.rates.find(symbol)
        # Without an exchange rate an amount in another currency cannot be added: the position is listed instead.
        if self.rates.currency_of(contract) != self.own:
            self.elsewhere.add(symbol)
        else:
            self._value(holding.totals, symbol, multiplier(symbol, contract))

    def _value(self, totals: PositionTotals, symbol: str, point_value: Decimal) -> None:
        quote = self._quotes.quote_at(symbol, self.at)
        if quote is None or quote.price is None:
            self.unquoted.add(symbol)
            return
        self.quotes[symbol] = QuoteUsed(quote.price, quote.quoted_at)
        if quote.stale:
            self.stale.add(symbol)
        priced = totals.quantity - totals.unpriced if totals.unpriced else totals.quantity
        self.unrealized += (priced * quote.price - totals.cost) * point_value


def _of_today(entries: dict[str, LedgerEntry], rates: Rates) -> tuple[Decimal, Decimal]:
    for pnl in to_currency(entries.items(), rates):
        if pnl.currency == rates.own:
            return pnl.realized, pnl.fees
    return ZERO, ZERO


def _highest(known: EquityMark, fresh: EquityMark) -> EquityMark:
    """Return the newer of two marks, with the higher high-water mark and the higher floor of both."""
    newer = known if known.at > fresh.at else fresh
    floors = [floor for floor in (known.floor, fresh.floor) if floor is not None]
    high_water = max(known.high_water, fresh.high_water)
    return msgspec.structs.replace(newer, high_water=high_water, floor=max(floors, default=None))
