"""Keeps credentials out of the log, where what is appended stays: in notes of messages, and in texts of the broker."""

from __future__ import annotations

import re

HIDDEN = "(hidden)"
_DEPTH_MAX = 100
# Names of members, without punctuation and case, that hold credentials if they contain one of these.
_WORDS = (
    "token", "secret", "password", "passwd", "passphrase", "apikey", "privatekey", "listenkey", "accesskey",
    "signature", "authorization", "cookie", "jwt", "credential",
)  # fmt: skip
# FIX 4.4 Password and NewPassword, and their encrypted forms in FIX 5.0.
_TAGS = frozenset({"554", "925", "1402", "1404"})
_NOT_IN_A_WORD = re.compile(r"[\W_]")
# Bounded, so that no text takes long.
_PATTERNS = (
    # A JSON Web Token (RFC 7519), wherever it is.
    (re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]+(?:\.[\w-]*)*"), HIDDEN),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # A member of an address's query, or of a text such as `api_key: abc`.
    (
        re.compile(
            r"(\b\w{0,30}(?:token|secret|passw(?:or)?d|passphrase|api_?key|listen_?key|signature|credential)\w{0,30}"
            r"[\\\"']{0,9}\s{0,9}[=:]\s{0,9}[\\\"']{0,9})[^\s&\"'\\,;}\]()]+",
            re.IGNORECASE,
        ),
        rf"\g<1>{HIDDEN}",
    ),
)


def without_secrets(value: object, depth: int = _DEPTH_MAX) -> object:
    """Return a message without the values of members that are named like credentials.

    Raises RecursionError for one that is too deep, or in a circle.
    """
    if not depth:
        raise RecursionError
    # By their own types: whatever else a message holds is shown, not asked.
    if type(value) is dict:
        return {
            name: HIDDEN if _is_secret(name) else without_secrets(each, depth - 1) for name, each in value.items()
        }  # fmt: skip
    if type(value) is list or type(value) is tuple:
        return [without_secrets(each, depth - 1) for each in value]
    return value


def redacted(text: str) -> str:
    """Return a text without what looks like a credential."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _is_secret(name: object) -> bool:
    if not isinstance(name, str | int):
        return False
    word = _NOT_IN_A_WORD.sub("", str(name)).casefold()
    return word in _TAGS or any(each in word for each in _WORDS)
