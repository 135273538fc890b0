"""An import puts an account in shadow mode that nobody has limited: once, and no other one."""

from __future__ import annotations

import pytest

from eventstore import Event, EventStore
from eventstore.trading import GroupDefined, LimitsSet, Protection, ProtectionMode
from gateways.importers import BadRow, import_file
from tests.importers.conftest import Write

SECOND = 1_000_000_000
HEADER = "trade_id,symbol,side,quantity,price,time,account"
LIMIT = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})


def rows(*accounts: str, first: int = 1) -> list[str]:
    return [f"T{n},ESZ5,buy,1,6650,{1759329000 + n},{account}" for n, account in enumerate(accounts, first)]


def modes(store: EventStore) -> list[tuple[str, str]]:
    found = list(store.read(types=(ProtectionMode,)))
    return [(record.account, record.event.mode) for record in found if isinstance(record.event, ProtectionMode)]


def test_each_account_without_limits_is_put_in_shadow_mode_once(store: EventStore, write: Write) -> None:
    report = import_file(store, write("fills.csv", HEADER, *rows("A", "B", "A")), "fills")
    assert report.shadow == ("A", "B")
    assert modes(store) == [("A", Protection.SHADOW), ("B", Protection.SHADOW)]
    [record, other] = store.read(types=(ProtectionMode,))
    assert [record.occurred_at, other.occurred_at] == [1759329001 * SECOND, 1759329002 * SECOND]
    assert (record.actor, record.note) == (store.actor, "import fills fills.csv")
    assert record.position < min(each.position for each in store.read(stream="trade/"))
    again = import_file(store, write("later.csv", HEADER, *rows("A", "B", first=9)), "fills")
    assert again.shadow == ()
    assert len(modes(store)) == 2


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        ("limits/A/daily-loss", LIMIT),
        ("account/A/-", ProtectionMode(mode=Protection.ARMED)),
        ("group/-/DESK", GroupDefined(accounts=("A", "C"))),
    ],
)
def test_an_account_with_limits_or_a_mode_stays_as_it_is(
    store: EventStore, write: Write, stream: str, event: Event
) -> None:
    store.append(stream, event, actor="ann@desk")
    before = modes(store)
    assert import_file(store, write("fills.csv", HEADER, *rows("A")), "fills").shadow == ()
    assert modes(store) == before


def test_an_account_that_has_left_its_group_has_no_limits(store: EventStore, write: Write) -> None:
    for accounts in (("A", "C"), ("C",)):
        store.append("group/-/DESK", GroupDefined(accounts=accounts), actor="ann@desk")
    assert import_file(store, write("fills.csv", HEADER, *rows("A")), "fills").shadow == ("A",)


def test_a_file_that_is_refused_changes_no_mode(store: EventStore, write: Write) -> None:
    with pytest.raises(BadRow):
        import_file(store, write("fills.csv", HEADER, *rows("A"), "T9,ESZ5,buy,much,1,1,A"), "fills")
    assert not modes(store)
    import_file(store, write("empty.csv", HEADER), "fills")
    assert not modes(store)
