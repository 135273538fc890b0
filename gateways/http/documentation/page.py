"""The documentation as one page for people: made here, without a script, so that it needs nothing but its style."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

from gateways.http.documentation.described import operations_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TAGS = {
    "append": "Append",
    "trade": "Check and submit orders",
    "read": "Read records and state",
    "follow": "Follow",
    "audit": "Audit",
    "proofs": "Checkpoints and proofs",
    "export": "Export",
    "health": "Health",
}
"""Headings of the first sections; those of other tags follow, by their own names."""
_CODE = re.compile(r"`([^`]+)`")
_SHELL_SAFE = re.compile(r"[^A-Za-z0-9_/.:?&=%,{}-]")


def page_of(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    operations = list(operations_of(document))
    used = {tag for _, operation in operations for tag in operation.get("tags", ("other",))}
    tags = [tag for tag in _TAGS if tag in used] + sorted(used - _TAGS.keys())
    usual = _usual(operations)
    sections = [
        _section(tag, [each for each in operations if tag in each[1].get("tags", ("other",))], usual) for tag in tags
    ]
    links = "".join(f'<li><a href="#{escape(tag)}">{escape(_heading(tag))}</a></li>' for tag in tags)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: HTTP</title>"
        '<link rel="stylesheet" href="/docs/docs.css"></head><body>'
        f"<header><h1>{escape(info['title'])}</h1><p>{_text(info.get('description', ''))}</p>"
        f'<p>Version {escape(info["version"])}. For programs: <a href="/docs/openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Sections"><ul>{links}<li><a href="#usual">Problems</a></li>'
        '<li><a href="#classes">Classes</a></li></ul></nav></header>'
        f"<main>{''.join(sections)}{_problems(operations, usual)}{_classes(document['components']['schemas'])}</main>"
        "</body></html>\n"
    )


def _heading(tag: str) -> str:
    return _TAGS.get(tag, tag.capitalize())


def _usual(operations: Iterable[tuple[str, dict[str, Any]]]) -> frozenset[str]:
    """Return the statuses that every route with a key may answer with: they are listed once."""
    found = [frozenset(each["responses"]) for _, each in operations if each.get("security") != []]
    return frozenset.intersection(*found) - {"200"} if found else frozenset()


def _problems(operations: Iterable[tuple[str, dict[str, Any]]], usual: frozenset[str]) -> str:
    answers: dict[str, Any] = next(
        (each["responses"] for _, each in operations if usual <= each["responses"].keys()), {}
    )
    rows = _answers({"responses": {status: answers[status] for status in usual & answers.keys()}})
    table = _table(("Status", "As", "What"), rows)
    about = "<p>Every route may answer with these, beside those that it lists itself.</p>"
    return f'<section id="usual"><h2>Problems</h2>{about}{table}</section>'


def _section(tag: str, operations: Iterable[tuple[str, dict[str, Any]]], usual: frozenset[str]) -> str:
    found = "".join(_operation(name, operation, usual) for name, operation in operations)
    return f'<section id="{escape(tag)}"><h2>{escape(_heading(tag))}</h2>{found}</section>'


def _operation(name: str, operation: dict[str, Any], usual: frozenset[str]) -> str:
    method, _, path = name.partition(" ")
    paragraphs = "".join(f"<p>{_text(each)}</p>" for each in operation["description"].split("\n\n"))
    anchor, kind = escape(_anchor(name)), f'<span class="method">{method}</span>'
    parts = [
        f'<article id="{anchor}"><h3><a href="#{anchor}">{kind} <code>{escape(path)}</code></a></h3>{paragraphs}',
        _table(("Parameter", "In", "Type", "What"), _parameters(operation)),
        _body(operation),
        _table(("Status", "As", "What"), _answers(operation, usual)),
        _examples(method, path, operation),
        "</article>",
    ]
    return "".join(parts)


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _text(text: str) -> str:
    """Return prose as HTML: what stands in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not cells:
        return ""
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table></div>'


