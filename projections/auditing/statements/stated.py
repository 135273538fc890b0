"""What a broker's statement says, as values: executions, cash, positions, and results of trading days."""

from __future__ import annotations

import datetime
from decimal import Decimal

import msgspec

from eventstore import Instant
from eventstore.clock import NANOSECONDS
from eventstore.trading import CashKind, PositionSide, Side
from projections.decimals import ZERO

DAY_NS = 86_400 * NANOSECONDS


class StatedExecution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution as the statement has it, on a line of it.

    `trade_id` is None where the statement has no ids. `pnl` is its own profit and loss, before costs. `trading_day` is
    the day that the row states. `is_order`: all executions of the order together, at their average price.
    `trip`: the executions with one number are one round trip, whose costs are stated together. `closes`: the row is of
    what was closed by it.
    """

    line: int
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: Instant
    trade_id: str | None = None
    order_id: str | None = None
    fee: Decimal = ZERO
    fee_currency: str | None = None
    pnl: Decimal | None = None
    trading_day: datetime.date | None = None
    is_order: bool = False
    trip: int | None = None
    closes: bool = True


class StatedCash(msgspec.Struct, frozen=True, kw_only=True):
    """Cash that came, or went if the amount is below zero, as the statement has it; a cost is below zero.

    `trading_day` is the day of a row that states no time of day; `at` does not count then.
    """

    line: int
    account: str
    amount: Decimal
    currency: str
    kind: CashKind
    at: Instant
    reference: str | None = None
    trading_day: datetime.date | None = None


class StatedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What the account held of a contract at an instant, below zero if short.

    `trading_day` is the day of a row that states no time of day: it was held at its end, and `at` does not count.
    """

    line: int
    account: str
    symbol: str
    quantity: Decimal
    at: Instant
    side: PositionSide = PositionSide.NET
    trading_day: datetime.date | None = None


class StatedResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a trading day realized before costs, and cost; of all contracts, or of one. None: not stated."""

    line: int
    account: str
    trading_day: datetime.date
    realized: Decimal | None = None
    fees: Decimal | None = None
    currency: str | None = None
    symbol: str | None = None


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A statement: what it says, and what it can say.

    `source` names it, `digest` is its SHA-256 in hexadecimal digits, "" if not known. What it does not say is not
    compared: `has_executions`; `has_fees`: executions state what they cost; `cash_kinds`: the movements of cash that it
    lists. `closed_only`: executions are in it so far as they opened or closed what is closed by now. `within_ns`: times
    are cut off to this, by default the second; a whole day: only dates are known. `left_out`: rows that could not be
    read, `repeated`: rows that say again what an earlier row says. `not_compared` are sentences of what else is in it.
    """

    source: str
    executions: tuple[StatedExecution, ...] = ()
    cash: tuple[StatedCash, ...] = ()
    positions: tuple[StatedPosition, ...] = ()
    results: tuple[StatedResult, ...] = ()
    digest: str = ""
    has_executions: bool = True
    has_fees: bool = True
    cash_kinds: frozenset[CashKind] = frozenset()
    closed_only: bool = False
    within_ns: int = NANOSECONDS
    left_out: int = 0
    repeated: int = 0
    not_compared: tuple[str, ...] = ()

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that it has rows of, sorted."""
        return tuple(sorted({account for account, _ in self.rows}))

    @property
    def rows(self) -> tuple[tuple[str, int], ...]:
        """The account and the line of each of its rows."""
        return (
            *[(each.account, each.line) for each in self.executions],
            *[(each.account, each.line) for each in self.cash],
            *[(each.account, each.line) for each in self.positions],
            *[(each.account, each.line) for each in self.results],
        )

    @property
    def has_dates_only(self) -> bool:
        """Whether no time of day is known."""
        return self.within_ns >= DAY_NS

    def of(self, account: str) -> Stated:
        """Return what it says of one account."""
        return msgspec.structs.replace(
            self,
            executions=tuple(each for each in self.executions if each.account == account),
            cash=tuple(each for each in self.cash if each.account == account),
            positions=tuple(each for each in self.positions if each.account == account),
            results=tuple(each for each in self.results if each.account == account),
        )
