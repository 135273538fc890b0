"""The preconditions of shipping a log: the bucket, its retention, the token, and the claim of the log's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import Refused
from eventstore.influx import claims

if TYPE_CHECKING:
    import threading

    from eventstore.clock import Clock
    from eventstore.influx.client import Client
    from eventstore.journal import Maintenance
    from eventstore.side import LogSide

CLAIM_SECONDS = 0.5


class BucketState(NamedTuple):
    """The current claim of the log's name, None if there is none, and whether the bucket is not the one of before."""

    claim: claims.Claim | None
    is_replaced: bool


class Preconditions:
    """Checks the preconditions, at the start and regularly: an administrator may change them at any time."""

    def __init__(self, journal: Maintenance, side: LogSide, clock: Clock) -> None:
        self._journal, self._side, self._clock = journal, side, clock
        self._bucket_id = ""

    def check(self, client: Client) -> BucketState:
        """Return the bucket's state; raise Refused, naming the cause, if a precondition does not hold."""
        bucket_id = client.check_bucket()
        is_replaced = bool(self._bucket_id) and bucket_id != self._bucket_id
        claim = claims.current(client, self._journal.log)
        if claim is not None:
            self._check_claim(client, claim)
        # Not before: when a bucket that was refused is fixed, it must still be seen as replaced.
        self._bucket_id = bucket_id
        return BucketState(claim, is_replaced)

    def claim(self, client: Client, stop: threading.Event) -> claims.Claim:
        """Claim the log's name in a bucket without a claim; raise Refused if another journal claimed it first."""
        log = self._journal.log
        home = self._side.home() or self._side.new_home()
        now = self._clock.now_ns()
        claims.write(client, log, self._journal.log_id, home, symbols=client.settings.symbols, at=now)
        # InfluxDB has no compare-and-set. A journal that claims the name at the same moment has written its claim after
        # this pause, and both then see the same newest one.
        stop.wait(CLAIM_SECONDS)
        found = claims.current(client, log)
        if found is None:
            msg = f"the claim of log {log!r} was written but cannot be read: does the token have read permission?"
            raise Refused(msg)
        self._check_claim(client, found)
        return found

    def _check_claim(self, client: Client, found: claims.Claim) -> None:
        """Raise Refused unless the name belongs to this log and to this copy of it."""
        log = self._journal.log
        if found.log_id != self._journal.log_id.hex():
            msg = (
                f"bucket {client.settings.bucket!r} holds another log {log!r} (id {found.log_id}, of {found.host}): "
                "open this one under another name, or use another bucket"
            )
            raise Refused(msg)
        if found.home != self._side.home():
            msg = (
                f"log {log!r} is shipped by another copy of this journal (on {found.host}), not by {self._side}: "
                "two copies would mix their records. If the other is gone for good, run: eventstore adopt"
            )
            raise Refused(msg)
