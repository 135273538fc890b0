"""The fail-over drill as a test: a short one, and under PROVE=1 a million events and a hundred fail-overs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from eventstore import EventStore
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import LockoutSet
from tests.postgres import drill as drilling
from tests.postgres.drill import Drilled, check_lockouts, drill, put
from tests.postgres.following import EVERY, RULE, digest_of
from tests.projections.cutting import from_zero
from tests.proving import cases, rounds
from tests.reliability.checking import submitted

SHORT = Drilled(3_000, 1, appenders=3, workers=2, worker_kills=1, suspensions=0, cuts=2, seconds=120)
WHOLE = Drilled(50_000, 5)
LOCKING, OTHER = EVERY // 4, EVERY // 2


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.parametrize(("plan", "seeds"), cases(test=[(SHORT, 1)], prove=[(WHOLE, 20)]))
def test_no_fail_over_loses_or_doubles_anything(plan: Drilled, seeds: int, tmp_path: Path) -> None:
    for seed in rounds(f"fail-over drill of {plan.events} events", test=1, prove=seeds):
        directory = tmp_path / str(seed)
        directory.mkdir()
        found = drill(plan, seed, directory, put)
        assert found.acknowledged >= plan.events
        assert found.lockouts > 0
        assert len(found.returns) == plan.kills


def locked(store: EventStore, causes: Sequence[int]) -> None:
    """Append an order that has to lock its account and one that has not, and a lockout for each cause."""
    orders = [store.append("order/A/1", submitted(f"w:{number}"))[0] for number in (LOCKING, OTHER)]
    for cause in causes:
        store.append(f"lockout/A/{RULE}", LockoutSet(rule_id=RULE), causation_id=orders[cause].id)


@pytest.mark.parametrize(("causes", "why"), [([], "missing"), ([0, 0], "twice"), ([0, 1], "twice"), ([0], "")])
def test_a_lockout_that_is_missing_or_doubled_is_found(causes: Sequence[int], why: str) -> None:
    with EventStore(MemoryJournal()) as store:
        locked(store, causes)
        if not why:
            check_lockouts(list(store.read()))
            return
        with pytest.raises(AssertionError, match=why):
            check_lockouts(list(store.read()))


def test_books_that_differ_have_other_digests() -> None:
    with EventStore(MemoryJournal()) as store:
        locked(store, [0])
        found = {digest_of(from_zero(store, position)) for position in (1, 2, 3)}
        assert len(found) == 3
        assert digest_of(from_zero(store)) in found


def test_a_drill_that_fails_names_its_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        message = "one event is lost"
        raise AssertionError(message)

    monkeypatch.setattr(drilling, "drill", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(AssertionError, match="one event is lost") as caught:
        drilling.main(["--seed", "712"])
    assert "--seed 712" in caught.value.__notes__[0]
    (kept,) = tmp_path.iterdir()
    assert str(kept) in caught.value.__notes__[0]
