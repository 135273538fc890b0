"""The enforcer: follows a log, claims pending requests, and calls a function for each, one at a time per account."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from eventstore import Closed, CorruptJournal, EventStore, InvalidEvent, LogHasEnded, StoreError
from eventstore.arguments import accounts_of
from eventstore.clock import NANOSECONDS, timeout_of
from eventstore.errors import shown
from eventstore.readable import Readable
from eventstore.trading import EnforcementAction
from projections.ending import check_not_ended
from projections.enforcer.asking import AskingAgain
from projections.enforcer.running import CallOutcome, RunningCall, described
from projections.enforcer.task import Task
from projections.risk.enforcement.claims import LEASE_NS, claim, lease_left
from projections.view import accounts_in
from projections.views.enforcement import EnforcementView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from projections.book import Book
    from projections.enforcer.running import Function
    from projections.views.enforcement import Enforcement

WAIT_SECONDS = 0.25
BUSY_WAIT_SECONDS = 0.02
"""How long it waits for a commit while a function runs, which may return without one."""
TIMEOUT_SECONDS = 60.0
DRAIN_SECONDS = 5.0
HANGING_MAX = 3
_numbers = itertools.count(1)


class EnforcerStuck(StoreError):
    """Several calls of the function do not return, so this process can enforce nothing more: restart it."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(
            f"{count} calls of the function hang: restart the enforcer, and give the function's calls timeouts"
        )


