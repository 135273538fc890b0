"""What a log says of itself: stream `log/-/-`; and what it begins with after a rotation: `carried/ACCOUNT/VIEW`."""

import uuid
from typing import Annotated

import msgspec

from eventstore.events import Event, event
from eventstore.streams import NAME

RootHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""The root hash of a log's Merkle tree (RFC 6962), in hex."""

LogName = Annotated[str, msgspec.Meta(pattern=f"^{NAME.pattern}$")]
"""The name of a log."""
LOG_STREAM = "log/-/-"
"""The stream of what a log says of itself."""
LOG_ENDED = "LogEnded"
"""The type of the record that ends a log."""


def ended_key(log_id: bytes) -> str:
    """Return the key of a log's `LogEnded`: there is one."""
    return f"ended {log_id.hex()}"


def _problem_of(continued: "LogContinued") -> str | None:
    """Return what is wrong with the size."""
    return None if continued.size > 0 else "a log is continued from a position of it: size is 1 or more"


@event(categories=("log",), problem_of=_problem_of)
class LogContinued(Event, frozen=True, kw_only=True):
    """This log continues another one from where that had `size` records: its first record.

    `previous` is the other log's id, `root` its root hash when it had that size: they prove which records are
    continued. `name` is what the other log is called. After a rotation that one has ended: its last record follows
    the `size` ones, `before` records are in the logs that it continues, and the next `carried` records of this log
    are the state that it begins with.
    """

    previous: uuid.UUID
    size: int
    root: RootHash
    name: str | None = None
    before: int = 0
    carried: int | None = None


@event(categories=("log",))
class LogEnded(Event, frozen=True, kw_only=True):
    """This log has ended, and log `next`, whose id is `next_id`, continues it: its last record.

    `eventstore rotate` appends it, and nothing else does: after it, no record is taken.
    """

    next: LogName
    next_id: uuid.UUID


def _problem_of_carried(carried: "StateCarried") -> str | None:
    """Return what is wrong with the parts."""
    return None if 1 <= carried.part <= carried.parts else "part counts from 1 to parts"


@event(categories=("carried",), problem_of=_problem_of_carried)
class StateCarried(Event, frozen=True, kw_only=True):
    """What a view had made of an account's records where the log that is continued ended.

    `state` is JSON that names each member, cut into `parts` where it is long. `previous` is the log in which it comes
    from the records up to `position`: log positions in it count from the first log on. `revision` and `schema` say
    which program can read it; any other one folds the records themselves.
    """

    previous: uuid.UUID
    position: int
    view: str
    revision: int
    schema: RootHash
    part: int
    parts: int
    state: str


@event(categories=("carried",))
class VersionsCarried(Event, frozen=True, kw_only=True):
    """At which versions the logs before have left streams that the state is of: those of orders.

    They are asked for where these logs are not at hand: an event of such an order is not its first one.
    """

    previous: uuid.UUID
    versions: dict[str, int]
