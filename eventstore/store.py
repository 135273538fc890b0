"""The store: what a trading process appends to, and what everybody reads from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from eventstore.actors import default_actor
from eventstore.arguments import (
    appended_with,
    batches_of,
    position_of,
    root_of,
    size_of,
)
from eventstore.batch import Batch
from eventstore.chains.side import side_of
from eventstore.clock import Clock, SystemClock
from eventstore.commits import Committer, Pending
from eventstore.errors import InvalidEvent, ReadOnly, Unavailable
from eventstore.events import MIRRORED, QUEUED, REPLICATED, SYNCED, Durability, Event
from eventstore.ids import as_id
from eventstore.influx.ship.mirror import Mirror
from eventstore.journal import Copyable, Dated, Journal, Replicable, Verification
from eventstore.journals.sqlite.copying import copy
from eventstore.locations import journal_path
from eventstore.preparation import prepare
from eventstore.proofs import verify
from eventstore.proofs.settings import CheckpointSettings
from eventstore.reader import EventReader
from eventstore.side import FileSide, LogSide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventstore.batch import Id
    from eventstore.chains import Chain
    from eventstore.clock import Times
    from eventstore.config import InfluxSettings
    from eventstore.journal import Maintenance, MissingTail, StoredSource
    from eventstore.proofs.schedule import CheckpointSchedule
    from eventstore.proofs.signing import CheckpointResult
    from eventstore.record import PreparedBatch, Record, Unchanged


class EventStore(EventReader):
    """Reads and appends: one journal, for any number of threads.

    Besides the errors named below, every method raises Closed after `close()`, in a fork's child, and after a
    failed sync.
    """

    def __init__(
        self,
        journal: Maintenance,
        *,
        clock: Clock | None = None,
        directory: Path | None = None,
        influx: InfluxSettings | None = None,
        checkpoints: CheckpointSettings | None = None,
        chain: Chain | None = None,
    ) -> None:
        super().__init__(journal if chain is None else chain.source)
        self._journal = journal
        self.chain = chain
        """The logs that this one continues after rotations: positions are counted on from theirs. None for none."""
        self._clock = SystemClock() if clock is None else clock
        # A journal that was opened read-only has no write side.
        self._committer = None
        if isinstance(journal, Journal):
            self._committer = Committer(journal if chain is None else chain.commits())
        self.is_replicated = isinstance(journal, Replicable) and journal.durability is REPLICATED
        """Whether each append waits for a standby of the PostgreSQL server that has the log."""
        self._actor = default_actor()
        self._process = os.getpid()
        self.directory = directory
        """Where the log lives, None for one in memory."""
        own: LogSide | None = FileSide(directory) if directory is not None else getattr(journal, "side", None)
        self._own_side = own
        self.side: LogSide | None = own if own is None or chain is None else side_of(own, chain)
        """What processes keep beside the log, and see of each other; None for a log in memory, or of a service."""
        located = None if chain is None else chain.beside_log_of
        self._mirror = None if own is None else Mirror(journal, own, self._clock, settings=influx, located=located)
        self._schedule: CheckpointSchedule | None = None
        if checkpoints is not None:
            # Imported here: signing starts processes and needs their modules, which most programs never do.
            from eventstore.proofs.schedule import schedule_of

            self._schedule = schedule_of(journal, own, self._clock, checkpoints).start()

    @property
    def clock(self) -> Clock:
        """Where this store's times come from."""
        return self._clock

    @property
    def actor(self) -> str:
        """Who appends, by default: user@host/program."""
        return self._actor

    @property
    def mirror(self) -> Mirror:
        """How far InfluxDB has this log, whichever process ships it; raise Unavailable for a log in memory."""
        if self._mirror is None:
            msg = "a log in memory, or of a service, has no mirror here: open its directory, or its URL of PostgreSQL"
            raise Unavailable(msg)
        return self._mirror

    @property
    def journal(self) -> Maintenance:
        """The journal underneath: for other parts of the house, which keep the log in order and prove it."""
        return self._journal

    def alone(self) -> EventStore:
        """Return this log without those that it continues, by positions of its own, as roots and archives have them.

        It is closed with this store.
        """
        return self if self.chain is None else EventStore(self._journal, clock=self._clock)

    @property
    def source(self) -> StoredSource:
        """What is read: the journal, after the logs that it continues."""
        return self._journal if self.chain is None else self.chain.source

    @property
    def read_only(self) -> bool:
        """Whether this store only answers: it was opened with `read_only`, and writes nothing."""
        return self._committer is None

    @property
    @override
    def missing_tail(self) -> MissingTail | None:
        return self._journal.missing_tail()

    @property
    def committer(self) -> Committer:
        """The queue of what is appended; raise ReadOnly for a store that only answers."""
        self._journal.check_open()
        if self._committer is None:
            where = f"the log in {self.directory}" if self.directory else f"log {self.log}"
            msg = f"{where} was opened read-only: append in a store opened without read_only"
            raise ReadOnly(msg)
        return self._committer

    @property
    def waiting(self) -> int:
        """How many enqueued events are not on disk yet."""
        return 0 if self._committer is None else self._committer.waiting

    def append(
        self,
        stream: str,
        events: Event | Sequence[Event],
        *,
        expected: int | None = None,
        key: str | Sequence[str] | None = None,
        occurred_at: Times | None = None,
        durability: Durability = SYNCED,
        actor: str | None = None,
        note: str = "",
        correlation_id: Id | None = None,
        causation_id: Id | None = None,
        unchanged: Unchanged | None = None,
    ) -> list[Record]:
        """Append one event or several to a stream, all or nothing; return their records once they are on disk.

        `expected`: the version that the stream must have, 0 for a new one. `key`: a text for each event that
        names the fact: appended again under it, the same fact returns its first record. So does an execution report
        without a key that the stream has with the same content and, if given, `occurred_at`: it is left out of its
        batch. `unchanged`: the accounts that must not have a record past the log position on which this was decided.
        Both conditions apply if anything is appended. Raises InvalidEvent, EventTooLarge, VersionConflict,
        AccountChanged, DuplicateEvent, Overloaded, StorageFull, OutcomeUnknown.
        """
        batch = Batch(
            stream, events, expected, key, occurred_at, actor, note, correlation_id, causation_id
        )  # fmt: skip
        return self._append([batch], durability, unchanged)

    def append_many(
        self, batches: Sequence[Batch], *, durability: Durability = SYNCED, unchanged: Unchanged | None = None
    ) -> list[Record]:
        """Append several batches to any streams, all or nothing; return all records. Raises as `append` does."""
        return self._append(batches_of(batches), durability, unchanged)

    def _append(self, batches: Sequence[Batch], durability: Durability, unchanged: Unchanged | None) -> list[Record]:
        # Everything that can be refused is refused in the caller's thread, before the queue: what waits for the disk is
        # valid, encoded and has its ids.
        committer = self.committer
        prepared, events = self.prepared(batches, appended_with(durability), unchanged)
        records = committer.append(prepared, events) if events else []
        return self.confirmed(records, durability)

    def prepared(
        self, batches: Sequence[Batch], durability: Durability, unchanged: Unchanged | None
    ) -> tuple[list[PreparedBatch], int]:
        """Check what is to be appended or enqueued; return it as a journal takes it, and the number of events."""
        self.check_replicated(durability)
        if durability is MIRRORED and not (self._mirror and self._mirror.exists):
            msg = "MIRRORED waits for InfluxDB, and this store has none: open it with influx=InfluxSettings(...)"
            raise Unavailable(msg)
        now, actor = self._clock.now_ns(), self._actor
        return prepare(batches, durability, unchanged=unchanged, now=now, actor=actor)

    def check_replicated(self, durability: Durability) -> None:
        """Raise Unavailable for REPLICATED on a log that waits for no standby."""
        if durability is REPLICATED and not self.is_replicated:
            msg = (
                "REPLICATED waits for a PostgreSQL standby, and this log has none: it is a property of a log from its "
                "creation, by ?durability=replicated in its URL"
            )
            raise Unavailable(msg)

    def confirmed(self, records: list[Record], durability: Durability) -> list[Record]:
        """Wait until what was appended has the durability that was asked for; raise NotMirrored."""
        if durability is MIRRORED and records:
            self.mirror.confirm(records)
        return records

    def enqueue(
        self,
        stream: str,
        events: Event | Sequence[Event],
        *,
        expected: int | None = None,
        key: str | Sequence[str] | None = None,
        occurred_at: Times | None = None,
        actor: str | None = None,
        note: str = "",
        correlation_id: Id | None = None,
        causation_id: Id | None = None,
        unchanged: Unchanged | None = None,
    ) -> Pending:
        """Append soon: return at once, commit within milliseconds, before whatever is appended later.

        Only events whose type allows QUEUED; what is malformed raises here, a conflict in `result()`, `flush()`
        or `close()`. Raises Overloaded when the queue stays full.
        """
        committer = self.committer
        batch = Batch(
            stream, events, expected, key, occurred_at, actor, note, correlation_id, causation_id
        )  # fmt: skip
        prepared, count = self.prepared([batch], QUEUED, unchanged)
        return committer.enqueue(prepared, count)

    def find(self, id: Id) -> Record | None:
        """Return the record with an id, as a causation names it; None where this log has none."""
        self._journal.check_open()
        sought = as_id(id)
        return None if sought is None else self.source.find([sought]).get(sought)

    def flush(self) -> None:
        """Return once all that was enqueued before is on disk; raise what kept any of it out."""
        self._journal.check_open()
        if self._committer is not None:
            self._committer.flush()

    @override
    def root(self, size: int | None = None) -> tuple[int, bytes]:
        """Return the size and the root hash of the log's Merkle tree (RFC 6962), now or when it had `size` records."""
        tree = self._journal.frontier()
        if size_of(size, tree.size) != tree.size:
            tree = verify.tree_at(self._journal, size_of(size, tree.size))
        return tree.size, tree.root()

    @override
    def verify(
        self,
        *,
        after: int = 0,
        root: bytes | str | None = None,
        size: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Verification:
        """Recompute every digest and the tree, and check all else that a read depends on; name the first bad position.

        `after` spares the digests up to a position, not the rest. `root`, as bytes or in hex, was the log's when it had
        `size` records: the log still has to give it, and to continue it. Without `size` it is today's. Of a log on this
        disk, half a million records or more are checked by two processes, this one and one that it starts, if it may
        use two cores; the verdict is the same. A log that continues others is checked with all of them, as far as they
        are there, and with what binds it to them; `root` and `size` are its own, or those that one of them had.
        """
        kept, then = root_of(root, size)
        first, chain = position_of("after", after), self.chain
        if chain is None:
            return verify.verify(self._journal, after=first, root=kept, size=then, progress=progress)
        return chain.verify(after=first, root=kept, size=then, progress=progress)

    def checkpoint(
        self,
        settings: CheckpointSettings | None = None,
        *,
        restored: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> CheckpointResult:
        """Sign a checkpoint of the log as it is now, append it to `checkpoints.txt`, hand it to witnesses.

        What is enqueued is written first, and what was stored since the last checkpoint read back. `restored`: the log
        was put back to an earlier state on purpose, and a new key begins a new history. Raises Unavailable without a
        key (`eventstore keys new` makes one), CorruptJournal where the log does not continue what was signed before.
        """
        self.committer.flush()
        from eventstore.proofs.schedule import schedule_of

        once = CheckpointSettings(every_seconds=0) if settings is None else settings
        schedule = self._schedule if settings is None else None
        schedule = schedule or schedule_of(self._journal, self._own_side, self._clock, once)
        return schedule.sign(restored=restored, progress=progress)

    def backup(self, target: str | os.PathLike[str]) -> Path:
        """Copy the log, as of now, into a new directory that `open` opens.

        Raises TargetExists over an old one, InvalidEvent for a place inside the log's own directory, StorageFull,
        ReadOnly and Unavailable where the place takes no copy.
        """
        self._journal.check_open()
        place = journal_path(target, self.log)
        if self.directory is not None and _real(self.directory) in _real(place).parents[1:]:
            msg = f"{place.parent} lies inside the log's own directory {self.directory}: name a place outside of it"
            raise InvalidEvent(msg)
        if isinstance(self._journal, Copyable):
            self._journal.backup(place)
        elif isinstance(self._journal, Dated):
            # On a server: its records are read, and proved one by one.
            copy(self._journal, place, created_at=self._journal.created_at())
        else:
            msg = f"a journal in memory cannot be copied to {place}, nor that of a service: open a directory instead"
            raise InvalidEvent(msg)
        return place.parent

    def doctor(self) -> list[str]:
        """Return what is wrong with the storage itself, beside `verify`: nothing, usually."""
        found = [str(fault) for fault in self._journal.integrity()]
        if trouble := self._journal.trouble:
            found.append(f"background maintenance of the files failed: {trouble}")
        if self._committer is not None and (trouble := self._committer.trouble):
            found.append(f"enqueued events could not be written: {trouble}")
        if self._schedule is not None and (trouble := self._schedule.trouble):
            found.append(f"checkpoints: {trouble}")
        return found

    @override
    def close(self) -> None:
        """Write what is enqueued, then close; raise the error of an enqueued append that was not asked for.

        With `checkpoints` the end of the log is signed as well, and what keeps it from that is raised.
        """
        if os.getpid() != self._process:
            return  # a fork's child has nothing to write, and may not touch its parent's connections
        schedule, self._schedule = self._schedule, None
        try:
            try:
                if self._committer is not None:
                    self._committer.close()
            finally:
                if schedule is not None:
                    schedule.stop()
            if schedule is not None:
                schedule.close()
        finally:
            if self._mirror is not None:
                self._mirror.close()
            self._journal.close()
            if self.chain is not None:
                self.chain.source.close()


def _real(path: Path) -> Path:
    # Path.resolve raises for links in a circle.
    return Path(os.path.realpath(path))
