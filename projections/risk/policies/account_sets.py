"""The sets of accounts that policies run for on a log: their names in files, and which accounts each has."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from eventstore.streams import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore.side import LogSide

EVERY = ""
"""The name of the set of all accounts."""
_DIGITS = 12
_MARK = "@"
_SHARE = "share"
_SUFFIX = ".accounts"
_POLICIES, _LOCK = "policies", ".lock"
_ALL, _PLUS = _MARK + "all", "+"
LOCKS = _POLICIES + _MARK
"""What the names of the locks of all sets begin with, also of those whose accounts are unknown."""


def name_of(accounts: Iterable[str] | None) -> str:
    """Return a set's name, which ends its files' names: a digest, because the accounts' names would not fit."""
    if accounts is None:
        return EVERY
    return _MARK + hashlib.sha256(SEPARATOR.join(sorted(accounts)).encode()).hexdigest()[:_DIGITS]


def share_name(share: int) -> str:
    """Return the name of the set of a share's accounts, for which one member of a group runs policies."""
    return f"{_MARK}{_SHARE}{share:02}"


def is_name(text: str) -> bool:
    """Return whether a text is the name of a set of some accounts."""
    return re.fullmatch(f"{_MARK}([0-9a-f]{{{_DIGITS}}}|{_SHARE}[0-9]{{2}})", text) is not None


def furthest_behind(positions: Mapping[str, int]) -> dict[str, int]:
    """Return positions by the names of their marks, one for all shares of a policy: of that furthest behind."""
    found: dict[str, int] = {}
    for name, position in positions.items():
        short = re.sub(f"{_MARK}{_SHARE}[0-9]{{2}}$", f"{_MARK}{_SHARE}s", name)
        found[short] = min(position, found.get(short, position))
    return found


def share_number(name: str) -> int | None:
    """Return the share whose accounts a set has; None for any other set."""
    number = name.removeprefix(_MARK + _SHARE)
    return int(number) if number != name and number.isdecimal() else None


def lock_of(name: str, abilities: str = "") -> str:
    """Return the file that is locked while policies run for a set; or such that have some abilities, by their name."""
    return f"{_POLICIES}{name or _ALL}{_PLUS + abilities if abilities else ''}{_LOCK}"


def running_in(lock: str) -> tuple[str, str]:
    """Return the set that a lock is of, and the name of the abilities that it shows; an empty one where it has none."""
    name, _, abilities = lock.removeprefix(_POLICIES).removesuffix(_LOCK).partition(_PLUS)
    return "" if name == _ALL else name, abilities


def remember(side: LogSide, accounts: frozenset[str]) -> None:
    """Write down which accounts a set has, unless that is known."""
    name = name_of(accounts)
    if name not in remembered(side, {}):
        side.keep(_file_of(name), msgspec.json.encode(sorted(accounts)))


def remembered(side: LogSide, known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return the accounts of each set that is written down, by its name; those in `known` are not decoded again."""
    found = {}
    for file, content in side.documents(LOCKS).items():
        if not file.endswith(_SUFFIX):
            continue
        name = file.removeprefix(_POLICIES).removesuffix(_SUFFIX)
        accounts = known.get(name) or _accounts_in(content, name)
        if accounts is not None:
            found[name] = accounts
    return found


def _file_of(name: str) -> str:
    return f"{_POLICIES}{name}{_SUFFIX}"


def _accounts_in(content: bytes, name: str) -> frozenset[str] | None:
    """Return the accounts of a set, None where that is not known: what a file's name does not prove is not believed."""
    try:
        accounts = frozenset(msgspec.json.decode(content, type=list[str]))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return accounts if name_of(accounts) == name else None
