"""The routes of the log itself: what is refused, what a key for one account sees, and what takes its time."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typing_extensions import override

import eventstore
from eventstore import MIRRORED, REPLICATED, Batch, NotMirrored, Unavailable
from eventstore.journal import Fault
from eventstore.journals.memory import MemoryJournal
from eventstore.remote import journal as remote
from eventstore.testing.store_contract import FOREIGN, ORDER, order
from gateways.http.access import Scope
from tests.http.mounted import Mounts, mounting
from tests.http.serving import Running, running
from tests.http.test_transport import KEY, OneKey


@pytest.fixture(scope="module")
def mounts() -> Iterator[Mounts]:
    with mounting() as found:
        yield found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("served")) as found:
        with eventstore.connect(found.url, key="") as store:
            store.append_many([Batch(ORDER, [order()] * 3), Batch(FOREIGN, order())])
        yield found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/head?past=-1", 422),
        ("/v1/head?past=0&timeout=1e9", 422),
        ("/v1/head?past=0&timeout=nan", 422),
        ("/v1/version?stream=order/ACC1", 422),
        ("/v1/version", 422),
        ("/v1/position?recorded_at=soon", 422),
        ("/v1/find?id=none", 422),
        ("/v1/find?id=00", 422),
        ("/v1/columns?members=digest,secret", 422),
        ("/v1/columns?members=log", 422),
        ("/v1/columns?members=id&stream=order//", 422),
        ("/v1/columns?members=id&limit=100000000", 422),
        ("/v1/tree/nodes?first=0&last=100000000", 422),
        ("/v1/tree/nodes?first=0&last=0&level=3", 422),
        ("/v1/mirrored?position=1", 409),
    ],
)
def test_what_is_malformed_is_a_problem_in_words(service: Running, path: str, status: int) -> None:
    answer = service.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]


def test_every_answer_names_the_log_and_no_other_is_answered_for(service: Running) -> None:
    about = service.client.get("/v1/log").json()
    for path in ("/v1/log", "/v1/head?past=-1", "/v1/nothing"):
        assert service.client.get(path).headers["eventstore-log"] == about["log_id"]
    answer = service.client.get("/v1/head", headers={"eventstore-log": "00" * 16})
    assert (answer.status_code, answer.json()["title"]) == (421, "AnotherLog")
    assert (about["log"], about["head"], about["version"]) == ("main", 4, eventstore.extras.version())
    assert about["first_recorded_at"] < about["last_recorded_at"]


def test_a_record_is_found_by_its_id_as_text(service: Running) -> None:
    (record, *_) = service.client.get("/v1/records").json()["records"]
    for text in (record["id"], uuid.UUID(record["id"]).hex):
        answer = service.client.get("/v1/find", params={"id": [text, str(uuid.UUID(int=7))]})
        assert answer.json()["records"] == [record]


def test_a_key_for_one_account_finds_only_what_that_has(tmp_path: Path) -> None:
    with running(tmp_path) as service, eventstore.connect(service.url, key="") as store:
        records = store.append_many([Batch(ORDER, order()), Batch(FOREIGN, order())])
    keys = OneKey(Scope.READ, account="ACC1")
    with running(tmp_path, authenticator=keys) as service, eventstore.connect(service.url, key=KEY) as store:
        assert (store.find(records[0].id), store.find(records[1].id)) == (records[0], None)
        about = service.client.get("/v1/log", headers={"authorization": f"Bearer {KEY}"}).json()
        assert (about["first_recorded_at"], about["last_recorded_at"]) == (None, None)


class SlowJournal(MemoryJournal):
    """A journal whose check of itself takes until it may end."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self.checks = 0

    @override
    def integrity(self, *, is_canceled: Callable[[], bool] | None = None) -> list[Fault]:
        self.checks += 1
        assert self.may_end.wait(10.0)
        return [Fault(0, "a page is damaged")]


def test_a_check_that_takes_long_is_one_for_all_who_ask(mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "INTEGRITY_SECONDS", 0.02)
    journal = SlowJournal()
    found: list[list[str]] = []
    with mounts.serving(journal) as url, eventstore.connect(url, key="") as store:
        threads = [threading.Thread(target=lambda: found.append(store.doctor())) for _ in range(3)]
        for thread in threads:
            thread.start()
        while not journal.checks:
            threads[0].join(0.01)
        threads[0].join(0.1)
        assert (journal.checks, found) == (1, [])
        journal.may_end.set()
        for thread in threads:
            thread.join(10.0)
    assert found == [["a page is damaged"]] * 3


def test_what_influxdb_has_not_confirmed_is_on_disk_and_said_to_be(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal) as url, eventstore.connect(url, key="") as store:
        monkeypatch.setattr(store.journal, "_is_mirrored", True)
        with pytest.raises(NotMirrored) as late:
            store.append(ORDER, order(), durability=MIRRORED)
        assert list(late.value.records) == list(store.read())


def test_what_no_standby_will_have_is_not_appended_as_if_one_had(mounts: Mounts) -> None:
    journal = MemoryJournal()
    with mounts.serving(journal) as url, eventstore.connect(url, key="") as store:
        assert not store.is_replicated
        with pytest.raises(Unavailable, match="REPLICATED waits for a PostgreSQL standby, and this log has none"):
            store.append(ORDER, order(), durability=REPLICATED)
        with pytest.raises(Unavailable, match="REPLICATED waits for"):
            store.append_many([Batch(ORDER, order())], durability=REPLICATED)
        assert store.head() == journal.head() == 0
