"""Questions of an audit: timelines, causes, differences, lives of orders, statements; each answer names its records."""

from projections.auditing.causes import CausalLink, FigureMade, Role, Why, why
from projections.auditing.changes import BY_PEOPLE, changes, selection_of_changes
from projections.auditing.differences import diff
from projections.auditing.disputes import (
    Dispute,
    DisputedLockout,
    Evidence,
    FirmReport,
    HeadroomAt,
    LimitInForce,
    dispute,
    evidence_of,
)
from projections.auditing.effects import Effect, effects
from projections.auditing.finding import FoundRecords, WantedRecords, find_records
from projections.auditing.glances import glances
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
from projections.auditing.statements import (
    Break,
    BreakKind,
    DayChange,
    SignedDay,
    Stated,
    StatedCash,
    StatedExecution,
    StatedPosition,
    StatedResult,
    Statement,
    StatementDay,
    StatementPart,
    sign_days,
    signed_days,
    statement,
)
from projections.auditing.steps import steps
from projections.auditing.timeline import Entry, TimelinePage, timeline, walk
from projections.changes import VIEWS, Change, Changes, FieldChange, KindOfChange, Unanswered, facts

__all__ = [
    "BY_PEOPLE",
    "VIEWS",
    "Break",
    "BreakKind",
    "CausalLink",
    "Change",
    "Changes",
    "DayChange",
    "Dispute",
    "DisputedLockout",
    "Effect",
    "Entry",
    "Evidence",
    "FieldChange",
    "FigureMade",
    "FirmReport",
    "FoundRecords",
    "HeadroomAt",
    "KindOfChange",
    "Latency",
    "Lifeline",
    "LifelineProblem",
    "LifelineProblemKind",
    "LifelineStep",
    "LimitInForce",
    "Mark",
    "MarkKind",
    "Role",
    "SignedDay",
    "Stated",
    "StatedCash",
    "StatedExecution",
    "StatedPosition",
    "StatedResult",
    "Statement",
    "StatementDay",
    "StatementPart",
    "TimelinePage",
    "TimelineSelection",
    "Unanswered",
    "WantedRecords",
    "Why",
    "changes",
    "diff",
    "dispute",
    "effects",
    "evidence_of",
    "facts",
    "find_records",
    "glances",
    "lifeline",
    "selection_of_changes",
    "sign_days",
    "signed_days",
    "statement",
    "steps",
    "timeline",
    "walk",
    "why",
]
