"""What must hold for as long as a log is shipped: the bucket, how long it keeps points, the token, and the claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.errors import Refused
from eventstore.influx import claims

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from eventstore.clock import Clock
    from eventstore.influx.client import Client
    from eventstore.journal import Maintenance

CLAIM_SECONDS = 0.5


class Found(NamedTuple):
    """The log's claim, None where nobody has made one, and whether the bucket is another one than before."""

    claim: claims.Claim | None
    is_replaced: bool


class Conditions:
    """Checks what was right at the start, again and again: others may change it at any time."""

    def __init__(self, journal: Maintenance, directory: Path, clock: Clock) -> None:
        self._journal, self._directory, self._clock = journal, directory, clock
        self._bucket_id = ""

    def check(self, client: Client) -> Found:
        """Raise Refused, naming it, for what does not hold: somebody has to put it right."""
        bucket_id = client.check_bucket()
        is_replaced = bool(self._bucket_id) and bucket_id != self._bucket_id
        claim = claims.current(client, self._journal.log)
        if claim is not None:
            self._check_claim(client, claim)
        # Only now: a bucket that was refused is looked at as one that is new here, once it is right.
        self._bucket_id = bucket_id
        return Found(claim, is_replaced)

    def claim(self, client: Client, stop: threading.Event) -> claims.Claim:
        """Claim the log's name in a bucket where nobody has, and see that it is this log's now."""
        log = self._journal.log
        home = claims.home_of(self._directory) or claims.new_home(self._directory)
        now = self._clock.now_ns()
        claims.claim(client, log, self._journal.log_id, home, symbols=client.settings.symbols, at=now)
        # Whoever claims the name at the same moment has done so by now, and both see it.
        stop.wait(CLAIM_SECONDS)
        found = claims.current(client, log)
        if found is None:
            msg = f"the claim of log {log!r} was written and is not there: may the token read?"
            raise Refused(msg)
        self._check_claim(client, found)
        return found

    def _check_claim(self, client: Client, found: claims.Claim) -> None:
        """Raise Refused unless the bucket's log of this name is this one, and this copy of it."""
        log = self._journal.log
        if found.log_id != self._journal.log_id.hex():
            msg = (
                f"bucket {client.settings.bucket!r} holds another log {log!r} (id {found.log_id}, of {found.host}): "
                "open this one under another name, or name another bucket"
            )
            raise Refused(msg)
        if found.home != claims.home_of(self._directory):
            msg = (
                f"log {log!r} is shipped by another copy of this journal (on {found.host}), not by {self._directory}: "
                "two would mix. If that one is gone for good, run: eventstore adopt"
            )
            raise Refused(msg)
