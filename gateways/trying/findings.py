"""What a trial found: by account and trading day the result, each limit's figures, and what would have locked."""

from __future__ import annotations

from datetime import UTC, date, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from eventstore import Instant
from eventstore.trading import Allows, Side
from gateways.importers import BadRow
from gateways.importers.comparison import TOLERANCE
from gateways.presenting.documents import plain
from projections.decimals import FIXED
from projections.seeds import PublishedProgram
from projections.valuation import Status


class Execution(msgspec.Struct, frozen=True):
    """One execution of the file, as it is there, with its line; `trade_id` is None where the file has no ids."""

    line: int
    trade_id: str | None
    at: Instant
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal


class LimitOfDay(msgspec.Struct, frozen=True, kw_only=True):
    """How an account stood to one limit on a trading day: where it was nearest to it, and at the day's end.

    `worst` and `end` are figures that are compared with `worst_limit` and `end_limit`, in `unit`; they were seen at
    executions, at the day's reset and at its end. `status` is the worst that the limit had there. `unjudged_ns` is for
    how long the limit was not judged while a position was open without a price, between executions; `why` says why
    it was not judged, there or at an execution.
    """

    rule_id: str
    kind: str
    unit: str
    currency: str | None
    worst: Decimal | None
    worst_limit: Decimal | None
    worst_at: Instant | None
    end: Decimal | None
    end_limit: Decimal | None
    end_status: Status
    status: Status
    unjudged_ns: int
    why: str


class WouldHaveLocked(msgspec.Struct, frozen=True, kw_only=True):
    """A lockout that would have come into force; its members are those of `LockoutSet`.

    `figure` and `limit` are what was compared. `execution` is the one at which it would have locked, None at a time
    of day; `executions` are those that made the figure: of the trading day up to then, after those that had opened a
    position which was carried into the day. `after` is what was realized, net of fees, from then to the day's end,
    or to the file's end by a lockout that ends the account: None where it is not exact, because a position was open
    when it would have locked, or at the end.
    """

    rule_id: str
    scope: str
    allows: Allows
    reason: str
    at: Instant
    until: Instant | None
    revocable: bool
    figure: Decimal | None
    limit: Decimal | None
    execution: Execution | None
    executions: tuple[Execution, ...]
    after: Decimal | None = None

    @property
    def ends_account(self) -> bool:
        """Whether nothing but a correction would have ended it."""
        return self.until is None and not self.revocable


class DayTried(msgspec.Struct, frozen=True, kw_only=True):
    """A trading day of an account: what was realized, before `fees`, and what the file says of it.

    `reported` is the file's own profit and loss, before fees, None where it has none. `balance` is that at the day's
    end, `floor` the drawdown floor after the close.
    """

    trading_day: date
    executions: int
    realized: Decimal
    fees: Decimal
    reported: Decimal | None
    balance: Decimal
    floor: Decimal | None
    limits: tuple[LimitOfDay, ...]
    locks: tuple[WouldHaveLocked, ...]

    @property
    def difference(self) -> Decimal | None:
        """The file's figure minus ours."""
        return None if self.reported is None else FIXED.subtract(self.reported, self.realized)

    @property
    def differs(self) -> bool:
        """Whether the two differ by more than half a cent."""
        return self.difference is not None and abs(self.difference) > TOLERANCE


class AccountTried(msgspec.Struct, frozen=True, kw_only=True):
    """One account of the file under the program: its trading days with executions or lockouts, oldest first."""

    account: str
    currency: str
    starting_balance: Decimal
    zone: str
    days: tuple[DayTried, ...]

    @property
    def locks(self) -> tuple[WouldHaveLocked, ...]:
        """Everything that would have locked, oldest first."""
        return tuple(lock for day in self.days for lock in day.locks)

    @property
    def ended(self) -> WouldHaveLocked | None:
        """The first lockout that would have ended the account."""
        return next((lock for lock in self.locks if lock.ends_account), None)

    @property
    def unjudged(self) -> dict[str, str]:
        """The limits that could not be judged at some execution because something is missing, with the newest why."""
        of_days = [limit for day in self.days for limit in day.limits]
        return {each.rule_id: each.why for each in of_days if each.status is Status.UNKNOWN}


class TrialReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a program's limits would have done to the accounts of a file.

    `rows`: lines read, without the header. `left_out`: with `keep_going`, the rows that cannot be read. `notes`: what
    the file and the program leave open.
    """

    file: str
    format: str
    program: str
    published: PublishedProgram | None
    rows: int
    executions: int
    accounts: tuple[AccountTried, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[BadRow, ...] = ()

    @property
    def has_problem(self) -> bool:
        """Whether rows were left out, the file's figures differ from ours, or a limit could not be judged."""
        days = (day for account in self.accounts for day in account.days)
        return bool(self.left_out or any(each.unjudged for each in self.accounts) or any(day.differs for day in days))

    def as_json(self, zone: tzinfo = UTC) -> dict[str, Any]:
        """Return the report as plain values for JSON: figures as text, times in a zone."""
        document: dict[str, Any] = plain(self, zone)
        document["left_out"] = [
            {"line": bad.line, "column": bad.column, "value": bad.value, "why": bad.why} for bad in self.left_out
        ]
        for account, found in zip(document["accounts"], self.accounts, strict=True):
            account["days_locked"] = sum(bool(day.locks) for day in found.days)
            account["ended"] = None if found.ended is None else plain(found.ended, zone)
            for day, tried in zip(account["days"], found.days, strict=True):
                day |= {"difference": plain(tried.difference), "differs": tried.differs}
        return document
