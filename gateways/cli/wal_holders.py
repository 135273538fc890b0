"""Which processes keep a write-ahead log from shrinking, as `stats` and `doctor` report it."""

from __future__ import annotations

from eventstore.journals.sqlite.wal import WriteAheadLog


def holders_of(found: WriteAheadLog) -> str:
    """Return who keeps a write-ahead log from starting again at its beginning, and what to do."""
    if found.holders is None:
        return "stop whatever keeps reading the journal (this system does not say which processes do)"
    if not found.holders:
        return "no process holds it now, it shrinks once a store is open that appends"
    processes = ", ".join(f"{holder.program or 'a process'} ({holder.pid})" for holder in found.holders)
    return f"{processes} keeps an older state in view; end it, and the log shrinks"
