"""Questions of an audit: what was recorded, by whom, what it changed and why, what differs, what became of an order."""

from projections.auditing.causes import CausalLink, FigureMade, Role, Why, why
from projections.auditing.changes import changes, selection_of_changes
from projections.auditing.differences import diff
from projections.auditing.effects import Effect, effects
from projections.auditing.lifelines import (
    Latency,
    Lifeline,
    LifelineProblem,
    LifelineProblemKind,
    LifelineStep,
    lifeline,
)
from projections.auditing.marks import Mark, MarkKind
from projections.auditing.selection import TimelineSelection
from projections.auditing.steps import steps
from projections.auditing.timeline import Entry, TimelinePage, timeline, walk
from projections.changes import VIEWS, Change, Changes, FieldChange, KindOfChange, Unanswered, facts

__all__ = [
    "VIEWS",
    "CausalLink",
    "Change",
    "Changes",
    "Effect",
    "Entry",
    "FieldChange",
    "FigureMade",
    "KindOfChange",
    "Latency",
    "Lifeline",
    "LifelineProblem",
    "LifelineProblemKind",
    "LifelineStep",
    "Mark",
    "MarkKind",
    "Role",
    "TimelinePage",
    "TimelineSelection",
    "Unanswered",
    "Why",
    "changes",
    "diff",
    "effects",
    "facts",
    "lifeline",
    "selection_of_changes",
    "steps",
    "timeline",
    "walk",
    "why",
]
