"""Claims of requests: of several processes that could carry one out a single one does, until its lease ends."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import EventStore, InvalidEvent, Overloaded, ReadOnly, StoreError, VersionConflict
from eventstore.clock import NANOSECONDS, TIME_MAX, derived_times, wall_ns
from eventstore.errors import shown
from eventstore.ids import keyed_id, new_ids
from eventstore.streams import account_of, stream_of
from eventstore.trading import EnforcementClaimed, EnforcementTaken
from projections.risk.enforcement.goals import is_withdrawn
from projections.views.enforcement.transitions import LEASE_NS_MAX

if TYPE_CHECKING:
    from eventstore import Event
    from projections.book import Book
    from projections.views.enforcement import Enforcement

LEASE_NS = 10 * NANOSECONDS
ATTEMPTS_MAX = 20


class LeaseLost(StoreError):
    """The claim of a request is over: another process may carry it out, so this one must not act any more."""

    def __init__(self, account: str, request_id: str, why: str) -> None:
        self.account, self.request_id, self.why = account, request_id, why
        super().__init__(f"request {request_id} of {account} is not held any more ({why}): nothing may be sent for it")


def claim(
    book: Book, request: Enforcement, claimant: str, *, lease_ns: int = LEASE_NS, actor: str | None = None
) -> RequestClaim | None:
    """Claim a pending request; None if it is answered, gone or withdrawn, or another claim of it is in force.

    Of several that claim it at once, in threads or processes, one gets it. A claim is in force until its lease ends by
    the wall clock, or has lasted its length by this process's monotonic clock since it was first seen here, so that a
    clock that was set back does not keep a dead process's claim alive. `claimant` names the process in the log; a claim
    by a process of the same name is another's. One that is in force cannot be claimed, not even again. `actor`: who
    records the claim and its answer, by default this process.
    """
    _check_lease(lease_ns)
    store, stream = _store_of(book), claims_stream(request)
    # Read before the book is refreshed: what others append to the stream and this book does not see is a conflict.
    version = store.version(stream)
    book.refresh()
    known = _pending(book, request)
    if known is None or lease_left(book, request) or is_withdrawn(book, known, book.now_ns()):
        return None
    held = RequestClaim(book, known, claimant, lease_ns, actor)
    return held if held.begin(version) else None


def found_claim(
    book: Book, request: Enforcement, claim_id: bytes, *, lease_ns: int = LEASE_NS, actor: str | None = None
) -> RequestClaim | None:
    """Return a claim that was made before, by the id of its record, to extend or answer it; None if it is over.

    It is over once the request is answered or asked for again, or another claim of it is recorded. For a process that
    does not keep its `RequestClaim`; that nobody names another's is for the caller to see to.
    """
    _check_lease(lease_ns)
    book.refresh()
    known = _pending(book, request)
    if known is None or known.claim_id != claim_id:
        return None
    held = RequestClaim(book, known, known.claimant, lease_ns, actor)
    held.adopt(known)
    return held


def _check_lease(lease_ns: object) -> None:
    if type(lease_ns) is not int or not 0 < lease_ns <= LEASE_NS_MAX:
        msg = f"a lease is an int of nanoseconds, above 0 and at most {LEASE_NS_MAX}, not {shown(lease_ns)}"
        raise InvalidEvent(msg)


def claims_stream(request: Enforcement) -> str:
    """Return the stream of a request's claims and answers: by its id or, if no stream can have that name, its record's.

    Everybody who claims it finds the same one.
    """
    named = stream_of("enforcement", request.account, request.request_id)
    try:
        account_of(named)
    except InvalidEvent:
        return stream_of("enforcement", request.account, str(request.uuid))
    return named


class RequestClaim:
    """A request that this process carries out, for as long as `is_held` says so."""

    def __init__(
        self, book: Book, request: Enforcement, claimant: str, lease_ns: int, actor: str | None = None
    ) -> None:
        self.request, self.claimant, self.lease_ns, self.actor = request, claimant, lease_ns, actor
        self._book, self._store, self._stream = book, _store_of(book), claims_stream(request)
        # Drawn, so that no other claim has the id of one of these, not even one by a process of the same name.
        self._token = new_ids(1, wall_ns(self._store.clock))[0].hex()
        self._own: set[bytes] = set()
        self._ends = (0, 0)
        self._why_lost: str | None = "it was not claimed yet"

    def begin(self, version: int) -> bool:
        """Append the claim to a stream that must still have a version; return whether it did."""
        try:
            self._claim(version)
        except VersionConflict:
            return False
        self._why_lost = None
        return self._why_not_own() is None

    def adopt(self, known: Enforcement) -> None:
        """Take the newest claim of a request for this one."""
        self._own.add(known.claim_id)
        left = lease_left(self._book, known)
        self._ends = (known.lease_until or 0, self._store.clock.monotonic_ns() + left)
        self._why_lost = None

    def is_held(self) -> bool:
        """Return whether this process may act: ask right before each step that cannot be undone.

        The lease has ended once either clock says so: a wall clock that is set ahead ends it early, one that is set
        back does not make it longer.
        """
        return self._lost() is None

    def require(self) -> None:
        """Raise LeaseLost unless the claim is held."""
        why = self._lost()
        if why is not None:
            raise LeaseLost(self.request.account, self.request.request_id, why)

    def extend(self) -> bool:
        """Let the lease begin again; return whether it could: not once another process has claimed the request.

        One that has ended may be extended as long as nobody else has claimed the request.
        """
        for _ in range(ATTEMPTS_MAX):
            version = self._version_if_own()
            if version is None:
                return False
            try:
                self._claim(version)
            except VersionConflict:
                continue
            return True
        raise self._overloaded()

    def answer(self, *, success: bool, details: dict[str, Any] | str = "") -> bool:
        """Answer the request, which ends the claim; return whether it could: only while no other one is in force."""
        event = EnforcementTaken(request_id=self.request.request_id, success=success, details=details)
        return self._end(event, "it is answered")

    def release(self) -> bool:
        """Let another process claim the request at once; return whether there was still a claim to release."""
        until = wall_ns(self._store.clock)
        event = EnforcementClaimed(request_id=self.request.request_id, claimant=self.claimant, lease_until=until)
        return self._end(event, "it was released")

    def _end(self, event: Event, why: str) -> bool:
        for _ in range(ATTEMPTS_MAX):
            version = self._version_if_own()
            if version is None:
                return False
            try:
                self._append(event, version)
            except VersionConflict:
                continue
            self._why_lost = why
            return True
        raise self._overloaded()

    def _claim(self, version: int) -> None:
        clock = self._store.clock
        # Before the append: however long that takes, the lease is not longer than what others read of it.
        now, monotonic = wall_ns(clock), clock.monotonic_ns()
        until = min(now + self.lease_ns, TIME_MAX)
        event = EnforcementClaimed(request_id=self.request.request_id, claimant=self.claimant, lease_until=until)
        key = f"{self._token} {version}"
        # Before the append as well: another thread that asks whether this is held may see the record at once.
        self._own.add(keyed_id(self._stream, key))
        self._append(event, version, key=key, occurred_at=now)
        self._ends = (until, monotonic + self.lease_ns)

    def _append(self, event: Event, version: int, key: str | None = None, occurred_at: int | None = None) -> None:
        known = _pending(self._book, self.request)
        # By this the view knows that a claim takes the place of one whose lease still runs by the wall clock.
        cause = self.request.id if known is None else known.claim_id or self.request.id
        # The times are the clock's, and may be those of a wrong one.
        with derived_times():
            self._book.append(
                self._stream,
                event,
                expected=version,
                key=key,
                occurred_at=occurred_at,
                actor=self.actor,
                causation_id=cause,
            )

    def _version_if_own(self) -> int | None:
        """Return the stream's version if, up to it, the request is pending and this its newest claim; else None."""
        if self._why_lost is not None:
            return None
        version = self._store.version(self._stream)
        self._book.refresh()
        return version if self._why_not_own() is None else None

    def _lost(self) -> str | None:
        if self._why_lost is None:
            clock, (until, monotonic_until) = self._store.clock, self._ends
            if wall_ns(clock) >= until or clock.monotonic_ns() >= monotonic_until:
                return "its lease has ended"
            self._book.keep_up()
            if self._why_not_own() is None and is_withdrawn(self._book, self.request, self._book.now_ns()):
                # Not for good: it can still be answered, with what came of it until then.
                return "its lockout was ended"
        return self._why_lost

    def _why_not_own(self) -> str | None:
        """Return why the request is not this claim's, which then is lost for good."""
        known = _pending(self._book, self.request)
        if known is None:
            self._why_lost = "it is answered, or asked for again"
        elif known.claim_id not in self._own:
            self._why_lost = f"{known.claimant or 'nobody'} has claimed it"
        return self._why_lost

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"others wrote to {self._stream} each of {ATTEMPTS_MAX} times: nothing was written, try again"
        )

    @override
    def __repr__(self) -> str:
        return f"<RequestClaim of {self.request.request_id} by {self.claimant}: {self._lost() or 'held'}>"


