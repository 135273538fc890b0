"""What the log means: views, the book that they make up, snapshots of it, and any past state."""

from projections.book import Book
from projections.opening import open
from projections.recovery import Recovery
from projections.replay import Change, as_of, diff, steps
from projections.snapshots import Snapshots, SnapshotWarning
from projections.view import FIXED, SHARED, Lens, PartitionParked, View
from projections.worker import CutPolicy, Lag, Worker

__all__ = [
    "FIXED",
    "SHARED",
    "Book",
    "Change",
    "CutPolicy",
    "Lag",
    "Lens",
    "PartitionParked",
    "Recovery",
    "SnapshotWarning",
    "Snapshots",
    "View",
    "Worker",
    "as_of",
    "diff",
    "open",
    "steps",
]
