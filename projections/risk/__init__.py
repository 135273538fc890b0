"""Checks before an order: the book's figures against every limit, in microseconds."""

from projections.risk.checking import Checked, check
from projections.risk.checks import Finding
from projections.risk.proposals import Cancel, MissingInput, Proposal, Replace

__all__ = ["Cancel", "Checked", "Finding", "MissingInput", "Proposal", "Replace", "check"]
