"""One setting of a limit: its parameters, since when they are in force, and who set them."""

from typing import Any

import msgspec

from eventstore import Instant
from eventstore.readable import Readable


class Limit(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a rule: all of its parameters, which must not be changed by the reader. Times are UNIX ns.

    `loosened` names the parameters by which it is looser than what was in force when it was set. `in_force_at` is None
    while it waits for a session. `superseded_at` is when a newer setting replaced it before it came into force; it then
    never does. `position` is its log position.

    `dated`: whether the log's own time says when it was set, as it does not while it is ahead of a clock that was put
    right. `not_before` is the wrong time that a loosening was recorded under: it waits for a day that begins after it.

    `awaits_approval`: a second person must approve it first. Once somebody has (`approved_by`), it counts as set then.
    """

    account: str
    rule_id: str
    revision: int
    parameters: dict[str, Any]
    set_at: Instant
    effective_from: Instant | None
    loosened: tuple[str, ...]
    in_force_at: Instant | None
    superseded_at: Instant | None = None
    actor: str
    note: str
    position: int
    dated: bool = True
    not_before: Instant | None = None
    awaits_approval: bool = False
    approved_by: str = ""

    @property
    def loosens(self) -> bool:
        """Whether it has to wait for a session."""
        return bool(self.loosened)

    @property
    def ready_at(self) -> int:
        """The earliest instant at which it can be in force, whatever it changes."""
        return max(self.set_at, self.effective_from or 0, self.not_before or 0)

    def is_in_force(self, at_ns: int) -> bool:
        """Return whether it had come into force; of a rule's settings that have, the newest one holds."""
        return self.superseded_at is None and self.in_force_at is not None and self.in_force_at <= at_ns

    def is_pending(self, at_ns: int) -> bool:
        """Return whether it had been set at an instant, and was neither in force nor superseded."""
        waits = self.superseded_at is None or at_ns < self.superseded_at
        return self.set_at <= at_ns and waits and not self.is_in_force(at_ns)
