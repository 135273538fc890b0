"""What a record changed, beside a plain model: everything that books state before and after each record."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, Record, UnknownContract
from eventstore.streams import unescaped
from projections import Book, Change, auditing
from projections.auditing import Effect
from projections.replay import steps as books_after
from projections.views.equity import EquityView
from projections.views.executions.trades import Trade
from tests.projections.histories import append, history, store_of
from tests.projections.random_facts import ACCOUNTS, START
from tests.proving import rounds

Stated = dict[tuple[str, str, str], Any]
MODELED = ("orders", "trades", "positions", "lockouts", "balances", "marked equity", "groups")
"""The kinds of facts that the model knows too."""


def stated(book: Book, orders: set[tuple[str, str]]) -> Stated:
    """Return all that a book states, by view, account and name."""
    facts: Stated = {}
    for account in ACCOUNTS:
        facts |= stated_of(book, account)
    found = {("orders", *name): book.orders.get(*name) for name in orders}
    facts |= {key: order for key, order in found.items() if order is not None}
    groups = [book.groups.get(name) for name in book.groups.names()]
    facts |= {("groups", "-", each.name): each.accounts for each in groups if each is not None and each.defined_at}
    return facts


def stated_of(book: Book, account: str) -> Stated:
    facts: dict[str, dict[str, Any]] = {}
    facts["positions"] = {f"{each.symbol}/{each.side}": each for each in book.positions.of(account)}
    facts["trades"] = {str(each.position): each for each in book.trades.of(account)}
    history = book.lockouts.history(account)
    facts["lockouts"] = {f"{each.rule_id} {each.scope} {each.positions[0]}": each for each in history}
    try:
        facts["balances"] = {each.currency or "": each for each in book.accounts.balances(account)}
    except UnknownContract:
        facts["balances"] = {"?": "unknown"}
    mark = book.equity.get(account)
    facts["marked equity"] = {} if mark is None else {mark.currency or "": mark}
    return {(view, account, name): value for view, values in facts.items() for name, value in values.items()}


def compared(before: Stated, after: Stated) -> Stated:
    keys = dict.fromkeys([*before, *after])
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def as_stated(change: Change) -> Iterator[tuple[tuple[str, str, str], tuple[Any, Any]]]:
    """Yield a change as the model has it: trades by their positions, and each lockout by itself."""
    if change.view == "trades":
        named = change.after if isinstance(change.after, Trade) else change.before
        yield ("trades", change.account, str(named.position)), (change.before, change.after)
    elif change.view == "lockouts":
        sides = [
            {f"{each.rule_id} {each.scope} {each.positions[0]}": each for each in side or ()}
            for side in (change.before, change.after)
        ]
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            yield ("lockouts", change.account, name), (sides[0].get(name), sides[1].get(name))
    elif change.view == "groups":
        members = [None if side is None else side.accounts for side in (change.before, change.after)]
        if members[0] != members[1]:
            yield (change.view, change.account, change.key), (members[0], members[1])
    else:
        yield (change.view, change.account, change.key), (change.before, change.after)


def differences(store: EventStore) -> Iterator[tuple[Record, Stated, Stated, tuple[str, ...]]]:
    """Yield each record with what the model and what the effects say that it changed, and what they do not know."""
    orders = {(each.account, unescaped(each.entity)) for each in store.read(stream="order/")}
    before: Stated = {}
    found = auditing.effects(store, store.read())
    for (record, book), effect in zip(books_after(store), found, strict=True):
        after = stated(book, orders)
        changed = dict(pair for change in effect.changes if change.view in MODELED for pair in as_stated(change))
        yield record, compared(before, after), changed, effect.unknown
        before = after


def is_derived(key: tuple[str, str, str], record: Record) -> bool:
    """Return whether a mark of equity only got another currency: that of an account never opened is derived."""
    return key[0] == "marked equity" and type(record.event) not in (EquityView.types or ())


def test_each_record_changed_what_books_before_and_after_it_state_otherwise() -> None:
    for seed in rounds("effects of records", test=4, prove=2_000):
        store = store_of(history(random.Random(seed), 60))
        for record, model, changed, unknown in differences(store):
            missed = {
                key: pair
                for key, pair in model.items()
                if key not in changed and not is_derived(key, record) and not (key[0] == "balances" and unknown)
            }
            assert not missed, (seed, record, missed)
            for key, pair in changed.items():
                assert key[0] not in MODELED or key in model, (seed, record, key, pair)
                assert key not in model or pair == model[key], (seed, record, key)


def test_past_a_cut_the_same_is_said_as_from_the_first_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = history(random.Random(11), 60)
    plain = store_of(facts)
    whole = {effect.record.position: effect for effect in auditing.effects(plain, plain.read())}
    with eventstore.open(tmp_path / "data", clock=ManualClock(START)) as store:
        for number, fact in enumerate(facts, 1):
            append(store, fact)
            if number in {20, 40}:
                with contextlib.closing(projections.open(store)) as book:
                    assert book.snapshot()
        monkeypatch.setattr(sys.modules[auditing.effects.__module__], "JUMP_MIN", 5)
        some = [record for record in store.read() if record.position in {2, 25, 26, 55}]
        found = list(auditing.effects(store, some))
    assert [effect.record.position for effect in found] == [2, 25, 26, 55]
    # It began at the start, and went on from both cuts.
    assert len({id(effect.book) for effect in found}) == 3
    for effect in found:
        assert kinds_of(effect) == kinds_of(whole[effect.record.position])


def kinds_of(effect: Effect) -> list[tuple[object, ...]]:
    """Return what an effect says, apart from ids that differ between logs."""
    return [(each.view, each.account, each.key, type(each.before), type(each.after)) for each in effect.changes]
