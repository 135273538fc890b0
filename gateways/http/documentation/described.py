"""What Litestar does not know of the routes: their scopes, examples, the classes' own words, the types of events."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore.events.registry import registered_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar

EXAMPLES = Path(__file__).with_name("examples.json")
METHODS = ("get", "put", "post", "delete", "patch")
_JSON = "application/json"
_PARAMETERS = {
    "account": "The account.",
    "category": "The stream's category: `order`, `trade`, `lockout`, …",
    "entity": "What the stream is about: an order's id, a symbol, a rule. A slash in it is `%252F`.",
    "order_id": "The order's id.",
    "partition": "The partition, usually an account.",
    "request_id": "The request's id.",
    "stream": "Only this stream, or those with this prefix.",
    "types": "Only these event types.",
    "view": "The view's name.",
}
"""What parameters mean where the route does not say it."""
_UNSAID = "Request fulfilled, document follows"


def described(schema: dict[str, Any], app: Litestar) -> dict[str, Any]:
    """Return an OpenAPI document with all that is known of each route."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    handlers, examples = _handlers(app), examples_of()
    for name, operation in operations_of(document):
        paragraphs = operation.get("description", "").split("\n\n")
        operation["summary"] = " ".join(paragraphs[0].split())
        operation["description"] = "\n\n".join([" ".join(each.split()) for each in paragraphs])
        options = handlers[name].opt
        scope = options.get("scope")
        for kind, about in options.get("also", {}).items():
            # What Litestar cannot say: the same answer in another form.
            operation["responses"]["200"]["content"][kind] = {"schema": {"type": "string", "description": about}}
        if scope:
            operation["x-scope"] = str(scope)
            operation["description"] += f"\n\nNeeds a key with the scope `{scope}`."
        else:
            operation["security"] = []
        for each in operation.get("parameters", ()):
            each.setdefault("description", _PARAMETERS.get(each["name"], ""))
        _add_examples(operation, examples.get(name, {}))
    schemas = document["components"]["schemas"]
    _describe_classes(schemas)
    for _, operation in operations_of(document):
        _describe_answer(operation["responses"].get("200", {}), schemas)
    return document


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation of a document, named by method and path: `GET /v1/records`."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def examples_of() -> dict[str, dict[str, Any]]:
    """Return the examples by operation: what was sent and what was answered, once."""
    found: dict[str, dict[str, Any]] = msgspec.json.decode(EXAMPLES.read_bytes())
    return found


def _handlers(app: Litestar) -> dict[str, Any]:
    """Return the handlers of routes by method and path."""
    return {
        f"{method} {route.path_format}": handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in getattr(handler, "http_methods", ())
    }


def _add_examples(operation: dict[str, Any], example: dict[str, Any]) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if body is not None and "request" in example:
        body["example"] = example["request"]
    answer = operation["responses"].get("200", {}).get("content", {}).get(_JSON)
    if answer is not None and "answer" in example:
        answer["example"] = example["answer"]


def _describe_answer(answer: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Describe an answer by its class, where the route says nothing of it."""
    if answer.get("description") == _UNSAID:
        reference = answer.get("content", {}).get(_JSON, {}).get("schema", {}).get("$ref", "")
        answer["description"] = schemas.get(reference.rpartition("/")[2], {}).get("description", "The answer.")


def _describe_classes(schemas: dict[str, Any]) -> None:
    classes = {cls.__name__: cls for cls in _subclasses(msgspec.Struct)}
    for name, schema in schemas.items():
        cls = classes.get(name)
        if cls is not None and cls.__doc__ and "properties" in schema:
            schema["description"] = " ".join(inspect.cleandoc(cls.__doc__).split("\n\n")[0].split())
    event = schemas.get("SentEvent")
    if event is not None:
        event["properties"]["type"]["enum"] = list(registered_names())
        event["properties"]["data"] = {
            "type": "object",
            "description": "The event's members, as FORMAT describes them.",
        }


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    found: list[type[Any]] = cls.__subclasses__()
    for each in found:
        yield each
        yield from _subclasses(each)
