"""Signed notes as C2SP has them: a text, a blank line, and signature lines (c2sp.org/signed-note)."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import msgspec

from eventstore.errors import InvalidNote, shown

KEY_ID_BYTES = 4
NOTE_BYTES_MAX = 65_536
SIGNATURES_MAX = 64
_DASH = "\N{EM DASH} "


class NoteSignature(NamedTuple):
    """A signature line: the key's name and id, and what it signed the text with, an algorithm's own bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in the note, with its end."""
        return f"{_DASH}{self.name} {base64_of(self.key_id + self.signature)}\n"


class SignedNote(msgspec.Struct, frozen=True):
    """A text, ending in a newline, and its signatures: none of them is verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encoded(self) -> bytes:
        """Return the note as it is written; raise InvalidNote where it could not be read again."""
        content = f"{self.text}\n{''.join(found.line for found in self.signatures)}".encode()
        parse_note(content)
        return content


def parse_note(content: bytes | str) -> SignedNote:
    """Return the text and the signatures of a note; raise InvalidNote for anything that is not exactly one."""
    text = _text_of(content)
    body, separator, lines = text.rpartition("\n\n")
    if not separator:
        msg = "a signed note is a text, a blank line and signature lines: this has no blank line"
        raise InvalidNote(msg)
    if not lines.endswith("\n"):
        msg = "a signed note ends with a newline after its last signature: it was cut off, or copied in part"
        raise InvalidNote(msg)
    found = lines[:-1].split("\n")
    if len(found) > SIGNATURES_MAX:
        msg = f"the note has {len(found):,} signatures, and {SIGNATURES_MAX} is the limit"
        raise InvalidNote(msg)
    return SignedNote(body + "\n", tuple([parse_signature(line) for line in found]))


def parse_signature(line: str) -> NoteSignature:
    """Return what one signature line holds, given without its end; raise InvalidNote."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        msg = f"a signature line is an em dash, a key's name and base64, not {shown(line)}"
        raise InvalidNote(msg)
    check_key_name(name)
    signed = bytes_of(encoded, "a signature")
    if len(signed) <= KEY_ID_BYTES:
        msg = f"the signature by {shown(name)} has {len(signed)} bytes: it was cut off"
        raise InvalidNote(msg)
    return NoteSignature(name, signed[:KEY_ID_BYTES], signed[KEY_ID_BYTES:])


def check_key_name(name: str) -> str:
    """Return a key's name; raise InvalidNote unless it can stand in a signature line."""
    if not name or "+" in name or any(sign.isspace() for sign in name):
        msg = f"a key's name has no spaces and no '+': {shown(name)}"
        raise InvalidNote(msg)
    return name


def base64_of(content: bytes) -> str:
    """Return bytes in standard base64 (RFC 4648, section 4)."""
    return base64.b64encode(content).decode("ascii")


def bytes_of(text: str, what: str) -> bytes:
    """Return the bytes that standard base64 stands for; raise InvalidNote for any other way to write them.

    Without that a note could be altered and stay valid: the last sign of base64 has bits that mean nothing.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        msg = f"{what} is not base64: {shown(text)}"
        raise InvalidNote(msg) from e
    if base64_of(content) != text:
        msg = f"{what} is not in the standard form of base64: {shown(text)}"
        raise InvalidNote(msg)
    return content


def _text_of(content: bytes | str) -> str:
    try:
        encoded = content.encode() if isinstance(content, str) else bytes(content)
        if len(encoded) > NOTE_BYTES_MAX:
            msg = f"a note has at most {NOTE_BYTES_MAX:,} bytes, and this has {len(encoded):,}"
            raise InvalidNote(msg)
        text = encoded.decode()
    except UnicodeError as e:
        msg = f"a signed note is UTF-8 text: {e}"
        raise InvalidNote(msg) from e
    if "\r" in text:
        msg = "the lines of a signed note end in a newline alone: this one was rewritten with carriage returns"
        raise InvalidNote(msg)
    if control := next((sign for sign in text if sign < " " and sign != "\n"), ""):
        msg = f"a signed note holds the control character {control!r}: it was damaged or is another file"
        raise InvalidNote(msg)
    return text
