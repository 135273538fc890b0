"""Differences in every view: what two folded books state apart, and applied to the one they give the other."""

from __future__ import annotations

import random

from eventstore import EventStore
from projections import Book
from projections.builtin import builtin_views
from projections.changes import VIEWS, diff, facts
from projections.fold import Fold
from tests.projections.histories import history, store_of
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
