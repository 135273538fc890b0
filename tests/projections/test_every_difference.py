"""Differences in every view: what two folded books state apart, and applied to the one they give the other."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore import EventStore, InvalidEvent, ManualClock, UnknownContract
from eventstore.events import registry
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import ContractDefined, Side, TradeExecuted
from projections import Book
from projections.builtin import builtin_views
from projections.changes import VIEWS, KindOfChange, Unanswered, diff, facts
from projections.fold import Fold
from projections.replay import as_of
from tests.projections.examples import bought
from tests.projections.histories import history, store_of
from tests.projections.random_facts import SECOND, START
from tests.proving import rounds


def folded(store: EventStore, occurred_at: int | None, position: int, account: str | None = None) -> Book:
    """Return a book of the past folded record by record, from the first: without cuts, pages and counts of them."""
    accounts = None if account is None else frozenset((account,))
    fold = Fold(builtin_views(), accounts=accounts)
    fold.end_volatile()
    for record in store.read(until=position):
        if occurred_at is None or record.occurred_at <= occurred_at:
            fold.apply([record])
    fold.log_position = position
    return Book(store, fold, accounts=accounts, occurred_until=occurred_at, live=False)


def test_differences_in_every_view_make_the_one_past_of_the_other() -> None:
    for seed in rounds("differences in every view", test=4, prove=1_000):
        chance = random.Random(seed)
        store = store_of(history(chance, 150))
        for _ in range(4):
            _check(store, chance)


def test_a_contract_in_an_account_s_stream_is_everybody_s() -> None:
    store = new_store()
    store.append("trade/A/T1", bought("T1"))
    store.append("trade/A/T2", msgspec.structs.replace(bought("T2", price=51), side=Side.SELL))
    first = later(store)
    store.append("contract/B/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
    found = {(each.view, each.account): each for each in diff(store, first, later(store), views=VIEWS)}
    position, day = found["positions", "A"], found["days", "A"]
    assert (position.before.multiplier, position.after.multiplier) == (None, 50)
    # A result that was not known is not one that was added.
    assert isinstance(day.before, Unanswered)
    assert (day.kind, day.before.why) == (KindOfChange.UNKNOWN, str(UnknownContract("ESZ5")))
    assert [record.position for record in day.records] == [3]
    assert found.keys() >= {("contracts", "-"), ("balances", "A")}


def test_what_a_failed_view_cannot_say_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store()
    store.append("trade/A/T1", bought("T1"))
    store.append("trade/B/T1", bought("T1"))
    first = later(store)
    with monkeypatch.context() as newer:
        classes: dict[Any, Any] = registry._by_class
        raised = msgspec.structs.replace(registry.by_class(TradeExecuted), schema=2)
        newer.setitem(classes, TradeExecuted, raised)
        store.append("trade/A/T2", bought("T2"))
    store.append("trade/B/T2", bought("T2"))
    last = later(store)
    found = diff(store, first, last, views=("positions", "trades"))
    kinds = {(each.view, each.account, each.key): each.kind for each in found}
    assert kinds["positions", "B", "ESZ5/NET"] is KindOfChange.CHANGED
    assert kinds["positions", "A", "ESZ5/NET"] is kinds["positions", "A", "*"] is KindOfChange.UNKNOWN
    assert "TradeExecuted of schema 2 is not read here" in next(each.after.why for each in found if each.key == "*")
    before, after = (facts(as_of(store, recorded_at=at), views=("positions", "trades")) for at in (first, last))
    assert found.applied_to(before) == after
    assert after["positions", "A", "*"] == next(each.after for each in found if each.key == "*")
    # Applied to any other past, they are refused.
    with pytest.raises(InvalidEvent, match="the facts of the earlier of the two pasts"):
        found.applied_to(after)


@pytest.mark.parametrize("views", ["orders", ("order",), ["orders", 1], 7, None])
def test_views_that_there_are_not_are_refused(views: Any) -> None:  # noqa: ANN401 - that is the test
    store = new_store()
    with pytest.raises(InvalidEvent, match="views are some of orders, positions"):
        diff(store, START, START + 1, views=views)
    with pytest.raises(InvalidEvent, match="views are some of orders, positions"):
        facts(as_of(store), views=views)


def new_store() -> EventStore:
    clock = ManualClock(START)
    return EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock)


def later(store: EventStore) -> int:
    """Return an instant after everything recorded so far, and before what follows."""
    assert isinstance(store.clock, ManualClock)
    store.clock.advance(SECOND)
    now = store.clock.now_ns()
    store.clock.advance(SECOND)
    return now


def _check(store: EventStore, chance: random.Random) -> None:
    records = list(store.read())
    times = [each.recorded_at for each in records] + [each.occurred_at for each in records]
    first, second = sorted((chance.choice(times), chance.choice(times)))
    account = chance.choice([None, "A", "B"])
    ends: list[tuple[int | None, int]]
    if chance.random() < 0.4:
        ends = [(None, store.position_at(first)), (None, store.position_at(second))]
        found = diff(store, first, second, account=account, views=VIEWS)
    else:
        known = (chance.choice(times), chance.choice(times))
        ends = sorted((at, store.position_at(by)) for at, by in zip((first, second), known, strict=True))
        found = diff(store, first, second, account=account, views=VIEWS, occurred_at=True, known_by=known)
    before, after = (facts(folded(store, *end, account), account=account) for end in ends)
    assert found.applied_to(before) == after
    held = [
        {each.position for each in records if each.position <= position and (at is None or each.occurred_at <= at)}
        for at, position in ends
    ]
    for change in found:
        assert change.records, change
        assert {each.position for each in change.records} <= held[0] ^ held[1]
