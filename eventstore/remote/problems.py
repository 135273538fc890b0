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


class HttpKind(NamedTuple):
    """What HTTP makes of a class of errors: the status, and what its receiver does next."""

    status: int
    next: str


_KINDS: dict[type[StoreError], HttpKind] = {
    errors.VersionConflict: HttpKind(409, "Read the stream again, decide again, and send it with the version found."),
    errors.AccountChanged: HttpKind(409, "Read what the accounts have past `since`, decide again, and send it again."),
    record_errors.DuplicateEvent: HttpKind(409, "Compare `record` with what was sent: the same fact differs."),
    errors.EventTooLarge: HttpKind(413, "Split it: `limit` says how much is taken at once."),
    errors.InvalidEvent: HttpKind(422, "Correct the member that `path` names, where it names one."),
    errors.UnknownContract: HttpKind(422, "Append a ContractDefined for `symbol`."),
    errors.ReadOnly: HttpKind(403, "Append at the service that has the journal."),
    errors.TargetExists: HttpKind(409, "Name another target: nothing is overwritten."),
    errors.Overloaded: HttpKind(503, "Nothing was written: send it again after `Retry-After` seconds."),
    errors.Closed: HttpKind(503, "The service is stopping: connect again after `Retry-After` seconds."),
    errors.StorageFull: HttpKind(507, "Nothing was written: make room on the service's disk, then send it again."),
    errors.OutcomeUnknown: HttpKind(
        503, "It may be written: send it again with the same ids or keys, which adds what is missing."
    ),
    errors.CorruptJournal: HttpKind(500, "Do not repair: keep the file as it is, and restore a backup."),
    errors.Gap: HttpKind(500, "Read from another source: this one lacks records."),
    record_errors.NotMirrored: HttpKind(504, "The records are on disk, and will be shipped: do not send them again."),
    errors.Unavailable: HttpKind(503, "Send it again after `Retry-After` seconds."),
    StoreError: HttpKind(500, "Report it, with the request's id."),
}
_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "next"})
_IDS = frozenset({"ids", "id"})
_RECORDS = frozenset({"records", "record"})
_FAILURE = 500


def kind_of(error: StoreError) -> HttpKind:
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
    # Empty text is left out where the class has it for what says nothing else: the receiver's class does, too.
    stated = {
        name: value for name, value in vars(error).items() if value != "" or getattr(type(error), name, None) != ""
    }
    return problem | {name: _sent(value) for name, value in stated.items()}


def error_of(problem: Mapping[str, msgspec.Raw]) -> StoreError:
    """Return the error of a problem document, of the class that it names.

    Where there is none here it is Refused, with the status; of a failure of the service itself, Unavailable. Raises
    ValueError for members, ids and records that are malformed. Members come as they were sent, for a record's data is
    a matter of bytes.
    """
    stated = {name: msgspec.json.decode(raw) for name, raw in problem.items() if name in _MEMBERS}
    detail = str(stated.get("detail") or stated.get("title") or "the service answered without saying why")
    status = stated.get("status")
    is_failure = type(status) is not int or status >= _FAILURE
    cls = _CLASSES.get(class_named(problem)) or (errors.Unavailable if is_failure else errors.Refused)
    error = cls.__new__(cls, detail)
    if isinstance(error, errors.Refused):
        # What the class has, where a problem document does not say so.
        error.__dict__.update(reason=detail, status=0 if is_failure else status, position=0)
    for name, raw in problem.items():
        if name not in _MEMBERS:
            error.__dict__[name] = _received(name, raw)
    return error


def class_named(problem: Mapping[str, msgspec.Raw]) -> str:
    """Return which error a problem document says that it is."""
    raw = problem.get("type")
    return "" if raw is None else str(msgspec.json.decode(raw)).removeprefix(TYPE_PREFIX)


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


def _received(name: str, raw: msgspec.Raw) -> Any:  # noqa: ANN401 - what JSON holds
    if name in _RECORDS:
        found = msgspec.json.decode(raw, type=SentRecord | list[SentRecord] | None)
        if isinstance(found, list):
            return tuple([received_record(each) for each in found])
        return None if found is None else received_record(found)
    value = msgspec.json.decode(raw)
    if name in _IDS:
        return tuple([uuid.UUID(each).bytes for each in value]) if isinstance(value, list) else uuid.UUID(value).bytes
    return tuple(value) if isinstance(value, list) else value


def _classes(cls: type[StoreError]) -> dict[str, type[StoreError]]:
    return {cls.__name__: cls} | {name: each for sub in cls.__subclasses__() for name, each in _classes(sub).items()}


_CLASSES = _classes(StoreError)
