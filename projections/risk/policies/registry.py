"""The policies of one process: by name, by the types of records, and by what else they are evaluated for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.events.registry import by_class
from eventstore.streams import check_name
from projections.risk.policies.cursors import PREFIX
from projections.risk.policies.protocol import JUDGED_BY_ALL, LeasedPolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class PolicyRegistry:
    """Policies, each under its name; raise ValueError where two have the same one."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.by_name: dict[str, Policy] = {}
        for policy in policies:
            self._add(policy)
        self._by_type: dict[str, list[Policy]] = {}
        for policy in self.all:
            for cls in {*policy.types, *JUDGED_BY_ALL}:
                self._by_type.setdefault(by_class(cls).name, []).append(policy)
        self.on_quote = [policy for policy in self.all if policy.quotes]
        self.timed = [policy for policy in self.all if policy.timed]
        self.leased = frozenset(policy.name for policy in self.all if isinstance(policy, LeasedPolicy))

    def _add(self, policy: Policy) -> None:
        if policy.name in self.by_name:
            msg = f"two policies are named {policy.name}: the name is part of their events' ids and must be unique"
            raise ValueError(msg)
        check_name("policy", PREFIX + policy.name)
        self.by_name[policy.name] = policy

    @property
    def all(self) -> list[Policy]:
        return list(self.by_name.values())

    def for_type(self, name: str) -> Sequence[Policy]:
        """Return the policies that are evaluated for records of a type."""
        return self._by_type.get(name, ())
