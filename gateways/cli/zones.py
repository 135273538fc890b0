"""The time zone of an answer: the one asked for, else that of the account's trading days, else UTC."""

from __future__ import annotations

import contextlib
from datetime import UTC, tzinfo

from eventstore import EventReader, InvalidEvent
from eventstore.streams import check_name
from eventstore.trading import SessionOpened, SessionReset
from gateways.cli.options import CommonOptions
from gateways.presenting.presenter import Presenter
from gateways.presenting.times import zone_named
from projections import SHARED


def presenter(
    common: CommonOptions,
    reader: EventReader | None = None,
    account: str | None = None,
    *,
    calendar_zone: str | None = None,
) -> Presenter:
    """Return how an answer is shown; without a log, in the zone asked for or UTC.

    `calendar_zone` is used if neither the options nor the account's sessions name a zone.
    """
    zone = common.zone or (None if reader is None else _account_zone(reader, account))
    if zone is None and calendar_zone:
        zone = zone_named(calendar_zone)
    return Presenter(zone=zone or UTC, stated=common.zone, exact=common.exact)


def _account_zone(reader: EventReader, account: str | None) -> tzinfo | None:
    """Return the zone of an account's trading days from its latest session that has one; None without any."""
    if account is None or account == SHARED:
        return None
    check_name("account", account)
    kinds = (SessionOpened, SessionReset)
    for record in reversed(list(reader.read(stream=f"session/{account}/", types=kinds))):
        # An unknown zone or an unreadable record is skipped: no answer may fail because of it.
        with contextlib.suppress(InvalidEvent):
            event = record.event
            if isinstance(event, kinds) and event.zone is not None:
                return zone_named(event.zone)
    return None
