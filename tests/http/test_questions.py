"""An audit's questions over HTTP: refused where they mean nothing, and else answered as the commands answer them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore.trading import RecordsRead
from tests.cli.command import run_here
from tests.http.audited import OWN, audited_log
from tests.http.callers import ByName, asked, auditor
from tests.http.serving import Running, running


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("asked")
    audited_log(found)
    return found


@pytest.fixture(scope="module")
def service(directory: Path) -> Iterator[Running]:
    with running(directory) as served:
        yield served


def answer(service: Running, path: str, status: int = 200, **query: object) -> Any:  # noqa: ANN401 - JSON
    found = service.client.get(path, params=query)  # type: ignore[arg-type]
    assert found.status_code == status, found.text
    return found.json()


@pytest.mark.parametrize(
    ("path", "query", "member"),
    [
        ("/v1/diff", {"first": "1"}, "/second"),
        ("/v1/diff", {"first": "1", "second": "no such mark"}, "/second"),
        ("/v1/diff", {"first": "1", "second": "2", "view": "fortune"}, "/view"),
        ("/v1/diff", {"first": "1", "second": "2", "known_by": ["1", "2"]}, "/known_by"),
        ("/v1/diff", {"first": "1", "second": "2", "occurred_at": "true", "known_by": "1"}, "/known_by"),
        ("/v1/why/nothing", {}, "/about"),
        ("/v1/why/lockout", {}, "/about"),
        ("/v1/why/realized", {"account": OWN, "at": "yesteryear"}, "/at"),
        (f"/v1/orders/{OWN}/O-1/lifeline", {"known_by": "later"}, "/known_by"),
    ],
)
def test_a_question_that_means_nothing_names_its_parameter(
    service: Running, path: str, query: dict[str, Any], member: str
) -> None:
    assert answer(service, path, 422, **query)["path"] == member


def test_an_order_or_a_position_that_is_not_there_is_not_found(service: Running) -> None:
    assert "no record of order O-9" in answer(service, f"/v1/orders/{OWN}/O-9/lifeline", 404)["detail"]
    answer(service, "/v1/why/1000", 404)


@pytest.mark.parametrize(
    ("path", "query", "command"),
    [
        ("/v1/diff", {"first": "5", "second": "13"}, ["diff", "5", "13"]),
        ("/v1/diff", {"first": "13", "second": "5"}, ["diff", "5", "13"]),
        (
            "/v1/diff",
            {"first": "2", "second": "13", "account": OWN, "view": "all"},
            ["diff", "2", "13", "--account", OWN, "--view", "all"],
        ),
        (
            "/v1/diff",
            {"first": "9", "second": "9", "occurred_at": "true", "known_by": ["9", "13"], "view": "trades"},
            ["diff", "9", "9", "--occurred-at", "--known-by", "9", "13", "--view", "trades"],
        ),
        ("/v1/why/lockout", {"account": OWN}, ["why", "--account", OWN]),
        (f"/v1/why/order/{OWN}/O-1", {}, ["why", f"order/{OWN}/O-1"]),
        ("/v1/why/realized", {"account": OWN, "at": "12"}, ["why", "realized", "--account", OWN, "--at", "12"]),
        (f"/v1/orders/{OWN}/O-1/lifeline", {}, ["lifeline", OWN, "O-1"]),
        (
            f"/v1/orders/{OWN}/O-1/lifeline",
            {"known_by": "8", "zone": "America/Chicago"},
            ["lifeline", OWN, "O-1", "--known-by", "8", "--zone", "America/Chicago"],
        ),
    ],
)
def test_an_answer_is_the_document_of_the_command(
    service: Running, directory: Path, path: str, query: dict[str, Any], command: list[str]
) -> None:
    assert answer(service, path, **query) == run_here(*command, "--data", directory, "--json").document


def test_signed_days_say_by_whom_and_what_changed_since(service: Running) -> None:
    found = answer(service, "/v1/statement", account=OWN)
    (day,) = found["days"]
    assert (day["trading_day"], day["by"], day["record"]) == ("2025-11-19", "Ann@desk/cli", 19)


def test_a_question_is_recorded_in_the_caller_s_name(tmp_path: Path) -> None:
    audited_log(tmp_path)
    with running(tmp_path, authenticator=ByName(auditor("ann"), auditor("bob", OWN))) as served:
        store = served.service.store.sync_store
        asked(served, "/v1/timeline", "ann", account=OWN)
        assert store.head() == 19, "reads are recorded where the settings say so, and not else"
        (tmp_path / "eventstore.toml").write_text("audit_reads = true\n")
        asked(served, "/v1/timeline", "bob", account=OWN, limit=3)
        asked(served, "/v1/timeline", "bob", account="SECRET9")
        asked(served, f"/v1/orders/{OWN}/O-1/lifeline", "ann", zone="UTC")
        asked(served, "/v1/export.jsonl", "ann", types=["OrderFilled", "LockoutSet"])
        records = list(store.read(after=19))
    assert [record.actor for record in records] == ["bob", "ann", "ann"]
    events = [record.event for record in records if isinstance(record.event, RecordsRead)]
    assert [(each.question, each.account, each.arguments, each.head) for each in events] == [
        ("timeline", OWN, {"limit": "3"}, 19),
        ("lifeline", OWN, {"order_id": "O-1", "zone": "UTC"}, 20),
        ("export", None, {"types": ["OrderFilled", "LockoutSet"]}, 21),
    ]  # fmt: skip


def test_what_cannot_be_recorded_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    audited_log(tmp_path)
    (tmp_path / "eventstore.toml").write_text("audit_reads = 'perhaps'\n")
    with running(tmp_path) as served:
        assert served.client.get("/v1/timeline").status_code == 200
    assert any("not recorded" in record.getMessage() for record in caplog.records)


def test_sentences_have_their_times_in_the_zone_that_is_asked_for(service: Running) -> None:
    found = answer(service, "/v1/timeline", zone="Asia/Tokyo", limit=1)
    assert found["entries"][0]["recorded_at"].endswith("+09:00")
    assert "Z" in json.dumps(answer(service, "/v1/timeline", limit=1)["entries"][0]["recorded_at"])
