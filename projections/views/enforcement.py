"""The enforcement view: what rules asked the trading process to do, its answers, and what is still pending; queries."""

import enum
import uuid
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.clock import Times, asked_ns, utc_date
from eventstore.readable import Readable
from eventstore.streams import SEPARATOR, unescaped
from eventstore.trading import EnforcementAction, EnforcementRequested, EnforcementTaken
from projections.view import BookReader, View

PENDING_MAX = 10_000
ANSWERED_MAX = 1_000
COUNTS_MAX = 10_000
ANOMALIES_MAX = 1_000


class TooManyPending(StoreError):
    """Unanswered requests are bounded: the process that enforces them does not report what it did."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{account} has {PENDING_MAX:,} unanswered enforcement requests, and the record at position {position} is "
            "one more: answer each with EnforcementTaken, and ask once per breach"
        )


class EnforcementAnomalyKind(enum.StrEnum):
    """What is anomalous about an enforcement event."""

    UNKNOWN_REQUEST = "UNKNOWN_REQUEST"
    """The answer names no request that is pending or among the last 1,000 answered; it has no effect."""
    TAKEN_TWICE = "TAKEN_TWICE"
    """The request had been answered before; the first answer counts."""
    SAME_ID = "SAME_ID"
    """The request's id is already in use: the request is known by its record's id instead."""


class EnforcementAnomaly(msgspec.Struct, frozen=True):
    """An anomalous event: `position` is its log position, `request_id` the id that it named."""

    kind: EnforcementAnomalyKind
    request_id: str
    position: int


class Enforcement(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One request and, once `taken`, its answer. Times are UNIX ns; `id` is that of the request's record.

    `trading_day` is the request's, or the date in UTC if it names none. `success` is None until it is answered.
    """

    request_id: str
    account: str
    rule_id: str
    action: EnforcementAction
    reason: str
    details: dict[str, Any] | str
    symbol: str | None
    quantity: Decimal | None
    trading_day: date
    requested_at: Instant
    position: int
    id: bytes
    taken: bool = False
    success: bool | None = None
    taken_at: Instant | None = None
    taken_by: str = ""
    taken_details: dict[str, Any] | str = msgspec.field(default_factory=dict)
    taken_position: int | None = None

    @property
    def uuid(self) -> uuid.UUID:
        """The id of the request's record; an answer may name it instead of `request_id`."""
        return uuid.UUID(bytes=self.id)


class EnforcementState(msgspec.Struct):
    """One account. `pending` and `answered` by request id, which is in one of them; `counts` by day, NUL and rule.

    `forgotten_until` is the time of the latest request that was dropped from the state and is only in the log.
    """

    pending: dict[str, Enforcement] = {}
    answered: dict[str, Enforcement] = {}
    forgotten_until: int | None = None
    counts: dict[str, int] = {}
    anomalies: tuple[EnforcementAnomaly, ...] = ()
    anomaly_count: int = 0


class EnforcementView(View[EnforcementState]):
    """Requests, pending until they are answered. `archive` receives what the state drops."""

    name: ClassVar[str] = "enforcement"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (EnforcementRequested, EnforcementTaken)

    def __init__(self, archive: list[Enforcement] | None = None) -> None:
        self._archive = archive

    @override
    def initial(self) -> EnforcementState:
        return EnforcementState()

    @override
    def apply(self, state: EnforcementState, event: Event, record: Record) -> None:
        match event:
            case EnforcementRequested():
                _request(state, event, record)
            case EnforcementTaken():
                self._take(state, event, record)
            case _:
                return

    def _take(self, state: EnforcementState, event: EnforcementTaken, record: Record) -> None:
        request = _named(state.pending, event.request_id)
        if request is None:
            twice = _named(state.answered, event.request_id) is not None
            kind = EnforcementAnomalyKind.TAKEN_TWICE if twice else EnforcementAnomalyKind.UNKNOWN_REQUEST
            _mark(state, kind, event.request_id, record)
            return
        answered = replace(
            request,
            taken=True,
            success=event.success,
            taken_at=record.occurred_at,
            taken_by=record.actor,
            taken_details=event.details,
            taken_position=record.position,
        )
        # Readers look at pending requests first: in between they find this one in both, never in neither.
        state.answered[request.request_id] = answered
        del state.pending[request.request_id]
        if len(state.answered) > ANSWERED_MAX:
            self._forget(state)

    def _forget(self, state: EnforcementState) -> None:
        oldest = next(iter(state.answered.values()))
        state.forgotten_until = max(oldest.requested_at, state.forgotten_until or 0)
        del state.answered[oldest.request_id]
        if self._archive is not None:
            self._archive.append(oldest)


