"""Who asks, and what they may do: callers, scopes, and the check that every route names."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Scope(StrEnum):
    """What a key may do. Each route needs one of them; no scope implies another, but `admin` has them all."""

    READ = "read"
    """Look at records and at what they fold into."""
    APPEND = "append"
    """Append facts: orders, trades, positions, reports, notes."""
    TRADE = "trade"
    """Check and submit orders; claim and answer enforcement."""
    AUDIT = "audit"
    """Timelines, causes, differences, proofs and exports."""
    ADMIN = "admin"
    """Unlock, set limits, reopen, correct; retry partitions."""


class NotAuthenticated(Exception):
    """The request carries no key, or one that is not valid."""


class NotAllowed(Exception):
    """The key is valid, and may not do this."""


class Caller(msgspec.Struct, frozen=True):
    """Whom a request is from: the name is the actor of what it appends. `accounts`: None for all.

    `key` is the public id of its API key, empty where the service has none. What belongs to no account has the account
    `-`, what belongs to a group `@NAME`: a key that is for some accounts has to name these too.
    """

    name: str
    scopes: frozenset[Scope]
    accounts: frozenset[str] | None = None
    key: str = ""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope, account: str | None = None) -> None:
        """Raise NotAllowed unless this caller has a scope, and an account if one is named."""
        if not self.may(scope):
            msg = f"key {self.name!r} lacks the scope {scope.value}: ask for a key that has it"
            raise NotAllowed(msg)
        if account is not None and not self.sees(account):
            msg = f"key {self.name!r} is not for account {account!r}"
            raise NotAllowed(msg)

    def sees(self, account: str) -> bool:
        """Return whether this caller may look at an account."""
        return self.accounts is None or account in self.accounts

    def require_all_accounts(self, scope: Scope) -> None:
        """Raise NotAllowed unless this caller has a scope for every account: for what concerns the whole log."""
        self.require(scope)
        if self.accounts is not None:
            msg = f"key {self.name!r} is for {', '.join(sorted(self.accounts))} alone, and this concerns every account"
            raise NotAllowed(msg)


def caller_in(state: Mapping[str, Any]) -> Caller:
    """Return whom the gate has found a request to be from; raise NotAuthenticated for nobody."""
    caller: Caller | None = state.get("caller")
    if caller is None:
        msg = "no key was sent"
        raise state.get("not_authenticated") or NotAuthenticated(msg)
    return caller


class Authenticator(Protocol):
    """Says whom a request is from."""

    @property
    def needs_key(self) -> bool:
        """Whether requests without a key are refused."""

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return whom a request with these headers, in small letters, is from; raise NotAuthenticated."""

    def is_valid(self, caller: Caller) -> bool:
        """Return whether a caller may still be answered, asked again and again of what lasts long."""


class OpenAccess:
    """A service without keys, on the loopback: who is on this machine is trusted, as with the files themselves."""

    needs_key = False

    def __init__(self, actor: str) -> None:
        self._caller = Caller(actor, frozenset(Scope))

    def caller(self, headers: Mapping[str, str]) -> Caller:
        return self._caller

    def is_valid(self, caller: Caller) -> bool:
        return caller == self._caller
