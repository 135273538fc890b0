"""Everything that can go wrong, as one tree of exceptions that carry data.

StoreError
├── AppendError              the write did not happen
│   ├── VersionConflict      another writer got there first: read again, decide again
│   │   └── AccountChanged   what a decision was based on has changed: refresh, decide again
│   ├── Fenced               another process has taken over: stop what this one did in its place
│   ├── DuplicateEvent       this id is recorded with other content: stop and look
│   └── InvalidEvent         what was given is malformed: correct it
│       ├── EventTooLarge    an event or a batch is over its limit: split it
│       └── InvalidNote      a checkpoint, a key or a signature is malformed or false: do not trust it
├── Overloaded               a bounded wait ran out: nothing was written, try again later
├── Closed                   this handle is closed, forked or poisoned: open the store again
├── ReadOnly                 this end cannot write: open the store where the journal lives
│   └── LogHasEnded          another log continues this one: open the store again, which leads there
├── StorageFull              no room on the disk: nothing was written, make room, try again
├── OutcomeUnknown           the sync failed: these events may be on disk, reopen and look
│   └── NotReplicated        no standby has confirmed them in time: append them again with their ids
├── CorruptJournal           the stored log does not verify: stop, do not repair
│   └── UnsupportedFormat    the file is not a journal, or of a format not known here
├── Gap                      a source skips positions: what lies between is not there
├── Unavailable              the backend cannot be reached: safe to try again
│   ├── NoSuchLog            the server has no log of this name: name one that exists, or create it
│   ├── Refused              it answers with an error: fix what it names
│   │   └── Unproved         nothing shows that what it holds is all there was: find a witness, or accept it
│   └── NotMirrored          on disk, and InfluxDB has not confirmed it in time: it will be shipped
├── TargetExists             the target of a copy exists: nothing is overwritten
└── UnknownContract          a figure in money needs a contract that is not defined

Not an error: StorageWarning, for what is wrong beside a log and stops nothing. DuplicateEvent and NotMirrored carry
records and are defined in `eventstore.record_errors`, so that records can rest on everything else here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence


class StoreError(Exception):
    """Base of all errors of this project. Each can be pickled and copied, whatever its constructor takes."""

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is rebuilt by calling its class with its message, which is not what these constructors take.
        return _rebuilt, (type(self), self.args), self.__dict__


def _rebuilt(cls: type[StoreError], arguments: tuple[Any, ...]) -> StoreError:
    """Return an error with its message and no other members yet: what unpickles it sets them."""
    return cls.__new__(cls, *arguments)


class StorageWarning(UserWarning):
    """Something beside a log's journal is not as it should be, and was ignored."""


class AppendError(StoreError):
    """The write did not happen."""


class VersionConflict(AppendError):
    """The stream is not at the version the writer expected; nothing was written."""

    def __init__(self, stream: str, expected: int, found: int) -> None:
        self.stream, self.expected, self.found = stream, expected, found
        super().__init__(f"{stream} is at version {found}, not {expected}: read it again and decide again")


class AccountChanged(VersionConflict):
    """Accounts have records past the log position that a decision was based on; nothing was written.

    `found` is the newest of these records; no accounts stand for the whole log. The conflict is not one stream's:
    `stream` is '', and `expected` the position `since`.
    """

    def __init__(self, accounts: Sequence[str], since: int, found: int) -> None:
        self.accounts, self.since = tuple(accounts), since
        self.stream, self.expected, self.found = "", since, found
        what = f"account {' or '.join(accounts)}" if accounts else "the log"
        StoreError.__init__(
            self,
            f"{what} has a record at position {found}, and this was decided at position {since}: nothing was written; "
            "refresh the book and decide again",
        )


class Fenced(AppendError):
    """Another process has taken the lock on which an append rested, or the server took it away; nothing was written."""

    def __init__(self, lock: str, epoch: int) -> None:
        self.lock, self.epoch = lock, epoch
        StoreError.__init__(
            self,
            f"{lock} was lost after epoch {epoch}: nothing was written; what was held by it is another process's now",
        )


class InvalidEvent(AppendError, ValueError):
    """An event, a stream name, a time or an argument is malformed; nothing was written."""

    path: str = ""
    """Where in a document what is malformed stands, as a JSON Pointer (RFC 6901); '' where it was in none."""


