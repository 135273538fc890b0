"""History for analysts: frames, SQL, replays and plots of what a log holds, exact and fast."""

from projections.analysis.columns import Kind
from projections.analysis.events import EventSet, events
from projections.analysis.frame import Frame

__all__ = ["EventSet", "Frame", "Kind", "events"]
