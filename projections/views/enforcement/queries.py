"""Queries about enforcement."""

from datetime import date

from eventstore.clock import Times, asked_ns
from eventstore.streams import SEPARATOR
from projections.view import BookReader, check_covered
from projections.views.enforcement.goals import pending_of
from projections.views.enforcement.request import Enforcement, EnforcementAnomaly, oldest_first
from projections.views.enforcement.state import EnforcementState, named
from projections.views.enforcement.view import EnforcementView


class Enforcements:
    """Queries about enforcement."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def pending(self, account: str | None = None, at: Times | None = None) -> tuple[Enforcement, ...]:
        """Return what an account, or any, is asked for at an instant, by default now: oldest first.

        That is each request without an answer, unless the account has come to the wanted state since; and, whatever
        was answered, the newest attempt of each goal that is not reached while the lockout that asks for it holds. Of
        an account that is locked and must be flat something is pending until it is. What other processes have
        committed is folded first.
        """
        # Before all else: a request may be the first that an account has, and the account the first that has one.
        self._book.keep_up()
        at_ns = asked_ns(self._book.now_ns() if at is None else at, self._book.now_ns)
        accounts = self._book.partitions(EnforcementView.name) if account is None else (account,)
        return oldest_first(each for name in accounts for each in self._pending(name, at_ns))

    def _pending(self, account: str, at_ns: int) -> list[Enforcement]:
        state = self._state(account)
        if state is None or not (state.pending or state.goals):
            return []
        # The goals are read first: see `EnforcementState.put`. Each is copied in one step.
        found = {each.position: each for each in list(state.goals.values())}
        for each in list(state.pending.values()):
            found.setdefault(each.position, each)
        return pending_of(self._book, found.values(), at_ns)

    def get(self, account: str, request_id: str) -> Enforcement | None:
        """Return a request by its id or its record's, pending or answered, or None."""
        state = self._state(account)
        if state is None:
            return None
        # It may be answered between the lookups, but never becomes pending again.
        found = named(state.answered, request_id) or named(state.pending, request_id)
        found = found or named(state.answered, request_id)
        if found is not None or state.forgotten_until is None:
            return found
        return named({each.request_id: each for each in self._folded(account)}, request_id)

    def of(
        self,
        account: str,
        rule_id: str | None = None,
        start: Times | None = None,
        stop: Times | None = None,
    ) -> tuple[Enforcement, ...]:
        """Return an account's requests, pending or answered, oldest first: requested from `start`, before `stop`.

        Those answered before the last 1,000 answers are read from the log.
        """
        state = self._state(account)
        if state is None:
            return ()
        start_ns = None if start is None else asked_ns(start, self._book.now_ns)
        stop_ns = None if stop is None else asked_ns(stop, self._book.now_ns)
        # An answer moves a request from pending to answered, so the latter takes precedence.
        known = {each.position: each for each in list(state.pending.values())}
        known |= {each.position: each for each in list(state.answered.values())}
        forgotten_until = state.forgotten_until
        everything = forgotten_until is None or (start_ns is not None and start_ns > forgotten_until)
        return oldest_first(
            each
            for each in (known.values() if everything else self._folded(account))
            if rule_id in {None, each.rule_id}
            and (start_ns is None or start_ns <= each.requested_at)
            and (stop_ns is None or each.requested_at < stop_ns)
        )

    def counts(self, account: str) -> dict[tuple[str, date], int]:
        """Return how often each rule requested something, by rule and trading day, for the newest days."""
        state = self._state(account)
        known = [] if state is None else list(state.counts.items())
        split = [(key.split(SEPARATOR, 1), count) for key, count in known]
        return {(rule_id, date.fromisoformat(day)): count for (day, rule_id), count in split}

    def anomalies(self, account: str) -> tuple[EnforcementAnomaly, ...]:
        """Return the last 1,000 anomalous events, oldest first."""
        state = self._state(account)
        return () if state is None else state.anomalies

    def _state(self, account: str) -> EnforcementState | None:
        state: EnforcementState | None = self._book.state(EnforcementView.name, account)
        if state is None:
            check_covered(self._book, account)
        return state

    def _folded(self, account: str) -> list[Enforcement]:
        """Return every request ever made, from the log."""
        archive: list[Enforcement] = []
        view = EnforcementView(archive)
        state = view.initial()
        for record in self._book.read(account=account, types=view.types):
            view.apply(state, record.event, record)
        return [*archive, *state.answered.values(), *state.pending.values()]
