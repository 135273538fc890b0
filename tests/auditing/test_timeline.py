"""The timeline: sentences with their effects, both times, marks, notes, filters and pages."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import to_ns
from eventstore.events import registry
from eventstore.trading import (
    AccountConfigured,
    AccountOpened,
    ContractDefined,
    Cost,
    EquityCorrected,
    EquityMarked,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    NoteAdded,
    OrderFilled,
    OrderSubmitted,
    PositionReported,
    SessionOpened,
    Side,
    TradeBusted,
    TradeCorrected,
)
from projections import auditing
from projections.auditing import Entry, MarkKind, TimelineSelection
from tests.projections.histories import history, store_of
from tests.projections.random_facts import ACCOUNTS, SECOND
from tests.proving import rounds

START = to_ns(datetime(2025, 11, 20, 15, tzinfo=UTC))
MINUTE = 60 * SECOND


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=clock) as opened:
        opened.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        opened.append("account/ACC1/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
        yield opened


def fill(trade_id: str, side: Side, quantity: int, price: str, symbol: str = "ESZ5") -> OrderFilled:
    return OrderFilled(
        trade_id=trade_id, symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price)
    )  # fmt: skip


def last(store: EventStore, account: str = "ACC1") -> Entry:
    return auditing.timeline(store, account=account).entries[-1]


def marks(entry: Entry) -> list[tuple[MarkKind, int | None]]:
    """Return what marks a record, beside the anomalies of its order, which was never submitted."""
    return [(mark.kind, mark.position) for mark in entry.marks if mark.text != "UNKNOWN_ORDER"]


# What means nothing


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"by": "read"}, "by is the time"),
        ({"by": None}, "by is the time"),
        ({"actor": ""}, "actor is a name"),
        ({"actor": 7}, "actor is a name"),
        ({"limit": 0}, "limit is how many"),
        ({"limit": 10**9}, "limit is how many"),
        ({"limit": "5"}, "limit"),
        ({"after": -1}, "after"),
        ({"after": 10_000, "by": "occurred"}, "has no record at 10,000"),
        ({"account": "no/account"}, "account"),
        ({"types": 5}, "types"),
        ({"start": "yesterday"}, "yesterday"),
        ({"start": 5}, "1990"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(store: EventStore, arguments: dict[str, object], what: str) -> None:
    with pytest.raises(InvalidEvent, match=what):
        auditing.timeline(store, **arguments)  # type: ignore[arg-type]


def test_an_empty_log_and_an_unknown_account_have_no_entries(tmp_path: Path, store: EventStore) -> None:
    with eventstore.open(tmp_path / "empty") as empty:
        assert auditing.timeline(empty).entries == ()
        assert auditing.timeline(empty, by="occurred").next_after is None
    assert len(auditing.timeline(store, account="NOBODY")) == 0
    assert len(auditing.timeline(store, after=1_000)) == 0


# Sentences with what changed


def test_a_fill_says_what_is_left_and_what_was_realized(store: EventStore) -> None:
    store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    assert last(store).sentence == "Bought 5 ESZ5 at 5,310.75, long 5"
    store.append("order/ACC1/O-2", fill("T2", Side.SELL, 2, "5312.25"))
    entry = last(store)
    assert entry.sentence == "Sold 2 ESZ5 at 5,312.25, 3 left; realized +150.00"
    position = next(change for change in entry.changes if change.view == "positions")
    assert (position.before.quantity, position.after.quantity) == (5, 3)
    balance = next(change for change in entry.changes if change.view == "balances")
    assert (balance.before.folded, balance.after.folded) == (50_000, 50_150)
    store.append("order/ACC1/O-3", fill("T3", Side.SELL, 4, "5310.25"))
    assert last(store).sentence == "Sold 4 ESZ5 at 5,310.25, short 1; realized -75.00"
    store.append("order/ACC1/O-4", fill("T4", Side.BUY, 1, "5310.25"))
    assert last(store).sentence == "Bought 1 ESZ5 at 5,310.25, flat"


def test_what_was_realized_counts_by_the_cost_method_of_the_account(store: EventStore) -> None:
    store.append("account/ACC1/-", AccountConfigured(cost=Cost.AVERAGE), actor="ana")
    store.append("order/ACC1/O-1", [fill("T1", Side.BUY, 1, "100"), fill("T2", Side.BUY, 1, "110")])
    store.append("order/ACC1/O-2", fill("T3", Side.SELL, 1, "112"))
    assert last(store).sentence == "Sold 1 ESZ5 at 112.00, 1 left; realized +350.00"


def test_without_a_contract_the_result_is_in_points_and_the_balance_unknown(store: EventStore) -> None:
    store.append("order/ACC1/O-1", fill("T1", Side.BUY, 2, "20", symbol="NQZ5"))
    store.append("order/ACC1/O-2", fill("T2", Side.SELL, 2, "23", symbol="NQZ5"))
    entry = last(store)
    assert entry.sentence == "Sold 2 NQZ5 at 23.00, flat; realized +6.00 points, whose value is unknown"
    assert [text for text in entry.unknown if text.startswith("balances of ACC1: ")]
    assert not any(change.view == "balances" for change in entry.changes)


def test_a_report_of_the_broker_says_how_far_it_is_from_the_fills(store: EventStore) -> None:
    store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    store.append("position/ACC1/ESZ5", PositionReported(symbol="ESZ5", quantity=Decimal(3)))
    assert last(store).sentence == "The broker reports long 3 ESZ5, -2 beyond the fills"


def test_a_loosened_limit_is_said_to_wait(store: EventStore, clock: ManualClock) -> None:
    store.append("limits/ACC1/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}), actor="ana")
    clock.advance(MINUTE)
    store.append("limits/ACC1/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": "800"}), actor="ana")
    entry = last(store)
    said = "Limit daily-loss was set: limit 800; it loosens the limit, and waits for the next session"
    assert entry.sentence == said
    assert [change.view for change in entry.changes] == ["limits waiting"]
    clock.advance(MINUTE)
    opened = SessionOpened(trading_day=datetime(2025, 11, 21).date(), began_at=clock.now_ns())  # noqa: DTZ001 - a date
    store.append("session/ACC1/2025-11-21", opened)
    in_force = next(change for change in last(store).changes if change.view == "limits in force")
    assert (in_force.before.parameters, in_force.after.parameters) == ({"limit": "500"}, {"limit": "800"})


def test_instants_are_in_the_zone_of_the_sessions_or_the_one_asked_for(store: EventStore) -> None:
    until = to_ns(datetime(2025, 11, 20, 23, 0, 5, 250_000, tzinfo=UTC))
    store.append("lockout/ACC1/manual", LockoutSet(rule_id="manual", until=until, reason="a break."))
    assert last(store).sentence == "Locked account ACC1 until 2025-11-20 23:00:05.250 UTC by manual: a break"
    opened = SessionOpened(trading_day=datetime(2025, 11, 20).date(), began_at=START, zone="America/Chicago")  # noqa: DTZ001 - a date
    store.append("session/ACC1/2025-11-20", opened)
    store.append("lockout/ACC1/manual", LockoutSet(rule_id="manual", until=until + 10**9))
    assert last(store).sentence == "Locked account ACC1 until 2025-11-20 17:00:06.250 CST by manual"
    page = auditing.timeline(store, account="ACC1", zone=ZoneInfo("Asia/Tokyo"))
    assert page.entries[-1].sentence.startswith("Locked account ACC1 until 2025-11-21 08:00:06.250 JST")


def test_clearing_what_is_not_locked_is_said_to_have_no_effect(store: EventStore) -> None:
    store.append("lockout/ACC1/manual", LockoutCleared(by="ana", reason="mistake"))
    entry = last(store)
    assert entry.sentence == "The lockout by manual was cleared by ana, without effect: mistake"
    assert (MarkKind.ANOMALY, None) in marks(entry)
    store.append("lockout/ACC1/manual", LockoutSet(rule_id="manual"))
    store.append("lockout/ACC1/manual", LockoutCleared(by="ana"))
    assert last(store).sentence == "The lockout by manual was cleared by ana"


# Marks


def test_what_was_recorded_late_or_dated_ahead_is_marked(store: EventStore, clock: ManualClock) -> None:
    now = clock.now_ns()
    for seconds, kinds in ((0, []), (60, []), (61, [MarkKind.LATE]), (-60, []), (-61, [MarkKind.AHEAD])):
        store.append(
            "order/ACC1/O-1",
            OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1)),
            occurred_at=clock.now_ns() - seconds * SECOND,
        )
        found = [mark.kind for mark in last(store).marks if mark.kind in {MarkKind.LATE, MarkKind.AHEAD}]
        assert found == kinds, seconds
        clock.advance(SECOND)
    assert now == START


def test_a_bust_and_its_trade_name_each_other(store: EventStore) -> None:
    [first] = store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    assert marks(last(store)) == []
    [bust] = store.append("trade/ACC1/T1", TradeBusted(trade_id="T1", reason="clearly erroneous"))
    page = auditing.timeline(store, account="ACC1")
    assert marks(page.entries[-2]) == [(MarkKind.BUSTED, bust.position)]
    assert marks(page.entries[-1]) == [(MarkKind.BUSTS, first.position)]
    assert page.entries[-1].sentence == "The venue busted trade T1, flat: clearly erroneous"


def test_a_bust_by_the_id_of_a_correction_names_the_trade(store: EventStore) -> None:
    [first] = store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    corrected = TradeCorrected(trade_id="T1", correction_id="C9", quantity=Decimal(4), price=Decimal("5310.75"))
    [correction] = store.append("trade/ACC1/T1", corrected)
    [bust] = store.append("trade/ACC1/C9", TradeBusted(trade_id="C9"))
    by_position = {entry.position: entry for entry in auditing.timeline(store, account="ACC1")}
    later = [(MarkKind.CORRECTED, correction.position), (MarkKind.BUSTED, bust.position)]
    assert marks(by_position[first.position]) == later
    assert marks(by_position[correction.position]) == [(MarkKind.CORRECTS, first.position)]
    assert marks(by_position[bust.position]) == [(MarkKind.BUSTS, first.position)]


def test_a_bust_of_an_unknown_trade_is_an_anomaly_until_the_trade_comes(store: EventStore) -> None:
    [bust] = store.append("trade/ACC1/T1", TradeBusted(trade_id="T1"))
    assert (MarkKind.ANOMALY, None) in marks(last(store))
    store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    assert (MarkKind.BUSTED, bust.position) in marks(last(store))


def test_a_bust_of_another_contracts_trade_of_the_same_id_marks_nothing(store: EventStore) -> None:
    store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    store.append("order/ACC1/O-2", fill("T1", Side.BUY, 5, "24000", symbol="NQZ5"))
    [bust] = store.append("trade/ACC1/T1", TradeBusted(trade_id="T1", symbol="NQZ5"))
    found = {entry.position: marks(entry) for entry in auditing.timeline(store, account="ACC1")}
    assert (MarkKind.BUSTED, bust.position) not in found[3]
    assert (MarkKind.BUSTED, bust.position) in found[4]
    assert found[bust.position] == [(MarkKind.BUSTS, 4)]


def test_a_repeated_report_names_the_first_and_changes_no_position(store: EventStore) -> None:
    [first] = store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    store.append("trade/ACC1/T1", fill("T1", Side.BUY, 5, "5310.75"))
    entry = last(store)
    assert entry.sentence == (
        "Reported again: bought 5 ESZ5 at 5,310.75, trade T1; the position is unchanged"
    )  # fmt: skip
    assert (MarkKind.REPEATS, first.position) in marks(entry)


def test_a_correction_of_equity_and_the_wrong_mark_name_each_other(store: EventStore) -> None:
    mark = EquityMarked(balance=Decimal(50_000), equity=Decimal(90_000), high_water=Decimal(90_000))
    [wrong] = store.append("equity/ACC1/-", mark)
    correction = EquityCorrected(reason="bad tick", high_water=Decimal(50_000), wrong=uuid.UUID(bytes=wrong.id))
    [record] = store.append("account/ACC1/-", correction, actor="ana")
    page = auditing.timeline(store, account="ACC1")
    assert marks(page.entries[-2]) == [(MarkKind.CORRECTED, record.position)]
    assert marks(page.entries[-1]) == [(MarkKind.CORRECTS, wrong.position)]
    change = next(change for change in page.entries[-1].changes if change.view == "marked equity")
    assert (change.before.high_water, change.after.high_water) == (90_000, 50_000)


def test_notes_and_tags_are_with_what_they_are_about(store: EventStore) -> None:
    [record] = store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    store.append("note/ACC1/1", NoteAdded(target=str(record.uuid), text="too large", tags=("size",)), actor="ben")
    store.append("note/ACC1/2", NoteAdded(target="order/ACC1/O-1", tags=("breakout",)))
    store.append("note/ACC2/3", NoteAdded(target=str(record.uuid), text="of another account"))
    entries = {entry.position: entry for entry in auditing.timeline(store)}
    entry = entries[record.position]
    assert [(note.text, note.actor) for note in entry.notes] == [("too large", "ben")]
    assert entry.tags == ("breakout", "size")
    assert entries[4].sentence == f"Note on record {record.uuid} [size]: too large"
    assert entries[5].sentence == "Note on order O-1 [breakout]"


def test_a_record_of_an_unknown_type_is_marked_unread_and_changes_are_not_guessed(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append("order/ACC1/O-1", OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(1)))
    monkeypatch.delitem(registry._by_name, "OrderSubmitted")
    entry = last(store)
    assert [mark.kind for mark in entry.marks] == [MarkKind.UNREAD]
    assert entry.changes == ()
    assert entry.unknown[0].startswith("what it changed: this process cannot read it (")
    assert entry.sentence.startswith("A record of the type OrderSubmitted that cannot be read here (")


def test_after_a_record_of_a_newer_schema_what_it_stopped_is_unknown(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = msgspec.structs.replace(registry._by_name["OrderFilled"], schema=2)
    classes: dict[Any, Any] = registry._by_class
    monkeypatch.setitem(classes, OrderFilled, raised)
    monkeypatch.setitem(registry._by_name, "OrderFilled", raised)
    store.append("order/ACC1/O-1", fill("T1", Side.BUY, 5, "5310.75"))
    monkeypatch.undo()
    store.append("order/ACC1/O-2", fill("T2", Side.BUY, 5, "5310.75"))
    unread, later = auditing.timeline(store, account="ACC1").entries[-2:]
    assert [mark.kind for mark in unread.marks] == [MarkKind.UNREAD]
    assert "view executions failed on it for ACC1 (InvalidEvent: OrderFilled of schema 2" in str(unread.error)
    # It is not taken for a repeated report, and nothing of it for unchanged.
    assert later.sentence == "Bought 5 ESZ5 at 5,310.75"
    assert "view executions has been stopped for ACC1 since position 3" in str(later.error)
    assert any(text.startswith("positions of ACC1: ") for text in later.unknown)


# Filters, both times, and pages


def test_an_actor_is_named_in_full_or_by_the_user_alone(store: EventStore) -> None:
    for actor in ("ana@desk/tool", "ana@home/other", "anabel@desk/tool", "ben", "api-key 7"):
        store.append("mark/-/x", eventstore.trading.Marked(name=actor), actor=actor)

    def by(actor: str) -> list[str]:
        return [entry.actor for entry in auditing.timeline(store, actor=actor)]

    assert by("ana") == ["ana@desk/tool", "ana@home/other"]
    assert by("ana@home/other") == ["ana@home/other"]
    assert by("api-key 7") == ["api-key 7"]
    assert by("an") == []
    store.append("mark/-/x", eventstore.trading.Marked(name="x"), actor="Ana/tool")
    assert by("ana") == ["ana@desk/tool", "ana@home/other", "Ana/tool"]
    assert by("ana@desk") == []


def test_late_records_stand_where_they_happened_in_the_order_of_occurrence(
    store: EventStore, clock: ManualClock
) -> None:
    base = clock.now_ns()
    for minute, trade_id in ((3, "T3"), (1, "T1"), (2, "T2")):
        clock.advance(MINUTE)
        event = fill(trade_id, Side.BUY, 1, "100")
        store.append(f"order/ACC1/{trade_id}", event, occurred_at=base + minute * SECOND)
    page = auditing.timeline(store, types=OrderFilled, by="occurred")
    assert [entry.record.entity for entry in page] == ["T1", "T2", "T3"]
    # What each changed is what it changed when it was recorded.
    assert [entry.sentence[-6:] for entry in page] == ["long 2", "long 3", "long 1"]
    window = auditing.timeline(
        store, types=OrderFilled, by="occurred", start=base + 2 * SECOND, stop=base + 3 * SECOND
    )  # fmt: skip
    assert [entry.record.entity for entry in window] == ["T2"]
    assert "3 records by time occurred" in page._repr_html_()


def test_pages_of_any_size_give_the_same_entries_in_both_orders() -> None:
    for seed in rounds("pages of a timeline", test=2, prove=300):
        chance = random.Random(seed)
        store = store_of(history(chance, 50))
        for by in ("recorded", "occurred"):
            account = chance.choice((None, *ACCOUNTS))
            whole = auditing.timeline(store, account=account, by=by)
            assert whole.next_after is None
            key = [(each.occurred_at if by == "occurred" else 0, each.position) for each in whole]
            assert key == sorted(key)
            found: list[Entry] = []
            after: int | None = 0
            while after is not None:
                page = auditing.timeline(store, account=account, by=by, after=after, limit=chance.randint(1, 20))
                found += page.entries
                after = page.next_after
            assert found == list(whole), (seed, by, account)
        everything = TimelineSelection.of(account=None, types=None, actor=None, start=None, stop=None, by="recorded")
        assert list(auditing.walk(store, everything)) == list(auditing.timeline(store))
        assert list(auditing.walk(store, everything, after=30)) == list(auditing.timeline(store, after=30))


def test_an_account_alone_reads_as_it_does_among_all() -> None:
    for seed in rounds("a timeline of one account", test=2, prove=300):
        store = store_of(history(random.Random(seed), 60))
        whole = auditing.timeline(store)
        for account in ACCOUNTS:
            alone = auditing.timeline(store, account=account)
            among = [entry for entry in whole if entry.account == account]
            assert [each.sentence for each in alone] == [each.sentence for each in among], seed
            assert [each.marks for each in alone] == [each.marks for each in among], seed


def test_what_the_head_says_of_trades_is_marked_where_they_were_reported() -> None:
    for seed in rounds("marks of a timeline", test=3, prove=1_000):
        store = store_of(history(random.Random(seed), 60))
        book = projections.as_of(store)
        entries = {entry.position: entry for entry in auditing.timeline(store)}
        for account in ACCOUNTS:
            for trade in book.trades.of(account):
                kinds = {mark.kind for mark in entries[trade.position].marks}
                assert not trade.busted or MarkKind.BUSTED in kinds, (seed, trade)
                assert not trade.corrected or MarkKind.CORRECTED in kinds or MarkKind.BUSTED in kinds, (seed, trade)
        for entry in entries.values():
            for mark in entry.marks:
                if mark.kind is MarkKind.BUSTS and mark.position is not None:
                    assert (MarkKind.BUSTED, entry.position) in marks(entries[mark.position]), (seed, entry.position)
