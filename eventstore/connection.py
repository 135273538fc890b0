"""Connecting to a log elsewhere: that of a service, which takes what is appended, or the copy in InfluxDB, to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from msgspec.structs import replace
from typing_extensions import override

from eventstore.clock import check_clock
from eventstore.errors import InvalidEvent, Unavailable
from eventstore.events import MIRRORED
from eventstore.locations import scheme_of
from eventstore.preparation import prepare
from eventstore.record_errors import NotMirrored
from eventstore.remote.identity import RETRY_SECONDS
from eventstore.store import EventStore
from eventstore.streams import check_name

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from eventstore.batch import Batch
    from eventstore.clock import Clock
    from eventstore.config import InfluxSettings
    from eventstore.events import Durability
    from eventstore.influx.read.reader import InfluxReader
    from eventstore.record import PreparedBatch, Record, Unchanged
    from eventstore.remote.journal import RemoteJournal


class ServiceStore(EventStore):
    """A log that a service has: `EventStore`, with the service's word for who appends.

    What is appended while the service cannot be reached is sent again for some time, and written once. Then it is
    Unavailable, if it never was taken, or else OutcomeUnknown. Figures that are read are checked against the digests.
    """

    def __init__(self, journal: RemoteJournal, *, clock: Clock | None = None) -> None:
        super().__init__(journal, clock=clock)
        self._actor = journal.actor
        self._remote = journal
        self.is_replicated = journal.is_replicated

    @override
    def prepared(
        self, batches: Sequence[Batch], durability: Durability, unchanged: Unchanged | None
    ) -> tuple[list[PreparedBatch], int]:
        self.check_replicated(durability)
        if durability is MIRRORED and not self._remote.is_mirrored:
            msg = "MIRRORED waits for InfluxDB, and the service ships its log to none"
            raise Unavailable(msg)
        by_key = [self._by_key(batch) for batch in batches]
        return prepare(by_key, durability, unchanged=unchanged, now=self._clock.now_ns(), actor=self._actor)

    def _by_key(self, batch: Batch) -> Batch:
        if batch.actor not in {None, self._actor}:
            msg = (
                f"over a service the actor is the name of the key, {self._actor!r}, not {batch.actor!r:.80}: leave out "
                "actor=, use a key of that name, or say it in note="
            )
            raise InvalidEvent(msg)
        return replace(batch, actor=self._actor)

    @override
    def confirmed(self, records: list[Record], durability: Durability) -> list[Record]:
        if durability is MIRRORED and records:
            try:
                self._remote.confirm(max(record.position for record in records))
            except Unavailable as e:
                raise NotMirrored(records, str(e)) from e
        return records


@overload
def connect(
    url: str,
    *,
    key: str,
    log: str = "main",
    ca: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    retry_seconds: float = RETRY_SECONDS,
    clock: Clock | None = None,
) -> EventStore: ...


@overload
def connect(
    url: str | None = None,
    *,
    org: str | None = None,
    bucket: str | None = None,
    token: str | None = None,
    log: str = "main",
    settings: InfluxSettings | None = None,
) -> InfluxReader: ...


def connect(
    url: str | None = None,
    *,
    key: str | None = None,
    org: str | None = None,
    bucket: str | None = None,
    token: str | None = None,
    log: str = "main",
    settings: InfluxSettings | None = None,
    ca: str | os.PathLike[str] | None = None,
    proxy: str | None = None,
    retry_seconds: float = RETRY_SECONDS,
    clock: Clock | None = None,
) -> EventStore | InfluxReader:
    """Return a log's store in a service, if `key` is given; else a reader of its copy in InfluxDB.

    A service without keys is connected to with `key=""`. `ca` is the file of the authority that its certificate is of,
    where the system does not know it; `proxy` the URL of one to go through: none is taken from the environment. What is
    not answered is asked again for `retry_seconds`. Of InfluxDB, what is not given comes from `settings`, by default
    those of the environment and of ./eventstore.toml. Raises Unavailable for no answer, Refused for a key, a token, a
    bucket or a log that is not there, InvalidEvent.
    """
    if url is not None and (not issubclass(type(url), str) or scheme_of(url) not in {"http", "https"}):
        msg = (
            "connect takes the URL of a service or of InfluxDB, which begins with http:// or https://: eventstore.open "
            "opens a directory"
        )
        raise InvalidEvent(msg)
    if key is None:
        from eventstore.influx.read import reader

        return reader.connect(url, org=org, bucket=bucket, token=token, log=log, settings=settings)
    if any(each is not None for each in (org, bucket, token, settings)):
        msg = "key= is of a service, and org=, bucket=, token= and settings= are of InfluxDB: give one or the other"
        raise InvalidEvent(msg)
    if url is None:
        msg = "a service is connected to by its URL: give it, and key='' for one without keys"
        raise InvalidEvent(msg)
    if clock is not None:
        check_clock(clock)
    # Imported here: most stores are local, and need no HTTP.
    from eventstore.remote.journal import RemoteJournal
    from eventstore.remote.transport import Transport

    transport = Transport(url, key, ca=ca, proxy=proxy, retry_seconds=retry_seconds)
    try:
        return ServiceStore(RemoteJournal(transport, log=check_name("log", log)), clock=clock)
    except BaseException:
        transport.close()
        raise
