"""Checks before an order: the book's figures against every limit, in microseconds; submitting it; firms' programs."""

from projections.risk import programs
from projections.risk.checking import Answer, Checked, check
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
    "Submitted",
    "check",
    "programs",
    "submit",
]
