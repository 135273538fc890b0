"""What a migration did, or would do: every item, migrated or left out and why."""

from __future__ import annotations

import enum
from collections import Counter

import msgspec


class ItemStatus(enum.StrEnum):
    """What became of an item."""

    MIGRATED = "migrated"
    KNOWN = "known"
    """It is in the log already, with the same content."""
    SET_ASIDE = "set aside"
    """A rule says that it is not migrated: nothing is wrong with it."""
    LEFT_OUT = "left out"
    """It could not be migrated."""


class MigratedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A position, a pair's state, a portfolio's members, or a row: what it became, or why it was left out.

    `count` is of how many rows of a table it stands for, where nothing distinguishes them.
    """

    kind: str
    name: str
    status: ItemStatus
    why: str = ""
    count: int = 1


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the files of one migration. `issues`: what reading back did not find as it was planned."""

    files: tuple[str, ...]
    account: str | None
    dry_run: bool = False
    items: tuple[MigratedItem, ...] = ()
    added: int = 0
    backups: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing was left out, and all was found again in the log."""
        return not self.issues and all(item.status is not ItemStatus.LEFT_OUT for item in self.items)

    def counts(self) -> list[tuple[str, ItemStatus, int]]:
        """Return how many items of each kind had each status."""
        found: Counter[tuple[str, ItemStatus]] = Counter()
        for item in self.items:
            found[item.kind, item.status] += item.count
        return [(kind, status, count) for (kind, status), count in found.items()]

    def unmigrated(self) -> list[MigratedItem]:
        """Return the items that were left out or set aside."""
        return [item for item in self.items if item.status in {ItemStatus.LEFT_OUT, ItemStatus.SET_ASIDE}]
