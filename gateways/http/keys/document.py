"""The API keys of a log in PostgreSQL: documents of its tables, which the services of all hosts share."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore.errors import Unavailable
from gateways.http.keys.stored import LOCK, NAME, USED, StoredKeys, taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.side import LogSide, ProcessLock

LOOK_SECONDS = 1.0
"""How often a service looks for keys that were added or revoked meanwhile."""
STALE_SECONDS = 5.0
"""After what time without an answer nobody is let in: a key may have been revoked since."""


class KeyDocument(StoredKeys):
    """Keys beside a log. While they are `watched` no request waits for the server: a thread looks at them."""

    def __init__(self, side: LogSide) -> None:
        super().__init__(side.described(NAME))
        self._side = side
        self._lock: ProcessLock | None = None
        self._seen: bytes | None = None
        self._seen_at: float | None = None
        self._stop = threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look at them regularly as long as the context lasts; they are known from its beginning on."""
        self._look()
        thread = threading.Thread(target=self._watch, name="API keys", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._seen_at = None

    @override
    def stamp(self) -> object:
        return self.content()

    @override
    def content(self) -> bytes | None:
        if self._seen_at is None:
            return self._side.documents(NAME).get(NAME)
        if time.monotonic() - self._seen_at > STALE_SECONDS:
            msg = f"{self.place} cannot be read since {STALE_SECONDS:g} s: nobody is let in until the server answers"
            raise Unavailable(msg)
        return self._seen

    @override
    def used(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._side.documents(USED).get(USED, b""), type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    @override
    def _keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        if self._lock is None or not self._lock.is_held:
            msg = f"the lock of those who change {self.place} was lost meanwhile: nothing was changed; try again"
            raise Unavailable(msg)
        self._side.keep(name, content, synced=synced)

    @override
    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with taken(self._side.lock(LOCK), self.place) as self._lock:
            if self._seen_at is not None:
                # What was seen may be a second old, and another host may have added a key since.
                self._look()
            yield

    def _look(self) -> None:
        self._seen, self._seen_at = self._side.documents(NAME).get(NAME), time.monotonic()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            # A caller that asks for the keys gets an error once what was seen is too old.
            with contextlib.suppress(Unavailable):
                self._look()