class EventTooLarge(InvalidEvent):
    """An event's data or a batch is over its limit; nothing was written."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(f"{what} has {size:,}, and {limit:,} is the limit: split it")


class InvalidNote(InvalidEvent):
    """A checkpoint, a key or a signature is malformed, or is not what it claims to be: nothing follows from it."""


class Overloaded(StoreError):
    """A bounded queue or lock stayed busy for the whole bounded wait; nothing was written."""


class Closed(StoreError):
    """The store was closed, belongs to a parent process, or was poisoned by a failed sync."""


class ReadOnly(StoreError):
    """This end can only read."""


class LogHasEnded(ReadOnly):
    """The log was ended by a rotation, and log `next` continues it; nothing was written."""

    def __init__(self, log: str, next_log: str) -> None:
        self.log, self.next = log, next_log
        super().__init__(
            f"log {log} has ended, and log {next_log} continues it: nothing was written; open the store again, which "
            "leads there, and append again under the same key"
        )


class StorageFull(StoreError):
    """The disk, the quota or the file size limit is used up; nothing was written."""


class OutcomeUnknown(StoreError):
    """A sync failed: the events may be on disk or not. Reopen the store and append them again with their ids."""

    def __init__(self, ids: Sequence[bytes], why: str = "no sync has confirmed them") -> None:
        self.ids, self.why = tuple(ids), why
        super().__init__(
            f"whether {len(self.ids)} event(s) are stored is unknown ({why}): reopen the store, then append them again "
            "under the same keys, which adds only what is missing"
        )


class NotReplicated(OutcomeUnknown):
    """No PostgreSQL standby has confirmed these events in time. Append them again with their ids."""

    def __init__(self, ids: Sequence[bytes], why: str = "no standby has confirmed them") -> None:
        self.ids, self.why = tuple(ids), why
        StoreError.__init__(
            self,
            f"{len(self.ids)} event(s) may be on the primary alone, or nowhere ({why}): bring a standby back, then "
            "append them again under the same keys, which adds only what is missing",
        )


class CorruptJournal(StoreError):
    """What is stored does not verify at a position. Do not repair: restore a backup, keep this file as evidence."""

    def __init__(self, position: int, reason: str = "what is stored does not verify") -> None:
        self.position, self.reason = position, reason
        super().__init__(f"position {position}: {reason}. Keep the log as it is, and restore it from a backup")


class UnsupportedFormat(CorruptJournal):
    """The file is not a journal, or of a newer format than this version reads; `position` is 0."""

    def __init__(self, reason: str) -> None:
        self.position, self.reason = 0, reason
        StoreError.__init__(self, reason)


class Gap(StoreError):
    """A source skips positions of a log."""

    def __init__(self, log: str, after: int, found: int) -> None:
        self.log, self.after, self.found = log, after, found
        super().__init__(f"log {log} goes from position {after} to {found}: what lies between is not in this source")


class Unavailable(StoreError):
    """The backend cannot be reached or lacks what was asked for; safe to try again once it is there."""

    retry_after: float = 0.0
    """Seconds after which the backend wants to be asked again, where it said so."""


class NoSuchLog(Unavailable):
    """The PostgreSQL server has no log of this name, and reading creates none."""


class Refused(Unavailable):
    """InfluxDB answers with an error: a token, a bucket, a log of another history, bytes that it does not take."""

    def __init__(self, reason: str, *, status: int = 0, position: int = 0) -> None:
        self.reason, self.status, self.position = reason, status, position
        super().__init__(reason)


class Unproved(Refused):
    """Nothing shows that what InfluxDB holds of a log is all there was; nothing was restored."""


class TargetExists(StoreError):
    """The target of a copy exists; nothing is ever overwritten."""


class UnknownContract(StoreError):
    """A figure in money needs the multiplier of an instrument that is not defined."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(
            f"no contract is defined for {symbol}: append ContractDefined(symbol={symbol!r}, multiplier=...)"
        )


def shown(value: object, width: int = 80) -> str:
    """Return what a value looks like, for a message about it: cut off, and whatever it is, no exception."""
    try:
        return repr(value)[:width]
    except Exception:  # noqa: BLE001 - an int of more digits than Python writes, an endless list, a class's own fault
        return f"<{type(value).__name__}>"
