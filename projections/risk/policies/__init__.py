"""Policies: events that cause events, decided once however often they are asked."""

from projections.risk.policies.protocol import (
    ACTOR,
    DEPTH_MAX,
    CausationTooDeep,
    Decision,
    Policy,
    PolicyStopped,
    Trigger,
    TriggerKind,
)
from projections.risk.policies.runner import Policies

__all__ = [
    "ACTOR",
    "DEPTH_MAX",
    "CausationTooDeep",
    "Decision",
    "Policies",
    "Policy",
    "PolicyStopped",
    "Trigger",
    "TriggerKind",
]
