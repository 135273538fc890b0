"""Questions of an audit: what was recorded, by whom, what it changed, and why."""

from projections.auditing.causes import CausalLink, FigureMade, Role, Why, why
from projections.auditing.changes import changes, selection_of_changes
from projections.auditing.effects import Effect, effects
from projections.auditing.marks import Mark, MarkKind
from projections.auditing.selection import TimelineSelection
from projections.auditing.steps import steps
from projections.auditing.timeline import Entry, TimelinePage, timeline, walk

__all__ = [
    "CausalLink",
    "Effect",
    "Entry",
    "FigureMade",
    "Mark",
    "MarkKind",
    "Role",
    "TimelinePage",
    "TimelineSelection",
    "Why",
    "changes",
    "effects",
    "selection_of_changes",
    "steps",
    "timeline",
    "walk",
    "why",
]
