"""Records that a policy has stopped for an account, and that it runs again: once each, in any number of processes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from eventstore import VersionConflict
from eventstore.clock import NANOSECONDS
from eventstore.streams import stream_of
from eventstore.trading import PolicyResumed, PolicyStopped
from projections.risk.policies.protocol import ACTOR
from projections.view import SHARED, PartitionParked

if TYPE_CHECKING:
    from collections.abc import Collection

    from eventstore import EventStore
    from projections.book import Book
    from projections.risk.policies.area import Area
    from projections.risk.policies.protocol import PolicyFailure
    from projections.views.policies import StoppedPolicy

FLAPPING_NS = 60 * NANOSECONDS
"""A policy that stops again so soon stays recorded as stopped for that long: at most two events in this time."""


class Reports:
    """The failures of one process's policies that wait to be recorded; they are tried again until they are."""

    def __init__(self, book: Book, store: EventStore, area: Area) -> None:
        self._book, self._store, self._area = book, store, area
        self._waiting: dict[tuple[str, str], str] = {}
        """Why each policy stopped for each account, where that is not recorded yet."""

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def stopped(self, failure: PolicyFailure) -> None:
        """Record that a policy has stopped, at the next `flush`."""
        # What concerns all has stopped for the accounts of this member of a group alone: others decide for theirs.
        is_all_of_member = failure.account == SHARED and self._area.owned is not None
        accounts = filter(self._area.has, self._book.accounts.active()) if is_all_of_member else (failure.account,)
        for account in accounts:
            self._waiting.setdefault((failure.policy, account), failure.why)

    def forget(self, policy: str, account: str) -> None:
        """Forget a stop that is not recorded yet: the policy is evaluated again."""
        self._waiting.pop((policy, account), None)

    def flush(self) -> None:
        """Record what waits. Nothing is raised: what cannot be recorded now waits for the next time."""
        for (policy, account), why in list(self._waiting.items()):
            if self._record(PolicyStopped(policy=policy, why=why), account):
                self._waiting.pop((policy, account), None)

    def due(self, policies: Collection[str]) -> list[StoppedPolicy]:
        """Return which of some policies are recorded as stopped, except those that stop and resume over and over."""
        now, found = self._book.now_ns(), []
        for account in self._book.partitions("policies"):
            if account != SHARED and not (self._book.covers(account) and self._area.has(account)):
                continue
            # Where the view failed nobody can tell what is stopped, and new exposure is rejected until it is retried.
            with contextlib.suppress(PartitionParked):
                found += [each for each in self._book.policies.stopped(account) if each.account == account]
        return [each for each in found if each.policy in policies and not _is_flapping(each, now)]

    def record_resumed(self, stopped: StoppedPolicy) -> None:
        """Record that a policy runs again for an account; raises nothing."""
        why = f"evaluated again after it had stopped at position {stopped.position}"
        self._record(PolicyResumed(policy=stopped.policy, why=why), stopped.account)

    def _record(self, event: PolicyStopped | PolicyResumed, account: str) -> bool:
        """Append an event unless the log says the same already; return whether it does now."""
        stream = stream_of("policy", account, event.policy)
        is_stop = isinstance(event, PolicyStopped)
        try:
            version = self._store.version(stream)
            self._book.refresh()
            last = self._book.policies.last(account, event.policy)
            is_stopped = last is not None and last.resumed_at is None
            if is_stopped is not is_stop:
                # The version makes the key one of this period: what another process was first to say is not repeated.
                key = f"{type(event).__name__}/{version}"
                self._book.append(
                    stream, event, expected=version, key=key, actor=ACTOR + event.policy,
                    unchanged=self._area.condition(account),
                )  # fmt: skip
        except VersionConflict:
            return False
        except Exception:  # noqa: BLE001 - the store failed, or the log is closed: `stopped` has the failure itself
            return False
        return True


def _is_flapping(stopped: StoppedPolicy, now: int) -> bool:
    is_again = stopped.before is not None and stopped.stopped_at - stopped.before < FLAPPING_NS
    return is_again and 0 <= now - stopped.stopped_at < FLAPPING_NS
