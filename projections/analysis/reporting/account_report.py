"""One page about an account: what it made, what it risked, how far its limits were, and when it was locked out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import EventStore, InvalidEvent
from eventstore.errors import shown
from eventstore.files import publish, temporary
from eventstore.locations import local_path
from eventstore.streams import check_name
from projections import html_page
from projections.analysis.columns import TEXT_DECIMALS
from projections.analysis.days import days
from projections.analysis.equity import equity
from projections.analysis.every import DAY, TRADE
from projections.analysis.headroom import headroom
from projections.analysis.lockouts import lockouts
from projections.analysis.plot import canvas
from projections.analysis.plot.reading import account_zone
from projections.analysis.positions import positions
from projections.analysis.reporting import sections
from projections.analysis.reporting.cells import MISSING
from projections.analysis.reporting.sections import Frames
from projections.analysis.reporting.statistics import statistics
from projections.analysis.returns import returns
from projections.analysis.round_trips import round_trips
from projections.analysis.sources import opened
from projections.view import SHARED

if TYPE_CHECKING:
    import datetime
    import os
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.every import Every
    from projections.analysis.sources import Source

DAYS_BY_TRADE = 20
"""Over more trading days than these, states are shown at each day's end instead of at each trade."""


class ReportRequest(NamedTuple):
    """What a report is made from."""

    reader: EventReader
    account: str
    start: Times | None
    stop: Times | None
    every: Every | None
    prices: object
    stale_after: timedelta | int | None
    progress: bool | None


def report(
    store: Source,
    account: str,
    path: str | os.PathLike[str],
    *,
    start: Times | None = None,
    stop: Times | None = None,
    every: Every | None = None,
    prices: object = None,
    stale_after: timedelta | int | None = None,
    zone: str | datetime.tzinfo | None = None,
    progress: bool | None = None,
) -> Path:
    """Write one HTML page about an account, and return its path. It needs no other file and no network.

    Equity with drawdown and its dates, P&L by day, round trips, exposure, the limits' headroom, lockouts, and the
    statistics of quantstats or empyrical-reloaded if one of them is installed. `prices`, `stale_after` and `every` are
    those of `analysis.equity`; `every` is each trade by default, over more than 20 trading days each day. The times are
    in `zone`, else in the account's zone where it is recorded, else in UTC.

    A file at `path` is replaced in one step. Raises InvalidEvent for a name that no account can have.
    """
    check_name("account", account)
    if account == SHARED:
        msg = f"a report is about one account, and {shown(account)} stands for what belongs to none"
        raise InvalidEvent(msg)
    target = local_path(path, "the report")
    with opened(store) as reader:
        where = canvas.zone_of(zone if zone is not None else account_zone(reader, account))
        head = reader.head()
        asked = ReportRequest(reader, account, start, stop, every, prices, stale_after, progress)
        frames = _frames(asked)
        parts = [
            *sections.begin(account, frames, where),
            *sections.all_of(account, frames, where),
            *statistics(lambda: _daily(asked)),
            *_provenance(reader, head),
        ]
    text = html_page.page(f"Report of {account}", parts)
    with temporary(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
        publish(unfinished, target, replacing=True)
    return target


def _frames(asked: ReportRequest) -> Frames:
    """Read all frames. Tables and pictures are made from the same ones."""
    reader, account, start, stop, every, prices, stale_after, progress = asked
    exact = TEXT_DECIMALS
    by_day = days(reader, account=account, start=start, stop=stop, exact=exact, progress=progress)
    if every is None:
        every = DAY if len({*by_day.to_arrow().column("trading_day").to_pylist()}) > DAYS_BY_TRADE else TRADE
    return Frames(
        days=by_day,
        equity=equity(
            reader, account, every=every, prices=prices, stale_after=stale_after, start=start, stop=stop, exact=exact,
            progress=progress,
        ),
        round_trips=round_trips(reader, account=account, start=start, stop=stop, exact=exact, progress=progress),
        positions=positions(
            reader, account=account, every=every, start=start, stop=stop, exact=exact, progress=progress
        ),
        headroom=headroom(
            reader, account, every=every, prices=prices, stale_after=stale_after, start=start, stop=stop, exact=exact,
            progress=progress,
        ),
        lockouts=lockouts(reader, account, start=start, stop=stop, exact=exact, progress=progress),
        instants={DAY: "at each trading day's end", TRADE: "at each trade"}.get(str(every), f"every {every}"),
    )  # fmt: skip


def _daily(asked: ReportRequest) -> Any:  # noqa: ANN401 - a series of pandas
    """Return an account's daily returns."""
    found = returns(
        asked.reader, asked.account, prices=asked.prices, stale_after=asked.stale_after, start=asked.start,
        stop=asked.stop, progress=asked.progress,
    )  # fmt: skip
    return found.series()


def _continued(reader: EventReader) -> str:
    chain = reader.chain if isinstance(reader, EventStore) else None
    return "" if chain is None else f", which continues log {chain.continued.name}"


def _provenance(reader: EventReader, head: int) -> Iterator[str]:
    """Yield which records the figures come from, and how to prove that they are unchanged."""
    yield html_page.heading("Where this comes from")
    grown = reader.head() - head
    before = reader.chain.offset if isinstance(reader, EventStore) and reader.chain is not None else 0
    size, root = reader.root(head - before)
    yield html_page.sentence(
        f"The figures are the fold of the records 1 to {size:,} of the log {reader.log}{_continued(reader)}. "
        "Missing figures are shown as "
        f"{MISSING}; what is STALE or UNKNOWN is not part of any figure that is given as certain."
    )
    if grown:
        yield html_page.sentence(f"{grown:,} records came while this page was made; some figures may include them.")
    yield html_page.sentence(f"eventstore verify --root {root.hex()} --size {size}", soft=True)
