"""Interactive Brokers' objects, as ib_async delivers them, as events."""

from gateways.messages.ib.mapping import FIELDS, LEFT_OUT, InteractiveBrokers

__all__ = ["FIELDS", "LEFT_OUT", "InteractiveBrokers"]
