"""The enforcer: claims requests of lockouts and calls the user's function for each, until it is stopped."""

from projections.enforcer.enforcer import Enforcer, EnforcerStuck, Handled
from projections.enforcer.task import ClosingOrder, ClosingRejected, Task, ToClose
from projections.risk.enforcement.claims import LeaseLost

__all__ = [
    "ClosingOrder",
    "ClosingRejected",
    "Enforcer",
    "EnforcerStuck",
    "Handled",
    "LeaseLost",
    "Task",
    "ToClose",
]
