"""The text of an API key: `es_`, then a public id of 4 bytes and a secret of 32, in base64url."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "es_"
"""Begins every key, so that people and scanners for secrets recognize one."""
ID_BYTES, SECRET_BYTES = 4, 32
_LENGTH = len(PREFIX) + (ID_BYTES + SECRET_BYTES) * 4 // 3


class DrawnKey(NamedTuple):
    """A new key: its public id, and its text, which is shown once."""

    id: str
    text: str


def drawn(random: Callable[[int], bytes]) -> DrawnKey:
    """Return a new key; `random` is the system's source of secrets, as `os.urandom` is."""
    id_ = random(ID_BYTES)
    return DrawnKey(id_.hex(), PREFIX + base64.urlsafe_b64encode(id_ + random(SECRET_BYTES)).decode())


def id_of(text: str) -> str | None:
    """Return the public id of a key's text, None for a text that cannot be a key."""
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)[:ID_BYTES].hex()
    except (binascii.Error, ValueError):
        return None


def hash_of(text: str) -> str:
    """Return what is stored of a key: the SHA-256 of its text, in hex.

    A slow hash, with a salt, protects passwords, which can be guessed. Nobody guesses 256 random bits, whatever one
    guess costs, and a slow hash would let anybody occupy the service by sending wrong keys.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def looks_like_key(text: str) -> bool:
    """Return whether a text begins as keys do: it is then never shown."""
    return text.startswith(PREFIX) and len(text) >= _LENGTH // 2
