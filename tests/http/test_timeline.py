"""The timeline over HTTP: pages both ways, filters, records opened, and what keys for some accounts do not see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from eventstore import Record
from gateways.http.access import Scope
from gateways.presenting.documents import json_text
from gateways.presenting.entries import entry_document
from projections import auditing
from projections.auditing import finding
from tests.http.audited import OWN, SECRET, audited_log
from tests.http.callers import ByName, asked, auditor
from tests.http.serving import Running, running

ALL, LIMITED, SHARING = "chief", "limited", "sharing"


class Audited:
    """A served log with the records that tests ask about."""

    def __init__(self, served: Running, records: dict[str, Record]) -> None:
        self.served, self.records = served, records

    def ask(self, path: str, caller: str = ALL, **query: Any) -> Any:  # noqa: ANN401 - JSON
        answer = asked(self.served, path, caller, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, status: int, caller: str = ALL, **query: Any) -> Any:  # noqa: ANN401 - JSON
        answer = asked(self.served, path, caller, **query)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.json()

    def positions(self, caller: str = ALL, **query: object) -> list[int]:
        return [each["position"] for each in self.ask("/v1/timeline", caller, **query)["entries"]]

    def at(self, name: str) -> int:
        return self.records[name].position


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    directory = tmp_path_factory.mktemp("audited")
    records = audited_log(directory)
    with running(
        directory, authenticator=ByName(auditor(ALL), auditor(LIMITED, OWN), auditor(SHARING, OWN, "-"))
    ) as served:
        yield Audited(served, records)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"after": 1, "before": 3}, ""),
        ({"limit": 0}, "/limit"),
        ({"limit": 10_001}, "/limit"),
        ({"limit": "ten"}, "/limit"),
        ({"start": "half past"}, "/start"),
        ({"stop": 999}, "/stop"),
        ({"zone": "Mars/Olympus"}, "/zone"),
        ({"order": "O-1"}, "/account"),
        ({"by": "occurred", "text": "x"}, "/by"),
        ({"by": "luck"}, "/by"),
        ({"text": "x" * 201}, "/text"),
        ({"changes": "true", "limit": 1_001}, "/limit"),
        ({"account": "no account"}, ""),
    ],
)
def test_a_question_that_means_nothing_is_refused_by_its_parameter(
    log: Audited, query: dict[str, Any], path: str
) -> None:
    assert log.refused("/v1/timeline", 422, **query).get("path", "") == path


def test_pages_lead_through_the_log_both_ways_and_meet(log: Audited) -> None:
    head = log.served.service.store.sync_store.head()
    forwards: list[int] = []
    after: int | None = 0
    while after is not None:
        page = log.ask("/v1/timeline", after=after, limit=4)
        forwards += [each["position"] for each in page["entries"]]
        after = page["next_after"]
    assert forwards == list(range(1, head + 1))
    backwards: list[int] = []
    before: int | None = 1_000_000
    while before is not None:
        page = log.ask("/v1/timeline", before=before, limit=4)
        backwards = [each["position"] for each in page["entries"]] + backwards
        before = page["next_before"]
    assert backwards == forwards


def test_an_account_s_pages_have_its_records_alone(log: Audited) -> None:
    expected = [record.position for record in log.served.service.store.sync_store.read(account=OWN)]
    newest = log.ask("/v1/timeline", account=OWN, before=1_000, limit=3)
    assert [each["position"] for each in newest["entries"]] == expected[-3:]
    older = log.ask("/v1/timeline", account=OWN, before=newest["next_before"], limit=100)
    assert [each["position"] for each in older["entries"]] == expected[:-3]
    assert older["next_before"] is None


def test_a_start_and_a_stop_bound_both_directions(log: Audited) -> None:
    query = {"start": "3", "stop": "noon"}
    expected = list(range(3, log.at("mark")))
    assert log.positions(**query) == expected
    assert log.positions(before=1_000, **query) == expected
    assert log.positions(after=1_000, **query) == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"types": ["LockoutSet", "TradeBusted"]}, ["lockout", "bust"]),
        ({"actor": "ann"}, ["limit", "wrong", "signed"]),
        ({"account": OWN, "order": "O-1"}, ["copied", "accepted", "fill"]),
        ({"account": OWN, "symbol": "ESZ5"}, ["copied", "accepted", "fill", "bust"]),
        ({"account": OWN, "symbol": "CON.EP.Z25"}, ["copied", "accepted", "fill", "bust"]),
        ({"text": "BREAKOUT"}, ["note"]),
        ({"text": "daily-LOSS"}, ["limit", "lockout"]),
        ({"tag": "breakout"}, ["fill"]),
        ({"account": OWN, "tag": "watched"}, ["copied", "accepted", "fill"]),
        ({"tag": "unheard"}, []),
        ({"symbol": "NQZ5"}, []),
    ],
)
def test_filters_find_what_they_name(log: Audited, query: dict[str, Any], names: list[str]) -> None:
    expected = [log.at(name) for name in names]
    assert log.positions(**query) == expected
    assert log.positions(before=1_000, **query) == expected


def test_a_search_says_where_it_stopped_and_is_continued_there(log: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "SEARCHED_MAX", 3)
    page = log.ask("/v1/timeline", text="breakout")
    assert (page["entries"], page["searched_until"], page["next_after"]) == ([], 3, 3)
    found, after = [], page["next_after"]
    while after is not None:
        page = log.ask("/v1/timeline", text="breakout", after=after)
        found += [each["position"] for each in page["entries"]]
        after = page["next_after"]
    assert (found, page["searched_until"]) == ([log.at("note")], None)
    page = log.ask("/v1/timeline", text="no such text", before=11)
    assert (page["searched_until"], page["next_before"]) == (8, 8)


def test_entries_with_changes_are_those_of_the_command(log: Audited) -> None:
    store = log.served.service.store.sync_store
    page = log.ask("/v1/timeline", account=OWN, changes="true")
    expected = [json.loads(json_text(entry_document(each, UTC))) for each in auditing.timeline(store, account=OWN)]
    assert page["entries"] == expected
    assert any(each["changes"] for each in expected)


def test_an_entry_at_a_glance_has_marks_notes_and_tags(log: Audited) -> None:
    (entry,) = [each for each in log.ask("/v1/timeline")["entries"] if each["position"] == log.at("fill")]
    assert {"kind": "BUSTED", "position": log.at("bust"), "text": ""} in entry["marks"]
    assert [each["text"] for each in entry["notes"]] == ["the breakout"]
    assert entry["tags"] == ["breakout", "watched"]
    assert "5,000" in entry["sentence"]
    assert entry["unknown"], "what is not looked for is not said to be nothing"


def test_occurrence_orders_pages_as_the_command_does(log: Audited) -> None:
    first = log.ask("/v1/timeline", by="occurred", limit=5)
    second = log.ask("/v1/timeline", by="occurred", limit=100, after=first["next_after"])
    found = [each["position"] for each in (*first["entries"], *second["entries"])]
    expected = [each.position for each in auditing.timeline(log.served.service.store.sync_store, by="occurred")]
    assert found == expected


def test_a_record_opens_to_its_changes_causes_effects_and_proof(log: Audited) -> None:
    entry = log.ask(f"/v1/timeline/{log.at('fill')}")
    assert {each["view"] for each in entry["changes"]} >= {"orders", "positions"}
    assert [each["record"]["position"] for each in entry["effects"]] == [log.at("lockout")]
    assert entry["causes"][0]["record"]["position"] == log.at("copied")
    assert log.ask(entry["proof"])["position"] == log.at("fill")


def test_a_record_that_is_not_there_is_not_found(log: Audited) -> None:
    assert "ends at" in log.refused("/v1/timeline/1000", 404)["detail"]
    log.refused("/v1/timeline/0", 422)


def test_what_people_changed_is_as_the_command_shows_it(log: Audited) -> None:
    found = [each["position"] for each in log.ask("/v1/changes")["entries"]]
    assert found == [each.position for each in auditing.changes(log.served.service.store.sync_store)]
    assert [each["position"] for each in log.ask("/v1/changes", by="ann", limit=1)["entries"]] == [log.at("limit")]


# What a key for one account sees.


def test_a_key_for_one_account_names_it(log: Audited) -> None:
    for path in ("/v1/timeline", "/v1/changes"):
        log.refused(path, 403, LIMITED)
        log.refused(path, 403, LIMITED, account=SECRET)
        log.refused(path, 403, LIMITED, account=[OWN, SECRET])
        log.refused(path, 403, LIMITED, account="@firm")


def test_of_what_belongs_to_no_account_it_sees_what_names_none(log: Audited) -> None:
    expected = [log.at("contract"), log.at("mark")]
    for query in ({}, {"changes": "true"}, {"text": "o"}, {"before": 1_000}):
        for caller in (LIMITED, SHARING):
            assert log.positions(caller, account="-", **query) == expected
    everything = {log.at("contract"), log.at("group"), log.at("mark"), log.at("reads")}
    assert set(log.positions(account="-")) == everything


@pytest.mark.parametrize("caller", [LIMITED, SHARING])
@pytest.mark.parametrize("name", ["signal", "echo", "other fill", "group", "reads"])
def test_a_foreign_record_is_not_opened_and_not_explained(log: Audited, name: str, caller: str) -> None:
    for path in ("/v1/timeline/{}", "/v1/why/{}", "/v1/proofs/record/{}"):
        problem = log.refused(path.format(log.at(name)), 403, caller)
        assert SECRET not in json.dumps(problem)
    log.refused("/v1/proofs/inclusion", 403, caller, position=log.at(name))
    log.refused(f"/v1/why/{log.records[name].uuid}", 422, caller)


@pytest.mark.parametrize("caller", [LIMITED, SHARING])
def test_no_answer_about_its_account_tells_of_another_one(log: Audited, caller: str) -> None:
    paths = [
        ("/v1/timeline", {"account": OWN}),
        ("/v1/timeline", {"account": OWN, "changes": "true"}),
        ("/v1/timeline", {"account": OWN, "by": "occurred"}),
        ("/v1/timeline", {"account": "-", "changes": "true"}),
        ("/v1/changes", {"account": OWN}),
        ("/v1/diff", {"account": OWN, "first": "1", "second": "19", "view": "all"}),
        ("/v1/why/lockout", {"account": OWN}),
        ("/v1/why/realized", {"account": OWN}),
        (f"/v1/orders/{OWN}/O-1/lifeline", {}),
        ("/v1/statement", {"account": OWN}),
        *((f"/v1/timeline/{log.at(name)}", {}) for name in ("contract", "copied", "fill", "lockout", "wrong", "mark")),
        *((f"/v1/why/{log.at(name)}", {}) for name in ("contract", "copied", "fill", "lockout", "wrong")),
    ]
    effect = str(log.records["echo"].uuid)
    leading = []
    for path, query in paths:
        text = json.dumps(log.ask(path, caller, **query))
        assert SECRET not in text, (path, query)
        assert effect not in text, (path, query)
        leading.append(SECRET in json.dumps(log.ask(path, ALL, **query)))
    assert any(leading), "who may see everything is answered with what leads to the other account"


@pytest.mark.parametrize("changes", ["true", "false"])
def test_a_mark_does_not_point_into_another_account(log: Audited, changes: str) -> None:
    for caller in (LIMITED, ALL):
        entries = log.ask("/v1/timeline", caller, account=OWN, changes=changes)["entries"]
        (wrong,) = [each for each in entries if each["position"] == log.at("wrong")]
        assert not any(mark["position"] == log.at("other fill") for mark in wrong["marks"])


def test_a_key_without_the_scope_asks_nothing(tmp_path: Path) -> None:
    reader = auditor("reader", OWN)
    callers = ByName(type(reader)("reader", frozenset({Scope.READ})))
    audited_log(tmp_path)
    with running(tmp_path, authenticator=callers) as served:
        for path in (
            "/v1/timeline",
            "/v1/timeline/1",
            "/v1/changes",
            "/v1/diff",
            "/v1/why/1",
            "/v1/export",
            "/v1/export.csv",
        ):
            answer = asked(served, path, "reader", first="1", second="2")
            assert answer.status_code == 403, path
