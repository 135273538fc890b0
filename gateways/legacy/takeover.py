"""A program's file taken over when its manager starts: migrated where that is certain, else left alone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from eventstore.clock import format_time
from gateways.legacy.notices import StateNotice
from gateways.legacy.state_files import read_state_file
from gateways.legacy.state_migration import NewerState, migrate_states

if TYPE_CHECKING:
    from pathlib import Path

    from gateways.legacy.state_log import StateLog
    from gateways.legacy.values import Codec


def take_over(log: StateLog, codec: Codec, path: Path, *, renamed: bool = False) -> None:
    """Migrate a file; with `renamed` it is called FILE.migrated afterwards, as older managers did.

    A file that cannot be read raises, and the manager does not start: without the state in it, it would begin empty.
    One that is older than what the log has stays where it is, with a notice.
    """
    try:
        migrate_states(log, codec, [read_state_file(path)], user_id="migration")
    except NewerState as e:
        warnings.warn(f"{path} was not migrated: {e}", StateNotice, stacklevel=6)
        return
    if renamed:
        target = path.with_name(f"{path.name}.migrated")
        if target.exists():
            at = format_time(log.store.clock.now_ns())
            target = target.with_name(f"{target.name}.{at[:10].replace('-', '')}_{at[11:19].replace(':', '')}")
        path.rename(target)
