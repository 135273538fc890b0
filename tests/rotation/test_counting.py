"""Logs that continue one another are numbered, appended to and asked as one."""

import itertools
import threading
from decimal import Decimal

import pytest

import projections
from eventstore import (
    AccountChanged,
    DuplicateEvent,
    EventStore,
    ManualClock,
    Unchanged,
    VersionConflict,
)
from eventstore.trading import (
    CashKind,
    CashMoved,
    OrderCanceled,
)
from projections import analysis, auditing
from projections.rotation import rotate
from tests.projections.random_facts import SECOND, START
from tests.rotation.facts import CASH, SUBMITTED, Opened, filled

pytestmark = pytest.mark.in_each_place(slow=True)


def test_positions_versions_and_times_are_counted_on(new: EventStore, clock: ManualClock) -> None:
    records = list(new.read())
    assert [record.position for record in records] == list(range(1, new.head() + 1))
    assert all(one.recorded_at < two.recorded_at for one, two in itertools.pairwise(records[5:]))
    assert {record.log for record in records[:5]} == {"main"}
    assert {record.log for record in records[5:]} == {"main.2"}
    clock.advance(SECOND)
    [fill] = new.append("order/A/O-1", filled("T-2"), expected=2)
    assert (fill.position, fill.version) == (len(records) + 1, 3)
    assert new.version("order/A/O-1") == 3
    assert [record.version for record in new.read(stream="order/A/O-1")] == [1, 2, 3]
    pages = list(new.rows(("version", "stream", "log"), after=2))
    assert [row for page in pages for row in page] == [
        (record.position, record.version, record.stream, record.log) for record in new.read(after=2)
    ]
    # The record that ends the old log is the last one that is written.
    assert all(new.position_at(each.recorded_at) == each.position for each in records if each.type != "LogEnded")
    assert list(new.read(after=3, limit=3)) == list(new.read())[3:6]
    assert new.find(fill.id) == fill
    assert new.find(records[1].id) == records[1]
    assert set(new.types()) >= {"AccountOpened", "OrderFilled", "LogEnded", "LogContinued"}


def test_what_the_old_log_has_recorded_is_found_and_not_written_again(new: EventStore) -> None:
    head = new.head()
    [cash] = new.append("account/A/-", CASH, key="cash")
    assert (cash.position, cash.log) == (2, "main")
    # An execution report without a key, as brokers send it again after a reconnect.
    assert new.append("order/A/O-1", filled("T-1"))[0].position == 4
    both = new.append("order/A/O-1", [filled("T-1"), filled("T-2"), filled("T-1")])
    assert [record.position for record in both] == [4, head + 1, 4]
    assert new.append("order/A/O-1", filled("T-2"))[0].position == head + 1
    assert new.head() == head + 1
    with pytest.raises(DuplicateEvent, match="at position 2 with other content"):
        new.append("account/A/-", CashMoved(amount=Decimal(6), currency="USD", kind=CashKind.DEPOSIT), key="cash")
    with pytest.raises(DuplicateEvent, match="while other events"):
        new.append("account/A/-", [CASH, CASH], key=["cash", "more cash"])
    new.append("account/A/-", CASH, key="more cash")
    with pytest.raises(DuplicateEvent, match=f"at position {head + 2} with other content"):
        new.append("account/A/-", CashMoved(amount=Decimal(6), currency="USD", kind=CashKind.DEPOSIT), key="more cash")


def test_conditions_count_in_all_logs(new: EventStore) -> None:
    head = new.head()
    with pytest.raises(VersionConflict, match="is at version 2, not 0") as caught:
        new.append("order/A/O-1", OrderCanceled(), expected=0)
    assert caught.value.found == 2
    new.append("order/A/O-1", OrderCanceled(), expected=2)
    with pytest.raises(VersionConflict, match="is at version 3, not 2"):
        new.append("order/A/O-1", OrderCanceled(), expected=2)
    with pytest.raises(AccountChanged, match=f"has a record at position {head + 1}, and this was decided at {head}|d"):
        new.append("order/A/O-2", SUBMITTED, unchanged=Unchanged(accounts=("A",), since=head))
    with pytest.raises(AccountChanged, match="position 5, and this was decided at position 4"):
        new.append("order/A/O-2", SUBMITTED, unchanged=Unchanged(accounts=("B",), since=4))
    new.append("order/A/O-2", SUBMITTED, unchanged=Unchanged(accounts=("A",), since=head + 1), expected=0)


def test_followers_and_those_who_wait_see_what_comes(new: EventStore) -> None:
    head, cancel = new.head(), threading.Event()
    assert new.wait(3, 0)
    assert not new.wait(head, 0)
    following = new.follow(after=3, cancel=cancel)
    assert [next(following).position for _ in range(head - 3)] == list(range(4, head + 1))
    new.append("order/A/O-2", SUBMITTED)
    assert next(following).position == head + 1
    cancel.set()
    assert new.wait(head, 0)


def test_the_past_is_read_across(new: EventStore, clock: ManualClock) -> None:
    clock.advance(SECOND)
    new.append("order/A/O-1", filled("T-2"))
    held = [projections.as_of(new, position=position).positions.get("A", "ES").quantity for position in (3, 4, 5)]
    assert held == [0, 1, 1]
    assert projections.as_of(new).positions.get("A", "ES").quantity == 2
    assert projections.as_of(new, recorded_at=START).position < 5
    changes = auditing.diff(new, START, clock.now_ns(), account="A")
    assert {record.position for change in changes for record in change.records} >= {4, new.head()}
    behind = auditing.why(new, "position/ES", account="A")
    assert {4, new.head()} <= {link.record.position for link in behind.walk()}
    entries = list(auditing.timeline(new, account="A"))
    assert [entry.record.position for entry in entries][:4] == [1, 2, 3, 4]
    assert any("was carried on from log" in entry.sentence for entry in entries)


def test_frames_go_across(new: EventStore) -> None:
    new.append("order/A/O-1", filled("T-2"))
    fills = analysis.fills(new)
    assert list(fills.to_pandas()["trade_id"]) == ["T-1", "T-2"]
    assert len(analysis.events(new)) == new.head()


def test_cursors_of_policies_go_on_in_the_new_log(old: EventStore, opened: Opened) -> None:
    from projections.risk.policies.cursors import Cursors, have_begun

    cursors = Cursors(old)
    assert cursors.begin(["one", "two"], 3) == {"one": 3, "two": 3}
    rotate(old)
    new = opened()
    assert have_begun(new)
    fresh = Cursors(new)
    assert fresh.begin(["one", "never"], new.head()) == {"one": 3, "never": new.head()}
    [last] = new.append("order/A/O-2", SUBMITTED)
    fresh.write((last.position, last.digest))
    again = Cursors(new)
    assert again.begin(["one", "two"], new.head()) == {"one": last.position, "two": 3}
    new.close()
    assert Cursors(opened()).begin(["one"], last.position) == {"one": last.position}, "no mark is ahead of the journal"


def test_a_service_does_not_hand_out_a_log_by_other_positions(new: EventStore) -> None:
    """What is read over a connection is checked by its digests, which are of a log's own positions."""
    assert new.chain is not None
    [record] = new.append("order/A/O-1", filled("T-2"))
    own = new.chain.own_record(record)
    assert new.alone().find(record.id) == own
    assert (own.position, own.version) == (record.position - 5, 1)
