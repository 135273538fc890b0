"""What a log says of itself: stream `log/-/-`."""

import uuid
from typing import Annotated

import msgspec

from eventstore.events import Event, event

RootHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""The root hash of a log's Merkle tree (RFC 6962), in hex."""


def _problem_of(continued: "LogContinued") -> str | None:
    """Return what is wrong with the size."""
    return None if continued.size > 0 else "a log is continued from a position of it: size is 1 or more"


@event(categories=("log",), problem_of=_problem_of)
class LogContinued(Event, frozen=True, kw_only=True):
    """This log continues another one from where that had `size` records: its first record.

    `previous` is the other log's id, `root` its root hash when it had that size: they prove which records are
    continued. `name` is what the other log is called.
    """

    previous: uuid.UUID
    size: int
    root: RootHash
    name: str | None = None
