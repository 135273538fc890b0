"""One call of the user's function in a thread of its own: what it returned, what it raised, or that it hangs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import StoreError
from eventstore.errors import shown
from eventstore.events import encode
from eventstore.trading import EnforcementTaken

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.enforcer.task import Task
    from projections.risk.enforcement.claims import RequestClaim

    Function = Callable[[Task], object]

ERROR_MAX = 2_000


class CallOutcome(NamedTuple):
    """What a call came to, and what the answer says about it."""

    success: bool
    details: dict[str, Any] | str


class RunningCall:
    """A call of the function for one claimed request."""

    def __init__(self, function: Function, task: Task, claim: RequestClaim) -> None:
        self.task, self.claim = task, claim
        self.outcome: CallOutcome | None = None
        """What is to be answered; None while the function runs."""
        # Real time: a clock that is set by hand, as in a test, would not see that the function hangs.
        self.began = self.extended = time.monotonic()
        name = f"enforcing {claim.request.request_id}"
        self._thread = threading.Thread(target=self._run, args=(function,), name=name, daemon=True)

    def start(self) -> RunningCall:
        self._thread.start()
        return self

    @property
    def hangs(self) -> bool:
        """Whether the function has not returned, though the call was given up or released."""
        return self._thread.is_alive()

    @property
    def seconds(self) -> float:
        """For how long it has run."""
        return time.monotonic() - self.began

    def _run(self, function: Function) -> None:
        try:
            returned = function(self.task)
        except BaseException as error:  # noqa: BLE001 - not swallowed: it is the answer, and it is reported
            self.outcome = CallOutcome(success=False, details={"error": described(error)})
        else:
            self.outcome = outcome_of(returned)


def outcome_of(returned: object) -> CallOutcome:
    """Return what a function's result means: False is a failure; text and dicts are the details of the answer."""
    if isinstance(returned, bool):
        return CallOutcome(returned, "" if returned else "the function returned False")
    if returned is None:
        return CallOutcome(success=True, details="")
    details = returned if isinstance(returned, str | dict) else shown(returned)
    try:
        encode(EnforcementTaken(request_id="-", success=True, details=details))
    except (StoreError, TypeError, ValueError):
        # What cannot be recorded as it is must not keep the answer back.
        details = shown(returned)
    return CallOutcome(success=True, details=details)


def described(error: BaseException) -> str:
    """Return an error as its kind and its message."""
    text = str(error)
    return f"{type(error).__name__}: {text[:ERROR_MAX]}" if text else type(error).__name__
