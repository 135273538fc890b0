"""Random histories of what would have been locked: the view of shadow mode against a model of spans."""

from __future__ import annotations

import random

import pytest

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import LockoutSet, Protection, ProtectionMode, WouldClear, WouldLock
from tests.proving import rounds
from tests.reference.facts import SECOND
from tests.reference.shadowed import Shadowed

START = 1_790_000_000 * SECOND
RULES, SCOPES = ("loss", "news"), ("account", "root:ES")


def step(chance: random.Random, model: Shadowed, at: int) -> tuple[str, Event]:
    """Return an event that happened at an instant, and tell it to the model."""
    rule, scope = chance.choice(RULES), chance.choice(SCOPES)
    match chance.randrange(8):
        case 0 | 1 | 2 | 3:
            until = chance.choice((None, at + chance.randint(1, 30) * SECOND))
            reason, revocable = chance.choice("ab"), bool(chance.randrange(4))
            model.lock(at, (rule, scope), until, reason, revocable=revocable)
            return f"shadow/A/{rule}", WouldLock(
                rule_id=rule, scope=scope, until=until, reason=reason, revocable=revocable
            )
        case 4 | 5:
            named = chance.choice((scope, None))
            model.clear(at, rule, named)
            return f"shadow/A/{rule}", WouldClear(by=rule, rule_id=rule, scope=named)
        case 6:
            model.arm(at)
            return "account/A/-", ProtectionMode(mode=Protection.ARMED)
        case _:
            # Neither belongs to it.
            return chance.choice([
                ("lockout/A/loss", LockoutSet(rule_id="loss")),
                ("shadow/B/loss", WouldLock(rule_id="loss")),
                ("account/A/-", ProtectionMode(mode=Protection.SHADOW)),
            ])  # fmt: skip


@pytest.mark.untraced
def test_what_would_hold_at_each_instant_is_what_the_model_says() -> None:
    for seed in rounds("shadow spans", test=200, prove=20_000):
        chance, model = random.Random(seed), Shadowed()
        clock = ManualClock(START + 1_000 * SECOND)
        with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store) as book:
            for number in range(12):
                at = START + (number * 5 + chance.choice((0, 1, 2, -12))) * SECOND
                stream, event = step(chance, model, at)
                book.append(stream, event, occurred_at=at, actor="ann@desk")
            for second in range(-12, 100, 3):
                at = START + second * SECOND
                found = sorted({(each.rule_id, each.scope) for each in book.shadow.locks("A", at)})
                assert found == model.holding(at), f"seed {seed}, second {second}"
            kept = book.shadow.ended_and_held("A")
            assert kept == book.shadow.history("A"), f"seed {seed}"
