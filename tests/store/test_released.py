"""What a released version does not read of today's records is known, and found in a log."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventstore
from eventstore import InvalidEvent, released
from eventstore.events import registry
from eventstore.released import Addition
from eventstore.trading import CashKind, CashMoved, ContractDefined, Marked, NoteAdded
from tests.kept.vocabulary import vocabulary

KEPT = Path(__file__).parents[1] / "kept"


def test_each_version_with_a_kept_log_has_its_vocabulary() -> None:
    assert released.versions() == tuple(sorted(path.name for path in KEPT.iterdir() if (path / "main").is_dir()))


def test_a_version_that_is_released_today_has_nothing_new(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "9.0.0.json").write_text(vocabulary(), encoding="utf-8")
    monkeypatch.setattr(released, "_folder", lambda: tmp_path)
    assert released.versions() == ("9.0.0",)
    assert released.additions("9.0.0") == ()


@pytest.mark.parametrize("version", ["0.1", "0.1.00", "", "../0.1.0"])
def test_a_version_that_was_not_released_is_refused(version: str) -> None:
    with pytest.raises(InvalidEvent, match="there is no released version"):
        released.additions(version)


def test_what_a_version_wrote_has_nothing_that_is_new_to_it() -> None:
    for version in released.versions():
        with eventstore.open(KEPT / version, read_only=True) as store:
            assert store.head()
            assert released.unread(store.read(), released.additions(version)) == {}


def test_additions_are_types_members_and_values() -> None:
    names = {each.name: each.effect.partition(" the")[0] for each in released.additions("0.1.0")}
    assert names["ProtectionMode"] == "it ignores"
    assert names["EnforcementRequested.attempt"] == "it leaves"
    assert names["CashMoved.kind = TRANSFER"] == "it cannot read"
    assert not {"OrderFilled", "CashMoved", "CashMoved.kind = FEE"} & names.keys()
    assert not any(name.startswith("ProtectionMode.") for name in names)


def test_a_raised_schema_is_an_addition(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = msgspec.structs.replace(registry._by_name["OrderFilled"], schema=2)
    monkeypatch.setitem(registry._by_name, "OrderFilled", raised)
    [found] = [each for each in released.additions("0.1.0") if each.type == "OrderFilled"]
    assert (found, found.name) == (Addition("OrderFilled", schema=2), "OrderFilled of schema 2")


def test_types_of_the_users_are_not_the_vocabularys(monkeypatch: pytest.MonkeyPatch) -> None:
    class DeskMoved(eventstore.Event, frozen=True, kw_only=True):
        where: str

    before = released.additions("0.1.0")
    monkeypatch.setattr(registry, "_by_name", dict(registry._by_name))
    eventstore.event(DeskMoved)
    assert registry.by_name("DeskMoved") is not None
    assert released.additions("0.1.0") == before


def test_only_what_a_record_states_is_new(tmp_path: Path) -> None:
    with eventstore.open(tmp_path) as store:
        define: dict[str, Any] = {"symbol": "ES", "multiplier": Decimal(50), "currency": "USD"}
        store.append("contract/-/ES", ContractDefined(**define))
        store.append("account/A/-", CashMoved(amount=Decimal(5), currency="USD", kind=CashKind.DEPOSIT))
        store.append("mark/-/m", Marked(name="noon"))
        new = released.additions("0.1.0")
        assert released.unread(store.read(), new) == {}
        store.append("contract/-/ES", ContractDefined(**define, may_be_negative=True))
        store.append("account/A/-", CashMoved(amount=Decimal(5), currency="USD", kind=CashKind.TRANSFER))
        for _ in range(2):
            store.append("note/A/n", NoteAdded(target="day/A/2026-11-30", text="late"))
        assert {each.name: at for each, at in released.unread(store.read(), new).items()} == {
            "ContractDefined.may_be_negative": 4,
            "CashMoved.kind = TRANSFER": 5,
            "NoteAdded": 6,
        }
