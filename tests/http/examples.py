"""The examples of the documentation, answered by a service: `python -m tests.http.examples` writes them again.

Each route is asked once, with the examples of its own parameters. A route whose body or parameters have none is named
here.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from eventstore.proofs.key_files import FOLDER
from gateways.http.documentation.described import EXAMPLES, operations_of
from tests.http.audited import OWN, audited_log
from tests.http.serving import running

ITEMS_MAX, TEXT_MAX, DEPTH_MAX = 1, 300, 6
ORDER = {"symbol": "ESZ5", "side": "BUY", "quantity": "1", "order_type": "LIMIT", "limit_price": "6500.25"}
EVENT = {"type": "OrderSubmitted", "data": ORDER, "key": "strategy-7-signal-1204"}
NOTE = {"type": "NoteAdded", "data": {"target": f"order/{OWN}/O-18", "text": "by hand"}}
BODIES: dict[str, Any] = {
    "POST /v1/streams/{category}/{account}/{entity}": {"events": [EVENT], "expected": 0},
    "POST /v1/batches": {
        "batches": [
            {"stream": f"order/{OWN}/O-18", "events": [{**EVENT, "key": "signal-1205"}], "expected": 0},
            {"stream": f"note/{OWN}/3", "events": [NOTE]},
        ]
    },
    "POST /v1/groups": {
        "groups": [{"batches": [{"stream": f"order/{OWN}/O-19", "events": [{**EVENT, "key": "signal-1206"}]}]}]
    },
    "POST /v1/orders/{account}/check": {"order_id": "O-20", "type": "OrderSubmitted", "data": ORDER},
    "POST /v1/orders/{account}/submit": {
        "order_id": "O-20",
        "type": "OrderSubmitted",
        "data": ORDER,
        "key": "strategy-7-signal-1207",
    },
    "POST /v1/enforcement/{account}/{request_id}/claim": {"claimant": "worker-1", "lease_seconds": 10},
    "POST /v1/enforcement/{account}/{request_id}/answer": {"success": True, "details": {"cancelled": ["O-17"]}},
    "POST /states": {"state_id": "position_EURUSD", "state_type": "position", "data": {"direction": "long"}},
    "PUT /states/{state_id}": {"data": {"direction": "long", "quantity": 2}},
    "POST /snapshots": {"snapshot_id": "before-the-news", "description": "by hand"},
    "POST /v1/notes": {"account": OWN, "target": f"order/{OWN}/O-1", "text": "why so late?", "tags": ["late"]},
}
"""What is sent, by operation."""
NAMED = {
    "category": "order",
    "account": OWN,
    "entity": "O-17",
    "order_id": "O-1",
    "position": 9,
    "view": "positions",
    "about": "12",
    "state_id": "position_EURUSD",
    "snapshot_id": "before-the-news",
    "request_id": "desk-1",
    "partition": OWN,
}
"""Parameters of paths, by name."""
PLACES: dict[str, dict[str, str]] = {
    # The other one is locked.
    "POST /v1/orders/{account}/check": {"account": "ACC2"},
    "POST /v1/orders/{account}/submit": {"account": "ACC2"},
    "POST /v1/enforcement/{account}/{request_id}/answer": {"request_id": "desk-2"},
    "POST /v1/retry/{view}/{partition}": {"view": "orders"},
}
"""Those of an operation, where they are others."""
SET_UP: list[tuple[str, str, dict[str, Any]]] = [
    ("account/ACC2/-", "AccountOpened", {"starting_balance": "50000", "currency": "USD"}),
    *(
        (
            f"enforcement/{OWN}/{name}",
            "EnforcementRequested",
            {"rule_id": "daily-loss", "action": "CANCEL_ORDERS", "reason": "daily loss reached", "request_id": name},
        )
        for name in ("desk-1", "desk-2")
    ),
]
"""What is appended first: stream, type and data."""
QUERIES: dict[str, dict[str, Any]] = {
    "GET /v1/diff": {"first": "7", "second": "9", "account": OWN},
    "GET /v1/timeline": {"account": OWN, "before": 10},
    "GET /v1/records": {"account": OWN, "after": 7},
    "GET /v1/changes": {"account": OWN},
    "GET /v1/statement": {"account": OWN},
    "GET /v1/proofs/inclusion": {"position": 9},
    "GET /v1/state/{view}": {"account": OWN},
    "GET /v1/charts/{account}": {"start": "2025-11-19T14:00:00Z", "stop": "2025-11-19T15:00:00Z", "points": 2},
    "GET /v1/version": {"stream": f"order/{OWN}/O-1"},
    "GET /v1/position": {"recorded_at": 1_763_560_800_000_000_000},
    "GET /v1/find": {"id": ["019a9c5b-7c00-7000-8000-000000000001"]},
    "GET /v1/tree/nodes": {"first": 0, "last": 0},
    "GET /states/{state_id}": {"state_type": "position"},
    "PUT /states/{state_id}": {"state_type": "position"},
    "DELETE /states/{state_id}": {"state_type": "position"},
    "GET /v1/proofs/consistency": {"first": 5},
}
"""Further parameters, by operation."""
WITHOUT_SERVER = {"GET /v1/mirrored": {"answer": {"found": 1204}}}
"""Written by hand: they are answered so only where an InfluxDB runs beside the service."""


def made() -> dict[str, dict[str, Any]]:
    """Return the examples by operation, of every route that answers with JSON."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        os.environ[FOLDER] = f"{place}/keys"
        audited_log(Path(place, "data"))
        with running(Path(place, "data")) as served:
            for stream, kind, data in SET_UP:
                served.append(stream, {"type": kind, "data": data}).raise_for_status()
            document = served.client.get("/docs/openapi.json").json()
            for name, operation in operations_of(document):
                if "application/json" in operation["responses"].get("200", {}).get("content", {}):
                    found[name] = _example(served.client, name)
    return found


def _example(client: httpx.Client, name: str) -> dict[str, Any]:
    if name in WITHOUT_SERVER:
        return WITHOUT_SERVER[name]
    method, _, path = name.partition(" ")
    for parameter, value in (NAMED | PLACES.get(name, {})).items():
        path = path.replace(f"{{{parameter}}}", quote(str(value)))
    body = BODIES.get(name)
    answer = client.request(method, path, params=QUERIES.get(name), json=body)
    if answer.status_code != 200:
        msg = f"{name} has no example: {answer.status_code} {answer.text}"
        raise SystemExit(msg)
    example = {"request": body} if body is not None else {}
    return {**example, "answer": shortened(answer.json())}


def shortened(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - what JSON has
    """Return what shows the shape of an answer: of each list its first, and no long text."""
    match value:
        case list():
            return [shortened(each, depth + 1) for each in value[:ITEMS_MAX]] if depth < DEPTH_MAX else []
        case dict():
            return {key: shortened(each, depth + 1) for key, each in value.items()}
        case str() if len(value) > TEXT_MAX:
            return f"{value[:TEXT_MAX]}…"
        case _:
            return value


if __name__ == "__main__":
    EXAMPLES.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
