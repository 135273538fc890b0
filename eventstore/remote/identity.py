"""What client and service agree on: marks of requests and answers, and for how long a client asks again."""

LOG_ID_HEADER = "eventstore-log"
"""The log's id in hex: the client's in requests, the service's in answers. They must be the same one."""
MSGPACK = "application/x-msgpack"
RETRY_SECONDS = 30.0
"""For so long is repeated what was not answered; below the wait of those who share a commit (COMMIT_SECONDS_MAX)."""
