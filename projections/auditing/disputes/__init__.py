"""The dispute of an account's trading day: what was recorded, what held, how close it came, and why it was locked."""

from projections.auditing.disputes.answer import Dispute, DisputedLockout, FirmReport, HeadroomAt, LimitInForce
from projections.auditing.disputes.asking import dispute
from projections.auditing.disputes.evidence import Evidence, evidence_of

__all__ = [
    "Dispute",
    "DisputedLockout",
    "Evidence",
    "FirmReport",
    "HeadroomAt",
    "LimitInForce",
    "dispute",
    "evidence_of",
]
