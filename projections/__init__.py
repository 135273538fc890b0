"""What the log means: views, the book that they make up, snapshots of it, and any past state."""

from projections import reconciliation, risk, rules, seeds
from projections.adoption import adopt_account
from projections.book import Book
from projections.changes import Change, Changes, diff
from projections.comparison import SnapshotComparison, SnapshotDifference, compare_snapshots
from projections.cuts.troubles import SnapshotWarning
from projections.decimals import FIXED
from projections.enforcer import Enforcer, Task
from projections.group_worker import GroupWorker
from projections.membership import GroupMember, owner_of
from projections.opening import open
from projections.parallel import ParallelWarning
from projections.readiness import NotSafe, wait_until_safe
from projections.recovery import Recovery
from projections.replay import as_of, steps
from projections.risk.policies import Policies
from projections.risk.policies.protocol import Decision, Policy, Trigger
from projections.sessions import Calendar, TradingDay
from projections.snapshots import Snapshots
from projections.tiers import TierSettings
from projections.view import SHARED, BookReader, PartitionParked, View
from projections.worker import CutPolicy, Lag, Worker

__all__ = [
    "FIXED",
    "SHARED",
    "Book",
    "BookReader",
    "Calendar",
    "Change",
    "Changes",
    "CutPolicy",
    "Decision",
    "Enforcer",
    "GroupMember",
    "GroupWorker",
    "Lag",
    "NotSafe",
    "ParallelWarning",
    "PartitionParked",
    "Policies",
    "Policy",
    "Recovery",
    "SnapshotComparison",
    "SnapshotDifference",
    "SnapshotWarning",
    "Snapshots",
    "Task",
    "TierSettings",
    "TradingDay",
    "Trigger",
    "View",
    "Worker",
    "adopt_account",
    "as_of",
    "compare_snapshots",
    "diff",
    "open",
    "owner_of",
    "reconciliation",
    "risk",
    "rules",
    "seeds",
    "steps",
    "wait_until_safe",
]
