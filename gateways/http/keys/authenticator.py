"""Whom a request is from, by its API key: keys are added and revoked while the service runs."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from eventstore.clock import format_time
from eventstore.errors import Unavailable
from gateways.http.access import Caller, NotAuthenticated, OpenAccess
from gateways.http.keys.secret import hash_of, id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.clock import Clock
    from gateways.http.keys.key import ApiKey
    from gateways.http.keys.stored import StoredKeys

_NO_HASH = "0" * 64
"""What a key of an unknown id is compared with: it takes as long as one that is known."""
SUBPROTOCOL = "eventstore"
"""The WebSocket subprotocol that a browser names beside its key, where it can send no header of its own."""
_KEY_PROTOCOL = "key."


class KeyAuthenticator:
    """Knows callers by the keys that are stored, which are read again once they have changed.

    As long as no key was ever added, and only where that was so at the start, everybody is trusted: such a service
    listens on the loopback. Keys that disappear or cannot be read keep everybody out.
    """

    def __init__(self, file: StoredKeys, clock: Clock, actor: str) -> None:
        self.file, self._clock = file, clock
        self._open: OpenAccess | None = None if file.exists() else OpenAccess(actor)
        self._stamp: object = None
        self._keys: dict[str, ApiKey] = {}
        self._callers: dict[str, Caller] = {}
        self._used: dict[str, int] = {}
        self._reload()

    @property
    def needs_key(self) -> bool:
        """Whether requests without a key are refused."""
        self._reload()
        return self._open is None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return whom a request is from; raise NotAuthenticated, Unavailable where the keys cannot be read."""
        self._reload()
        if self._open is not None:
            return self._open.caller(headers)
        text = _key_in(headers)
        if text is None:
            msg = "no key was sent"
            raise NotAuthenticated(msg)
        id_ = id_of(text) or ""
        key, now = self._keys.get(id_), self._clock.now_ns()
        is_right = hmac.compare_digest(hash_of(text), _NO_HASH if key is None else key.hash)
        if key is None or not is_right:
            msg = "the key is not valid"
            raise NotAuthenticated(msg)
        if key.is_over(now):
            msg = f"the key {key.name!r} is revoked" if key.revoked_at else f"the key {key.name!r} has expired"
            raise NotAuthenticated(msg)
        self._used[id_] = now
        return self._callers[id_]

    def is_valid(self, caller: Caller) -> bool:
        """Return whether a caller may still be answered: what lasts ends once its key is revoked or has expired."""
        try:
            self._reload()
        except Unavailable:
            return False
        if not caller.key:
            return self._open is not None
        key = self._keys.get(caller.key)
        return key is not None and not key.is_over(self._clock.now_ns())

    def write_used(self) -> None:
        """Write when keys were used since this was last called; it waits for the disk, so no request does it."""
        used, self._used = self._used, {}
        if used:
            self.file.write_used({id_: format_time(at) for id_, at in used.items()})

    def _reload(self) -> None:
        try:
            stamp = self.file.stamp()
        except OSError as e:
            msg = f"the API keys in {self.file.place} cannot be read: {e.strerror}"
            raise Unavailable(msg) from e
        if stamp == self._stamp:
            return
        # Before they are read: keys that were never added, or were removed, open nothing from here on.
        self._open = None
        self._keys = {} if stamp is None else {key.id: key for key in self.file.load()}
        self._callers = {key.id: key.caller() for key in self._keys.values()}
        self._stamp = stamp


def _key_in(headers: Mapping[str, str]) -> str | None:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    for offered in headers.get("sec-websocket-protocol", "").split(","):
        if offered.strip().startswith(_KEY_PROTOCOL):
            return offered.strip().removeprefix(_KEY_PROTOCOL)
    return None
