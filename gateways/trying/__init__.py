"""Trying it: what a program's limits would have done to the executions of a file, in a store in memory."""

from gateways.trying.findings import AccountTried, DayTried, Execution, LimitOfDay, TrialReport, WouldHaveLocked
from gateways.trying.trial import TRYING, try_file

__all__ = [
    "TRYING",
    "AccountTried",
    "DayTried",
    "Execution",
    "LimitOfDay",
    "TrialReport",
    "WouldHaveLocked",
    "try_file",
]