def lease_left(book: Book, request: Enforcement) -> int:
    """Return for how many ns at most the newest claim of a request is in force, 0 for none."""
    known, clock = _pending(book, request), _store_of(book).clock
    if known is None or known.lease_until is None:
        return 0
    left, monotonic = known.lease_until - wall_ns(clock), clock.monotonic_ns()
    seen = _seen.get(book) or _seen.setdefault(book, {})
    place = (request.account, request.request_id)
    claim_id, ends = seen.get(place, (b"", 0))
    if claim_id != known.claim_id:
        if len(seen) >= SEEN_MAX:
            seen.clear()
        ends = monotonic + min(max(left, 0), LEASE_NS_MAX)
        seen[place] = (known.claim_id, ends)
    return max(min(left, ends - monotonic), 0)


def _pending(book: Book, request: Enforcement) -> Enforcement | None:
    """Return a request as it is now; None once it is answered, or asked for again by another one."""
    known = book.enforcement.get(request.account, request.request_id)
    return None if known is None or known.taken or known.superseded else known


def _store_of(book: Book) -> EventStore:
    store = book.reader
    if not isinstance(store, EventStore):
        msg = "a request is claimed in its journal: open the book of an event store, not of a reader"
        raise ReadOnly(msg)
    return store


SEEN_MAX = 10_000
_seen: weakref.WeakKeyDictionary[Book, dict[tuple[str, str], tuple[bytes, int]]] = weakref.WeakKeyDictionary()
"""By book and request: the newest claim, and when it has lasted as long as it may by the monotonic clock."""