def _parameters(operation: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for each in operation.get("parameters", ()):
        required = "" if not each.get("required") else ' <span class="required">required</span>'
        shown = ", ".join(f"<code>{escape(_plain(value))}</code>" for value in _values(each))
        more = f" For example {shown}." if shown else ""
        schema = each.get("schema", {})
        default = schema.get("default")
        usual = "" if default is None else f" By default <code>{escape(_plain(default))}</code>."
        what = f"{_text(each.get('description', ''))}{usual}{more}"
        yield f"<code>{escape(each['name'])}</code>{required}", escape(each["in"]), _type(schema), what


def _values(parameter: dict[str, Any]) -> Iterator[Any]:
    for each in (parameter.get("examples") or {}).values():
        yield each.get("value")


def _plain(value: Any) -> str:  # noqa: ANN401 - what JSON has
    return value if isinstance(value, str) else json.dumps(value)


def _body(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    kinds = ", ".join(
        f"{_type(each.get('schema', {}))} as <code>{escape(kind)}</code>" for kind, each in content.items()
    )
    return f"<p>Body: {kinds}</p>" if kinds else ""


def _answers(operation: dict[str, Any], listed: frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
    for status, each in sorted(operation["responses"].items()):
        if status in listed:
            continue
        content = each.get("content", {})
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in content)
        schemas = ", ".join(_type(found.get("schema", {})) for found in content.values())
        yield f"<code>{status}</code>", f"{schemas} {kinds}", _text(each.get("description", ""))


def _type(schema: dict[str, Any]) -> str:
    """Return what a schema takes, in few words; a class as a link to its members."""
    reference = schema.get("$ref")
    if reference:
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#class-{name}">{name}</a>'
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several] if each.get("type") != "null"))
    if "enum" in schema and len(schema["enum"]) <= 5:  # noqa: PLR2004 - more are a list of their own
        return " or ".join(f"<code>{escape(_plain(each))}</code>" for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(" or ".join(each for each in kind if each != "null") if isinstance(kind, list) else kind)


def _examples(method: str, path: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    sent = "" if body is None else f" \\\n  --json '{_json(body, None)}'"
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("example")
    key = "" if operation.get("security") == [] else ' -H "Authorization: Bearer $KEY"'
    verb = "" if method == "GET" or body is not None else f" -X {method}"
    line = f'curl{verb}{key} "$URL{_example_path(path, operation)}"{sent}'
    found = f"<pre><code>{escape(line, quote=False)}</code></pre>"
    if answer is not None:
        found += f"<pre><code>{escape(_json(answer, 1), quote=False)}</code></pre>"
    return f"<details><summary>Example</summary>{found}</details>"


def _example_path(path: str, operation: dict[str, Any]) -> str:
    query = []
    for each in operation.get("parameters", ()):
        value = next(_values(each), None)
        if value is None:
            continue
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", _plain(value))
        elif each.get("required"):
            query.append(f"{each['name']}={_plain(value)}")
    return _SHELL_SAFE.sub("", path + ("?" + "&".join(query) if query else ""))


def _json(value: Any, indent: int | None) -> str:  # noqa: ANN401 - what JSON has
    return json.dumps(value, indent=indent, ensure_ascii=False)


def _classes(schemas: dict[str, Any]) -> str:
    found = []
    for name, schema in sorted(schemas.items()):
        required = set(schema.get("required", ()))
        rows = [
            (
                f"<code>{escape(member)}</code>{' <span class=required>required</span>' if member in required else ''}",
                _type(each),
                _text(each.get("description", "")),
            )
            for member, each in schema.get("properties", {}).items()
        ]
        about = f"<p>{_text(schema.get('description', ''))}</p>"
        table = _table(("Member", "Type", "What"), rows)
        found.append(f'<article id="class-{escape(name)}"><h3><code>{escape(name)}</code></h3>{about}{table}</article>')
    return f'<section id="classes"><h2>Classes</h2>{"".join(found)}</section>'
