"""What differs between the log at two instants: facts of any view, each with the records that changed it."""

from projections.changes.change import Change, Changes, FieldChange, KindOfChange, Unanswered
from projections.changes.diffing import USUAL, VIEWS, DiffOptions, diff, facts

__all__ = [
    "USUAL",
    "VIEWS",
    "Change",
    "Changes",
    "DiffOptions",
    "FieldChange",
    "KindOfChange",
    "Unanswered",
    "diff",
    "facts",
]
