"""Batches: records read from the journal, verified and encoded in a thread of their own."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import msgspec

from eventstore.errors import CorruptJournal
from eventstore.influx.points import Encoder, JournalTypes, PointKey, type_line
from eventstore.journal import Query, Replicable
from eventstore.record import Digester

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore.journal import Maintenance
    from eventstore.proofs import merkle
    from eventstore.record import Record

RECORDS_MAX = 5_000
BYTES_MAX = 2_000_000
LIMIT_MIN = 100
WAIT_SECONDS = 0.05
POLL_SECONDS = 0.004


class EncodedBatch(msgspec.Struct, frozen=True):
    """The points of contiguous positions, and the log's digest and root after the last one."""

    first: int
    position: int
    digest: str
    root: str
    types: tuple[str, ...]
    lines: tuple[str, ...]
    """One line per position, from `first` on."""
    keys: tuple[PointKey, ...]
    """The points to read back: the one before `first`, if there is one, and the last."""

    @property
    def body(self) -> bytes:
        return "\n".join([*self.types, *self.lines]).encode()


class BatchEncoder:
    """Encodes the records of a journal after a position, in its own thread.

    While records are waiting, one batch is ready and one is being encoded. Otherwise nothing is read before a batch is
    requested: it then has everything that was appended while the batch before was sent.
    """

    def __init__(self, journal: Maintenance, tree: merkle.Frontier, *, symbols: bool) -> None:
        self._journal, self._tree, self._stop = journal, tree, threading.Event()
        self.records_max = RECORDS_MAX
        self._types = JournalTypes(journal)
        self._shipped_types: set[tuple[str, int]] = set()
        self._first_recorded_at, self._limit = 0, LIMIT_MIN
        self._digester = Digester(journal.log_id)
        self._encoder = Encoder(journal.log, journal.log_id, self._types.measures, symbols=symbols)
        self._last_key: PointKey | None = None
        self._requested, self._woken = threading.Event(), threading.Event()
        self._ready: queue.Queue[EncodedBatch | BaseException] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._run, name=f"encoder of {journal.log}", daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> EncodedBatch | None:
        """Return the next batch, None if none is ready within so many seconds; raise what ended the thread."""
        try:
            found = self._ready.get_nowait()
        except queue.Empty:
            self._requested.set()
            try:
                found = self._ready.get(timeout=seconds)
            except queue.Empty:
                return None
        if isinstance(found, BaseException):
            raise found
        return found

    def wake(self) -> None:
        """Look for new records now, not only at the next poll."""
        self._woken.set()

    def close(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                limit = min(self._limit, self.records_max)
                records = self._journal.read(Query(after=self._tree.size, limit=limit))
                if records and isinstance(self._journal, Replicable):
                    # What a fail-over takes back must never have been shipped.
                    self._journal.barrier()
                for part in _parts(records):
                    self._put(self._batch(part))
                if len(records) < limit:
                    self._wait()
                elif records:
                    # Read as many as fill a batch: RECORDS_MAX of the largest events would take 300 MB.
                    fitting = BYTES_MAX * len(records) // max(sum([len(record.data) for record in records]), 1)
                    self._limit = max(min(fitting, RECORDS_MAX), LIMIT_MIN)
        except Exception as error:  # noqa: BLE001 - not swallowed: `next` raises it
            self._put(error)

    def _wait(self) -> None:
        """Wait until a batch is requested and there are records for it."""
        while not self._stop.is_set():
            if self._requested.wait(WAIT_SECONDS):
                if self._journal.head() > self._tree.size:
                    return
                self._woken.wait(POLL_SECONDS)
                self._woken.clear()

    def _batch(self, records: Sequence[Record]) -> EncodedBatch:
        # Verified before it is shipped: InfluxDB must never confirm what the journal did not hold.
        self._verify(records, self._tree.size + 1)
        self._first_recorded_at = self._first_recorded_at or self._read_first_time()
        types = [self._type_line(*key) for key in dict.fromkeys([(r.type, r.schema) for r in records])]
        lines = self._encoder.lines(records)
        before = self._last_key or self._read_key(self._tree.size)
        self._tree.grow([record.digest for record in records])
        last = records[-1]
        self._last_key = self._encoder.key(last)
        return EncodedBatch(
            records[0].position, last.position, last.digest.hex(), self._tree.root().hex(),
            tuple(filter(None, types)), tuple(lines), (*filter(None, [before]), self._last_key),
        )  # fmt: skip

    def _verify(self, records: Sequence[Record], first: int) -> None:
        for expected, record in enumerate(records, first):
            if record.position != expected:
                raise CorruptJournal(expected, "the record is missing")
            if not self._digester.is_sound(record):
                raise CorruptJournal(
                    expected, "the record does not match its digest: it was changed after it was written"
                )

    def _read_key(self, position: int) -> PointKey | None:
        if not position:
            return None
        records = self._journal.read(Query(after=position - 1, limit=1))
        self._verify(records, position)
        return self._encoder.key(records[0])

    def _type_line(self, name: str, schema: int) -> str:
        if (name, schema) in self._shipped_types:
            return ""
        self._shipped_types.add((name, schema))
        kind = self._types.of(name, schema)
        # With the time of the log's first record, whenever it is shipped: shipping it again adds no second point.
        return type_line(
            self._journal.log,
            name,
            schema,
            durability=kind.durability,
            measures=kind.measures,
            at=self._first_recorded_at,
        )

    def _read_first_time(self) -> int:
        return self._journal.read(Query(limit=1))[0].recorded_at

    def _put(self, item: EncodedBatch | BaseException) -> None:
        # Before the item is visible: its reader may request the next one at once.
        self._requested.clear()
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=WAIT_SECONDS)
            except queue.Full:
                continue
            return


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Divide records into parts with little more data than one request should carry."""
    first = size = 0
    for index, record in enumerate(records):
        size += len(record.data)
        if size > BYTES_MAX:
            yield records[first : index + 1]
            first, size = index + 1, 0
    if first < len(records):
        yield records[first:]
