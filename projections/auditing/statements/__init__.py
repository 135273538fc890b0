"""A broker's statement compared with the log, and days that somebody signed."""

from projections.auditing.statements.breaks import Break, BreakKind
from projections.auditing.statements.comparing import Statement, StatementDay, StatementPart, statement
from projections.auditing.statements.signing import DayChange, SignedDay, sign_days, signed_days
from projections.auditing.statements.stated import (
    Stated,
    StatedCash,
    StatedExecution,
    StatedPosition,
    StatedResult,
)

__all__ = [
    "Break",
    "BreakKind",
    "DayChange",
    "SignedDay",
    "Stated",
    "StatedCash",
    "StatedExecution",
    "StatedPosition",
    "StatedResult",
    "Statement",
    "StatementDay",
    "StatementPart",
    "sign_days",
    "signed_days",
    "statement",
]
