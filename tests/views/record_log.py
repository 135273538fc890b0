"""A log of records made by hand: the part of a BookReader that is the same for whatever views fold them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Unpack

from eventstore import Event, Record
from eventstore.batch import AppendOptions
from eventstore.clock import derived_times
from eventstore.events import encode


class RecordLog(ABC):
    """Records at positions 1, 2, 3 …; a record's id and, by default, its times are its position."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.reads = 0
        self._versions: dict[str, int] = {}

    def record(
        self, stream: str, event: Event, *, occurred_at: int | None = None, recorded_at: int | None = None
    ) -> Record:
        """Return the next record, at the next position and version, without folding it."""
        with derived_times():  # small numbers are its times, as its positions are
            kind, data = encode(event)
        position = len(self.records) + 1
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        record = Record(
            id=position.to_bytes(16, "big"),
            stream=stream,
            type=kind.name,
            schema=kind.schema,
            occurred_at=position if occurred_at is None else occurred_at,
            data=data,
            actor="user@host/test",
            note="",
            correlation_id=None,
            causation_id=None,
            position=position,
            version=version,
            recorded_at=position if recorded_at is None else recorded_at,
            digest=b"",
            log="main",
        )
        self.records.append(record)
        return record

    @abstractmethod
    def deliver(self, record: Record) -> None:
        """Fold one record, once more if it was folded before."""

    @property
    def position(self) -> int:
        return len(self.records)

    def keep_up(self) -> None:
        assert self.records or not self._versions, "nobody else writes to it"

    def covers(self, account: str) -> bool:
        return bool(account)

    def read(
        self, *, stream: str | None = None, account: str | None = None, types: tuple[type[Event], ...] | None = None
    ) -> Iterator[Record]:
        """Yield records as a store does: of one stream or, with a trailing slash, of all that begin so."""
        self.reads += 1
        names = None if types is None else {cls.__name__ for cls in types}
        for record in self.records:
            if (
                _is_within(record.stream, stream)
                and account in {None, record.account}
                and (names is None or record.type in names)
            ):
                yield record

    def now_ns(self) -> int:
        """Return when the last record was recorded: this log has no clock of its own."""
        return self.records[-1].recorded_at if self.records else 0

    def append(self, stream: str, events: Event | Sequence[Event], **options: Unpack[AppendOptions]) -> list[Record]:
        """Append and fold, at the times that the next positions are."""
        records = []
        for event in [events] if isinstance(events, Event) else events:
            records.append(self.record(stream, event))
            self.deliver(records[-1])
        return records


def _is_within(stream: str, pattern: str | None) -> bool:
    if pattern is None or pattern == stream:
        return True
    return pattern.endswith("/") and stream.startswith(pattern)
