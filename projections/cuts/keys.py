"""The key that signs cuts: one per user, in the user's state directory, so that cuts made elsewhere are recognised."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from eventstore import files
from projections.cuts.troubles import SnapshotWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "snapshots.key"
KEY_BYTES = 32
_CONTENT = re.compile(rb"[0-9a-f]{64}\n")
_WAITS, _WAIT_SECONDS = 100, 0.01


class Key(NamedTuple):
    """A secret, and the name that a cut has for the key that signed it."""

    name: bytes
    secret: bytes

    @override
    def __repr__(self) -> str:
        return f"<Key {self.name.hex()}>"

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self.secret, message, "sha256")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(message), signature)


def signing_key() -> Key:
    """Return the user's key, which the first process creates; never raises.

    Where it cannot be stored, the key is of this process alone, and no other process accepts its cuts.
    """
    try:
        return _stored_key(state_directory())
    except (OSError, RuntimeError, ValueError) as e:
        _warn_once(
            f"the key that signs snapshots cannot be stored ({e}): other processes, and this one after a restart, fold "
            "the whole log. Set XDG_STATE_HOME to a directory that only this user can write"
        )
        return _key_of_this_process()


def state_directory() -> Path:
    """Return `$XDG_STATE_HOME/eventstore`, else `~/.local/state/eventstore`; raise RuntimeError without a home."""
    # The XDG specification says to ignore relative paths.
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = base if base.is_absolute() else Path.home() / ".local" / "state"
    if not base.is_absolute():
        msg = f"the home directory {str(Path.home())!r} is not an absolute path"
        raise RuntimeError(msg)
    return base / "eventstore"


class _UnusableKeyError(Exception):
    """There is a key file, and its key must not be used."""


def _stored_key(directory: Path) -> Key:
    path = directory / FILE
    try:
        found = _read(path)
    except _UnusableKeyError:
        found = None
    if found is not None:
        return found
    files.make_directory(directory)
    # Read again under the lock: another process may have created or replaced the key in the meantime.
    with _locked(directory):
        why = ""
        try:
            found = _read(path)
        except _UnusableKeyError as e:
            why = str(e)
        if found is None:
            _write(path, secrets.token_bytes(KEY_BYTES))
            found = _read(path)
    if why:
        _warn_once(f"the key {path} {why}: it was replaced, and the snapshots that it signed are ignored")
    if found is None:
        msg = f"{path} disappeared as soon as it was written"
        raise OSError(msg)
    return found


def _read(path: Path) -> Key | None:
    """Return the key in a file, None where there is no file."""
    try:
        # Non-blocking: the path may be a FIFO, and opening one waits for a writer.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode):
            msg = "is not a regular file"
            raise _UnusableKeyError(msg)
        if os.geteuid() not in {0, info.st_uid}:
            msg = "belongs to another user"
            raise _UnusableKeyError(msg)
        if info.st_mode & 0o077:
            msg = f"can be read or written by others (mode {stat.S_IMODE(info.st_mode):04o})"
            raise _UnusableKeyError(msg)
        content = os.read(file, 128)
    finally:
        os.close(file)
    if not _CONTENT.fullmatch(content):
        msg = "is empty, truncated or damaged"
        raise _UnusableKeyError(msg)
    return key_of(bytes.fromhex(content.decode("ascii")))


def key_of(secret: bytes) -> Key:
    """Return the key that a secret is."""
    return Key(hashlib.sha256(b"eventstore snapshots key\0" + secret).digest()[:8], secret)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, so that two processes do not each create a key."""
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        info = os.fstat(place)
        if info.st_uid == os.geteuid() and info.st_mode & 0o077:
            os.fchmod(place, files.PRIVATE_DIRECTORY)
        for _ in range(_WAITS):
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_WAIT_SECONDS)
        else:
            msg = f"{directory} stays locked by another process"
            raise OSError(msg)
        yield
    finally:
        os.close(place)


def _write(path: Path, secret: bytes) -> None:
    with files.temporary(path) as temporary:
        # Whatever the directory's default permissions are, this file is its owner's alone.
        temporary.chmod(files.PRIVATE_FILE)
        temporary.write_bytes(secret.hex().encode() + b"\n")
        files.publish(temporary, path, replacing=True)


@functools.cache
def _key_of_this_process() -> Key:
    return key_of(secrets.token_bytes(KEY_BYTES))


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, SnapshotWarning, stacklevel=2)


_warned: set[str] = set()
