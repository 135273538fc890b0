"""The members of groups of workers, in a table: their beats, their locks, and who is evicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from eventstore.clock import NANOSECONDS
from eventstore.journals.postgres.changing import HELD, KEY, key_of
from eventstore.side import SeenMember, group_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

FORGOTTEN_AFTER = "1 hour"

# A beat that a crash takes back is of no use by then: it waits neither for the disk nor for a standby.
_UNSYNCED = "WITH s AS (SELECT set_config('synchronous_commit', 'off', true))"
_JOIN = (
    "INSERT INTO member (worker_group, id, who, url, position) VALUES (%s, %s, %s, %s, 0) "
    "ON CONFLICT (worker_group, id) DO NOTHING"
)
_BEAT = (
    f"{_UNSYNCED} UPDATE member SET beat_at = clock_timestamp(), position = %s FROM s "  # noqa: S608 - constants
    "WHERE worker_group = %s AND id = %s AND NOT is_evicted RETURNING 1"
)
_FORGET = (
    "WITH gone AS (DELETE FROM member WHERE worker_group = %s AND (id = %s OR "  # noqa: S608 - constants
    f"beat_at < clock_timestamp() - INTERVAL '{FORGOTTEN_AFTER}') RETURNING id) "
    "DELETE FROM lease USING gone WHERE lease.name = %s || gone.id"
)
# All locks are looked at once, not for each name.
_MEMBERS = (
    f"WITH {HELD}, named AS MATERIALIZED (SELECT l.name, h.pid FROM lease l "  # noqa: S608 - constants
    f"JOIN held h ON h.key = {key_of('l.name')} WHERE starts_with(l.name, %s)) "
    "SELECT m.id, m.who, m.url, m.position, "
    "extract(epoch FROM clock_timestamp() - m.beat_at)::float8, extract(epoch FROM m.joined_at)::float8, "
    "n.pid IS NOT NULL, m.is_evicted, "
    "(SELECT coalesce(array_agg(o.name ORDER BY o.name), '{}') FROM named o WHERE o.pid = n.pid) "
    "FROM member m LEFT JOIN named n ON n.name = %s || m.id WHERE m.worker_group = %s ORDER BY m.id"
)
_EVICT = "UPDATE member SET is_evicted = true WHERE worker_group = %s AND id = %s RETURNING 1"
_END_SESSION = f"WITH {HELD} SELECT pg_terminate_backend(pid) FROM held WHERE key = {KEY}"  # noqa: S608 - constants


class SideTables(Protocol):
    """What asks and changes the tables beside a log."""

    def asked(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of an answer."""

    def changed(self, sql: str, values: Sequence[Any]) -> None:
        """Change something."""


def join(side: SideTables, group: str, id: str, who: str, url: str) -> None:
    """Add a member, and forget those that ended long ago."""
    side.changed(_FORGET, (group, "", group_lock(group, "member")))
    side.changed(_JOIN, (group, id, who, url))


def leave(side: SideTables, group: str, id: str) -> None:
    """Remove a member, and the row of its lock."""
    side.changed(_FORGET, (group, id, group_lock(group, "member")))


def beat(side: SideTables, group: str, id: str, position: int) -> bool:
    """Note that a member lives; return whether it is one, and not evicted."""
    return side.asked(_BEAT, (position, group, id)) != []


def members(side: SideTables, group: str) -> list[SeenMember]:
    """Return a group's members, by id, with the locks that each holds beside its own."""
    own = group_lock(group, "member")
    found = side.asked(_MEMBERS, (group_lock(group), own, group))
    return [
        SeenMember(
            id_, who, url, position, silent, round(joined * NANOSECONDS), alive, evicted,
            tuple(name for name in names if not name.startswith(own)),
        )
        for id_, who, url, position, silent, joined, alive, evicted, names in found
    ]  # fmt: skip


def groups(side: SideTables) -> list[str]:
    """Return the names of the groups that have members."""
    return [name for (name,) in side.asked("SELECT DISTINCT worker_group FROM member ORDER BY worker_group")]


def evict(side: SideTables, group: str, id: str) -> bool:
    """Mark a member as evicted and end the session that holds its locks; return whether there is such a member."""
    found = side.asked(_EVICT, (group, id)) != []
    if found:
        side.asked(_END_SESSION, (group_lock(group, "member", id),))
    return found
