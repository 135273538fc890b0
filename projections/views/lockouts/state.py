"""An account's lockouts as they are kept: what is in force, what may hold again, and what has been forgotten."""

from typing import Self

import msgspec
from msgspec.structs import replace

from eventstore.trading import Allows
from projections.views.approvals import ApprovalState
from projections.views.lockouts.lockout import Lockout, LockoutAnomaly

END_OF_TIME = 2**63 - 1


class LockoutsState(msgspec.Struct):
    """One account. `active` by rule, NUL and scope: set and not ended; `until` may have passed.

    `expired` are the irrevocable ones that expired, `ended` all others that ended. At an instant before `forgotten_to`
    one that is in neither may hold: such questions are answered from the log.
    """

    active: dict[str, Lockout] = {}
    ended: list[Lockout] = []
    expired: list[Lockout] = []
    anomalies: tuple[LockoutAnomaly, ...] = ()
    anomaly_count: int = 0
    jumped: tuple[int, int, int] | None = None
    """The last change of the wall clock: its time before, its time after, and the record's log position."""
    expired_to: int = 0
    """The latest end of any irrevocable lockout that expired."""
    forgotten_to: int = 0
    dropped_to: int = 0
    """The latest end of the revocable lockouts that `ended` has dropped and a clock that is put right brings back."""
    returned: dict[str, tuple[bytes, int]] = {}
    """Lockouts that are in force again because the clock was set back: cause and former end, by the key in `active`."""
    reopened_records: tuple[int, ...] = ()
    """The log positions of the newest AccountReopened."""
    before_reopening: tuple[tuple[int, Lockout], ...] = ()
    """The irrevocable ones that these ended, and which did: they hold on if the account was in use then."""
    approvals: ApprovalState = ApprovalState()
    """Who must approve what would end or weaken a lockout, and what waits for that."""

    @property
    def is_unused(self) -> bool:
        """Whether the account never had a lockout."""
        return not (
            self.active or self.ended or self.expired or self.before_reopening or self.forgotten_to or self.dropped_to
        )

    def copy(self) -> Self:
        """Return a state that can be changed while readers see this one."""
        return replace(
            self,
            active=dict(self.active),
            ended=list(self.ended),
            expired=list(self.expired),
            returned=dict(self.returned),
        )

    def take(self, other: Self) -> None:
        """Publish what another state has: each value is replaced as a whole."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(other, name))


def expired_later(state: LockoutsState, at_ns: int) -> list[Lockout]:
    """Return the irrevocable lockouts that expired after an instant.

    A clock that was set ahead and back again must not unlock an account: they still hold before they expired and, like
    those in force, before they were set. Left out are those under whose rule and scope an irrevocable one is in force
    that allows no more.
    """
    held = {
        (each.rule_id, each.scope, each.allows)
        for each in list(state.active.values())
        if not each.revocable and each.is_active(at_ns)
    }
    return [
        each
        for each in state.expired
        if at_ns < (each.ended_at or 0)
        and held.isdisjoint({(each.rule_id, each.scope, allows) for allows in (each.allows, Allows.NOTHING)})
    ]
