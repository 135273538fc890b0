"""A log's API keys, wherever they are kept: read whole, replaced in one step, changed by one process at a time."""

from __future__ import annotations

import abc
import contextlib
import os
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from eventstore.clock import format_time
from eventstore.errors import InvalidEvent, Unavailable, shown
from eventstore.side import API_KEYS, API_KEYS_LOCK
from gateways.http.keys.key import ApiKey, check_accounts, check_key_name
from gateways.http.keys.secret import drawn, hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from eventstore.side import ProcessLock
    from gateways.http.access import Scope

NAME, USED, LOCK = API_KEYS, "api-keys-used.json", API_KEYS_LOCK
KEYS_MAX = 1_000
LOCK_ATTEMPTS, LOCK_PAUSE_SECONDS = 100, 0.05


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is stored."""

    keys: tuple[ApiKey, ...] = ()


class StoredKeys(abc.ABC):
    """The keys of one log, in `api-keys.json` beside it, with when each was last used in a document of its own.

    In two, because a service writes the one, the command line the other: neither undoes what the other wrote.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        """Where they are, for messages."""

    @abc.abstractmethod
    def stamp(self) -> object:
        """Return what changes whenever the keys do, None where there are none; raise OSError or Unavailable."""

    @abc.abstractmethod
    def content(self) -> bytes | None:
        """Return what is stored, None where nothing is; raise OSError or Unavailable."""

    @abc.abstractmethod
    def used(self) -> dict[str, str]:
        """Return when keys were last used, by their ids; it is only shown, so what is damaged is empty."""

    @abc.abstractmethod
    def _keep(self, name: str, content: bytes, *, synced: bool = True) -> None:
        """Replace one of the two in one step, while the lock is held."""

    @abc.abstractmethod
    def _locked(self) -> AbstractContextManager[None]:
        """Hold the lock of those who change them; raise Unavailable where another one holds it for too long."""

    def exists(self) -> bool:
        """Return whether keys were ever added: revoked ones still keep the service closed."""
        return self.stamp() is not None

    def load(self) -> tuple[ApiKey, ...]:
        """Return every key, revoked ones too, oldest first; raise Unavailable where they cannot be read."""
        if not self.exists():
            return ()
        try:
            return msgspec.json.decode(self.content() or b"", type=_Keys).keys
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as e:
            msg = f"the API keys in {self.place} cannot be read: {e}: restore them, or remove them and add keys again"
            raise Unavailable(msg) from e

    def write_used(self, used: dict[str, str]) -> None:
        """Note when keys were used, besides what other services have noted; a power cut may take that back."""
        with self._locked():
            found = self.used()
            later = {id_: max(at, found.get(id_, "")) for id_, at in used.items()}
            self._keep(USED, msgspec.json.encode(found | later), synced=False)

    def add(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        now: int,
        by: str,
        accounts: Sequence[str] = (),
        expires_at: int | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> tuple[ApiKey, str]:
        """Add a key and return it with its text, which is stored nowhere; without accounts it is for all of them.

        Raises InvalidEvent for a name that another key in force has, and for what no key can be.
        """
        check_key_name(name)
        if not scopes:
            msg = "a key without a scope may do nothing: give --scope at least once"
            raise InvalidEvent(msg)
        if expires_at is not None and expires_at <= now:
            msg = f"the key would have expired at {format_time(expires_at)} already"
            raise InvalidEvent(msg)
        with self._locked():
            keys = self.load()
            if any(each.name == name and not each.is_over(now) for each in keys):
                msg = f"there is a key {shown(name)} in force: revoke it first, or give the new one another name"
                raise InvalidEvent(msg)
            if len(keys) >= KEYS_MAX:
                msg = f"the log has {KEYS_MAX:,} keys, revoked ones included, and no more are kept"
                raise InvalidEvent(msg)
            taken = {each.id for each in keys}
            id_, text = next(made for _ in range(KEYS_MAX) if (made := drawn(random)).id not in taken)
            key = ApiKey(
                id=id_,
                name=name,
                hash=hash_of(text),
                scopes=tuple(sorted(set(scopes))),
                accounts=check_accounts(tuple(accounts)) or None,
                added_at=format_time(now),
                added_by=by,
                expires_at=None if expires_at is None else format_time(expires_at),
            )
            self._write((*keys, key))
        return key, text

    def revoke(self, named: str, *, now: int, by: str) -> ApiKey:
        """Revoke the key in force that has this name or id, and return it; raise InvalidEvent where none has."""
        with self._locked():
            keys = self.load()
            fitting = [each for each in keys if named in {each.name, each.id} and not each.is_over(now)]
            if not fitting:
                msg = f"no key in force has the name or id {shown(named)}: eventstore api-keys list shows them"
                raise InvalidEvent(msg)
            if len(fitting) > 1:
                msg = f"{shown(named)} is the name of one key and the id of another: rename is not possible, use the id"
                raise InvalidEvent(msg)
            revoked = replace(fitting[0], revoked_at=format_time(now), revoked_by=by)
            self._write(tuple([revoked if each.id == revoked.id else each for each in keys]))
        return revoked

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        self._keep(NAME, msgspec.json.format(msgspec.json.encode(_Keys(keys))) + b"\n")


@contextlib.contextmanager
def taken(lock: ProcessLock, place: str) -> Iterator[ProcessLock]:
    """Hold the lock of those who change the keys at a place; raise Unavailable if another one holds it for too long."""
    for _ in range(LOCK_ATTEMPTS):
        if lock.take():
            break
        time.sleep(LOCK_PAUSE_SECONDS)
    else:
        msg = f"another process has been changing the keys beside {place} for too long: try again"
        raise Unavailable(msg)
    try:
        yield lock
    finally:
        lock.release()
