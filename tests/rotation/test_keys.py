"""The API keys of a service move on with its log: without any, a service would let in everybody on its machine."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
from eventstore import Overloaded, rotation
from eventstore.side import API_KEYS_LOCK
from eventstore.trading import AccountOpened
from projections.rotation import rotate
from tests.cli.command import run_here
from tests.places import Place, named

pytestmark = pytest.mark.in_each_place


def listed(place: Place, log: str) -> list[dict[str, Any]]:
    """Return the keys that a service of a log has."""
    ended = run_here("api-keys", "list", "--data", named(place, log), "--log", log, "--json")
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


@pytest.fixture
def begun(place: Place) -> Place:
    with eventstore.open(place) as store:
        store.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    for name in ("bob", "eve"):
        assert run_here("api-keys", "add", name, "--scope", "read", "--data", place).code == 0
    assert run_here("api-keys", "revoke", "eve", "--data", place).code == 0
    return place


def test_keys_are_those_of_the_last_log_under_any_name(begun: Place) -> None:
    before = listed(begun, "main")
    assert [(each["name"], "revoked_at" in each and bool(each["revoked_at"])) for each in before] == [
        ("bob", False),
        ("eve", True),
    ]
    assert run_here("rotate", "--data", begun).code == 0
    assert listed(begun, "main") == listed(begun, "main.2") == before
    assert run_here("api-keys", "revoke", "bob", "--data", begun).code == 0
    assert all(each["revoked_at"] for each in listed(begun, "main.2"))
    assert run_here("rotate", "--data", begun).code == 0
    assert all(each["revoked_at"] for each in listed(begun, "main.3"))
    if isinstance(begun, Path):
        assert (begun / "main.3" / "api-keys.json").stat().st_mode & 0o077 == 0


def test_a_rotation_waits_for_who_changes_the_keys(begun: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LOCK_SECONDS", 0.1)
    with eventstore.open(begun) as store, eventstore.open(begun) as other:
        assert other.side is not None
        lock = other.side.lock(API_KEYS_LOCK)
        assert lock.take()
        with pytest.raises(Overloaded, match="changes the API keys"):
            rotate(store)
        assert store.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
        lock.release()
        assert rotate(store).next == "main.2"