class Enforcements:
    """Queries about enforcement."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def pending(self, account: str | None = None) -> tuple[Enforcement, ...]:
        """Return the unanswered requests of an account or of all, oldest first."""
        accounts = self._book.partitions(EnforcementView.name) if account is None else (account,)
        states = [self._state(each) for each in accounts]
        # Each list is copied in one step: the fold may add another request meanwhile.
        found = [list(state.pending.values()) for state in states if state is not None]
        return oldest_first(request for requests in found for request in requests)

    def get(self, account: str, request_id: str) -> Enforcement | None:
        """Return a request by its id or its record's, pending or answered, or None."""
        state = self._state(account)
        if state is None:
            return None
        # It may be answered between the lookups, but never becomes pending again.
        found = _named(state.answered, request_id) or _named(state.pending, request_id)
        found = found or _named(state.answered, request_id)
        if found is not None or state.forgotten_until is None:
            return found
        return _named({each.request_id: each for each in self._folded(account)}, request_id)

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
        return state

    def _folded(self, account: str) -> list[Enforcement]:
        """Return every request ever made, from the log."""
        archive: list[Enforcement] = []
        view = EnforcementView(archive)
        state = view.initial()
        for record in self._book.read(account=account, types=view.types):
            view.apply(state, record.event, record)
        return [*archive, *state.answered.values(), *state.pending.values()]


def oldest_first(requests: Iterable[Enforcement]) -> tuple[Enforcement, ...]:
    """Return requests, of any accounts, in the order in which they were made."""
    return tuple(sorted(requests, key=lambda each: (each.requested_at, each.position)))


def _request(state: EnforcementState, event: EnforcementRequested, record: Record) -> None:
    if len(state.pending) >= PENDING_MAX:
        raise TooManyPending(record.account, record.position)
    named = unescaped(record.entity) if event.request_id is None else event.request_id
    text = str(record.uuid)
    # A request must not be lost because its id is in use, not even if that id was copied from a record.
    candidates = (named, text, f"{text}@{record.position}")
    request_id = next(each for each in candidates if each not in state.pending and each not in state.answered)
    if request_id != named:
        _mark(state, EnforcementAnomalyKind.SAME_ID, named, record)
    day = event.trading_day or utc_date(record.occurred_at)
    fresh = Enforcement(
        request_id=request_id,
        account=record.account,
        rule_id=event.rule_id,
        action=event.action,
        reason=event.reason,
        details=event.details,
        symbol=event.symbol,
        quantity=event.quantity,
        trading_day=day,
        requested_at=record.occurred_at,
        position=record.position,
        id=record.id,
    )
    state.pending[request_id] = fresh
    key = f"{day.isoformat()}{SEPARATOR}{event.rule_id}"
    state.counts[key] = state.counts.get(key, 0) + 1
    if len(state.counts) > COUNTS_MAX:
        # The oldest days are dropped, several at a time.
        state.counts = {each: state.counts[each] for each in sorted(state.counts)[COUNTS_MAX // 10 :]}


def _named(requests: dict[str, Enforcement], request_id: str) -> Enforcement | None:
    """Return the request with an id or, if none has it, with this record id."""
    request = requests.get(request_id)
    if request is not None:
        return request
    try:
        wanted = uuid.UUID(request_id).bytes
    except ValueError:
        return None
    return next((each for each in list(requests.values()) if each.id == wanted), None)


def _mark(state: EnforcementState, kind: EnforcementAnomalyKind, request_id: str, record: Record) -> None:
    anomaly = EnforcementAnomaly(kind, request_id, record.position)
    state.anomalies = (*state.anomalies[1 - ANOMALIES_MAX :], anomaly)
    state.anomaly_count += 1
