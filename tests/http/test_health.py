"""Whether a service is ready: what must be in order, what needs a person, and what an account waits for."""

from __future__ import annotations

import shutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore import CorruptJournal, StoreError
from gateways.http.routes.health import readiness
from projections import readiness as safety
from projections.view import SHARED
from tests.http.desk import Desk, ask, by, done, open_account
from tests.http.serving import Running, running
from tests.http.test_states import park


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, authenticator=Desk()) as found:
        open_account(found, maximum_position={"limit": "2"})
        yield found


def ready(service: Running, status: int = 200, caller: str = "desk", account: str | None = None) -> Any:  # noqa: ANN401
    parameters = {} if account is None else {"account": account}
    answer = service.client.get("/health/ready", headers=by(caller), params=parameters)
    assert answer.status_code == status, answer.text
    return answer.json()


def checks(found: Any, name: str) -> list[str]:  # noqa: ANN401 - what JSON holds
    return [each["status"] for each in found["checks"] if each["name"] == name]


def test_a_sound_service_is_ready_and_says_what_needs_attention(service: Running) -> None:
    found = ready(service)
    assert (found["ready"], found["status"], found["log_position"]) == (True, "warning", 3)
    for name in ("journal", "disk space", "book", "watermarks", "shared views", "views", "enforcement", "limits"):
        assert checks(found, name) == ["ok"], name
    # No policies run: limits are only checked before each order.
    assert checks(found, "policies") == ["warning"]


def test_a_journal_that_cannot_be_read_is_not_ready(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise CorruptJournal(3, "torn")

    monkeypatch.setattr(service.service.store.sync_store, "head", fail)
    found = ready(service, 503)
    assert (found["title"], found["ready"], found["health"]) == ("NotReady", False, "wrong")
    assert checks(found, "journal") == ["wrong"]
    assert "torn" in found["detail"]


def test_a_full_disk_is_not_ready(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(total=10**12, used=0, free=10**6))
    found = ready(service, 503)
    assert "make room" in found["detail"]
    assert checks(found, "disk space") == ["wrong"]


def test_one_accounts_failed_view_is_wrong_and_the_rest_is_served(service: Running) -> None:
    park(service, "orders")
    found = ready(service)
    assert (found["ready"], found["status"], checks(found, "views")) == (True, "wrong", ["wrong"])
    (parked,) = found["parked"]
    assert (parked["view"], parked["partition"], parked["log_position"]) == ("orders", "A", 3)
    assert "broken" in parked["error"]


def test_a_failed_view_that_every_account_rests_on_is_not_ready(service: Running) -> None:
    park(service, "contracts", SHARED)
    assert checks(ready(service, 503), "shared views") == ["wrong"]


def test_an_account_is_ready_when_it_is_safe_to_trade(service: Running) -> None:
    ask(service)
    found = ready(service, 503, account="A")
    reasons = safety.why_not_safe(service.service.book.sync_book, "A")
    assert [each["detail"] for each in found["checks"] if each["name"] == "account"] == list(reasons)
    assert any("is pending" in each for each in reasons)
    assert ready(service)["ready"]
    assert ready(service, 404, account="AX")["title"] == "NotFound"
    assert ready(service, 422, account="-")["path"] == "/account"


def test_an_account_without_limits_is_safe(service: Running) -> None:
    open_account(service, "B")
    found = ready(service, account="B")
    assert (found["ready"], checks(found, "account")) == (True, ["ok"])


def test_a_caller_of_one_account_does_not_learn_of_others(service: Running) -> None:
    open_account(service, "SECRET", maximum_position={"limit": "1"})
    ask(service, "SECRET")
    park(service, "orders", "SECRET")
    assert "SECRET" in str(ready(service))
    found = ready(service, caller="desk/A")
    assert "SECRET" not in str(found)
    assert (found["parked"], checks(found, "views"), checks(found, "journal")) == ([], [], ["ok"])
    assert ready(service, 403, caller="desk/A", account="SECRET")["title"] == "NotAllowed"


def test_what_cannot_be_asked_is_wrong(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        msg = "no answer"
        raise StoreError(msg)

    book, store = service.service.book.sync_book, service.service.store.sync_store
    monkeypatch.setattr(book.policies, "all_stopped", fail)
    found = readiness(book, store, None, sees_all=True)
    assert [(each.status, each.detail) for each in found.checks if each.name == "policies"] == [("wrong", "no answer")]
    assert (found.ready, found.status) == (True, "wrong")


def test_the_process_lives_whatever_else(service: Running) -> None:
    park(service, "contracts", SHARED)
    assert done(service.client.get("/health/live")) == {"status": "live"}


def test_alerts_that_cannot_be_sent_are_wrong_and_keep_nobody_from_trading(tmp_path: Path) -> None:
    (tmp_path / "eventstore.toml").write_text("[alerts\n", encoding="utf-8")
    with running(tmp_path, authenticator=Desk()) as service:
        found = ready(service)
    assert (found["ready"], found["status"], checks(found, "alerts")) == (True, "wrong", ["wrong"])
