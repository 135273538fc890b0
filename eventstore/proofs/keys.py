"""Ed25519 keys in the text form of Go's sumdb/note; a private one is in no message and no repr."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore.errors import InvalidNote, shown
from eventstore.extras import missing
from eventstore.proofs.signed_notes import (
    KEY_ID_BYTES,
    NoteSignature,
    base64_of,
    bytes_of,
    check_key_name,
)
from eventstore.proofs.standalone import verify_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ED25519, COSIGNATURE_V1 = 0x01, 0x04
"""The types of signatures that are verified here: over the text alone, and a witness's with its time."""
KEY_BYTES = 32
TIME_BYTES = 8
_TIME_MAX = (1 << 63) - 1
_HEAD = "PRIVATE+KEY+"
_MISSING = missing("signing and verifying checkpoints", "cryptography", "audit")


class PublicKey(msgspec.Struct, frozen=True):
    """What verifies signatures: a key's name, its type and its 32 bytes."""

    name: str
    kind: int
    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key of a line NAME+HASH+BASE64; raise InvalidNote."""
        # A name has no plus, base64 may.
        name, plus, rest = text.strip().partition("+")
        hash_, second, encoded = rest.partition("+")
        if not plus or not second or text.strip().startswith(_HEAD):
            # A private key given by mistake is not repeated.
            msg = "a public key is NAME+HASH+BASE64, in one line, as `eventstore keys show` prints it"
            raise InvalidNote(msg)
        check_key_name(name)
        content = bytes_of(encoded, "a public key")
        if len(content) != 1 + KEY_BYTES or content[0] not in {ED25519, COSIGNATURE_V1}:
            msg = f"the public key {shown(name)} is of a kind not known here: Ed25519 and cosignature/v1 are"
            raise InvalidNote(msg)
        if not is_usable(content[1:]):
            msg = f"the public key {shown(name)} is one that anybody can sign for: it was never made as a key"
            raise InvalidNote(msg)
        key = cls(name, content[0], content[1:])
        if hash_ != key.id.hex():
            msg = f"the public key {shown(name)} has the hash {key.id.hex()}, not {shown(hash_)}: it was altered"
            raise InvalidNote(msg)
        return key

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256 over name, newline, type and key: by it a signature names its key."""
        named = f"{self.name}\n".encode()
        return hashlib.sha256(named + self.kind.to_bytes(1, "big") + self.raw).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The key as a line, to be handed to those who verify."""
        return f"{self.name}+{self.id.hex()}+{base64_of(self.kind.to_bytes(1, 'big') + self.raw)}"

    def made(self, signature: NoteSignature) -> bool:
        """Return whether a signature claims to be by this key: it has its name and its id."""
        return (signature.name, signature.key_id) == (self.name, self.id)

    def verifies(self, text: str, signature: NoteSignature) -> bool:
        """Return whether a signature is this key's over a text."""
        if not self.made(signature):
            return False
        signed, message = signature.signature, text.encode()
        if self.kind == COSIGNATURE_V1:
            at = cosigned_at(signature)
            if at is None:
                return False
            signed, message = signed[TIME_BYTES:], f"cosignature/v1\ntime {at}\n{text}".encode()
        return _is_signature(self.raw, signed, message)


class PrivateKey:
    """What signs. Its bytes are reached through `sign` and `secret` alone."""

    __slots__ = ("_seed", "public")

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        self._seed = seed
        self.public = PublicKey(check_key_name(name), kind, _public_of(seed))

    @classmethod
    def generate(cls, name: str, random: Callable[[int], bytes], *, kind: int = ED25519) -> PrivateKey:
        """Return a new key; `random` is the system's source of secrets, as `os.urandom` is."""
        if not name.isprintable():
            msg = f"a key's name is printable, not {shown(name)}"
            raise InvalidNote(msg)
        return cls(name, random(KEY_BYTES), kind)

    @classmethod
    def parse(cls, text: str) -> PrivateKey:
        """Return the key of a line PRIVATE+KEY+NAME+HASH+BASE64; raise InvalidNote, which does not repeat it."""
        name, plus, rest = text.strip().removeprefix(_HEAD).partition("+")
        hash_, second, encoded = rest.partition("+")
        if not text.strip().startswith(_HEAD) or not plus or not second:
            msg = "a private key is one line, PRIVATE+KEY+NAME+HASH+BASE64 (it is not shown here)"
            raise InvalidNote(msg)
        content = _secret_bytes(encoded)
        if len(content) != 1 + KEY_BYTES or content[0] not in {ED25519, COSIGNATURE_V1}:
            msg = "the private key is of a kind not known here (it is not shown): Ed25519 and cosignature/v1 are"
            raise InvalidNote(msg)
        key = cls(name, content[1:], content[0])
        if hash_ != key.public.id.hex():
            msg = "the private key does not have the hash in its own line: it was altered (it is not shown)"
            raise InvalidNote(msg)
        return key

    def secret(self) -> str:
        """Return the key as a line, for the file of its owner and for nothing else."""
        public = self.public
        encoded = base64_of(public.kind.to_bytes(1, "big") + self._seed)
        return f"{_HEAD}{public.name}+{public.id.hex()}+{encoded}"

    def sign(self, text: str, *, at_seconds: int = 0) -> NoteSignature:
        """Return this key's signature over a note's text; a witness's has the UNIX time at which it saw it."""
        public = self.public
        if public.kind == COSIGNATURE_V1:
            message = f"cosignature/v1\ntime {at_seconds}\n{text}".encode()
            signed = at_seconds.to_bytes(TIME_BYTES, "big") + _signed(self._seed, message)
        else:
            signed = _signed(self._seed, text.encode())
        return NoteSignature(public.name, public.id, signed)

    @override
    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public.name}+{self.public.id.hex()}>"

    @override
    def __reduce__(self) -> str:
        msg = "a private key stays in its process: hand over its file's path"
        raise TypeError(msg)


@functools.lru_cache(maxsize=64)
def is_usable(key: bytes) -> bool:
    """Return whether 32 bytes are a key that only its owner signs for: libraries take those of small order as well."""
    return verify_bundle.is_own(key)


def cosigned_at(signature: NoteSignature) -> int | None:
    """Return the UNIX second that a witness's signature states, None where it is not of that form."""
    if len(signature.signature) <= TIME_BYTES:
        return None
    at = int.from_bytes(signature.signature[:TIME_BYTES], "big")
    return at if at <= _TIME_MAX else None


def _secret_bytes(encoded: str) -> bytes:
    try:
        return bytes_of(encoded, "the private key")
    except InvalidNote:
        pass
    # Outside of the handler: the error that names the text must not travel with this one.
    msg = "the private key is not base64 (it is not shown): copy its file again"
    raise InvalidNote(msg)


def check_library() -> None:
    """Raise ImportError unless keys can be used here: before something begins to sign, not while it does."""
    if importlib.util.find_spec("cryptography") is None:
        raise ImportError(_MISSING)


def _library() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as e:
        raise ImportError(_MISSING) from e
    return ed25519


def _public_of(seed: bytes) -> bytes:
    return bytes(_library().Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def _signed(seed: bytes, message: bytes) -> bytes:
    return bytes(_library().Ed25519PrivateKey.from_private_bytes(seed).sign(message))


def _is_signature(key: bytes, signed: bytes, message: bytes) -> bool:
    library = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        library.Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
    except (InvalidSignature, ValueError):
        return False
    return True
