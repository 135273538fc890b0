"""Random histories for the laws: three accounts, their brokers' messages, and some anomalies."""

import hashlib
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from eventstore import EventStore, ManualClock, Record, trading
from eventstore.batch import AppendOptions
from eventstore.ids import keyed_id
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    EquityMarked,
    SessionClosed,
)
from projections import View
from projections.builtin import builtin_views
from projections.cuts.states import encoded
from projections.fold import Fold
from projections.past_fold import PastFold
from projections.view import is_volatile
from projections.view_states import state_of
from projections.views.limits.view import LimitsView
from projections.views.lockouts.view import LockoutsView
from projections.views.notes import NotesView
from projections.views.orders.view import OrdersView
from projections.views.sessions import SessionsView
from projections.views.shadow import ShadowView
from tests.projections.random_facts import ACCOUNTS, MAKERS, SECOND, START, STRETCH, Fact

APPROVABLE = (
    trading.LockoutCleared, trading.LimitsSet, trading.ProtectionMode, trading.AccountConfigured,
    trading.EquityCorrected, trading.AccountReopened, trading.GroupDefined,
)  # fmt: skip


def views() -> list[View[Any]]:
    """Return the built-in views with such small bounds that a short history exceeds them."""
    bounded: list[View[Any]] = [
        OrdersView(closed_max=2, unknown_max=2),
        LockoutsView(ended_max=1),
        SessionsView(days_max=2),
        LimitsView(settings_max=2),
        NotesView(kept_max=2),
        ShadowView(ended_max=2),
    ]
    small = {view.name: view for view in bounded}
    return [small.get(view.name, view) for view in builtin_views() if view.name not in {"quotes", "timers"}]


def history(chance: random.Random, length: int) -> list[Fact]:
    """Return facts of all kinds, in runs of a few kinds; the same seed gives the same facts."""
    facts: list[Fact] = []
    while len(facts) < length:
        # Kinds and accounts meet more often, and go over the views' bounds sooner, than if each fact were of any.
        kinds = chance.sample(MAKERS, chance.randint(1, len(MAKERS)))
        accounts = chance.sample(ACCOUNTS, chance.randint(1, len(ACCOUNTS)))
        facts += [chance.choice(kinds)(chance, chance.choice(accounts)) for _ in range(STRETCH)]
    return [_approving(facts, place, chance) for place in range(length)]


def _approving(facts: list[Fact], index: int, chance: random.Random) -> Fact:
    """Return a fact; an approval as one of the newest facts before it that may wait for one."""
    stream, event = facts[index]
    asked = [place for place in range(max(index - 100, 0), index) if isinstance(facts[place][1], APPROVABLE)][-4:]
    if not isinstance(event, trading.Approved) or not asked:
        return stream, event
    place = chance.choice(asked)
    id_ = keyed_id(facts[place][0], str(place + 1))
    return stream, trading.Approved(record=uuid.UUID(bytes=id_))


def store_of(facts: Iterable[Fact] = (), directory: Path | None = None) -> EventStore:
    """Return a store in memory with these facts; ids and times are the same each time."""
    clock = ManualClock(START)
    store = EventStore(MemoryJournal(clock=clock, log_id=bytes(16)), clock=clock, directory=directory)
    for fact in facts:
        append(store, fact)
    return store


def append(store: EventStore, fact: Fact, write: Callable[..., Sequence[Record]] | None = None) -> Record:
    """Append one fact with its index as key, a second after the last one."""
    stream, event = fact
    clock, place = store.clock, store.head() + 1
    assert isinstance(clock, ManualClock)
    clock.advance(SECOND)
    # Every fifth fact is recorded late, so that the two times of a record differ.
    occurred_at = clock.now_ns() - (place % 5 == 0) * 7 * SECOND
    options: AppendOptions = {"key": str(place), "occurred_at": occurred_at, "actor": "test"}
    if isinstance(event, EquityMarked) and place % 4:
        for closing in store.read(stream=f"session/{stream.split('/')[1]}/", types=(SessionClosed,)):
            # It is the mark of the account's last close.
            options["causation_id"] = closing.id
    if isinstance(event, trading.Approved):
        # By another person than "test", who asks for everything.
        options["actor"] = ("second", "third", "test")[place % 3]
    if isinstance(event, trading.AccountReopened):
        # A book refuses it for an account in use, as these are.
        write = None
    return (write or store.append)(stream, event, **options)[0]


def folded(records: Iterable[Record], accounts: frozenset[str] | None = None) -> Fold:
    fold = Fold(views(), accounts=accounts)
    fold.apply(list(records))
    return fold


def states(fold: Fold) -> dict[tuple[str, str], Any]:
    """Return every state of a fold as a snapshot gives it back; equal values may be encoded in different bytes."""
    if isinstance(fold, PastFold):
        fold.complete_all()
    return {
        (name, partition): msgspec.msgpack.decode(encoded(state), type=type(state))
        for name, view_state in fold.slots.items()
        # What is volatile is each book's own.
        if not is_volatile(view_state.view)
        for partition in list(view_state.states)
        for state in [state_of(view_state, partition)]
    }


def fingerprint_of(seed: int, length: int) -> str:
    """Return one digest of all states that the history of a seed folds to."""
    found = states(folded(store_of(history(random.Random(seed), length)).read()))
    digest = hashlib.sha256()
    for key in sorted(found):
        digest.update(repr(key).encode() + msgspec.msgpack.encode(found[key]))
    return digest.hexdigest()
