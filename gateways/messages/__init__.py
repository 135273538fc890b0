"""Live messages of brokers and exchanges: mappings that make events of them, and the Recorder that appends these."""

from gateways.messages.async_recorder import AsyncRecorder
from gateways.messages.fields import MessageFields
from gateways.messages.mapped import DividedMapping, FieldNames, MappedEvent, MessageMapping, Unmapped
from gateways.messages.recorder import Recorder, RecorderCounts

__all__ = [
    "AsyncRecorder",
    "DividedMapping",
    "FieldNames",
    "MappedEvent",
    "MessageFields",
    "MessageMapping",
    "Recorder",
    "RecorderCounts",
    "Unmapped",
]
