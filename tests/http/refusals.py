"""Who is refused what: asked of every route of the application, and written as a table to `docs/SECURITY.md`.

`python -m tests.http.refusals` writes the table; a test compares it, so that a new route appears in it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from litestar import Litestar
from litestar.routes import HTTPRoute, WebSocketRoute

from gateways.http import Service
from gateways.http.access import Scope
from gateways.http.application import routes
from tests.http.keys import FOREIGN, OWN, Keyed, event, keyed
from tests.http.test_gate import handshake

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "SECURITY.md"
BEGIN, END = "<!-- refusals: begin -->", "<!-- refusals: end -->"
HEADING = ("| route | scope | own account | foreign account | none named | all accounts |", "|---|---|---|---|---|---|")
ALLOWED, NOTHING = "yes", "–"
_VALUES = {"int": "1", "uuid": "0b5d6f0e-6d0b-4c39-9f0e-3a1f5d0c8a11", "date": "2026-12-01"}
_READ = {"GET", "DELETE", "HEAD"}


class Route(NamedTuple):
    """A route and a method of it: its template, the scope it asks for, and where it takes an account."""

    method: str
    template: str
    scope: Scope | None
    parameters: dict[str, str]
    takes_account: bool
    is_socket: bool = False

    @property
    def has_account(self) -> bool:
        return "account" in self.parameters or self.takes_account or self.template in BODIES

    def path(self, account: str | None) -> str:
        filled = self.template
        for name, value in self.parameters.items():
            filled = filled.replace("{" + name + "}", (account or OWN) if name == "account" else value)
        return filled + (f"?account={account}" if account and self.takes_account else "")


def _batch(account: str) -> dict[str, Any]:
    return {"batches": [{"stream": f"order/{account}/O-1", "events": [event("OrderAccepted")]}]}


def _groups(account: str) -> dict[str, Any]:
    return {"groups": [_batch(account)]}


BODIES: dict[str, Callable[[str], dict[str, Any]]] = {"/v1/batches": _batch, "/v1/groups": _groups}
"""The bodies of routes that take the account in it; other routes are asked with one that says nothing."""
PATH_VALUES = {
    "/v1/streams/{category}/{account}/{entity}": {"category": "order", "entity": "O-1"},
}
"""What stands in the path of routes that check it before the account."""


def routes_of(app: Litestar) -> Iterator[Route]:
    """Yield every route of the application, each method by itself."""
    for route in app.routes:
        values = {each.name: _VALUES.get(each.type.__name__.lower(), "x") for each in route.path_parameters.values()}
        values |= PATH_VALUES.get(route.path_format, {})
        if isinstance(route, WebSocketRoute):
            yield _route("WS", route.path_format, route.route_handler, values)
        elif isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted({*handler.http_methods} - {"OPTIONS"}):
                    yield _route(method, route.path_format, handler, values)


def _route(method: str, template: str, handler: Any, values: dict[str, str]) -> Route:  # noqa: ANN401 - any handler
    # What a route's dependencies take of the query, the route takes.
    signatures = [handler, *handler.resolve_dependencies().values()]
    names = {
        field.kwarg_definition.query if getattr(field.kwarg_definition, "query", None) else name
        for each in signatures
        for name, field in each.parsed_fn_signature.parameters.items()
    }
    scope = handler.opt.get("scope", Scope.ADMIN)
    return Route(method, template, scope, values, "account" in names - {*values}, method == "WS")


def keys() -> dict[str, tuple[tuple[Scope, ...], tuple[str, ...]]]:
    """Return a key for each scope, of one account and of all."""
    own = {each.value: ((each,), (OWN,)) for each in Scope}
    return own | {f"{each.value}-all": ((each,), ()) for each in Scope}


def is_refused(service: Keyed, route: Route, key: str | None, account: str | None) -> bool:
    """Ask a route, and return whether its answer is that the caller may not."""
    headers = {} if key is None else service.headers(key)
    path = route.path(account)
    if route.is_socket:
        sent = [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
        return handshake(service.url, *sent, path=path).split(b" ")[1] in {b"401", b"403"}
    body = None
    if route.method not in _READ:
        made = BODIES.get(route.template)
        body = {} if made is None else made(account or OWN)
    with service.served.client.stream(route.method, path, headers=headers, json=body) as answer:
        # What streams is not read: it may have no end.
        text = "" if _streams(answer) else answer.read().decode("utf-8", "replace")
    assert answer.status_code != HTTPStatus.INTERNAL_SERVER_ERROR, f"{route.method} {path}: {text}"
    return answer.status_code in {401, 403} or '"NotAllowed"' in text


def _streams(answer: httpx.Response) -> bool:
    return "content-length" not in answer.headers and answer.status_code == 200


def row_of(service: Keyed, route: Route) -> str:
    """Return a row of the table; raise AssertionError where a key without the scope, or no key, is not refused."""
    name = f"`{route.method} {route.template}`"
    if route.scope is None:
        needs_key = is_refused(service, route, None, OWN)
        assert not is_refused(service, route, Scope.READ.value, OWN), f"{name} is for every key"
        return f"| {name} | {'any' if needs_key else 'none'} | {' | '.join([ALLOWED] * 4)} |"
    assert is_refused(service, route, None, OWN), f"{name} answers without a key"
    for other in set(Scope) - {route.scope, Scope.ADMIN}:
        for account in (OWN, FOREIGN):
            assert is_refused(service, route, f"{other}-all", account), f"{name} answers a key with {other} alone"
    cells = [
        _cell(service, route, route.scope.value, OWN) if route.has_account else NOTHING,
        _cell(service, route, route.scope.value, FOREIGN) if route.has_account else NOTHING,
        _cell(service, route, route.scope.value, None) if not _names_always(route) else NOTHING,
        _cell(service, route, f"{route.scope.value}-all", FOREIGN if route.has_account else None),
    ]
    return f"| {name} | {route.scope.value} | {' | '.join(cells)} |"


def _names_always(route: Route) -> bool:
    return "account" in route.parameters or route.template in BODIES


def _cell(service: Keyed, route: Route, key: str, account: str | None) -> str:
    return "refused" if is_refused(service, route, key, account) else ALLOWED


def table(directory: Path) -> list[str]:
    """Return the lines of the table, by asking a service in an empty directory."""
    with keyed(directory, keys()) as service:
        found: list[Route] = asyncio.run_coroutine_threadsafe(
            _routes(service.served.service), service.served.loop
        ).result(60)
        return [*HEADING, *(row_of(service, route) for route in found)]


async def _routes(service: Service) -> list[Route]:
    return sorted(routes_of(routes(service.settings.body_bytes_max)), key=lambda route: (route.template, route.method))


def written() -> list[str]:
    """Return the table's lines in the document."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    return [line for line in rest.partition(END)[0].splitlines() if line]


def write() -> None:
    """Write the table into the document."""
    with tempfile.TemporaryDirectory() as directory:
        lines = table(Path(directory))
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