class Handled(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """A request that was handled: what was answered. `answered` False: another process has it, or answered it."""

    account: str
    request_id: str
    rule_id: str
    action: EnforcementAction
    success: bool
    details: dict[str, Any] | str
    seconds: float
    answered: bool = True


class Enforcer:
    """Calls `function(task)` for each request that it can claim, and answers what came of it.

    Requests of an account are handled one after the other, by all processes together, cancelling orders before closing
    positions; those of several accounts at the same time. The lease is extended while the function runs. It succeeds by
    returning None, text or a dict, the answer's details, and fails by returning False or raising; a call that does not
    return within `timeout` seconds is answered as failed. What is due again it asks for itself, as `EnforcementKeeper`
    does among policies, so that none have to run; where some do, each attempt is still asked for once.

    `report` is called with a line about whatever happens, `handled` with each request that was handled.
    """

    def __init__(
        self,
        book: Book,
        function: Function,
        *,
        claimant: str | None = None,
        accounts: Iterable[str] | None = None,
        lease_ns: int = LEASE_NS,
        timeout: float = TIMEOUT_SECONDS,
        report: Callable[[str], None] | None = None,
        handled: Callable[[Handled], None] | None = None,
    ) -> None:
        _check(function)
        self.book, self.claimant = book, claimant or _name(book)
        self._function, self._lease_ns, self._timeout = function, lease_ns, timeout_of(timeout)
        named = accounts_of(accounts)
        self._accounts = None if named is None else tuple(sorted(named))
        self._report, self._handled = report or _ignore, handled or _ignore
        self._asking = AskingAgain(book)
        self._running: dict[str, RunningCall] = {}
        self._hanging: list[RunningCall] = []
        self._said: dict[str, str] = {}
        self._stop = threading.Event()

    def run(self, *, once: bool = False) -> None:
        """Handle requests until `stop` is called; with `once` until none is left that this process could claim.

        Raises EnforcerStuck if too many calls hang; Closed, CorruptJournal or LogHasEnded if the log is of no use now.
        """
        while not self._stop.is_set():
            is_idle = self.look()
            if once and is_idle:
                return
            self._wait()
        self._drain()

    def stop(self) -> None:
        """Claim nothing more, and let `run` return: within seconds, when what is running has ended or was released."""
        self._stop.set()

    def look(self) -> bool:
        """Do what is to be done now, and return whether nothing is: nothing runs, and nothing could be claimed."""
        try:
            self.book.refresh()
            check_not_ended(self.book)
            self._attend()
            self._claim_all()
            # Afterwards: what is claimed now is not asked for again.
            has_asked = self._ask_all()
        except (Closed, CorruptJournal, EnforcerStuck, LogHasEnded):
            raise
        except StoreError as error:
            # Such as a log that others keep busy: what cannot be done now is done at the next look.
            self._say("", described(error))
            return False
        return not (self._running or has_asked)

    def _wait(self) -> None:
        self.book.reader.wait(self.book.position, BUSY_WAIT_SECONDS if self._running else WAIT_SECONDS)

    def _claim_all(self) -> None:
        for account in self._known_accounts():
            if account not in self._running and not self._stop.is_set():
                self._claim_next(account)

    def _known_accounts(self) -> tuple[str, ...]:
        return accounts_in(self.book, EnforcementView.name) if self._accounts is None else self._accounts

    def _claim_next(self, account: str) -> None:
        with self._trying(account, "its requests cannot be claimed"):
            requests = [each for each in self.book.enforcement.pending(account) if not each.taken]
            first = min(requests, key=_first_to_last, default=None)
            # What another process has is waited for: closing positions must not overtake cancelling orders. To look
            # costs little, and a claim reads the log.
            if first is not None and not lease_left(self.book, first):
                self._claim(first)

    def _ask_all(self) -> bool:
        """Ask again for what is due; return whether anything was asked, and so is to be claimed."""
        has_asked = False
        for account in self._known_accounts():
            with self._trying(account, "its requests cannot be asked again"):
                # Nearly always nothing is pending, and the keeper has nothing to decide.
                if not self._stop.is_set() and self.book.enforcement.pending(account):
                    has_asked |= self._asking.ask(account)
        return has_asked

    @contextlib.contextmanager
    def _trying(self, account: str, what_fails: str) -> Iterator[None]:
        """Report what fails for one account: it must not keep the others waiting."""
        about = f"{account}: {what_fails}"
        try:
            yield
        except (Closed, CorruptJournal):
            raise
        except StoreError as error:
            self._say(about, f"{about}: {described(error)}")
        else:
            self._said.pop(about, None)

    def _claim(self, request: Enforcement) -> None:
        held = claim(self.book, request, self.claimant, lease_ns=self._lease_ns)
        if held is None:
            return
        again = f", attempt {request.attempt}" if request.attempt > 1 else ""
        reason = f": {request.reason}" if request.reason else ""
        self._report(f"{request.account}: claimed {request.action} by {request.rule_id}{again}{reason}")
        self._running[request.account] = RunningCall(self._function, Task(self.book, held), held).start()

    def _attend(self) -> None:
        """Answer for the calls that have returned or take too long, and extend the leases of the others."""
        for account, call in list(self._running.items()):
            with self._continuing():
                self._attend_to(account, call)
        self._hanging = [call for call in self._hanging if call.hangs]
        if len(self._hanging) >= HANGING_MAX:
            raise EnforcerStuck(len(self._hanging))

    def _attend_to(self, account: str, call: RunningCall) -> None:
        outcome = call.outcome
        if outcome is None and call.seconds >= self._timeout:
            outcome = CallOutcome(success=False, details=f"the function did not return within {self._timeout:g} s")
            if call not in self._hanging:
                self._hanging.append(call)
        if outcome is not None:
            self._answer(account, call, outcome)
        elif time.monotonic() - call.extended >= self._lease_ns / NANOSECONDS / 3:
            call.extended = time.monotonic()
            if not call.claim.extend():
                self._report(f"{account}: another process has taken {call.claim.request.action} over")

    @contextlib.contextmanager
    def _continuing(self) -> Iterator[None]:
        """Report what fails of one call, such as an account whose view has stopped, and go on with the others."""
        try:
            yield
        except (Closed, CorruptJournal, LogHasEnded):
            raise
        except StoreError as error:
            self._say("", described(error))

    def _answer(self, account: str, call: RunningCall, outcome: CallOutcome) -> None:
        request = call.claim.request
        # What cannot be appended now is tried again at the next look, with the call still among those that run.
        answered = call.claim.answer(success=outcome.success, details=outcome.details)
        del self._running[account]
        self._handled(
            Handled(
                account=account,
                request_id=request.request_id,
                rule_id=request.rule_id,
                action=request.action,
                success=outcome.success,
                details=outcome.details,
                seconds=round(call.seconds, 3),
                answered=answered,
            )
        )

    def _drain(self) -> None:
        """Let what runs end; what does not within seconds is released, so that another process claims it at once."""
        ends = time.monotonic() + DRAIN_SECONDS
        while self._running and time.monotonic() < ends:
            if not self.look():
                self._wait()
        for account, call in list(self._running.items()):
            with self._continuing():
                request = call.claim.request
                released = "released it" if call.claim.release() else "another process has it"
                what = f"{request.action} by {request.rule_id}"
                self._report(f"{account}: stopped while {what} was carried out; {released}")
            del self._running[account]

    def _say(self, about: str, line: str) -> None:
        """Report a line, once until it changes."""
        if self._said.get(about) != line:
            self._said[about] = line
            self._report(line)

    @override
    def __repr__(self) -> str:
        running = ", ".join(sorted(self._running)) or "nothing"
        return f"<Enforcer {self.claimant} of {self.book.reader.log} at {self.book.position}: {running} in work>"


def _check(function: object) -> None:
    if not callable(function):
        msg = f"an enforcer needs a function that takes a task, not {shown(function)}"
        raise InvalidEvent(msg)


def _first_to_last(request: Enforcement) -> tuple[bool, int]:
    # An order that is filled while positions are closed would open one.
    return request.action is not EnforcementAction.CANCEL_ORDERS, request.position


def _name(book: Book) -> str:
    """Return a name for this process in the log: who it is, its id, and which of its enforcers."""
    actor = book.reader.actor if isinstance(book.reader, EventStore) else "reader"
    return f"{actor} {os.getpid()}/{next(_numbers)}"


def _ignore(_: object) -> None: ...
