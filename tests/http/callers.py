"""Callers by name, for tests of what each may see: the header says who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from gateways.http.access import Caller, NotAuthenticated, Scope
from tests.http.serving import Running


class ByName:
    """Takes the word of `Authorization: Bearer NAME` for it."""

    needs_key = True

    def __init__(self, *callers: Caller) -> None:
        self._callers = {caller.name: caller for caller in callers}

    def caller(self, headers: Mapping[str, str]) -> Caller:
        found = self._callers.get(headers.get("authorization", "").removeprefix("Bearer "))
        if found is None:
            msg = "no such caller"
            raise NotAuthenticated(msg)
        return found

    def is_valid(self, caller: Caller) -> bool:
        return True


def auditor(name: str, *accounts: str) -> Caller:
    """Return a caller with the scope of audits, for some accounts or for all."""
    return Caller(name, frozenset({Scope.AUDIT, Scope.READ}), frozenset(accounts) if accounts else None)


def asked(service: Running, path: str, name: str, **query: Any) -> httpx.Response:  # noqa: ANN401 - what a query has
    """Ask as a caller; a query's member that is None is left out."""
    given = {member: value for member, value in query.items() if value is not None}
    return service.client.get(path, params=given, headers={"authorization": f"Bearer {name}"})
