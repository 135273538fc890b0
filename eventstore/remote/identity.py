"""What requests and answers are marked with: the log that is meant, and the format of what only libraries read."""

LOG_ID_HEADER = "eventstore-log"
"""The log's id in hex: the client's in requests, the service's in answers. They must be the same one."""
MSGPACK = "application/x-msgpack"
