"""What a dispute has of one account and trading day, for the command, the page and the pack alike."""

from __future__ import annotations

import datetime
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eventstore import Instant
from eventstore.clock import format_time
from eventstore.html import table_html
from projections.auditing.causes import CausalLink, FigureMade, Role, Why
from projections.auditing.statements import SignedDay, Statement
from projections.auditing.timeline import Entry
from projections.decimals import FIXED, ZERO
from projections.views.limits.headroom import Headroom
from projections.views.limits.limit import Limit
from projections.views.limits.protection import Mode
from projections.views.lockouts.lockout import Lockout
from projections.views.notes import Note
from projections.views.shadow import ReportedLimit

if TYPE_CHECKING:
    from collections.abc import Callable

BEHIND = (Role.EXECUTION, Role.CASH, Role.AMENDMENT, Role.CARRIED)
"""The roles of the records that a figure is made of."""


class LimitInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a limit, and the part of the day in which it was in force; None: it waited for a session.

    `rule_id` names the group too, as `group:NAME:RULE`; `setting` has who set it, when, and its log position.
    """

    rule_id: str
    setting: Limit
    since: Instant | None
    until: Instant | None


class HeadroomAt(msgspec.Struct, frozen=True, kw_only=True):
    """How far the account was from each limit just after a record, at an instant of the day."""

    position: int
    at: Instant
    type: str
    of: tuple[Headroom, ...]


class FirmReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the firm itself says of a limit, and what this log has at that record; None where it has or knows none."""

    report: ReportedLimit
    actor: str
    rule_id: str | None = None
    figure: Decimal | None = None
    limit: Decimal | None = None
    currency: str | None = None
    why: str = ""


class Contribution(NamedTuple):
    """What the executions of one contract, or movements of cash, added to a figure: how many, and how much."""

    symbol: str
    currency: str
    records: int
    amount: Decimal


class DisputedLockout(msgspec.Struct, frozen=True, kw_only=True):
    """A lockout that held on the day: why it was set, and what became of it, record by record.

    `set_on_day`: it was set on the day itself; `would`: in shadow mode, so that it locked nothing.
    """

    lockout: Lockout
    why: Why | None
    course: tuple[Entry, ...] = ()
    set_on_day: bool = True
    would: bool = False

    @property
    def position(self) -> int:
        """The log position of the record that set it."""
        return self.lockout.positions[0]

    @property
    def actor(self) -> str:
        """Who set it; empty where the record is not known."""
        return "" if self.why is None or self.why.record is None else self.why.record.actor

    @property
    def figure(self) -> FigureMade | None:
        """The figure it was decided on, the account's own first; None without one."""
        found = () if self.why is None else self.why.figures
        own = [each for each in found if each.account == self.lockout.account]
        return next(iter([*own, *found]), None)

    @property
    def limits(self) -> tuple[CausalLink, ...]:
        """The settings of the limit that decided, each by who set it."""
        return self._causes(Role.LIMIT)

    @property
    def quotes(self) -> tuple[CausalLink, ...]:
        """The quotes that were kept with the decision."""
        return self._causes(Role.QUOTES)

    @property
    def trigger(self) -> CausalLink | None:
        """The record that the decision was made for; None where the log does not have it."""
        return next(iter(self._causes(Role.CAUSE)), None)

    @property
    def executions(self) -> tuple[CausalLink, ...]:
        """The executions, cash and amendments behind the figure, by log position."""
        return self._causes(*BEHIND)

    def _causes(self, *roles: Role) -> tuple[CausalLink, ...]:
        """Return what the lockout itself rests on in some roles, by log position."""
        found = () if self.why is None else self.why.causes
        return tuple(sorted((each for each in found if each.role in roles), key=_log_position))

    def contributions(self) -> tuple[Contribution, ...]:
        """Return what each contract added to the figure, the one that lost most first."""
        sums: dict[tuple[str, str], Decimal] = {}
        records: Counter[str] = Counter()
        for link in self.executions:
            symbol = str(getattr(link.record.event, "symbol", None) or link.role.value.lower())
            # One that opened a position may have added nothing, and is behind the figure all the same.
            records[symbol] += 1
            for currency, amount in link.amounts.items():
                sums[symbol, currency] = FIXED.add(sums.get((symbol, currency), ZERO), amount)
        found = [Contribution(symbol, currency, records[symbol], each) for (symbol, currency), each in sums.items()]
        return tuple(sorted(found, key=lambda each: (each.amount, each.symbol)))


def _log_position(link: CausalLink) -> int:
    return link.record.position


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """All that a log has about one account's trading day, as it is known at `log_position`.

    The day lasts from `since` to before `until`; `is_stated`: a session's event says so, otherwise it is the date in
    UTC. `timeline` has the records that occurred in it, and those recorded in it about other days. `unknown` says what
    is not known, or could not be looked for.
    """

    log: str
    log_id: bytes
    account: str
    trading_day: datetime.date
    since: Instant
    until: Instant
    is_stated: bool
    zone: str | None
    log_position: int
    timeline: tuple[Entry, ...]
    limits: tuple[LimitInForce, ...]
    headroom: tuple[HeadroomAt, ...]
    lockouts: tuple[DisputedLockout, ...]
    firm: tuple[FirmReport, ...] = ()
    statement: Statement | None = None
    signed: tuple[SignedDay, ...] = ()
    notes: tuple[Note, ...] = ()
    modes: tuple[Mode, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def has_records(self) -> bool:
        """Whether anything was recorded of the day, or held on it."""
        return bool(self.timeline or self.lockouts or self.firm)

    @property
    def main(self) -> DisputedLockout | None:
        """The lockout that the dispute is about: the first one set on the day, one that really locked before others."""
        return min(self.lockouts, key=_rank, default=None)

    @property
    def sentence(self) -> str:
        """The dispute in one sentence, with its time in UTC."""
        return self.said(format_time)

    def said(self, time: Callable[[int], str]) -> str:
        """Return the dispute in one sentence, with its time as `time` writes it."""
        main, count = self.main, len(self.lockouts)
        what = f"{self.account} on {self.trading_day}"
        if main is None:
            return f"{what}: no lockout held"
        verb = "would have been locked" if main.would else "was locked" if main.set_on_day else "had been locked"
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        reason = f": {main.lockout.reason}" if main.lockout.reason else ""
        return f"{what}: {verb} by {main.lockout.rule_id} at {time(main.lockout.set_at)}{more}{reason}"

    def _repr_html_(self) -> str:
        rows = [
            ("day", f"{format_time(self.since)} to {format_time(self.until)}"),
            *(("lockout", f"{each.lockout.rule_id}: {each.lockout.reason}") for each in self.lockouts),
            ("records", f"{len(self.timeline):,}"),
            *(("not known", each) for each in self.unknown),
        ]
        return table_html(("", ""), rows, caption=self.sentence)


def _rank(each: DisputedLockout) -> tuple[bool, bool, int, int]:
    return not each.set_on_day, each.would, each.lockout.set_at, each.position
