"""Copying a log, wherever it is kept, to a new file: each record is proved on its way, and the tree at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from eventstore.errors import CorruptJournal
from eventstore.journal import Query, Replicable
from eventstore.journals.sqlite import schema
from eventstore.journals.sqlite.restore import Restoration

if TYPE_CHECKING:
    from pathlib import Path

    from eventstore.journal import Maintenance

PAGE = 2_000


def copy(source: Maintenance, target: Path, *, created_at: int) -> None:
    """Copy a log as of now to a new file, synced, with its watermark; on an error nothing is left of it.

    Raises TargetExists, CorruptJournal where the source is not sound, and, of the place, StorageFull, ReadOnly and
    Unavailable.
    """
    tree = source.frontier()
    if isinstance(source, Replicable):
        # A copy outlives a fail-over: it must not have what that takes back.
        source.barrier()
    try:
        restoration = Restoration(target, source.log, source.log_id, created_at=created_at)
        try:
            while (size := restoration.tree.size) < tree.size:
                page = source.read(Query(after=size, limit=PAGE, until=tree.size))
                if not page:
                    raise CorruptJournal(size + 1, "the record is missing")
                restoration.add(page)
            if restoration.tree.root() != tree.root():
                raise CorruptJournal(0, "the records do not give the root that is stored of them")
            restoration.add_types(source.types())
            restoration.finish()
        finally:
            restoration.abandon()
    except OSError as e:
        raise schema.from_copy(e.errno or 0, e.strerror or str(e), target.parent) from e
    except apsw.Error as e:
        raise schema.from_copy(0, str(e), target.parent) from e
