"""What if: the original and a changed history side by side, with the policies' decisions made again in both."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import StoreError
from eventstore.clock import derived_from
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.trading import ClockJumped
from projections.analysis.replay.comparing import BY_OTHERS, FROM_QUOTES, ReplayComparison
from projections.analysis.replay.courses import TICK_NS, next_instant, playback_of
from projections.analysis.replay.differences import CAUSE_LEFT_OUT, DECIDED, LEFT_OUT, NOT_DECIDED
from projections.reading import PAGE
from projections.risk.limits.enforcement_keeper import EnforcementKeeper
from projections.risk.limits.evidence import QuotesEvidence
from projections.risk.limits.rates import KeptRates
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.limits.unpriced import UnpricedPositions
from projections.risk.policies import ACTOR, Policies, Policy
from projections.risk.policies.appending import append_decision
from projections.rules import shipped_rules

if TYPE_CHECKING:
    from eventstore import EventReader, Record
    from projections.analysis.columns import Exact
    from projections.analysis.replay.asked import Asked
    from projections.analysis.replay.bars import Bar
    from projections.analysis.replay.changes import AskedChanges
    from projections.risk.policies.protocol import PendingDecision
    from projections.views.timers import Timer

_NEED_QUOTES: tuple[type[Policy], ...] = (QuotesEvidence, KeptRates, UnjudgedLimits, UnpricedPositions)
"""Policies that decide on what is not in a log alone: quotes, rates, and that there are none."""
_FOLLOWS_THE_DAY: tuple[type[Policy], ...] = (EnforcementKeeper,)
"""Policies that decide on what the trading process answers, and when: the log has that of the original day alone."""
ROUNDS_MAX = 1_000


def rules_for(asked: Asked) -> tuple[Policy, ...]:
    """Return the policies that decide again: by default the shipped ones, and without prices those that need none."""
    given = asked.rules()
    if given is not None:
        return given
    left_out = _FOLLOWS_THE_DAY if asked.bars else (*_FOLLOWS_THE_DAY, *_NEED_QUOTES)
    return tuple(rule for rule in shipped_rules() if not isinstance(rule, left_out))


class Deciding(Policies):
    """Policies that only decide: `taken` gives what they would append, and nothing is appended."""

    @override
    def flush(self) -> None:
        return

    @override
    def _record_resumed(self, at: int) -> None:
        return

    def taken(self) -> list[PendingDecision]:
        """Return what was decided since the last call and is not recorded already."""
        pending = list(self._pending.values())
        self._pending.clear()
        return [each for each in pending if not self._is_obsolete(each)]

    def _is_obsolete(self, pending: PendingDecision) -> bool:
        decision = pending.decision
        # A replay's clock follows what the log says of time: it has no jumps of its own.
        if any(isinstance(event, ClockJumped) for _, event in decision.events):
            return True
        with derived_from(pending.trigger.at):
            return decision.obsolete_if is not None and decision.obsolete_if(self.book)

    @property
    def why_stopped(self) -> list[str]:
        """Why policies of it have stopped, and for which account."""
        return [str(failure) for failure in self.stopped.values()]


class WhatIfCourse:
    """A changed history beside the original, which decides what of the recorded decisions depends on the change.

    Up to the first change there is one history. From there on the same policies are evaluated on both, at the same
    records and instants. A recorded decision that they come to in the original as well follows from the log: in the
    changed history it is there only if they come to it again. One that they do not come to was decided from what the
    log does not have, as quotes: it is kept, unless its cause is left out. What they would have decided in the
    original, and was not recorded, is not decided in the changed history either.
    """

    def __init__(self, asked: Asked, changes: AskedChanges, reader: EventReader, position: int) -> None:
        self.playback = playback_of(asked, position)
        self._asked, self._changes, self._reader = asked, changes, reader
        # Those that are left out because they need quotes are known as well.
        self._names = {*(rule.name for rule in rules_for(asked)), *(rule.name for rule in _NEED_QUOTES)}
        self._begins = max(changes.begins, position + 1)
        # Both are played from the same beginning: what they know of prices is of what they have folded since.
        self._was = playback_of(asked, position)
        self._was.book.is_silent = True
        self._waiting: list[Record] = []
        """What the original's own history has not folded yet, while there is no difference."""
        self._policies: tuple[Deciding, Deciding] | None = None
        self._recorded: frozenset[bytes] = frozenset()
        self._decided: dict[bytes, bytes] = {}
        """What was decided in the original, by id: the data of the event."""
        self._decided_again: dict[bytes, bytes] = {}
        self._left_out: set[bytes] = set()
        self._kept: list[tuple[Record, str]] = []
        self._notes: list[str] = []
        self._not_counted = 0
        self._ticked_at = 0

    def begin(self) -> None:
        return

    # The two histories

    def _part(self) -> None:
        """Begin the original's own history, just before the first change, and the policies of both."""
        self._catch_up()
        pages = self._reader.rows(("id", "actor"), after=self.playback.journal.taken, until=self._asked.until)
        rows = itertools.chain.from_iterable(pages)
        self._recorded = frozenset(id_ for _, id_, actor in rows if actor.startswith(ACTOR))
        # Each needs policies of its own: some remember what they have decided.
        self._policies = (
            Deciding(self._was.book, rules_for(self._asked)),
            Deciding(self.playback.book, rules_for(self._asked)),
        )
        for policies in self._policies:
            policies.start(ticking=False)
        self._settle()

    def _catch_up(self) -> None:
        if self._waiting:
            self._was.take_all(self._waiting)
            self._waiting = []

    def next_instant(self, until: int) -> int | None:
        parted = self._policies is not None
        found = [next_instant(self.playback, until, has_policies=parted)]
        if parted:
            found.append(next_instant(self._was, until, has_policies=True))
        return min((each for each in found if each is not None), default=None)

    def pass_to(self, instant: int) -> list[Timer]:
        ended = self.playback.pass_to(instant)
        self._was.move(instant)
        self._tick(instant)
        self.playback.book.timers.due(instant)
        return ended

    def arrive(self, until: int, record: Record | None) -> None:
        if until > self.playback.clock.now_ns() or record is not None:
            self._move(until)
        # Whatever was decided as time passed was decided at a tick, at this time.
        is_timed = record is not None and record.actor.startswith(ACTOR) and record.causation_id is None
        if is_timed or until - self._ticked_at >= TICK_NS:
            self._tick(until)

    def _move(self, instant: int) -> None:
        self.playback.move(instant)
        self._was.move(instant)

    def _tick(self, at: int) -> None:
        self._ticked_at = at
        if self._policies is None:
            return
        for policies in self._policies:
            with derived_from(at):
                policies.tick(at)
        self._settle()

    def observe(self, bar: Bar) -> None:
        self._catch_up()
        self._was.observe(bar)
        self.playback.observe(bar)
        self._settle()

    def take(self, record: Record) -> None:
        if record.position <= self.playback.journal.taken:
            # An interruption came between taking it and what follows.
            return
        if self._policies is None and record.position >= self._begins:
            self._part()
        if self._policies is None:
            self._waiting.append(record)
            self.playback.take(record)
            if len(self._waiting) >= PAGE:
                self._catch_up()
            return
        self._was.take(record)
        self._take(record)
        self._settle()

    def _take(self, record: Record) -> None:
        """Fold in the changed history what becomes of a record there."""
        playback, differences = self.playback, self.playback.differences
        drafts = self._changes.of(record)
        if drafts is not None:
            playback.skip(record)
            if drafts:
                differences.replaced(record, playback.put(drafts, record.recorded_at))
            else:
                differences.left_out(record, LEFT_OUT)
            if all(draft.id != record.id for draft in drafts):
                self._left_out.add(record.id)
            return
        if not record.actor.startswith(ACTOR):
            playback.take(record)
            return
        why = self._why_left_out(record)
        if why is None:
            playback.take(record)
        else:
            playback.skip(record)
            self._left_out.add(record.id)
            differences.left_out(record, why)

    def _why_left_out(self, record: Record) -> str | None:
        """Return why a policy's recorded decision is not in the changed history, None if it is."""
        if self.playback.journal.has_own(record.id):
            return None
        decided = self._decided.get(record.id)
        if decided is not None:
            return None if self._decided_again.get(record.id) == decided else NOT_DECIDED
        if record.causation_id in self._left_out:
            return CAUSE_LEFT_OUT
        is_evaluated = record.actor.removeprefix(ACTOR) in self._names
        self._kept.append((record, FROM_QUOTES if is_evaluated else BY_OTHERS))
        return None

    # Decisions

    def _settle(self) -> None:
        """Compare what was decided in both histories, and append what only the changed one leads to."""
        if self._policies is None:
            return
        original, changed = self._policies
        for _ in range(ROUNDS_MAX):
            for pending in original.taken():
                self._decided |= _events_of(pending)
            again = changed.taken()
            if not again:
                return
            for pending in again:
                self._settle_one(pending)
        self._notes.append(f"policies caused one another {ROUNDS_MAX} times at position {self.playback.journal.taken}")

    def _settle_one(self, pending: PendingDecision) -> None:
        events = _events_of(pending)
        if all(id_ in self._decided for id_ in events):
            if not any(id_ in self._recorded for id_ in events):
                # In the original it was not recorded, though by the log it would have been.
                self._not_counted += 1
                return
            if all(self._decided[id_] == data and id_ not in self._left_out for id_, data in events.items()):
                self._decided_again |= events
                return
        playback, journal = self.playback, self.playback.journal
        before = len(journal.own)
        try:
            with derived_from(pending.trigger.at):
                append_decision(playback.book, playback.store, pending)
        except StoreError as error:
            self._notes.append(f"{pending.policy.name} could not append its decision: {error}")
        for record in journal.own[before:]:
            playback.differences.appended(record, journal.taken, DECIDED)

    def compare(self, position: int, exact: Exact) -> ReplayComparison:
        del position  # both histories are there
        self._catch_up()
        return ReplayComparison.of(
            self._was.book,
            self.playback.book,
            self.playback.clock.now_ns(),
            self.playback.differences,
            kept=self._kept,
            notes=self._all_notes(),
            exact=exact,
        )

    def _all_notes(self) -> list[str]:
        notes = list(self._notes)
        if self._not_counted:
            notes.append(
                f"decisions not counted: {self._not_counted}, which by the log would have been made in the original as "
                "well, where none was recorded"
            )
        if self._policies is not None:
            notes += [f"in the changed history, {why}" for why in self._policies[1].why_stopped]
        return notes

    def close(self) -> None:
        for policies in self._policies or ():
            policies.book.unwatch(policies)
        self.playback.close()
        self._was.close()


def _events_of(pending: PendingDecision) -> dict[bytes, bytes]:
    """Return the data of a decision's events, by the ids that they have once recorded."""
    found: dict[bytes, Any] = {}
    with derived_from(pending.trigger.at):
        for (stream, event), key in zip(pending.decision.events, pending.keys, strict=True):
            found[keyed_id(stream, key)] = encode(event)[1]
    return found
