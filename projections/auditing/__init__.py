"""Questions of an audit: what was recorded, by whom, what it changed."""

from projections.auditing.marks import Mark, MarkKind
from projections.auditing.timeline import Entry, TimelinePage, timeline

__all__ = ["Entry", "Mark", "MarkKind", "TimelinePage", "timeline"]
