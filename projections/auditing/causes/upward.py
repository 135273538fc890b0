"""From a record up to its first causes: what it names as its cause, and what its decision rests on."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from eventstore import InvalidEvent
from eventstore.streams import account_of, stream_of, unescaped
from eventstore.trading import (
    EnforcementRequested,
    EquityCorrected,
    FeeCharged,
    LimitUnjudged,
    LockoutSet,
    NoteAdded,
    OrderSubmitted,
    RiskChecked,
    TradeBusted,
    TradeCorrected,
    Verdict,
    WouldLock,
)
from projections.auditing.causes.answer import CausalLink, Role
from projections.auditing.causes.decisions import Asked, Decided, DecisionSearch, ReasonRecord
from projections.auditing.causes.search import event_of
from projections.replay import as_of
from projections.risk.policies.protocol import ACTOR
from projections.view import SHARED
from projections.views.executions.amended_trades import amended_trades
from projections.views.executions.state import VIEW, ExecutionsState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, Record
    from projections.auditing.causes.answer import FigureMade
    from projections.auditing.causes.search import LogSearch

DEPTH_MAX = 64
"""How long a chain of causes is followed."""
_OF_TRADES = FeeCharged | TradeBusted | TradeCorrected
_LEAVES = frozenset({Role.LIMIT, Role.MARK, Role.EXECUTION, Role.CARRIED, Role.AMENDMENT, Role.CASH, Role.ORDER})
"""What a figure is made of: only what these name as their causes is followed."""


class Upward:
    """Builds the tree of causes; a record's own causes are shown where it comes first."""

    def __init__(self, search: LogSearch) -> None:
        self._search = search
        self._shown: set[int] = set()
        self.figures: list[FigureMade] = []

    def causes(self, record: Record, depth: int = 0, role: Role | None = None) -> tuple[CausalLink, ...]:
        """Return what a record rests on, each with what that rests on."""
        self._shown.add(record.position)
        if depth >= DEPTH_MAX:
            self._search.note(f"the chain of causes continues at position {record.position:,}: ask about that")
            return ()
        # The record that a decision was made for may be one of the executions behind it: then it is both.
        found = {(each.role, each.record.position): each for each in self._found(record, role)}
        return tuple(self._link(each, depth) for each in found.values() if each.record.position != record.position)

    def _link(self, found: ReasonRecord, depth: int) -> CausalLink:
        is_repeated = found.record.position in self._shown
        links = () if is_repeated else self.causes(found.record, depth + 1, found.role)
        return CausalLink(
            role=found.role,
            record=found.record,
            sentence=self._search.sentence(found.record),
            amounts=found.amounts,
            links=links,
            is_repeated=is_repeated,
        )

    def _found(self, record: Record, role: Role | None) -> Iterator[ReasonRecord]:
        event = event_of(record)
        if isinstance(event, Asked):
            yield from self._asking(record, event)
        cause = self._cause(record, role)
        if cause is not None:
            yield ReasonRecord(Role.CAUSE, cause)
        if role in _LEAVES:
            return
        if isinstance(event, Decided):
            decision = DecisionSearch(self._search, record, event)
            yield from decision.found(cause)
            self.figures += decision.figures
        yield from self._origin(record, event)
        yield from self._named(record, event)

    def _cause(self, record: Record, role: Role | None) -> Record | None:
        """Return the record that one names as its cause; note where it names none, or one that is not here."""
        if record.causation_id is None:
            if record.actor.startswith(ACTOR) and role not in _LEAVES:
                self._search.note(
                    f"position {record.position:,} was decided by {record.actor} at a quote or as time passed, "
                    "neither of which the log holds"
                )
            return None
        found = self._search.by_id(record.causation_id, before=record.position)
        if found is None:
            name = uuid.UUID(bytes=record.causation_id)
            self._search.note(f"the cause of position {record.position:,}, {name}, is not in log {record.log}")
        elif found.position > record.position:
            self._search.note(f"position {record.position:,} names a later record, {found.position:,}, as its cause")
        return found

    def _asking(self, record: Record, event: Asked) -> Iterator[ReasonRecord]:
        """Yield the lockout that a request is for: it is appended before its requests."""
        is_real = isinstance(event, EnforcementRequested)
        stream = stream_of("lockout" if is_real else "shadow", record.account, event.rule_id)
        found = self._search.last(stream, (LockoutSet if is_real else WouldLock,), record.position)
        if found is not None:
            yield ReasonRecord(Role.LOCKOUT, found)

    def _origin(self, record: Record, event: Event | None) -> Iterator[ReasonRecord]:
        """Yield what began the life that a record is a part of."""
        found = None
        if isinstance(event, OrderSubmitted):
            order_id = unescaped(record.entity)
            check = self._search.last(stream_of("risk", record.account, order_id), (RiskChecked,), record.position)
            if check is not None:
                yield ReasonRecord(Role.CHECK, check)
        elif record.category == "order" and record.version > 1:
            found = self._search.first(record.stream)
        elif record.category == "lockout" and not isinstance(event, LockoutSet):
            found = self._search.last(record.stream, (LockoutSet,), record.position)
        elif record.category == "enforcement" and not isinstance(event, EnforcementRequested):
            found = self._search.last(record.stream, (EnforcementRequested,), record.position)
        if found is not None:
            yield ReasonRecord(Role.ORIGIN, found)

    def _named(self, record: Record, event: Event | None) -> Iterator[ReasonRecord]:
        """Yield the records that a record names other than as its cause."""
        match event:
            case FeeCharged() | TradeBusted() | TradeCorrected():
                yield from self._trades(record, event)
            case EquityCorrected() if event.wrong is not None:
                yield from self._of_id(str(event.wrong), record)
            case NoteAdded():
                yield from self._target(record, event)
            case LimitUnjudged() if event.limit_position is not None:
                limit = self._search.at(event.limit_position)
                if limit is not None:
                    yield ReasonRecord(Role.LIMIT, limit)
            case RiskChecked() if event.verdict is not Verdict.PASS and event.rule_id is not None:
                yield from self._rejecting(record, event.rule_id)
            case _:
                return

    def _trades(self, record: Record, event: _OF_TRADES) -> Iterator[ReasonRecord]:
        """Yield the trades that a fee, a bust or a correction may be about, as the fold knows them."""
        book = as_of(self._search.store, position=record.position - 1, account=record.account)
        state: ExecutionsState | None = book.state(VIEW, record.account)
        shared: ExecutionsState | None = book.state(VIEW, SHARED)
        items = () if state is None else amended_trades(state, shared or ExecutionsState(), event, record)
        if not items:
            of = "" if event.symbol is None else f" in {event.symbol}"
            self._search.note(f"no trade {event.trade_id!r:.80}{of} is known before position {record.position:,}")
        for item in items:
            trade = self._search.at(item.log_position)
            if trade is not None:
                yield ReasonRecord(Role.NAMED, trade)

    def _of_id(self, text: str, record: Record) -> Iterator[ReasonRecord]:
        try:
            found = self._search.by_id(uuid.UUID(text).bytes, before=record.position)
        except ValueError:
            found = None
        if found is None:
            self._search.note(f"position {record.position:,} names the record {text:.80}, which is not in this log")
        else:
            yield ReasonRecord(Role.NAMED, found)

    def _target(self, record: Record, event: NoteAdded) -> Iterator[ReasonRecord]:
        if "/" not in event.target:
            yield from self._of_id(event.target, record)
            return
        try:
            account_of(event.target)
        except InvalidEvent:
            return
        # A day's stream holds nothing.
        found = self._search.first(event.target)
        if found is not None:
            yield ReasonRecord(Role.NAMED, found)

    def _rejecting(self, record: Record, rule_id: str) -> Iterator[ReasonRecord]:
        """Yield the lockout or the limit's setting that kept an order from passing."""
        book = as_of(self._search.store, position=record.position - 1, account=record.account)
        for lockout in book.lockouts.active_as_folded(record.account, record.recorded_at):
            if lockout.rule_id == rule_id:
                found = self._search.by_id(lockout.cause, before=record.position)
                if found is not None:
                    yield ReasonRecord(Role.LOCKOUT, found)
        limit = book.limits.get(record.account, rule_id, record.recorded_at)
        setting = None if limit is None else self._search.at(limit.position)
        if setting is not None:
            yield ReasonRecord(Role.LIMIT, setting)
