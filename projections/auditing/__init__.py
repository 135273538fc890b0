"""Questions of an audit: what was recorded, by whom, what it changed."""

from projections.auditing.changes import changes
from projections.auditing.effects import Effect, effects
from projections.auditing.marks import Mark, MarkKind
from projections.auditing.steps import steps
from projections.auditing.timeline import Entry, TimelinePage, timeline

__all__ = ["Effect", "Entry", "Mark", "MarkKind", "TimelinePage", "changes", "effects", "steps", "timeline"]
