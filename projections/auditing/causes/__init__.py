"""Causes: why something is as it is, up to the records it rests on and down to what it led to."""

from projections.auditing.causes.answer import CausalLink, FigureMade, Role, Why
from projections.auditing.causes.asking import why

__all__ = ["CausalLink", "FigureMade", "Role", "Why", "why"]
