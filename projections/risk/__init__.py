"""Checks before an order: the book's figures against every limit, in microseconds; programs of prop firms."""

from projections.risk import programs
from projections.risk.checking import Checked, check
from projections.risk.limits.kind import Finding
from projections.risk.proposals import Cancel, MissingInput, Proposal

__all__ = ["Cancel", "Checked", "Finding", "MissingInput", "Proposal", "check", "programs"]
