"""The key that signs cuts: one for each user, in the user's state directory, so that a cut made elsewhere is known."""

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
_FORM = re.compile(rb"[0-9a-f]{64}\n")
_WAITS, _WAIT_SECONDS = 100, 0.01


class Key(NamedTuple):
    """A secret and the name by which a cut says who signed it."""

    name: bytes
    secret: bytes

    @override
    def __repr__(self) -> str:
        return f"<Key {self.name.hex()}>"

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self.secret, message, "sha256")

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(message), signature)


def signing_key() -> Key:
    """Return the user's key, made by whichever process is first; never raises.

    Where the user's state directory cannot keep one, a key of this process alone: no other believes its cuts then.
    """
    try:
        return _kept_key(state_directory())
    except (OSError, RuntimeError, ValueError) as e:
        _warn_once(
            f"the key that signs snapshots cannot be kept ({e}): other processes, and this one after a restart, fold "
            "the log anew. Set XDG_STATE_HOME to a directory that only this user can write"
        )
        return _key_of_this_process()


def state_directory() -> Path:
    """Return `$XDG_STATE_HOME/eventstore`, else `~/.local/state/eventstore`; raise RuntimeError without a home."""
    # The specification of these directories has relative paths ignored.
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = base if base.is_absolute() else Path.home() / ".local" / "state"
    if not base.is_absolute():
        msg = f"the home directory {str(Path.home())!r} is not an absolute path"
        raise RuntimeError(msg)
    return base / "eventstore"


class _UnsoundError(Exception):
    """There is a key, and it must not be used."""


def _kept_key(directory: Path) -> Key:
    path = directory / FILE
    try:
        found = _read(path)
    except _UnsoundError:
        found = None
    if found is not None:
        return found
    files.make_directory(directory)
    with _alone_in(directory):
        why = ""
        try:
            found = _read(path)
        except _UnsoundError as e:
            why = str(e)
        if found is None:
            _write(path, secrets.token_bytes(32))
            found = _read(path)
    if why:
        _warn_once(f"the key {path} {why}: it was replaced, and the snapshots that it signed are passed over")
    if found is None:
        msg = f"{path} is gone as soon as it is written"
        raise OSError(msg)
    return found


def _read(path: Path) -> Key | None:
    """Return the key in a file, None where there is no file."""
    try:
        # Not blocking: it may be a FIFO.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode):
            msg = "is not a regular file"
            raise _UnsoundError(msg)
        if os.geteuid() not in {0, info.st_uid}:
            msg = "belongs to another user"
            raise _UnsoundError(msg)
        if info.st_mode & 0o077:
            msg = f"can be read or written by others (mode {stat.S_IMODE(info.st_mode):04o})"
            raise _UnsoundError(msg)
        content = os.read(file, 128)
    finally:
        os.close(file)
    if not _FORM.fullmatch(content):
        msg = "is empty, truncated or damaged"
        raise _UnsoundError(msg)
    return _key(bytes.fromhex(content.decode("ascii")))


def _key(secret: bytes) -> Key:
    return Key(hashlib.sha256(b"eventstore snapshots key\0" + secret).digest()[:8], secret)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, so that two processes do not each make a key."""
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
    with files.temporary(path) as passing:
        # Also in a directory whose group gets new files: this one is its owner's alone.
        passing.chmod(files.PRIVATE_FILE)
        passing.write_bytes(secret.hex().encode() + b"\n")
        files.publish(passing, path, replacing=True)


@functools.cache
def _key_of_this_process() -> Key:
    return _key(secrets.token_bytes(32))


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, SnapshotWarning, stacklevel=2)


_warned: set[str] = set()
