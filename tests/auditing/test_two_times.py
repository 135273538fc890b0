"""What had happened by an instant, as known by another one: against plain models, on late and corrected trades."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.clock import to_ns
from eventstore.trading import ContractDefined, PositionReported, TradeBusted, TradeCorrected
from projections import Book, auditing
from projections.changes import facts
from tests.projections.examples import bought
from tests.proving import rounds
from tests.reference.compared import ACCOUNTS, Compared, Models, Pair, recorded
from tests.reference.differences import FIGURES, money_problems, order_problems
from tests.reference.positions import Positions

pytestmark = pytest.mark.untraced

START = to_ns(datetime(2025, 6, 2, 14, tzinfo=UTC))
MINUTE = 60_000_000_000


def models_of(both: Compared, occurred_at: int | None, position: int) -> dict[str, Models]:
    """Return what the models make of the facts that had happened by an instant and were recorded by another."""
    models = {account: Models(account, Positions()) for account in ACCOUNTS}
    for account, fact in both.applied:
        if fact.log <= position and (occurred_at is None or fact.at <= occurred_at):
            for each in models.values() if fact.kind == "DEFINE" else [models[account]]:
                each.apply(fact)
    return models


def problems_at(both: Compared, occurred_at: int | None, position: int, past: Book) -> list[str]:
    defined = [fact for _, fact in both.applied if fact.kind == "DEFINE"]
    is_defined = all(f.log <= position and (occurred_at is None or f.at <= occurred_at) for f in defined)
    # Before the last definition there is not an amount of money for everything.
    checks = [each for each in (*FIGURES, order_problems) if is_defined or each is not money_problems]
    pairs = [Pair(past, each) for each in models_of(both, occurred_at, position).values()]
    return [f"{pair.account} {problem}" for pair in pairs for check in checks for problem in check(pair)]


def test_both_times_agree_with_the_models(memory_path: Path) -> None:
    for seed in rounds("two times against models", test=6, prove=1_000):
        both, chance = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite"), random.Random(seed)
        records = list(both.store.read())
        times = [record.occurred_at for record in records] + [record.recorded_at for record in records]
        for _ in range(4):
            at, by = chance.choice(times), chance.choice(times)
            known = both.store.position_at(by)
            with projections.as_of(both.store, occurred_at=at, recorded_at=by) as past:
                assert problems_at(both, at, known, past) == []
            with projections.as_of(both.store, recorded_at=by) as past:
                assert problems_at(both, None, known, past) == []
        both.close()


@pytest.fixture
def day(tmp_path: Path) -> Iterator[EventStore]:
    """Return a day on which a fill of 13:59 is recorded at 15:00, and of two others one is corrected and one busted."""
    clock = ManualClock(START)
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
        store.append("trade/A/T1", bought("T1", 2))
        clock.advance(MINUTE)
        store.append("trade/A/T2", bought("T2", 1))
        clock.set(START + 60 * MINUTE)
        store.append("trade/A/T0", bought("T0", 4), occurred_at=START - MINUTE)
        correction = TradeCorrected(trade_id="T1", quantity=Decimal(3), price=Decimal(51))
        # The venue says since when it holds: from the trade's own time on.
        store.append("trade/A/T1", correction, occurred_at=START)
        clock.set(START + 90 * MINUTE)
        store.append("trade/A/T2", TradeBusted(trade_id="T2"))
        yield store


@pytest.mark.parametrize(
    ("occurred", "known", "quantity"),
    [
        # What we knew at 14:03.
        (None, 3, 3),
        # What had happened by 14:03, as we knew it then; with the late fill and the correction; with all of today.
        (3, 3, 3),
        (3, 61, 3 + 4 + 1),
        (3, None, 3 + 4 + 1),
        # What we know today: the bust has happened since.
        (None, None, 3 + 4),
        # By 13:59 there was the fill alone that was not recorded yet.
        (-1, None, 4),
        (-1, 3, 0),
    ],
)
def test_the_four_combinations_of_both_times(
    day: EventStore, occurred: int | None, known: int | None, quantity: int
) -> None:
    at, by = (None if each is None else START + each * MINUTE for each in (occurred, known))
    for account in (None, "A"):
        past = projections.as_of(day, occurred_at=at, recorded_at=by, account=account)
        assert past.positions.get("A", "ESZ5").quantity == quantity


def test_what_was_learned_of_an_instant_names_the_records_that_say_so(day: EventStore) -> None:
    at = START + 3 * MINUTE
    known = (at, START + 120 * MINUTE)
    found = {
        (each.view, each.key): each
        for each in auditing.diff(day, at, at, occurred_at=True, known_by=known, account="A")
    }  # fmt: skip
    position, corrected, late = (
        found[name] for name in (("positions", "ESZ5/NET"), ("trades", "T1"), ("trades", "T0"))
    )
    assert (position.before.quantity, position.after.quantity) == (3, 8)
    assert [record.position for record in position.records] == [4, 5]
    assert (late.kind, [record.position for record in late.records]) == ("ADDED", [4])
    # A correction names the trade that it corrects.
    assert [(each.name, each.before, each.after) for each in corrected.fields] == [
        ("quantity", 2, 3),
        ("price", 50, 51),
        ("corrected", False, True),
    ]
    assert [record.event.trade_id for record in corrected.records] == ["T1"]
    # The bust of 15:30 is known by then, and had not happened at 14:03.
    assert ("trades", "T2") not in found


def test_a_balance_of_nothing_in_a_reported_contract_s_currency_names_the_report(day: EventStore) -> None:
    report = PositionReported(symbol="ESZ5", quantity=Decimal(1))
    [record] = day.append("position/B/ESZ5", report)
    found = auditing.diff(day, START, record.recorded_at, account="B")
    [balance] = [each for each in found if each.view == "balances"]
    assert ([each.position for each in balance.records], balance.after.folded) == ([record.position], 0)


def test_no_time_is_taken_for_an_instant_that_has_none(day: EventStore) -> None:
    given: Any
    for given in ("2025-06-02", datetime(2025, 6, 2), -1, True, 1.5):  # noqa: DTZ001 - that is the test
        for axis in ("occurred_at", "recorded_at"):
            asked: dict[str, Any] = {axis: given}
            with pytest.raises(InvalidEvent):
                projections.as_of(day, **asked)
    # An instant before everything is an empty book, one in the future what is known now.
    assert facts(projections.as_of(day, occurred_at=START - 100 * MINUTE)) == {}
    ahead = START + 10_000 * MINUTE
    assert facts(projections.as_of(day, occurred_at=ahead, recorded_at=ahead)) == facts(projections.as_of(day))
