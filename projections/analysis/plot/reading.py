"""What the plots read from a store: the frames of this package, and the zone of an account's trading days."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypedDict

from eventstore import InvalidEvent
from eventstore.trading import SessionOpened, SessionReset
from projections.analysis.every import TRADE
from projections.analysis.plot.given import is_store
from projections.analysis.sources import opened

if TYPE_CHECKING:
    from datetime import timedelta

    from eventstore.clock import Times
    from projections.analysis.every import Every


class RangeOptions(TypedDict, total=False):
    """The range of a frame, where a plot is given a store, and whether its progress is shown."""

    start: Times | None
    stop: Times | None
    progress: bool | None


class InstantsOptions(RangeOptions, total=False):
    """The same for a frame of states: at which instants, each trade by default."""

    every: Every


class StatesOptions(InstantsOptions, total=False):
    """The same for states that depend on prices."""

    prices: object
    stale_after: timedelta | int | None


def by_trade(options: StatesOptions) -> StatesOptions:
    """Return options that ask for each trade, unless they say how often."""
    return {"every": TRADE, **options}


def account_zone(data: object, account: str | None) -> str | None:
    """Return the zone that the account's latest session recorded; None for a frame, and where none is recorded."""
    if account is None or not is_store(data):
        return None
    zone = None
    with opened(data) as reader:
        for record in reader.read(stream=f"session/{account}/", types=(SessionOpened, SessionReset)):
            # A record that cannot be read must not cost the plot.
            with contextlib.suppress(InvalidEvent):
                zone = getattr(record.event, "zone", None) or zone
    return zone
