"""The shares into which all accounts are divided, so that the workers of a group each fold some of them."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import msgspec

SHARES = 64
"""How many there are, in every log and forever: what is stored of a share is of these accounts."""
_REMEMBERED_MAX = 100_000
_remembered: dict[str, int] = {}


def share_of(account: str) -> int:
    """Return an account's share, 0 to 63: the first byte of its name's SHA-256, modulo 64.

    In PostgreSQL: `get_byte(sha256(convert_to(account, 'UTF8')), 0) % 64`.
    """
    found = _remembered.get(account)
    if found is None:
        if len(_remembered) >= _REMEMBERED_MAX:
            _remembered.clear()
        found = _remembered[account] = hashlib.sha256(account.encode()).digest()[0] % SHARES
    return found


class AccountShares(msgspec.Struct, frozen=True):
    """The accounts of some shares, also those that are opened later, and single others: `account in shares`."""

    numbers: frozenset[int]
    also: frozenset[str] = frozenset()

    def __contains__(self, account: object) -> bool:
        return isinstance(account, str) and (share_of(account) in self.numbers or account in self.also)

    def __or__(self, names: frozenset[str]) -> AccountShares:
        return AccountShares(self.numbers, self.also | names)


AccountFilter: TypeAlias = frozenset[str] | AccountShares | None
"""Which accounts a book folds beside what belongs to none: named ones, those of some shares, or all."""
