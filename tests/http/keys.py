"""API keys for tests of the service: a log with an account, and callers with a key each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

import eventstore
from eventstore import Clock, SystemClock
from eventstore.trading import AccountOpened, OrderSubmitted, Side
from gateways.http import ServiceSettings
from gateways.http.access import Scope
from gateways.http.keys import KeyAuthenticator, KeyFile
from tests.http.serving import Running, running

OWN, FOREIGN = "ACC1", "ACC2"
NOW = 1_795_000_000_000_000_000


def seed(directory: Path) -> None:
    """Open two accounts, each with an order, in a log."""
    with eventstore.open(directory) as store:
        for account in (OWN, FOREIGN):
            opened = AccountOpened(starting_balance=Decimal(50_000), currency="USD")
            store.append(f"account/{account}/-", opened)
            store.append(
                f"order/{account}/O-1", OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1)), key="o-1"
            )


def key_file(directory: Path) -> KeyFile:
    """Return the keys of the log in a directory."""
    return KeyFile(directory / "main")


def added(directory: Path, name: str, *scopes: Scope, accounts: tuple[str, ...] = (OWN,)) -> str:
    """Add a key and return its text; without accounts it is for all."""
    _, text = key_file(directory).add(name, scopes, now=SystemClock().now_ns(), by="test", accounts=accounts)
    return text


class Keyed:
    """A service that needs keys; `client(name)` asks it with the key of that name."""

    def __init__(self, served: Running, directory: Path, texts: dict[str, str]) -> None:
        self.served, self.directory, self.texts = served, directory, texts
        self.url = served.url

    def headers(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.texts[name]}"}

    def get(self, name: str, path: str) -> httpx.Response:
        return self.served.client.get(path, headers=self.headers(name))

    def post(self, name: str, path: str, body: object) -> httpx.Response:
        return self.served.client.post(path, headers=self.headers(name), json=body)

    def append(self, name: str, stream: str, *events: dict[str, Any], **options: object) -> httpx.Response:
        return self.post(name, f"/v1/streams/{stream}", {"events": list(events), **options})


@contextmanager
def keyed(
    directory: Path,
    keys: Mapping[str, tuple[tuple[Scope, ...], tuple[str, ...]]],
    settings: ServiceSettings | None = None,
    clock: Clock | None = None,
) -> Iterator[Keyed]:
    """Serve a seeded log with keys, each by its name: its scopes and its accounts."""
    seed(directory)
    texts = {name: added(directory, name, *scopes, accounts=accounts) for name, (scopes, accounts) in keys.items()}
    authenticator = KeyAuthenticator(key_file(directory), SystemClock(), "test")
    given = settings or ServiceSettings()
    with running(directory, authenticator=authenticator, settings=given, clock=clock or SystemClock()) as served:
        yield Keyed(served, directory, texts)


def event(type_: str, **data: object) -> dict[str, Any]:
    """Return an event as clients send it."""
    return {"type": type_, "data": data}
