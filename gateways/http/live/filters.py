"""What a follower asks for of a log: streams, accounts, categories and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.streams import check_name, check_pattern
from gateways.http.access import Scope
from gateways.http.visibility import SEEN_BY_ALL
from projections.view import SHARED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore import Record
    from gateways.http.access import Caller


class RecordFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records a follower is sent; None is for all. Equal filters share what is encoded for them."""

    stream: str | None = None
    accounts: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    types: frozenset[str] | None = None
    is_limited: bool = False
    """Whether of what belongs to no account only that is sent which names none."""

    def matches(self, record: Record) -> bool:
        """Return whether a record is asked for."""
        if self.types is not None and record.type not in self.types:
            return False
        category, account, _ = record.stream.split("/", 2)
        if self.accounts is not None and account not in self.accounts:
            return False
        if self.is_limited and account == SHARED and category not in SEEN_BY_ALL:
            return False
        if self.categories is not None and category not in self.categories:
            return False
        return self.stream is None or _is_of(record.stream, self.stream)

    @property
    def is_everything(self) -> bool:
        return self == EVERYTHING

    @property
    def query(self) -> dict[str, Any]:
        """What a store's `read` can leave out by itself; `matches` decides about the rest."""
        found: dict[str, Any] = {}
        if self.stream is not None:
            found["stream"] = self.stream
        elif self.categories is not None and len(self.categories) == 1:
            (category,) = self.categories
            found["stream"] = f"{category}/"
        if self.accounts is not None and len(self.accounts) == 1:
            (found["account"],) = self.accounts
        if self.types is not None:
            found["types"] = sorted(self.types)
        return found


EVERYTHING = RecordFilter()


def filter_for(
    caller: Caller,
    *,
    stream: str | None = None,
    accounts: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
) -> RecordFilter:
    """Return what a caller asks for, no more than its key may see; raise NotAllowed for an account that it may not.

    A key for some accounts that names none is sent these, and what belongs to no account.
    """
    if stream is not None:
        check_pattern(stream)
    for name in categories or ():
        check_name("category", name)
    for name in types or ():
        check_name("type", name)
    for account in accounts or ():
        check_name("account", account)
        if account != SHARED:
            caller.require(Scope.READ, account)
    seen = caller.accounts if caller.accounts is None else caller.accounts | {SHARED}
    return RecordFilter(
        stream=stream,
        accounts=frozenset(accounts) if accounts else seen,
        categories=frozenset(categories) if categories else None,
        types=frozenset(types) if types else None,
        is_limited=caller.accounts is not None,
    )


def _is_of(stream: str, pattern: str) -> bool:
    return stream.startswith(pattern) if pattern.endswith("/") else stream == pattern
