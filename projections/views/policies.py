"""The policies view: which policies have stopped, for which account, since when and why; and its queries."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.streams import unescaped
from eventstore.trading import PolicyResumed, PolicyStopped
from projections.view import SHARED, BookReader, View

POLICIES_MAX = 1_000


class TooManyPolicies(StoreError):
    """The policies of an account that have ever stopped are bounded."""

    def __init__(self, account: str, position: int) -> None:
        self.account, self.position = account, position
        super().__init__(
            f"{POLICIES_MAX:,} policies of {account} are stopped, and the record at position {position} stops one "
            "more: a policy's name must not change from one start to the next"
        )


class StoppedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that stopped for an account (`-`: for all), when that was recorded, at which log position, and why.

    `before` is when it had stopped the time before. `resumed_at` is None while it is stopped.
    """

    policy: str
    account: str
    why: str
    stopped_at: Instant
    position: int
    before: Instant | None = None
    resumed_at: Instant | None = None

    @property
    def sentence(self) -> str:
        """Return what is wrong and what to do."""
        accounts = "all accounts" if self.account == SHARED else self.account
        return (
            f"policy {self.policy} has stopped for {accounts} ({self.why}), so its limits are unjudged: fix it and "
            f"restart what runs it, or append PolicyResumed to policy/{self.account}/{self.policy} if nothing should"
        )


class PoliciesState(msgspec.Struct):
    """One account, or what belongs to none (`-`): each policy that has stopped, by name, also if it runs again."""

    policies: dict[str, StoppedPolicy] = {}


class PoliciesView(View[PoliciesState]):
    """The policies that have stopped: the stream names the policy, whatever the event says."""

    name: ClassVar[str] = "policies"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (PolicyStopped, PolicyResumed)

    @override
    def initial(self) -> PoliciesState:
        return PoliciesState()

    @override
    def apply(self, state: PoliciesState, event: Event, record: Record) -> None:
        name = unescaped(record.entity)
        known = state.policies.get(name)
        is_running = known is None or known.resumed_at is not None
        match event:
            case PolicyStopped() if is_running:
                state.policies = {
                    **_with_room(state.policies, name, record),
                    name: _stopped(event, name, record, known),
                }
            case PolicyResumed() if known is not None and not is_running:
                state.policies = {**state.policies, name: replace(known, resumed_at=record.recorded_at)}
            case _:
                # Stopped again while it is, or resumed while it runs: by another process that had not seen it.
                return


class StoppedPolicies:
    """Queries about the policies that do not run."""

    def __init__(self, book: BookReader) -> None:
        self._book = book

    def stopped(self, account: str) -> tuple[StoppedPolicy, ...]:
        """Return the policies that have stopped for an account, or for all accounts, the earliest first."""
        found = self._of(SHARED) + (self._of(account) if account != SHARED else [])
        # Asked before each order, and hardly ever is there one.
        return tuple(sorted([each for each in found if each.resumed_at is None], key=_position)) if found else ()

    def all_stopped(self) -> tuple[StoppedPolicy, ...]:
        """Return the policies that have stopped, of every account, the earliest first."""
        found = [each for partition in self._book.partitions(PoliciesView.name) for each in self._of(partition)]
        return tuple(sorted([each for each in found if each.resumed_at is None], key=_position))

    def last(self, account: str, policy: str) -> StoppedPolicy | None:
        """Return a policy's last stop for an account, also if it runs again; None if it never stopped."""
        state: PoliciesState | None = self._book.state(PoliciesView.name, account)
        return None if state is None else state.policies.get(policy)

    def _of(self, partition: str) -> list[StoppedPolicy]:
        state: PoliciesState | None = self._book.state(PoliciesView.name, partition)
        return [] if state is None else list(state.policies.values())


def _position(stopped: StoppedPolicy) -> int:
    return stopped.position


def _stopped(event: PolicyStopped, name: str, record: Record, known: StoppedPolicy | None) -> StoppedPolicy:
    return StoppedPolicy(
        policy=name,
        account=record.account,
        why=event.why,
        stopped_at=record.recorded_at,
        position=record.position,
        before=None if known is None else known.stopped_at,
    )


def _with_room(policies: dict[str, StoppedPolicy], name: str, record: Record) -> dict[str, StoppedPolicy]:
    """Return the policies with room for one more; at the limit, those that run again are dropped."""
    if len(policies) < POLICIES_MAX or name in policies:
        return policies
    stopped = {each: policy for each, policy in policies.items() if policy.resumed_at is None}
    if len(stopped) >= POLICIES_MAX:
        raise TooManyPolicies(record.account, record.position)
    return stopped
