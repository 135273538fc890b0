"""Reconciliation: how brokers' reports differ from the fills, and adjustments of positions on request."""

from projections.reconciliation.account import reconcile
from projections.reconciliation.booking import record
from projections.reconciliation.difference import ADJUSTABLE, EVIDENCE_MAX, Difference, DifferenceKind

__all__ = ["ADJUSTABLE", "EVIDENCE_MAX", "Difference", "DifferenceKind", "reconcile", "record"]
