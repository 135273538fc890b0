"""Sessions that hold locks of a log while their client stands still: who waits for them ends them.

The server ends a transaction that idles too long. One whose client stands still between the statements of a pipeline,
or in a COPY, does not idle as the server counts: a process that is paused there would keep all others out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.journals.postgres.connection import Connection

STALLED_SECONDS = 3.0
"""How long a client may send nothing, while others wait for what its transaction has locked."""

# Of this role alone: what an administrator does in a session is not ended. What a statement of a pipeline, or a part of
# one, sets is `query_start`; a COPY sets it once, and counts what it has read.
_WAITING_FOR_CLIENTS = (
    "SELECT a.pid, a.backend_start, a.query_start, c.bytes_processed, "
    "extract(epoch FROM clock_timestamp() - greatest(a.query_start, a.state_change))::float8 "
    "FROM pg_stat_activity a LEFT JOIN pg_stat_progress_copy c ON c.pid = a.pid "
    "WHERE a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid() "
    "AND a.wait_event_type = 'Client' AND EXISTS (SELECT 1 FROM pg_locks l JOIN pg_class t ON t.oid = l.relation "
    "WHERE l.pid = a.pid AND l.granted AND l.mode <> 'AccessShareLock' "
    "AND t.relnamespace = current_schema()::regnamespace "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"


class StalledSessions:
    """What one process has seen of the sessions that it waits for."""

    def __init__(self) -> None:
        self._copying: dict[tuple[object, ...], float] = {}

    def end(self, connection: Connection) -> bool:
        """End the sessions whose clients stand still with locks of this log; return whether there was one.

        Called once a lock was waited for in vain, outside of a transaction. One in a COPY is ended if nothing of it has
        come since a call at least three seconds before. Raises psycopg's errors.
        """
        now, seen = time.monotonic(), self._copying
        self._copying = {}
        stalled = []
        for pid, began, queried, copied, unasked in connection.execute(_WAITING_FOR_CLIENTS).fetchall():
            copy = (pid, began, queried, copied)
            if copied is not None:
                self._copying[copy] = seen.get(copy, now)
            if (unasked if copied is None else now - self._copying[copy]) >= STALLED_SECONDS:
                stalled.append((pid, began))
        for session in stalled:
            connection.execute(_END, session)
        return bool(stalled)
