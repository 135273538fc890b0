"""Messages of a ProjectX gateway (TopstepX and others): user hub, market hub, and answers of its REST interface."""

from gateways.messages.projectx.gap import catch_up
from gateways.messages.projectx.mapping import FIELDS, LEFT_OUT, ProjectX, message
from gateways.messages.projectx.positions import with_closed_positions

__all__ = ["FIELDS", "LEFT_OUT", "ProjectX", "catch_up", "message", "with_closed_positions"]
