"""FIX 4.4 ExecutionReports (35=8) and OrderCancelRejects (35=9) as events."""

from gateways.messages.fix.mapping import FIELDS, LEFT_OUT, Fix

__all__ = ["FIELDS", "LEFT_OUT", "Fix"]
