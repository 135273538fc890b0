"""Alerts beside what a command is for: a process that protects, or ships, alerts as well where it is set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from eventstore import EventStore, StoreError
from gateways.alerting import AlertSettings, started_for
from gateways.cli import stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note
from projections import Book


@contextlib.contextmanager
def alerting(common: CommonOptions, source: Book | EventStore | None = None) -> Iterator[None]:
    """Alert as long as the context lasts, if eventstore.toml says so; without a source, a store is opened then.

    What keeps alerts from starting is printed, and keeps nothing else: no account is left without its limits because a
    setting is misspelt. `doctor` and `alerts` refuse it.
    """
    with contextlib.ExitStack() as stack:
        try:
            if source is None and not AlertSettings.load(*common.directories, Path()).is_empty:
                source = stack.enter_context(stores.open_existing(common))
            if source is not None:
                stack.enter_context(started_for(source, *common.directories, Path(), report=note))
        except (StoreError, OSError) as e:
            note(f"nobody is alerted: {e}")
        yield
