"""Verifying a log with a progress bar on stderr."""

from __future__ import annotations

from eventstore import EventReader, Verification
from gateways.presenting.output import progress


def verify_log(store: EventReader, *, after: int = 0, root: str | None = None, size: int | None = None) -> Verification:
    with progress("verifying") as step:
        return store.verify(after=after, root=root, size=size, progress=step)
