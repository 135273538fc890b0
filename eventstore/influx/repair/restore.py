"""Restores a lost journal from InfluxDB, under the same log id, and moves the right to ship a log to another copy."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import msgspec

from eventstore.clock import NANOSECONDS, Clock, SystemClock
from eventstore.errors import CorruptJournal, Refused, Unproved
from eventstore.influx import claims, status
from eventstore.influx.client import Client
from eventstore.influx.points import MIRROR, TYPES
from eventstore.influx.read.roots import roots
from eventstore.influx.read.source import InfluxSource
from eventstore.journal import PAGE_MAX, Query, TypeRow
from eventstore.journals.sqlite.restore import Restoration
from eventstore.side import FileSide
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from eventstore.config import InfluxSettings
    from eventstore.influx.claims import Claim
    from eventstore.side import LogSide

LOST_WATERMARKS = "watermarks.lost"


class Restored(msgspec.Struct, frozen=True):
    """What was restored: the last position, the root there, and how many earlier roots and watermarks agree.

    `acknowledged`: the last position known to have been acknowledged, and `witness` the watermark, or the mirror, that
    recorded it. Positions after `position` are lost with the disk. `proved_to`: the last position with a root or
    watermark that agrees; the records after it are verified by their own digests and order only.
    """

    position: int
    root: str
    proved: int
    acknowledged: int
    witness: str
    proved_to: int = 0


def restore(
    settings: InfluxSettings,
    directory: Path,
    log: str,
    *,
    up_to: int | None = None,
    watermarks: Path | None = None,
    unproved: bool = False,
    progress: Callable[[int, int], None] | None = None,
    clock: Clock | None = None,
) -> Restored:
    """Restore a log's journal from InfluxDB. On an error no journal is left behind.

    Verifies the order of positions, times and versions, and compares the Merkle tree with the roots that the mirror
    wrote to InfluxDB and with the watermarks in the folder `watermarks`, by default those left in `directory`. If
    there are neither, nothing proves that the points are unaltered and complete: raises Unproved, unless `unproved`
    accepts that. Raises Gap if positions are missing (`up_to` restores what comes before), CorruptJournal if a record
    was altered, TargetExists if there is a journal, Refused, Unavailable.
    """
    with contextlib.closing(Client(settings)) as client:
        log_id = claims.log_id_of(client, log)
        left = _watermarks(directory / "watermarks" if watermarks is None else watermarks, given=watermarks is not None)
        witnesses = _Witnesses(left, roots(client, log), log_id.hex())
        with contextlib.closing(InfluxSource(client, log, log_id)) as source:
            head = source.stable_head()
            known = _acknowledged(client, log, left)
            # Without points there is nothing to prove, as long as a witness tells how many were acknowledged.
            if not unproved and not witnesses and (head or known is None):
                raise _unproved(settings, log)
            acknowledged, witness = known or (0, "")
            last = head if up_to is None else min(up_to, head)
            restoration = Restoration(
                directory / "journal.db", log, log_id,
                created_at=(clock or SystemClock()).now_ns(), types=_types(client, log),
            )  # fmt: skip
            try:
                proved = _write(source, restoration, last, witnesses, progress)
                if watermarks is None and left:
                    # They may name records that are lost, which would keep the new journal from opening.
                    (directory / "watermarks").rename(_free(directory / LOST_WATERMARKS))
                restoration.finish()
            finally:
                restoration.abandon()
    root = restoration.tree.root().hex()
    if last:
        # The mirror resumes at the end of the restored journal: InfluxDB has these records.
        FileSide(directory).marks().write(status.CURSOR, Watermark(log_id.hex(), last, proved.digest, root))
    lost_witness = witness if acknowledged > last else ""
    return Restored(last, root, proved.count, max(acknowledged, last), lost_witness, proved.position)


def _watermarks(directory: Path, *, given: bool) -> dict[str, Watermark]:
    found = Watermarks(directory).all()
    if given and not found:
        msg = f"{directory} holds no watermarks: give the folder `watermarks` of the journal, or a copy of it"
        raise Refused(msg)
    return found


def _unproved(settings: InfluxSettings, log: str) -> Unproved:
    return Unproved(
        f"nothing proves that bucket {settings.bucket!r} holds log {log!r} complete and unaltered: it has no roots "
        "from the mirror, and there are no watermarks of the lost journal. Nothing was restored. Give a copy of the "
        "watermarks (--watermarks DIR), or restore without proof (--unproved)"
    )


def adopt(settings: InfluxSettings, side: LogSide, log: str, log_id: bytes, *, clock: Clock | None = None) -> Claim:
    """Make this copy of a journal the one that ships; return the previous claim.

    The copy that shipped before is refused within seconds. Raises Refused if the name belongs to another log.
    """
    client = Client(settings)
    try:
        found = claims.current(client, log)
        if found is None:
            msg = (
                f"log {log!r} was never shipped to bucket {settings.bucket!r}: there is nothing to adopt; "
                "run eventstore mirror"
            )
            raise Refused(msg)
        if found.log_id != log_id.hex():
            msg = f"bucket {settings.bucket!r} holds another log {log!r} (id {found.log_id}), not a copy of this one"
            raise Refused(msg)
        home = side.new_home()
        # The newest claim counts: later than the previous one, even if this machine's clock is behind.
        now = max((clock or SystemClock()).now_ns(), found.claimed_at + 1)
        claims.write(client, log, log_id, home, symbols=bool(found.symbols), at=now)
    finally:
        client.close()
    return found


def seconds_since_heartbeat(settings: InfluxSettings, log: str, *, clock: Clock | None = None) -> float | None:
    """Return the age of the mirror's last heartbeat by this machine's clock, None if there is none."""
    client = Client(settings)
    try:
        rows = client.query_rows(f"SELECT last(position) FROM {MIRROR} WHERE log = $log", {"log": log})  # noqa: S608 - constant
    finally:
        client.close()
    return ((clock or SystemClock()).now_ns() - int(rows[0][0])) / NANOSECONDS if rows else None


class _Witnesses:
    """What was recorded elsewhere about a log, by position: digests of records and roots of the tree."""

    def __init__(self, marks: Mapping[str, Watermark], roots: Mapping[int, str], log_id: str) -> None:
        self._digests: dict[int, tuple[str, str]] = {}
        self._roots: dict[int, tuple[str, str]] = {at: (root, "the mirror") for at, root in roots.items() if at}
        for name, mark in marks.items():
            if mark.log_id != log_id:
                msg = f"the watermark {name} belongs to another log ({mark.log_id}): give those of this log, or none"
                raise Refused(msg)
            if not mark.position:
                continue  # of an empty log: it proves nothing about later records
            self._digests[mark.position] = (mark.digest, f"the watermark {name}")
            if mark.root:
                self._roots[mark.position] = (mark.root, f"the watermark {name}")

    def __bool__(self) -> bool:
        """Return whether anything is recorded about any position."""
        return bool(self._digests or self._roots)

    def stops(self, last: int) -> list[int]:
        """Return the positions to check at, up to the last, and the last itself."""
        return sorted({at for at in (*self._digests, *self._roots) if 0 < at <= last} | ({last} if last else set()))

    def check(self, position: int, digest: str, root: str) -> int:
        """Return how many witnesses agree; raise CorruptJournal if one does not."""
        agree = 0
        for known, found in ((self._digests, digest), (self._roots, root)):
            if position in known:
                expected, witness = known[position]
                if expected != found:
                    raise CorruptJournal(position, f"{witness} has another digest or root here: points were altered")
                agree += 1
        return agree


class _Proof(msgspec.Struct):
    count: int = 0
    position: int = 0
    digest: str = ""


def _write(
    source: InfluxSource,
    restoration: Restoration,
    last: int,
    witnesses: _Witnesses,
    progress: Callable[[int, int], None] | None,
) -> _Proof:
    proved = _Proof()
    # Stops at each position that a witness recorded: only there can the digest and the root be compared.
    for stop in witnesses.stops(last):
        while restoration.tree.size < stop:
            after = restoration.tree.size
            records = source.read(Query(after=after, limit=PAGE_MAX, until=stop))
            restoration.add(records)
            proved.digest = records[-1].digest.hex()
            if progress is not None:
                progress(restoration.tree.size, last)
        agree = witnesses.check(stop, proved.digest, restoration.tree.root().hex())
        proved.count, proved.position = proved.count + agree, stop if agree else proved.position
    return proved


def _types(client: Client, log: str) -> list[TypeRow]:
    query = f'SELECT durability, measures, "schema", "type" FROM {TYPES} WHERE log = $log'  # noqa: S608 - constant
    rows = client.query_rows(query, {"log": log})
    found = {}
    for _, durability, measures, schema, name in rows:
        found[name, int(schema)] = TypeRow(name, int(schema), durability, tuple(msgspec.json.decode(measures)))
    return list(found.values())


def _acknowledged(client: Client, log: str, marks: Mapping[str, Watermark]) -> tuple[int, str] | None:
    """Return the last position recorded as acknowledged, and by which witness; None if there is none."""
    rows = client.query_rows(f"SELECT max(head) FROM {MIRROR} WHERE log = $log", {"log": log})  # noqa: S608 - constant
    # The head in a heartbeat was acknowledged, whether or not it had been shipped by then.
    known = [(int(rows[0][1]), "the mirror")] if rows else []
    known += [(mark.position, f"the watermark {name}") for name, mark in marks.items()]
    return max(known, default=None)


def _free(path: Path) -> Path:
    """Return an unused name: this one, or one with a number appended."""
    names: Iterator[Path] = itertools.chain([path], (path.with_name(f"{path.name}.{n}") for n in itertools.count(2)))
    return next(name for name in names if not name.exists())
