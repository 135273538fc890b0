"""History for analysts: frames, SQL, replays and plots of what a log holds, exact and fast."""

from projections.analysis import plot
from projections.analysis.columns import Kind
from projections.analysis.days import days
from projections.analysis.events import EventSet, events
from projections.analysis.fills import fills
from projections.analysis.frame import Frame
from projections.analysis.orders import orders
from projections.analysis.reporting import report
from projections.analysis.round_trips import round_trips

__all__ = ["EventSet", "Frame", "Kind", "days", "events", "fills", "orders", "plot", "report", "round_trips"]
