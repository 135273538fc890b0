"""Checks before an order, in microseconds; submitting it; stopping an account; programs of firms."""

from projections.risk import programs
from projections.risk.checking import Answer, Checked, check
from projections.risk.enforcement.stopping import StoppedAccount, resume, stop
from projections.risk.limits.kind import Finding
from projections.risk.proposals import Cancel, MissingInput, Proposal, Replace
from projections.risk.submitting import Submitted, submit

__all__ = [
    "Answer",
    "Cancel",
    "Checked",
    "Finding",
    "MissingInput",
    "Proposal",
    "Replace",
    "StoppedAccount",
    "Submitted",
    "check",
    "programs",
    "resume",
    "stop",
    "submit",
]
