"""What if records were left out of a history, or replaced."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from msgspec.structs import replace

from eventstore import EventReader, EventStore, InvalidEvent, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountOpened,
    LimitsSet,
    OrderFilled,
    TradeBusted,
)
from projections import open as open_book
from projections.analysis import Replay
from projections.risk import programs
from tests.analysis.replaying import (
    BEGINS,
    CALENDAR,
    LOSING,
    SECOND,
    Desk,
    compared,
    policed_desk,
    random_store,
    rows,
    trading_desk,
)
from tests.proving import rounds


def test_a_fill_that_did_not_happen() -> None:
    desk = policed_desk(LOSING, limit="1000")
    fills = list(desk.store.read(types=(OrderFilled,)))
    by_position = compared(desk.store, without=[fills[3].position])
    assert [row["change"] for row in rows(by_position.lockouts)] == ["would not have been"]
    (position,) = rows(by_position.positions)
    assert (position["quantity_was"], position["quantity_is"]) == (0, 1)
    assert position["realized_was"] != position["realized_is"]
    same = [fills[3], fills[3].id, fills[3].uuid, fills[3].id.hex(), str(fills[3].uuid)]
    for place in same:
        assert repr(compared(desk.store, without=place)) == repr(by_position)
    by_predicate = compared(desk.store, without=lambda record: record.id == fills[3].id)
    assert rows(by_predicate.divergences) == rows(by_position.divergences)


def test_streams_and_prefixes_are_left_out_whole() -> None:
    desk = trading_desk(4)
    report = compared(desk.store, without="order/A/O-2")
    assert [row["position"] for row in rows(report.divergences)] == [5, 6]
    replayed = Replay(desk.store, without=["order/A/O-2", "order/A/O-3"]).run()
    assert [record.version for record in replayed.store.read(stream="order/A/O-4")] == [1, 2]
    assert replayed.store.head() == 6
    assert compared(desk.store, without="order/").positions.to_arrow().num_rows == 1
    nothing = Replay(desk.store, without=lambda _record: True).run()
    assert (nothing.store.head(), nothing.position) == (0, 10)


def test_versions_and_positions_close_up_where_something_is_left_out() -> None:
    for seed in rounds("left out", test=4, prove=300):
        store = random_store(seed)
        chance = random.Random(seed)
        places = set(chance.sample(range(1, store.head() + 1), 20))
        replay = Replay(store, without=places, policies=()).run()
        rest = [record for record in store.read() if record.position not in places]
        found = list(replay.store.read())
        assert [record.id for record in found] == [record.id for record in rest]
        assert [record.position for record in found] == list(range(1, len(rest) + 1))
        versions: dict[str, int] = {}
        for record in found:
            versions[record.stream] = versions.get(record.stream, 0) + 1
            assert record.version == versions[record.stream]
        assert replay.store.verify().ok
        # The same as a log in which they never were.
        clock = ManualClock(BEGINS)
        plain = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)
        for record in rest:
            plain.append(
                record.stream, record.event, occurred_at=record.occurred_at, actor=record.actor,
                causation_id=record.causation_id,
            )  # fmt: skip
        expected = open_book(plain, snapshots=False)
        for account in ("A", "B", "C"):
            mine, theirs = replay.book.positions.of(account), expected.positions.of(account)
            assert [(each.symbol, each.side, each.quantity) for each in mine] == [
                (each.symbol, each.side, each.quantity) for each in theirs
            ]


def test_a_source_that_cannot_be_asked_for_ids_gives_the_same() -> None:
    desk = policed_desk(LOSING, limit="1000")
    reader = EventReader(desk.store._journal)
    fill = list(desk.store.read(types=(OrderFilled,)))[3]
    report = compared(reader, without=fill.id)
    assert repr(report) == repr(compared(desk.store, without=[fill.position]))
    replay = Replay(reader, calendars=CALENDAR).run()
    assert replay.store.find(fill.id) == fill
    assert (
        replay.book.append(
            "limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "1"}), actor="me", expected=1
        )[0].version
        == 2
    )


def test_one_account_of_several_is_changed_alone() -> None:
    desk = trading_desk(2)
    desk.append("account/B/-", AccountOpened(starting_balance=Decimal(1_000), currency="USD"))
    desk.fill(1, "5000", "B")
    desk.fill(-1, "4990", "B")
    report = compared(desk.store, account="B", without="order/B/O-4")
    assert [row["account"] for row in rows(report.equity)] == ["B"]
    (position,) = rows(report.positions)
    assert (position["quantity_was"], position["quantity_is"]) == (0, 1)


def test_a_replacement_is_the_record_to_all_that_refers_to_it() -> None:
    desk = trading_desk(1)
    fill = next(desk.store.read(types=(OrderFilled,)))
    desk.append("order/A/O-1", TradeBusted(trade_id="T-1", reason="error"), causation_id=fill.id)
    more = replace(fill.event, quantity=Decimal(3))
    replay = Replay(desk.store, instead={fill.position: more})
    seen: list[Decimal] = []
    replay.on(OrderFilled, lambda event, _record, _book: seen.append(event.quantity))
    replay.run()
    placed = replay.store.find(fill.id)
    assert placed is not None
    assert (placed.event, placed.occurred_at, placed.actor) == (more, fill.occurred_at, fill.actor)
    assert seen == [3]
    assert replay.book.positions.get("A", "ES").quantity == 0
    assert str(replay.compare().first_divergence).startswith(f"at position {fill.position}: OrderFilled")


def test_another_program_in_the_place_of_an_account() -> None:
    desk = Desk()
    desk.begin()
    desk.clock.advance(3_600 * SECOND)
    for quantity, price in LOSING:
        desk.fill(2 * quantity, price)
    opened = next(desk.store.read(types=(AccountOpened,)))
    program = programs.load("topstep-combine-50k", "A")
    with open_book(Desk(opened.recorded_at).store) as book:
        settings = program.apply(book, "kim@risk-desk")
    report = compared(desk.store, instead={opened.position: settings}, calendars=program.calendars)
    limits = [row["rule_id"] for row in rows(report.headroom) if row["limit_was"] is None]
    assert "trailing-drawdown" in limits
    assert [(row["change"], row["rule_id"]) for row in rows(report.lockouts)] == [
        ("would have been", "trailing-drawdown")
    ]
    (equity,) = rows(report.equity)
    assert (equity["balance_was"], equity["balance_is"]) == (47_700, 47_700)
    assert equity["floor_is"] is not None


def test_a_changed_part_of_a_range_leaves_what_is_before_as_it_was() -> None:
    desk = policed_desk(LOSING, limit="1000")
    fills = list(desk.store.read(types=(OrderFilled,)))
    replay = Replay(desk.store, fills[2].occurred_at, calendars=CALENDAR, without=[fills[3].position]).run()
    report = replay.compare()
    assert [row["change"] for row in rows(report.lockouts)] == ["would not have been"]
    with pytest.raises(InvalidEvent, match="what is played are positions"):
        Replay(desk.store, fills[2].occurred_at, without=[fills[0].position])
