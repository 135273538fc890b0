"""The sets of accounts that policies run for on a log: their names in files, and which accounts each has."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from eventstore import files
from eventstore.streams import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EVERY = ""
"""The name of the set of all accounts."""
BYTES_MAX = 4_000_000
_DIGITS = 12
_MARK = "@"


def name_of(accounts: Iterable[str] | None) -> str:
    """Return a set's name, which ends its files' names: a digest, because the accounts' names would not fit."""
    if accounts is None:
        return EVERY
    return _MARK + hashlib.sha256(SEPARATOR.join(sorted(accounts)).encode()).hexdigest()[:_DIGITS]


def is_name(text: str) -> bool:
    """Return whether a text is the name of a set of some accounts."""
    return re.fullmatch(f"{_MARK}[0-9a-f]{{{_DIGITS}}}", text) is not None


def lock_of(name: str) -> str:
    """Return the file that is locked while policies run for a set."""
    return f"policies{name or _MARK + 'all'}.lock"


def locks(directory: Path) -> list[Path]:
    """Return the files that are or were locked for any set, also for one whose accounts are unknown."""
    return list(directory.glob(f"policies{_MARK}*.lock"))


def remember(directory: Path, accounts: frozenset[str]) -> None:
    """Write down which accounts a set has, unless that is known."""
    name = name_of(accounts)
    if _read(directory, name) is None:
        files.replace(directory / _file_of(name), msgspec.json.encode(sorted(accounts)))


def remembered(directory: Path, known: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return the accounts of each set that is written down, by its name; those in `known` are not read again."""
    found = {}
    for path in directory.glob(_file_of(_MARK + "*")):
        name = path.name.removeprefix("policies").removesuffix(".accounts")
        accounts = known.get(name) or _read(directory, name)
        if accounts is not None:
            found[name] = accounts
    return found


def _file_of(name: str) -> str:
    return f"policies{name}.accounts"


def _read(directory: Path, name: str) -> frozenset[str] | None:
    """Return the accounts of a set, None where that is not known: what a file's name does not prove is not believed."""
    try:
        with (directory / _file_of(name)).open("rb") as file:
            accounts = frozenset(msgspec.json.decode(file.read(BYTES_MAX), type=list[str]))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return accounts if name_of(accounts) == name else None
