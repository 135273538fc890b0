"""Cursors of policies for each share of the accounts: a share that another member takes skips no record."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore import StorageWarning
from eventstore.side import FencedMarks
from projections.risk.policies import account_sets
from projections.risk.policies.cursors import PREFIX, Cursors
from projections.shares import SHARES, share_of
from projections.view import is_for_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import EventStore
    from eventstore.watermarks import Watermark
    from projections.risk.policies.ownership import Ownership


class ShareCursors(Cursors):
    """The log position that each policy has reached in each share of one member of a group.

    They are of the log and not of the group: whatever works on a share later resumes there. The first member that runs
    a policy notes where it begins for all shares, those of others too: one that is taken later misses nothing. Each
    write is one transaction that rests on the locks of all shares of this member.
    """

    def __init__(self, store: EventStore, owned: Ownership) -> None:
        super().__init__(store)
        assert isinstance(self._marks, FencedMarks), "groups are of a log in PostgreSQL"
        self._kept: FencedMarks = self._marks
        self._owned = owned
        self._by_share: dict[str, dict[int, int]] = {}

    @override
    def begin(self, policies: Iterable[str], head: int) -> dict[str, int]:
        policies = list(policies)
        self.last_seen = max(self.last_seen, (head, self._digest_at(head)))
        marks, unsound = self._examined()
        if self._note_beginnings(policies, head, marks, unsound):
            # Of two members that note them at the same time, the first one's count.
            marks, unsound = self._kept.examine()
        for policy in policies:
            found = self._positions(policy, head, marks, unsound)
            every = found.get(account_sets.EVERY, 0)
            # Noted for each share above, so one that is missing was damaged together with all others.
            self._by_share[policy] = {
                share: max(found.get(account_sets.share_name(share), 0), every)
                for share in sorted(self._owned.shares.numbers)
            }
            # Those of the shares may differ: the next write is of all.
            self._written[policy] = -1
        return {policy: min(positions.values(), default=head) for policy, positions in self._by_share.items()}

    def _note_beginnings(
        self, policies: list[str], head: int, marks: dict[str, Watermark], unsound: dict[str, str]
    ) -> bool:
        """Note where policies begin for all shares that have no cursor, as other sets of accounts leave them.

        Returns whether there was any.
        """
        sets = self._sets()
        new: list[tuple[str, Watermark]] = []
        for policy in policies:
            names = [PREFIX + policy + account_sets.share_name(share) for share in range(SHARES)]
            lacking = [name for name in names if name not in marks and name not in unsound]
            if lacking:
                found = self._positions(policy, head, marks, unsound)
                position = self._seen_by(found, head, sets).lowest
                mark = self._mark(position, self._digest_at(position))
                new += [(name, mark) for name in lacking]
        if new:
            self._kept.write_new(new)
        return bool(new)

    def _examined(self) -> tuple[dict[str, Watermark], dict[str, str]]:
        marks, unsound = self._kept.examine()
        for share in self._owned.shares.numbers:
            for name, why in unsound.items():
                if name.startswith(PREFIX) and name.endswith(account_sets.share_name(share)):
                    warnings.warn(
                        f"the cursor {name} is damaged ({why}): its policy resumes earlier", StorageWarning, 4
                    )
        return marks, unsound

    @override
    def seen(self, policy: str, account: str) -> int:
        positions = self._by_share[policy]
        if is_for_all(account):
            return min(positions.values(), default=0)
        return positions.get(share_of(account), self.last_seen[0])

    @override
    def _put_all(self, moved: dict[str, Watermark]) -> None:
        rows = [
            (PREFIX + policy + account_sets.share_name(share), mark)
            for policy, mark in moved.items()
            for share in sorted(self._owned.shares.numbers)
        ]
        if rows:
            self._kept.write_all(rows, self._owned.fences())
