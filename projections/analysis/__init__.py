"""History for analysts: frames, SQL, replays and plots of what a log holds, exact and fast."""

from projections.analysis import plot, vectorised
from projections.analysis.archive import (
    Archived,
    ArchivedReader,
    ArchiveReader,
    ArchiveSource,
    archive,
    check_archive,
    with_archive,
)
from projections.analysis.asof import asof
from projections.analysis.columns import Kind
from projections.analysis.database import QueryFailed
from projections.analysis.days import days
from projections.analysis.equity import equity
from projections.analysis.events import EventSet, events
from projections.analysis.exports import Exported, export
from projections.analysis.fills import fills
from projections.analysis.frame import Frame
from projections.analysis.headroom import headroom
from projections.analysis.history import history
from projections.analysis.lockouts import lockouts
from projections.analysis.orders import orders
from projections.analysis.positions import positions
from projections.analysis.replay import Divergence, Replay, ReplayComparison
from projections.analysis.reporting import report
from projections.analysis.returns import Returns, returns
from projections.analysis.round_trips import round_trips
from projections.analysis.simple_accounts import SimpleFills, simple_fills
from projections.analysis.sql import QueryResult, sql
from projections.analysis.with_prices import Joined, with_prices

__all__ = [
    "ArchiveReader",
    "ArchiveSource",
    "Archived",
    "ArchivedReader",
    "Divergence",
    "EventSet",
    "Exported",
    "Frame",
    "Joined",
    "Kind",
    "QueryFailed",
    "QueryResult",
    "Replay",
    "ReplayComparison",
    "Returns",
    "SimpleFills",
    "archive",
    "asof",
    "check_archive",
    "days",
    "equity",
    "events",
    "export",
    "fills",
    "headroom",
    "history",
    "lockouts",
    "orders",
    "plot",
    "positions",
    "report",
    "returns",
    "round_trips",
    "simple_fills",
    "sql",
    "vectorised",
    "with_archive",
    "with_prices",
]
