"""Reports: an account's history as one page that needs nothing else."""

from projections.analysis.reporting.account_report import report

__all__ = ["report"]
