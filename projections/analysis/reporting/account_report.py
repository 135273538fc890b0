"""One page about an account: what it made, what it risked, how far its limits were, and when it was locked out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore import InvalidEvent
from eventstore.errors import shown
from eventstore.files import publish, temporary
from eventstore.locations import local_path
from eventstore.streams import check_name
from projections.analysis.columns import TEXT_DECIMALS
from projections.analysis.plot import canvas
from projections.analysis.plot.reading import EACH_DAY, EACH_TRADE, StatesOptions, Unpack, account_zone, frame
from projections.analysis.reporting import page, sections
from projections.analysis.reporting.cells import MISSING
from projections.analysis.reporting.sections import Frames
from projections.analysis.reporting.statistics import statistics
from projections.analysis.sources import opened
from projections.view import SHARED

if TYPE_CHECKING:
    import datetime
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore import EventReader
    from projections.analysis.sources import Source

DAYS_BY_TRADE = 20
"""Over more trading days than these, states are shown at each day's end instead of at each trade."""


def report(
    store: Source,
    account: str,
    path: str | os.PathLike[str],
    *,
    zone: str | datetime.tzinfo | None = None,
    **options: Unpack[StatesOptions],
) -> Path:
    """Write one HTML page about an account, and return its path. It needs no other file and no network.

    Equity with drawdown and its dates, P&L by day, round trips, exposure, the limits' headroom, lockouts, and the
    statistics of quantstats or empyrical-reloaded if one of them is installed. `options` are those of
    `analysis.equity`: `start`, `stop`, `every` (each trade by default, over more than 20 trading days each day),
    `prices` and `stale_after`. The times are in `zone`, else in the account's zone where it is recorded, else in UTC.

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
        frames = _frames(reader, account, options)
        parts = [
            *sections.begin(account, frames, where),
            *sections.all_of(account, frames, where),
            *statistics(lambda: _daily(reader, account, options)),
            *_provenance(reader, head),
        ]
    text = page.page(f"Report of {account}", parts)
    with temporary(target) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
        publish(unfinished, target, replacing=True)
    return target


def _frames(reader: EventReader, account: str, options: StatesOptions) -> Frames:
    """Read all frames. Tables and pictures are made from the same ones."""
    within = {name: value for name, value in options.items() if name in {"start", "stop", "progress"}}
    of_ranges = {"account": account, "exact": TEXT_DECIMALS, **within}
    days = frame("days")(reader, **of_ranges)
    many = len({*days.to_arrow().column("trading_day").to_pylist()}) > DAYS_BY_TRADE
    instants = {"every": EACH_DAY if many else EACH_TRADE, **{k: v for k, v in options.items() if k == "every"}}
    states = {**of_ranges, **instants}
    valued = {**states, **_prices(options)}
    return Frames(
        days=days,
        equity=frame("equity")(reader, **valued),
        round_trips=frame("round_trips")(reader, **of_ranges),
        positions=frame("positions")(reader, **states),
        headroom=frame("headroom")(reader, **valued),
        lockouts=frame("lockouts")(reader, **of_ranges),
    )


def _prices(options: StatesOptions) -> dict[str, object]:
    return {name: value for name, value in options.items() if name in {"prices", "stale_after"}}


def _daily(reader: EventReader, account: str, options: StatesOptions) -> Any:  # noqa: ANN401 - a series of pandas
    """Return an account's daily returns."""
    asked = {name: value for name, value in options.items() if name != "every"}
    found: Any = frame("returns")(reader, account, **asked)
    return found.series()


def _provenance(reader: EventReader, head: int) -> Iterator[str]:
    """Yield which records the figures come from, and how to prove that they are unchanged."""
    yield page.heading("Where this comes from")
    grown = reader.head() - head
    size, root = reader.root(head)
    yield page.sentence(
        f"The figures are the fold of the records 1 to {size:,} of the log {reader.log}. Missing figures are shown as "
        f"{MISSING}; what is STALE or UNKNOWN is not part of any figure that is given as certain."
    )
    if grown:
        yield page.sentence(f"{grown:,} records came while this page was made; some figures may include them.")
    yield page.sentence(f"eventstore verify --root {root.hex()} --size {size}", soft=True)
