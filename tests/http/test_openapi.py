"""The OpenAPI document: complete, and kept to, whatever is sent to any route that it describes."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from eventstore.proofs.key_files import FOLDER
from gateways.http.documentation.described import examples_of, operations_of
from gateways.http.documentation.page import page_of
from tests import proving
from tests.http.audited import audited_log
from tests.http.serving import WAIT_SECONDS, Running, running

with warnings.catch_warnings(action="ignore"):
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
STREAMS = "text/event-stream"

pytestmark = [pytest.mark.service, pytest.mark.untraced]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("fuzzed")
    audited_log(place / "data")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(FOLDER, str(place / "keys"))
        with running(place / "data") as served:
            yield served


@pytest.fixture(scope="module")
def document(service: Running) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get("/docs/openapi.json").json()
    return found


def is_versioned(name: str) -> bool:
    """Return whether an operation is of this service's own interface, not of the older one that it also answers."""
    return not name.partition(" ")[2].startswith(("/states", "/snapshots"))


def is_endless(operation: Any) -> bool:  # noqa: ANN401 - schemathesis' own
    """Return whether an answer has no end by itself: what follows the log is tested by followers."""
    return STREAMS in operation.definition.raw["responses"].get("200", {}).get("content", {})


def test_every_route_is_described_with_its_answers_and_an_example(document: dict[str, Any]) -> None:
    examples = examples_of()
    for name, operation in operations_of(document):
        assert operation["summary"].endswith((".", ";")), name
        assert operation.get("tags"), name
        problems = [status for status in operation["responses"] if not status.startswith("2")]
        for status in problems:
            # Those of the older API have a form of their own.
            kind = "application/problem+json" if is_versioned(name) else "application/json"
            assert kind in operation["responses"][status]["content"], (name, status)
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
        if "application/json" in operation["responses"].get("200", {}).get("content", {}):
            assert "answer" in examples.get(name, {}), f"{name} has no example: run python -m tests.http.examples"
        if "requestBody" in operation:
            assert "request" in examples.get(name, {}), f"{name} has no example of its body"


def test_examples_are_of_routes_that_there_are(document: dict[str, Any]) -> None:
    assert set(examples_of()) <= {name for name, _ in operations_of(document)}


def test_an_example_is_what_its_route_says(document: dict[str, Any]) -> None:
    """Members of examples are those of the classes that the document names."""
    schemas = document["components"]["schemas"]
    for name, operation in operations_of(document):
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        reference = content.get("schema", {}).get("$ref", "")
        if reference:
            schema = schemas[reference.rpartition("/")[2]]
            example = content["example"]
            assert set(schema.get("required", ())) <= example.keys() <= schema["properties"].keys(), name


def test_the_page_names_every_route_and_needs_no_other_host(service: Running, document: dict[str, Any]) -> None:
    page = service.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for name, _ in operations_of(document):
        assert f"<code>{escape(name.partition(' ')[2])}</code>" in page.text, name
    style = service.client.get("/docs/docs.css").text
    for text in (page.text, style):
        assert "<script" not in text
        assert " style=" not in text
        assert not re.search(r"(?:src|href|url|import)\W{0,3}(?:https?:)?//", text)


def test_what_is_described_is_said_as_text(document: dict[str, Any]) -> None:
    document = {**document, "info": {**document["info"], "title": "<img src=x>"}}
    assert "<img" not in page_of(document)


@pytest.mark.prove
def test_no_request_fails_and_no_answer_is_undocumented(service: Running, document: dict[str, Any]) -> None:
    with warnings.catch_warnings(action="ignore"):
        schema = schemathesis.openapi.from_dict(document)
        found: list[Any] = [each.ok() for each in schema.get_all_operations()]  # type: ignore[union-attr]
    operations = [each for each in found if not is_endless(each)]
    total = proving.examples(test=2_000, prove=20_000)
    # Bodies take longest to draw: what stands in them is the store's own to check, and is tested there.
    weights = {each.label: 1 if each.definition.raw.get("requestBody") else 4 for each in operations}
    statuses: Counter[int] = Counter()
    while statuses.total() < total:
        before = statuses.total()
        for operation in operations:
            share = -(-total * weights[operation.label] // sum(weights.values()))
            malformed = share // 4 if operation.definition.raw.get("parameters") or operation.body else 0
            for mode, count in ((GenerationMode.NEGATIVE, malformed), (GenerationMode.POSITIVE, share - malformed)):
                if count:
                    statuses += sent(service, operation.as_strategy(generation_mode=mode), count)
        # Some routes have few different cases: the others are asked again, with new ones.
        assert statuses.total() > before
    assert statuses[200], f"nothing was ever answered: {statuses}"


def sent(service: Running, cases: st.SearchStrategy[Any], count: int) -> Counter[int]:
    """Send so many cases, if there are as many, each checked against the document; count the statuses answered."""
    statuses: Counter[int] = Counter()

    @hypothesis.settings(
        max_examples=count,
        suppress_health_check=list(hypothesis.HealthCheck),
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=cases)
    def send(case: Any) -> None:  # noqa: ANN401 - schemathesis' own
        answer = case.call(base_url=service.url, timeout=WAIT_SECONDS)
        statuses[answer.status_code] += 1
        # Not ready is what this route is there to say.
        says_not_ready = case.path == "/health/ready" and answer.status_code == 503
        excluded = [not_a_server_error] if says_not_ready else []
        case.validate_response(answer, checks=CHECKS, excluded_checks=excluded)

    send()
    return statuses
