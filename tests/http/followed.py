"""A client of the service's event streams, for tests: events as they come, each wait bounded."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx

from gateways.http.access import Caller, NotAuthenticated, Scope
from tests.http.serving import Running

FOLLOW_SECONDS = 30


class SentEvent(NamedTuple):
    """One event of a stream; a comment has no name."""

    name: str
    data: Any = None
    id: int | None = None


class Stream:
    """An open stream: its events, oldest first."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._events = self._parsed()

    def next(self, name: str | None = None) -> SentEvent:
        """Return the next event, or the next of a name: what comes between is passed over."""
        deadline = time.monotonic() + FOLLOW_SECONDS
        for found in self._events:
            if name in {None, found.name}:
                return found
            # Heartbeats come without end.
            assert time.monotonic() < deadline, f"no event {name} for {FOLLOW_SECONDS} s"
        msg = f"the stream ended without another event {name}"
        raise AssertionError(msg)

    def records(self, count: int) -> list[dict[str, Any]]:
        """Return the data of the next records."""
        return [self.next("record").data for _ in range(count)]

    def rest(self) -> list[SentEvent]:
        """Return all events until the service ends the stream."""
        return list(self._events)

    def _parsed(self) -> Iterator[SentEvent]:
        members: dict[str, list[str]] = {}
        for line in self.response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                members.setdefault(name, []).append(value)
                continue
            if "" in members:
                yield SentEvent("", members[""][0])
            elif "event" in members:
                id_ = int(members["id"][0]) if "id" in members else None
                yield SentEvent(members["event"][0], json.loads("\n".join(members["data"])), id_)
            members = {}


@contextlib.contextmanager
def followed(service: Running, *, headers: Mapping[str, str] | None = None, **asked: object) -> Iterator[Stream]:
    """Follow a service's log: the arguments are those of the query."""
    with (
        httpx.Client(base_url=service.url, timeout=FOLLOW_SECONDS, trust_env=False) as client,
        client.stream("GET", "/v1/follow", params=asked, headers=headers) as response,  # type: ignore[arg-type]
    ):
        assert response.status_code == 200, response.read()
        stream = Stream(response)
        assert stream.next().name == "log"
        yield stream


class Keys:
    """An authenticator for tests: callers by the key that a request carries; they may be taken away."""

    needs_key = True

    def __init__(self, **callers: Caller) -> None:
        self.callers = callers

    def caller(self, headers: Mapping[str, str]) -> Caller:
        found = self.callers.get(headers.get("authorization", "").removeprefix("Bearer "))
        if found is None:
            msg = "no valid key was sent"
            raise NotAuthenticated(msg)
        return found

    def is_valid(self, caller: Caller) -> bool:
        return caller in self.callers.values()


def reader_of(*accounts: str) -> Caller:
    """Return a caller who may read some accounts alone."""
    return Caller("reader", frozenset({Scope.READ}), frozenset(accounts))


def bearer(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"authorization": f"Bearer {key}"}
