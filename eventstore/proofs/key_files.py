"""The folder of signing keys: away from the logs, readable by its owner alone, with what each key signed last."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import files
from eventstore.errors import InvalidNote, TargetExists, Unavailable
from eventstore.proofs.checkpoints import Checkpoint
from eventstore.proofs.keys import PrivateKey, PublicKey
from eventstore.proofs.signed_notes import NOTE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "EVENTSTORE_KEYS"
"""The environment's name for the folder."""
KEYS_MAX = 1_000
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class StoredKey(msgspec.Struct, frozen=True):
    """What is kept of a key beside its secret: its public line, the log it signs for, since when, and until when."""

    key: str
    log: str
    log_id: str
    created_at: int
    retired_at: int | None = None

    @property
    def public(self) -> PublicKey:
        """The key that verifies."""
        return PublicKey.parse(self.key)


class KeyFolder:
    """The keys of a user, a few small files for each, named by the key's id."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, name: str, log: str, log_id: bytes, now: int) -> StoredKey:
        """Make a key that signs a log's checkpoints from now on; raise TargetExists for one of the same id."""
        files.make_directory(self.path)
        self._check_folder()
        private = PrivateKey.generate(name, os.urandom)
        public = private.public
        place = self._place(public, "key")
        # Never group-readable, also in a directory that hands its group on.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(place, flags, files.PRIVATE_FILE)
        except FileExistsError as e:
            msg = f"{place} exists already: a key is never overwritten"
            raise TargetExists(msg) from e
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, files.PRIVATE_FILE)
            file.write(private.secret().encode() + b"\n")
            file.flush()
            os.fsync(handle)
        stored = StoredKey(public.text, log, log_id.hex(), now)
        # After the secret: a key that is listed can sign.
        files.replace(self._place(public, "json"), _encoded(stored))
        return stored

    def of_log(self, log_id: bytes) -> list[StoredKey]:
        """Return all keys of a log, retired ones too, oldest first."""
        return [stored for stored in self.all() if stored.log_id == log_id.hex()]

    def all(self) -> list[StoredKey]:
        """Return every key in the folder, oldest first; raise InvalidNote for a file that is not one's description."""
        try:
            self._check_writers(self.path.stat())
            names = sorted(path.name for path in self.path.iterdir() if path.suffix == ".json" and path.name[0] != ".")
        except FileNotFoundError:
            return []
        except OSError as e:
            msg = f"the folder of keys {self.path} cannot be read: {e.strerror}"
            raise Unavailable(msg) from e
        if len(names) > KEYS_MAX:
            msg = f"{self.path} has {len(names):,} files of keys, and {KEYS_MAX:,} is the limit: name the right folder"
            raise InvalidNote(msg)
        return sorted((self._described(name) for name in names), key=lambda stored: (stored.created_at, stored.key))

    def private(self, stored: StoredKey) -> PrivateKey:
        """Return a key that signs; raise InvalidNote where others could read its file, or it is another key's."""
        self._check_folder()
        public = stored.public
        place = self._place(public, "key")
        private = PrivateKey.parse(_secret_of(place))
        if private.public != public:
            msg = f"{place} holds another key than {public.text}: it was replaced"
            raise InvalidNote(msg)
        return private

    def signers(self, log_id: bytes) -> list[PrivateKey]:
        """Return the private keys that sign for a log now, none where this user has none."""
        return [self.private(stored) for stored in self.of_log(log_id) if stored.retired_at is None]

    def retire(self, stored: StoredKey, now: int) -> StoredKey:
        """Delete a key's secret: it signs nothing from now on. What it signed stays verifiable."""
        retired = msgspec.structs.replace(stored, retired_at=now)
        files.replace(self._place(stored.public, "json"), _encoded(retired))
        with contextlib.suppress(FileNotFoundError):
            self._place(stored.public, "key").unlink()
        files.sync_directory(self.path)
        return retired

    def last_signed(self, stored: StoredKey) -> Checkpoint | None:
        """Return the newest checkpoint that a key signed, None for a new key.

        It is kept with the key and not with the log, so that an older copy of the log's whole directory is noticed.
        """
        place = self._place(stored.public, "last")
        try:
            content = _content(place)
        except FileNotFoundError:
            return None
        try:
            return Checkpoint.parse(content).verify(stored.public)
        except InvalidNote as e:
            msg = f"{place}, the checkpoint that the key signed last, is damaged: {e}"
            raise InvalidNote(msg) from e

    def keep_last(self, stored: StoredKey, checkpoint: Checkpoint) -> None:
        """Note down, durably, what a key signed last: before anybody else sees it."""
        files.replace(self._place(stored.public, "last"), checkpoint.text.encode())

    def _place(self, public: PublicKey, kind: str) -> Path:
        return self.path / f"{public.id.hex()}.{kind}"

    def _described(self, name: str) -> StoredKey:
        place = self.path / name
        try:
            stored = msgspec.json.decode(_content(place), type=StoredKey)
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            msg = f"{place} does not describe a key: {e}"
            raise InvalidNote(msg) from e
        if self._place(stored.public, "json") != place:
            msg = f"{place} describes the key {stored.public.id.hex()}: it was renamed or replaced"
            raise InvalidNote(msg)
        return stored

    def _check_folder(self) -> None:
        try:
            found = self.path.stat()
        except OSError as e:
            msg = f"the folder of keys {self.path} cannot be used: {e.strerror}"
            raise Unavailable(msg) from e
        self._check_writers(found)

    def _check_writers(self, found: os.stat_result) -> None:
        """Raise InvalidNote where others could put a key of theirs among those that are trusted."""
        if found.st_mode & _OTHERS_WRITE:
            msg = f"others may write in the folder of keys {self.path}: chmod 700 it, and check what is in it"
            raise InvalidNote(msg)

    @override
    def __repr__(self) -> str:
        return f"<KeyFolder {self.path}>"


