"""Policies: decide on new events because of recorded ones, once however often they are evaluated."""

from projections.risk.policies.protocol import (
    ACTOR,
    DEPTH_MAX,
    CausationTooDeep,
    Decision,
    LeasedPolicy,
    Policy,
    PolicyFailure,
    Trigger,
    TriggerKind,
    as_of,
    is_transient,
    stopped_policies,
    taken_at,
)
from projections.risk.policies.runner import Policies

__all__ = [
    "ACTOR",
    "DEPTH_MAX",
    "CausationTooDeep",
    "Decision",
    "LeasedPolicy",
    "Policies",
    "Policy",
    "PolicyFailure",
    "Trigger",
    "TriggerKind",
    "as_of",
    "is_transient",
    "stopped_policies",
    "taken_at",
]
