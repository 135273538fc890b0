"""The sets of accounts that policies run for on a log: their names in files, and which accounts each has."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from eventstore.streams import SEPARATOR
from projections.shares import AccountShares

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore.side import LogSide

EVERY = ""
"""The name of the set of all accounts."""
_DIGITS = 12
_MARK = "@"
_SHARE = "share"
_SUFFIX = ".accounts"


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


def locked_shares(side: LogSide) -> AccountShares | None:
    """Return the shares for which members of groups run policies now; None where there are none."""
    prefix, suffix = lock_of(share_name(0)).split("00")
    found = [name.removeprefix(prefix).removesuffix(suffix) for name in side.held_locks(prefix)]
    numbers = frozenset(int(number) for number in found if number.isdecimal())
    return AccountShares(numbers) if numbers else None


def lock_of(name: str) -> str:
    """Return the file that is locked while policies run for a set."""
    return f"policies{name or _MARK + 'all'}.lock"


def locks(side: LogSide) -> list[str]:
    """Return the locks that are or were held for any set, also for one whose accounts are unknown."""
    return side.locks(f"policies{_MARK}")


def remember(side: LogSide, accounts: frozenset[str]) -> None:
    """Write down which accounts a set has, unless that is known."""
    name = name_of(accounts)
    if name not in remembered(side, {}):
        side.keep(_file_of(name), msgspec.json.encode(sorted(accounts)))


def remembered(side: LogSide, known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return the accounts of each set that is written down, by its name; those in `known` are not decoded again."""
    found = {}
    for file, content in side.documents(f"policies{_MARK}").items():
        if not file.endswith(_SUFFIX):
            continue
        name = file.removeprefix("policies").removesuffix(_SUFFIX)
        accounts = known.get(name) or _accounts_in(content, name)
        if accounts is not None:
            found[name] = accounts
    return found


def _file_of(name: str) -> str:
    return f"policies{name}{_SUFFIX}"


def _accounts_in(content: bytes, name: str) -> frozenset[str] | None:
    """Return the accounts of a set, None where that is not known: what a file's name does not prove is not believed."""
    try:
        accounts = frozenset(msgspec.json.decode(content, type=list[str]))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return accounts if name_of(accounts) == name else None