def key_folder(given: str | os.PathLike[str] | None = None, environment: Mapping[str, str] | None = None) -> KeyFolder:
    """Return the folder of keys: the one given, else of EVENTSTORE_KEYS, else ~/.config/eventstore/keys."""
    environment = os.environ if environment is None else environment
    if named := given or environment.get(FOLDER):
        return KeyFolder(Path(named))
    settings = environment.get("XDG_CONFIG_HOME")
    if not settings or not os.path.isabs(settings):  # noqa: PTH117 - text so far
        try:
            settings = str(Path.home() / ".config")
        except RuntimeError as e:
            msg = f"this user has no home directory: name the folder of keys in {FOLDER}"
            raise Unavailable(msg) from e
    return KeyFolder(Path(settings) / "eventstore" / "keys")


def _secret_of(place: Path) -> str:
    """Return what a private key's file holds; none of it is in an error."""
    try:
        content = _content(place, secret=True)
    except FileNotFoundError as e:
        msg = f"{place} cannot be found: restore the key's file, or retire the key and make a new one"
        raise Unavailable(msg) from e
    text = content.decode("ascii", "replace")
    if not text.isascii():
        msg = f"{place} does not hold a key (it is not shown): it is not ASCII text"
        raise InvalidNote(msg)
    return text


def _content(place: Path, *, secret: bool = False) -> bytes:
    """Return a small regular file's content, opened in no way that waits or follows a link."""
    try:
        handle = files.open_regular(place)
    except FileNotFoundError:
        raise
    except OSError as e:
        msg = f"{place} cannot be read ({e.strerror})"
        raise Unavailable(msg) from e
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if found.st_size > NOTE_BYTES_MAX:
            msg = f"{place} is not a file of this project: it has {found.st_size:,} bytes"
            raise InvalidNote(msg)
        if secret:
            _check_private(place, found)
        return file.read(NOTE_BYTES_MAX)


def _check_private(place: Path, found: os.stat_result) -> None:
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        msg = f"{place} is a private key that others can read (mode {mode:04o}): make a new key, this one may be known"
        raise InvalidNote(msg)
    user = os.geteuid()
    if user not in {found.st_uid, 0}:
        msg = f"{place} is a private key that belongs to another user: use a key of your own"
        raise InvalidNote(msg)


def _encoded(stored: StoredKey) -> bytes:
    return msgspec.json.encode(stored) + b"\n"
