"""Recording who asks what, where `audit_reads` is set: after the answer, which never depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

from eventstore import EventReader, EventStore, StoreError
from eventstore.config import audits_reads
from gateways.cli.exit_codes import end_with_problem
from gateways.presenting.asked import STREAM, question_asked
from gateways.presenting.output import note

_asked: ContextVar[tuple[str, Mapping[str, object]] | None] = ContextVar("asked", default=None)


@contextlib.contextmanager
def asking(question: str, arguments: Mapping[str, object]) -> Iterator[None]:
    """Say which command runs, and with which arguments of its own, for as long as it does."""
    token = _asked.set((question, arguments))
    try:
        yield
    finally:
        _asked.reset(token)


@contextlib.contextmanager
def recorded(store: EventReader, directory: str, account: str | None) -> Iterator[None]:
    """Record what a command has read, if the settings in a directory say so.

    What cannot be recorded is said on stderr; if the log could have taken it, the command ends with exit code 1.
    """
    asked = _asked.get()
    if asked is None or not audits_reads(directory):
        yield
        return
    is_writable = isinstance(store, EventStore) and not store.read_only
    problem = None if is_writable else "the log is only read"
    head = store.head()
    try:
        yield
    finally:
        if isinstance(store, EventStore) and is_writable:
            question, arguments = asked
            try:
                store.append(STREAM, question_asked(question, account, arguments, head))
            except StoreError as e:
                problem = str(e)
        if problem is not None:
            note(f"this question was answered, and is not recorded in {STREAM}: {problem}")
    if problem is not None and is_writable:
        end_with_problem()
