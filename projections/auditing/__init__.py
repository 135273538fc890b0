"""Questions of an audit: what was recorded, by whom, what it changed."""

from projections.auditing.changes import changes, selection_of_changes
from projections.auditing.effects import Effect, effects
from projections.auditing.marks import Mark, MarkKind
from projections.auditing.selection import TimelineSelection
from projections.auditing.steps import steps
from projections.auditing.timeline import Entry, TimelinePage, timeline, walk

__all__ = [
    "Effect",
    "Entry",
    "Mark",
    "MarkKind",
    "TimelinePage",
    "TimelineSelection",
    "changes",
    "effects",
    "selection_of_changes",
    "steps",
    "timeline",
    "walk",
]
