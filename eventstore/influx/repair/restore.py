"""After the loss of a disk: a new journal from what InfluxDB holds, under the same log id; and taking a log over."""

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
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from eventstore.config import InfluxSettings
    from eventstore.influx.claims import Claim

LOST = "watermarks.lost"


class Restored(msgspec.Struct, frozen=True):
    """What was restored: up to which position, with which root, proved against how many earlier roots.

    `acknowledged`: the last position that a watermark, or the mirror, knows to have been acknowledged, and `witness`
    who knows it. Those past `position` are lost with the disk. `proved_to`: the last position at which something
    agreed; what comes after it has its own digests and order, and nothing else that speaks for it.
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
    """Write a log's folder anew from InfluxDB. Nothing is left behind unless all of it is proved.

    Beside the order of positions, times and versions, the tree is compared with the roots that the mirror left in
    InfluxDB, and with the watermarks in the folder `watermarks`, by default those that outlived the journal in
    `directory`. Where there are neither, nothing shows that any point is as it was written or that this is all of
    them: that is Unproved, unless `unproved` accepts it. Raises Gap where positions are missing (`up_to` restores
    what comes before), CorruptJournal where a record is not what it was, TargetExists where there is a journal,
    Refused, Unavailable.
    """
    with contextlib.closing(Client(settings)) as client:
        log_id = claims.log_id_of(client, log)
        left = _watermarks(directory / "watermarks" if watermarks is None else watermarks, given=watermarks is not None)
        witnesses = _Witnesses(left, roots(client, log), log_id.hex())
        with contextlib.closing(InfluxSource(client, log, log_id)) as source:
            head = source.settled()
            known = _acknowledged(client, log, left)
            if not unproved and not witnesses.are_there and (head or known is None):
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
                    # They know of records that are not here, and would keep the new journal from opening.
                    (directory / "watermarks").rename(_free(directory / LOST))
                restoration.finish()
            finally:
                restoration.abandon()
    root = restoration.tree.root().hex()
    if last:
        status.write_cursor(directory, Watermark(log_id.hex(), last, proved.digest, root), synced=True)
    lost_after = witness if acknowledged > last else ""
    return Restored(last, root, proved.count, max(acknowledged, last), lost_after, proved.position)


def _watermarks(directory: Path, *, given: bool) -> dict[str, Watermark]:
    found = Watermarks(directory).all()
    if given and not found:
        msg = f"{directory} holds no watermark: name the folder `watermarks` of the journal, or a copy of it"
        raise Refused(msg)
    return found


def _unproved(settings: InfluxSettings, log: str) -> Unproved:
    return Unproved(
        f"nothing proves that bucket {settings.bucket!r} holds all of log {log!r} as it was written: it has no roots "
        "that the mirror left, and no watermark of the lost journal is here. Nothing was restored. Name a folder of "
        "watermarks that was kept elsewhere (--watermarks DIR), or accept what there is (--unproved)"
    )


def adopt(settings: InfluxSettings, directory: Path, log: str, log_id: bytes, *, clock: Clock | None = None) -> Claim:
    """Make this copy of a journal the one that ships; return the claim that held before.

    The copy that shipped so far is refused from then on, within seconds. Raises Refused for another log's name.
    """
    client = Client(settings)
    try:
        found = claims.current(client, log)
        if found is None:
            msg = (
                f"nobody ships log {log!r} to bucket {settings.bucket!r}: there is nothing to take over, just mirror it"
            )
            raise Refused(msg)
        if found.log_id != log_id.hex():
            msg = f"bucket {settings.bucket!r} holds another log {log!r} (id {found.log_id}), of which this is no copy"
            raise Refused(msg)
        home = claims.new_home(directory)
        now = max((clock or SystemClock()).now_ns(), found.claimed_at + 1)
        claims.claim(client, log, log_id, home, symbols=bool(found.symbols), at=now)
    finally:
        client.close()
    return found


def seconds_since_beat(settings: InfluxSettings, log: str, *, clock: Clock | None = None) -> float | None:
    """Return how long ago a mirror last said how far it is, by this machine's clock; None where none ever did."""
    client = Client(settings)
    try:
        rows = client.ask(f"SELECT last(position) FROM {MIRROR} WHERE log = $log", {"log": log})  # noqa: S608 - constant
    finally:
        client.close()
    return ((clock or SystemClock()).now_ns() - int(rows[0][0])) / NANOSECONDS if rows else None


class _Witnesses:
    """What is known of a log's past, by position: digests of records and roots of the tree."""

    def __init__(self, marks: Mapping[str, Watermark], roots: Mapping[int, str], log_id: str) -> None:
        self._digests: dict[int, tuple[str, str]] = {}
        self._roots: dict[int, tuple[str, str]] = {at: (root, "the mirror") for at, root in roots.items() if at}
        for name, mark in marks.items():
            if mark.log_id != log_id:
                msg = f"the watermark {name} is of another log ({mark.log_id}): give those of this one, or none"
                raise Refused(msg)
            if not mark.position:
                continue  # of an empty log, which proves nothing of the records that came later
            self._digests[mark.position] = (mark.digest, f"the watermark {name}")
            if mark.root:
                self._roots[mark.position] = (mark.root, f"the watermark {name}")

    @property
    def are_there(self) -> bool:
        """Whether anything is known of any record."""
        return bool(self._digests or self._roots)

    def stops(self, last: int) -> list[int]:
        """Return the positions at which something is known, and the last."""
        return sorted({at for at in (*self._digests, *self._roots) if 0 < at <= last} | ({last} if last else set()))

    def check(self, position: int, digest: str, root: str) -> int:
        """Raise CorruptJournal where somebody knew otherwise; return how many agree."""
        agree = 0
        for known, found in ((self._digests, digest), (self._roots, root)):
            if position in known:
                expected, who = known[position]
                if expected != found:
                    raise CorruptJournal(position, f"{who} saw another record or tree here: points were changed")
                agree += 1
        return agree


class _Proved(msgspec.Struct):
    count: int = 0
    position: int = 0
    digest: str = ""


def _write(
    source: InfluxSource,
    restoration: Restoration,
    last: int,
    witnesses: _Witnesses,
    progress: Callable[[int, int], None] | None,
) -> _Proved:
    proved = _Proved()
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
    rows = client.ask(f'SELECT durability, measures, "schema", "type" FROM {TYPES} WHERE log = $log', {"log": log})  # noqa: S608 - constant
    found = {}
    for _, durability, measures, schema, name in rows:
        found[name, int(schema)] = TypeRow(name, int(schema), durability, tuple(msgspec.json.decode(measures)))
    return list(found.values())


def _acknowledged(client: Client, log: str, marks: Mapping[str, Watermark]) -> tuple[int, str] | None:
    """Return the last position that is known to have been acknowledged, and who knows; None where nobody does."""
    rows = client.ask(f"SELECT max(head) FROM {MIRROR} WHERE log = $log", {"log": log})  # noqa: S608 - constant
    known = [(int(rows[0][1]), "the mirror")] if rows else []
    known += [(mark.position, f"the watermark {name}") for name, mark in marks.items()]
    return max(known, default=None)


def _free(path: Path) -> Path:
    """Return a name that nothing has yet."""
    names: Iterator[Path] = itertools.chain([path], (path.with_name(f"{path.name}.{n}") for n in itertools.count(2)))
    return next(name for name in names if not name.exists())
