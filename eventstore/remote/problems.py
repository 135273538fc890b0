"""Errors as problem documents (RFC 9457) and back: the client raises what the service's store raised."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventstore import errors, record_errors
from eventstore.errors import StoreError
from eventstore.record import Record
from eventstore.remote.wire import SentRecord, received_record, sent_record

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:trading-eventstore:problem:"
RETRY_AFTER = 1
"""Seconds after which to try again what was refused for want of room or of a backend, where nothing else says so."""


class Kind(NamedTuple):
    """What HTTP makes of a class of errors: the status, and what its receiver does next."""

    status: int
    next: str


_KINDS: dict[type[StoreError], Kind] = {
    errors.VersionConflict: Kind(409, "Read the stream again, decide again, and send it with the version found."),
    errors.AccountChanged: Kind(409, "Read what the accounts have past `since`, decide again, and send it again."),
    record_errors.DuplicateEvent: Kind(409, "Compare `record` with what was sent: the same fact has other content."),
    errors.EventTooLarge: Kind(413, "Split it: `limit` says how much is taken at once."),
    errors.InvalidEvent: Kind(422, "Correct the member that `path` names, where it names one."),
    errors.UnknownContract: Kind(422, "Append a ContractDefined for `symbol`."),
    errors.ReadOnly: Kind(403, "Append at the service that has the journal."),
    errors.TargetExists: Kind(409, "Name another target: nothing is overwritten."),
    errors.Overloaded: Kind(503, "Nothing was written: send it again after `Retry-After` seconds."),
    errors.Closed: Kind(503, "The service is stopping: connect again after `Retry-After` seconds."),
    errors.StorageFull: Kind(507, "Nothing was written: make room on the service's disk, then send it again."),
    errors.OutcomeUnknown: Kind(
        503, "It may be written: send it again with the same ids or keys, which adds what is missing."
    ),
    errors.CorruptJournal: Kind(500, "Do not repair: keep the file as it is, and restore a backup."),
    errors.Gap: Kind(500, "Read from another source: this one lacks records."),
    record_errors.NotMirrored: Kind(504, "The records are on disk, and will be shipped: do not send them again."),
    errors.Unavailable: Kind(503, "Send it again after `Retry-After` seconds."),
    StoreError: Kind(500, "Report it, with the request's id."),
}
_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "next"})
# What the errors' own members are called where a problem has a member of this name.
_IDS = frozenset({"ids", "id"})


def kind_of(error: StoreError) -> Kind:
    """Return what HTTP makes of an error: that of the nearest of its classes."""
    return next(kind for cls in type(error).__mro__ if (kind := _KINDS.get(cls)) is not None)


def problem_of(error: StoreError, instance: str | None = None) -> dict[str, Any]:
    """Return an error as a problem document; its data stands beside what the RFC names."""
    name = type(error).__name__
    kind = kind_of(error)
    problem: dict[str, Any] = {
        "type": f"{TYPE_PREFIX}{name}",
        "title": name,
        "status": kind.status,
        "detail": str(error),
        "next": kind.next,
    }
    if instance is not None:
        problem["instance"] = instance
    return problem | {member: _sent(value) for member, value in vars(error).items() if value != ""}


def error_of(problem: Mapping[str, Any]) -> StoreError:
    """Return the error of a problem document, of the class that it names; Unavailable where there is none here."""
    name = str(problem.get("type", "")).removeprefix(TYPE_PREFIX)
    detail = str(problem.get("detail") or problem.get("title") or "the service answered without saying why")
    cls = _CLASSES.get(name, errors.Unavailable)
    error = cls.__new__(cls, detail)
    members = {key: value for key, value in problem.items() if key not in _MEMBERS}
    error.__dict__.update({key: _received(key, value) for key, value in members.items()})
    return error


def _sent(value: object) -> Any:  # noqa: ANN401 - what JSON holds
    match value:
        case bytes():
            return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()  # noqa: PLR2004 - a UUID's size
        case Record():
            return msgspec.to_builtins(sent_record(value), builtin_types=(msgspec.Raw,))
        case tuple() | list():
            return [_sent(each) for each in value]
        case _:
            return value


def _received(name: str, value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    if isinstance(value, list):
        return tuple([_received(name, each) for each in value])
    if isinstance(value, dict):
        return received_record(msgspec.convert(value, SentRecord))
    if name in _IDS and isinstance(value, str):
        return uuid.UUID(value).bytes
    return value


def _classes(cls: type[StoreError]) -> dict[str, type[StoreError]]:
    return {cls.__name__: cls} | {name: each for sub in cls.__subclasses__() for name, each in _classes(sub).items()}


_CLASSES = _classes(StoreError)
