"""Asks again in the process that enforces, so that what failed is tried again where no policies run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore import EventStore
from eventstore.clock import derived_from, wall_ns
from eventstore.trading import OrderFilled, PositionAdjusted, PositionReported, TradeExecuted
from projections.risk.enforcement.goals import newest_attempts
from projections.risk.limits.enforcement_keeper import EnforcementKeeper
from projections.risk.policies import Trigger, TriggerKind
from projections.risk.policies.appending import append_decision
from projections.risk.policies.protocol import keyed, trigger_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.book import Book
    from projections.risk.policies.protocol import PendingDecision

OPENING = (OrderFilled, TradeExecuted, PositionReported, PositionAdjusted)
"""The records that may undo what was answered with success, and are answered at once."""


class AskingAgain:
    """Evaluates `EnforcementKeeper` for one account at a time, as running policies do.

    The keys are theirs, so that beside them each attempt is still asked for once.
    """

    def __init__(self, book: Book) -> None:
        self._book, self._keeper = book, EnforcementKeeper()
        self._seen: dict[str, int] = {}
        """By account: the log position up to which its records were evaluated."""

    def ask(self, account: str) -> bool:
        """Ask again for what is due, and escalate; return whether the log has grown meanwhile."""
        book, store = self._book, self._book.reader
        if not isinstance(store, EventStore):
            return False
        with book.paused():
            before = book.position
            # By its keys: a fill and the time that has passed may give the same attempt.
            decided = {pending.keys: pending for pending in self._decided(store, account)}
        for pending in decided.values():
            with derived_from(pending.trigger.at):
                append_decision(book, store, pending)
        # Only now: what could not be appended is decided again.
        self._seen[account] = before
        return bool(decided) and book.position > before

    def _decided(self, store: EventStore, account: str) -> Iterator[PendingDecision]:
        for trigger in (*self._opened(store, account), self._now(store, account)):
            with derived_from(trigger.at):
                yield from keyed(self._keeper, trigger, tuple(self._keeper.decide(self._book, trigger)))

    def _opened(self, store: EventStore, account: str) -> Iterator[Trigger]:
        """Yield a trigger for each record since an answer that may have opened a position."""
        book = self._book
        answers = [each.taken_position for each in newest_attempts(book, account) if each.taken_position is not None]
        if not answers:
            return
        # From the answer on, however long ago: no process may have followed the log then.
        after = max(min(answers), self._seen.get(account, 0))
        if after < book.position:
            for record in store.read(after=after, account=account, types=OPENING, until=book.position):
                yield trigger_of(book, record, record.event)

    @staticmethod
    def _now(store: EventStore, account: str) -> Trigger:
        return Trigger(TriggerKind.TIME, account, wall_ns(store.clock), account)
