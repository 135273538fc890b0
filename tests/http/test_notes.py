"""Notes, cuts and retries over HTTP: about what the log has, by the caller, recorded once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from eventstore.ids import new_ids
from gateways.http.access import Scope
from gateways.http.routes import maintenance, notes
from tests.http.desk import Desk, by, done, fill, open_account
from tests.http.serving import Running, running
from tests.http.test_states import park


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("noted"), authenticator=Desk()) as found:
        open_account(found)
        fill(found, "A", 1)
        open_account(found, "B")
        fill(found, "B", 2)
        yield found


def note(service: Running, caller: str = "auditor", **members: object) -> httpx.Response:
    body = {"account": "A", "target": "order/A/F-1", "text": "why so late?", **members}
    return service.client.post("/v1/notes", json=body, headers=by(caller))


def test_a_note_is_by_the_caller_and_shown(service: Running) -> None:
    record = done(note(service, tags=["late"]))["record"]
    assert (record["type"], record["actor"], record["stream"].rpartition("/")[0]) == ("NoteAdded", "auditor", "note/A")
    shown = done(service.client.get("/v1/state/notes?account=A"))["state"]
    assert ("order/A/F-1", "why so late?", ["late"]) in [(each["target"], each["text"], each["tags"]) for each in shown]


def test_a_note_sent_again_under_its_id_is_recorded_once(service: Running) -> None:
    id_ = str(uuid.UUID(bytes=new_ids(1, 1_795_186_800_000_000_000)[0]))
    first = done(note(service, id=id_))
    assert done(note(service, id=id_)) == first
    assert note(service, id=id_, text="another").json()["title"] == "DuplicateEvent"


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"target": "order/A/F-9"}, "/target"),
        ({"target": "order/B/F-2"}, "/target"),
        ({"target": "999999"}, "/target"),
        ({"target": "9" * 400}, "/target"),
        ({"target": "F-1"}, "/target"),
        ({"target": "2001-01-01"}, "/target"),
        ({"target": str(uuid.UUID(int=1))}, "/target"),
        ({"target": ""}, "/target"),
        ({"target": "x" * 501}, "/target"),
        ({"account": "-"}, "/account"),
        ({"id": "mine"}, "/id"),
        ({"tags": ["x"] * 101}, "/tags"),
    ],
)
def test_a_note_about_what_the_log_does_not_have_is_refused(
    service: Running, members: dict[str, Any], path: str
) -> None:
    answer = note(service, **members)
    assert (answer.status_code, answer.json().get("path")) == (422, path), answer.text


def test_a_note_on_an_unknown_account_is_not_found(service: Running) -> None:
    assert note(service, account="AX").status_code == 404


def test_a_note_does_not_disclose_another_accounts_records(service: Running) -> None:
    records = done(service.client.get("/v1/records?account=B"))["records"]
    for target in (str(records[-1]["position"]), records[-1]["id"], "order/B/F-2"):
        answer = note(service, "auditor/A", target=target)
        assert answer.status_code == 422
        assert "order/B" not in answer.json()["detail"].replace(target, "")
    assert note(service, "auditor/A", account="B").status_code == 403


def test_the_scopes_are_those_of_an_auditor_and_an_administrator() -> None:
    assert {each.opt["scope"] for each in notes.ROUTES} == {Scope.AUDIT}
    assert {each.opt["scope"] for each in maintenance.ROUTES} == {Scope.ADMIN}


def test_a_cut_is_written_once_for_each_change(tmp_path: Path) -> None:
    with running(tmp_path, authenticator=Desk()) as service:
        open_account(service)
        first = done(service.client.post("/v1/snapshots"))
        assert (first["written"], first["log_position"], first["trouble"]) == (True, 2, None)
        assert not done(service.client.post("/v1/snapshots"))["written"]
        assert service.client.post("/v1/snapshots", headers=by("desk/A")).status_code == 403
        fill(service, "A", 1)
    with running(tmp_path) as again:
        assert again.service.book.recovery.cut == 2


def test_a_parked_partition_is_folded_again(service: Running) -> None:
    park(service, "notes", "B")
    assert service.client.get("/v1/state/notes?account=B").status_code == 503
    found = done(service.client.post("/v1/retry/notes/B"))
    assert (found["is_current"], found["error"], found["log_position"]) == (True, None, service.service.book.position)
    assert service.client.get("/v1/state/notes?account=B").status_code == 200


def test_what_has_not_failed_stays_current(service: Running) -> None:
    assert done(service.client.post("/v1/retry/orders/A"))["is_current"]


def test_a_view_that_does_not_exist_is_not_found_with_what_has_failed(service: Running) -> None:
    for place in ("order/A", "orders/AX"):
        answer = service.client.post(f"/v1/retry/{place}")
        assert (answer.status_code, "none has failed" in answer.json()["detail"]) == (404, True)
    park(service, "orders", "B")
    assert "orders of B" in service.client.post("/v1/retry/order/A").json()["detail"]
    assert "none has failed" in service.client.post("/v1/retry/order/A", headers=by("desk/A")).json()["detail"]
    assert service.client.post("/v1/retry/orders/B", headers=by("desk/A")).status_code == 403
    assert service.client.post("/v1/retry/contracts/-", headers=by("desk/A")).status_code == 403
    assert done(service.client.post("/v1/retry/orders/B"))["is_current"]
