"""Live messages of brokers and exchanges: mappings that make events of them."""

from gateways.messages.fields import MessageFields
from gateways.messages.mapped import FieldNames, MappedEvent, MessageMapping, Unmapped

__all__ = ["FieldNames", "MappedEvent", "MessageFields", "MessageMapping", "Unmapped"]
