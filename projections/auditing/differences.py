"""What differs between two instants, in every view unless some are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections import changes

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Unpack

    from eventstore import EventReader
    from eventstore.clock import Times


def diff(
    store: EventReader,
    first: Times,
    second: Times,
    *,
    views: Collection[str] = changes.VIEWS,
    **options: Unpack[changes.DiffOptions],
) -> changes.Changes:
    """Return what `projections.diff` does, of every view: each fact that differs, and the records that changed it."""
    return changes.diff(store, first, second, views=views, **options)
