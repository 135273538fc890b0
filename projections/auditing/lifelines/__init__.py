"""One order from submission to end: each step with its latency, what is missing, and what caused it."""

from projections.auditing.lifelines.answers import Latency
from projections.auditing.lifelines.lifeline import Lifeline, lifeline
from projections.auditing.lifelines.problems import LifelineProblem, LifelineProblemKind
from projections.auditing.lifelines.steps import LifelineStep

__all__ = ["Latency", "Lifeline", "LifelineProblem", "LifelineProblemKind", "LifelineStep", "lifeline"]
