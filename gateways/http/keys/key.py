"""An API key as it is kept: whose it is, what it may do, and the hash of its text."""

from __future__ import annotations

import msgspec

from eventstore.clock import parse_time
from eventstore.errors import InvalidEvent, shown
from eventstore.streams import NAME, check_name
from gateways.http.access import Caller, Scope
from projections.views.approvals import is_policy, person_of

NAME_BYTES_MAX = 64


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that was added; times are ISO 8601 text with a zone. `accounts`: None for all of them.

    A revoked one stays, with who revoked it and when: records that it appended have its name.
    """

    id: str
    name: str
    hash: str
    scopes: tuple[Scope, ...]
    accounts: tuple[str, ...] | None
    added_at: str
    added_by: str
    expires_at: str | None = None
    revoked_at: str | None = None
    revoked_by: str | None = None

    def caller(self) -> Caller:
        """Return whom a request with this key is from."""
        accounts = None if self.accounts is None else frozenset(self.accounts)
        return Caller(self.name, frozenset(self.scopes), accounts, self.id)

    def is_over(self, now: int) -> bool:
        """Return whether the key is revoked, or has expired by an instant in UNIX ns."""
        return self.revoked_at is not None or (self.expires_at is not None and parse_time(self.expires_at) <= now)


def check_key_name(name: str) -> str:
    """Return a key's name, which is the actor of what it appends; raise InvalidEvent for one that cannot be."""
    if is_policy(name):
        msg = f"{shown(name)} is the name of a policy: what it may do alone, no key may"
        raise InvalidEvent(msg)
    if not name.isprintable() or name != name.strip() or not person_of(name) or len(name.encode()) > NAME_BYTES_MAX:
        msg = f"{shown(name)} is not a key's name: give 1 to {NAME_BYTES_MAX} printable characters, as in desk-1"
        raise InvalidEvent(msg)
    return name


def check_accounts(accounts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the accounts that a key is for, each once; raise InvalidEvent for what cannot be an account."""
    for account in accounts:
        if not NAME.fullmatch(account):
            check_name("account", account)
    return tuple(sorted(set(accounts)))
