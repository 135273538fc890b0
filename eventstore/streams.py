"""Names of streams, logs, accounts and prefixes: what is allowed, and what is refused by name."""

from __future__ import annotations

import functools
import re

from eventstore.errors import InvalidEvent, shown

NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,64}")
ENTITY_BYTES_MAX = 128
ESCAPED_SLASH = "%2F"
SEPARATOR = "\0"
"""Between the parts of a composite key: no name and no text that is stored contains it."""
# Most names have an entity of printable ASCII, without a slash: one match says that all of it is allowed.
_USUAL = re.compile(r"[A-Za-z0-9_.:@-]{1,64}/([A-Za-z0-9_.:@-]{1,64})/[ -.0-~]{1,128}")
_RULE = "a stream is category/account/entity, for example order/ACC1/O-17 ('-' where a part does not apply)"


def account_of(stream: str) -> str:
    """Return the account of a stream's name; raise InvalidEvent, saying what is wrong, for a malformed one."""
    try:
        return _account_of(stream)
    except TypeError as e:
        # What is not text has no hash, or does not fit a pattern of text.
        msg = f"{shown(stream)}: {_RULE}, as text"
        raise InvalidEvent(msg) from e


# More of them would take longer to look up than the name takes to check, where every stream is another one.
@functools.lru_cache(maxsize=8_192)
def _account_of(stream: str) -> str:
    usual = _USUAL.fullmatch(stream)
    if usual is not None:
        return usual[1]
    parts = stream.split("/")
    if len(parts) != 3:  # noqa: PLR2004 - category, account, entity
        msg = f"{shown(stream)}: {_RULE}; a slash inside the entity is written {ESCAPED_SLASH}"
        raise InvalidEvent(msg)
    category, account, entity = parts
    check_name("category", category)
    check_name("account", account)
    if not entity or not entity.isprintable() or _bytes(entity) > ENTITY_BYTES_MAX:
        msg = f"{shown(stream)}: {_RULE}; the entity is 1 to {ENTITY_BYTES_MAX} bytes of printable text"
        raise InvalidEvent(msg)
    return account


def check_name(what: str, name: str) -> str:
    """Return a category, account, type or log name; raise InvalidEvent for a malformed one."""
    if not _is_text(name) or not NAME.fullmatch(name) or (what == "log" and not name.strip(".")):
        msg = f"{what} {shown(name)}: 1 to 64 of A-Z a-z 0-9 _ . : @ - are allowed"
        raise InvalidEvent(msg)
    return name


def check_pattern(pattern: str) -> str:
    """Return a stream's name, or a prefix `category/` or `category/account/`; raise InvalidEvent otherwise."""
    if _is_text(pattern) and pattern.endswith("/"):
        parts = pattern[:-1].split("/")
        if len(parts) <= 2:  # noqa: PLR2004 - category, account
            for what, part in zip(("category", "account"), parts, strict=False):
                check_name(what, part)
            return pattern
    account_of(pattern)
    return pattern


def stream_of(category: str, account: str, entity: str) -> str:
    """Return the name of a stream, whatever its entity is called: a slash in it is escaped."""
    return f"{category}/{account}/{entity.replace('/', ESCAPED_SLASH)}"


def unescaped(entity: str) -> str:
    """Return what an entity of a stream's name is called: `stream_of` the other way round."""
    return entity.replace(ESCAPED_SLASH, "/")


def prefix_end(prefix: str, more: str = "") -> str:
    """Return the first text after all that begin with a prefix and more: the last letter's successor in its place."""
    return (prefix + more)[:-1] + chr(ord((prefix + more)[-1]) + 1)


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def _bytes(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return ENTITY_BYTES_MAX + 1
