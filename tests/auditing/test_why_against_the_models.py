"""Why an account was locked, in the random histories of the reference models: the records are those of the models."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import pytest

from eventstore import Record
from eventstore.trading import (
    CashMoved,
    FeeCharged,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    OrderSubmitted,
    SessionReset,
    TradeBusted,
    TradeCorrected,
)
from projections import auditing
from projections.auditing import Role, Why
from tests.proving import rounds
from tests.reference.facts import DAY
from tests.reference.limited import Limited
from tests.reference.scene import Scene
from tests.reference.test_activity_against_the_rules import Scene as Active
from tests.reference.test_drawdowns_against_the_rules import Scene as Drawing
from tests.reference.test_groups_against_the_checks import ACCOUNTS
from tests.reference.test_groups_against_the_checks import Scene as Grouped
from tests.reference.test_losses_against_the_rules import Scene as Losing
from tests.reference.traded import NOTHING, WEEK, Traded, day_begin, week_begin

pytestmark = pytest.mark.untraced

LENGTH = 7
"""How many things happen in a history: some two days."""
S = TypeVar("S", bound=Limited)
FACTS = (OrderFilled, FeeCharged, TradeBusted, TradeCorrected, CashMoved, LimitsSet, SessionReset)
MISSING = "the rest has no record here"
PARTS = (Role.EXECUTION, Role.CARRIED, Role.CASH)


def locked(scene: Scene[S]) -> Iterator[tuple[Record, LockoutSet, Why]]:
    """Let a history happen; yield each lockout that a limit led to, right after it, with the answer."""
    store, after = scene.desk.processes[0].store, 0
    for _ in range(LENGTH):
        scene.step()
        # A restart may have replaced it.
        store = scene.desk.processes[0].store
        for record in list(store.read(types=LockoutSet, after=after)):
            event = record.event
            assert isinstance(event, LockoutSet)
            # What was recorded after the decision is in the model already.
            is_newest = not list(store.read(account="A", types=FACTS, after=record.position, limit=1))
            if event.rule_id != "unpriced" and is_newest:
                yield record, event, auditing.why(store, record)
        after = store.head()
    scene.desk.close()


def made(model: Traded, begin: int, end: int) -> dict[int, Fraction]:
    """Return what each record added between two instants, net of fees, as the reference folds it."""
    found: dict[int, Fraction] = {}
    for execution in model.positions.executions.all:
        if begin <= execution.at < end:
            fees = sum((Fraction(fee.amount) for fee in execution.costs), NOTHING)
            found[execution.log] = found.get(execution.log, NOTHING) - fees
    for position in model.positions.held.values():
        for item, points, _ in position.entries():
            if begin <= item.at < end and item.terms is not None:
                worth = points * Fraction(str(item.terms.multiplier)) if points else NOTHING
                worth -= sum((Fraction(fee.amount) for fee in item.fees), NOTHING)
                found[item.log] = found.get(item.log, NOTHING) + worth
    return {log: amount for log, amount in found.items() if amount}


def added(found: Why, *roles: Role) -> dict[int, Fraction]:
    """Return what the records of the answer added to the figure."""
    return {
        each.record.position: amount
        for each in found.of_role(*roles)
        if (amount := Fraction(each.amounts.get("USD", Decimal(0))))
    }


def check_limit(scene: Scene[S], event: LockoutSet, found: Why) -> None:
    """Check that the setting named is the one in force in the model, and was set by the desk."""
    [limit] = [each.record for each in found.causes if each.role is Role.LIMIT]
    assert (limit.stream, limit.actor) == (f"limits/A/{event.rule_id}", "desk")
    decided_at = 0 if found.record is None else found.record.recorded_at
    in_force = scene.model.settings.of(decided_at)[event.rule_id]
    given = limit.event.parameters  # type: ignore[attr-defined]
    assert in_force is not None
    assert {name: in_force[name] for name in given} == given


def test_losses_and_profits_end_at_the_records_that_made_the_result(memory_path: Path) -> None:
    count = 0
    for seed in rounds("why of losses", test=25, prove=500):
        scene = Losing(seed, memory_path)
        for record, event, found in locked(scene):
            check_limit(scene, event, found)
            now = record.recorded_at
            is_week = event.rule_id.startswith("weekly")
            begin = week_begin(now) if is_week else day_begin(now)
            expected = made(scene.model, begin, begin + (WEEK if is_week else DAY))
            cash = {each.record.position for each in found.of_role(Role.CASH)}
            executions = {log: each for log, each in added(found, *PARTS).items() if log not in cash}
            assert executions == expected, f"seed {seed}, position {record.position}"
            total = sum((step.made - step.fees for step in scene.model.steps() if step.at >= begin), NOTHING)
            assert Fraction(found.figures[0].added or 0) == total, f"seed {seed}, position {record.position}"
            assert not [each for each in found.unknown if MISSING in each]
            count += 1
    assert count


def test_drawdowns_end_at_the_mark_and_what_was_made_since(memory_path: Path) -> None:
    count = 0
    for seed in rounds("why of drawdowns", test=25, prove=500):
        scene = Drawing(seed, memory_path)
        for record, event, found in locked(scene):
            assert isinstance(event.details, dict)
            check_limit(scene, event, found)
            assert found.of_role(Role.MARK), f"seed {seed}, position {record.position}"
            if event.details["basis"] == "realized":
                since = Decimal(event.details["balance"]) - Decimal(event.details["high"])
                is_stated = any(MISSING in each for each in found.unknown)
                # What changes trades of before the mark is of no record since.
                assert (found.figures[0].added == since) is not is_stated, f"seed {seed}, position {record.position}"
            count += 1
    assert count


def test_counts_and_pauses_end_at_what_was_counted(memory_path: Path) -> None:
    count = 0
    for seed in rounds("why of activity", test=25, prove=500):
        scene = Active(seed, memory_path)
        for record, event, found in locked(scene):
            assert isinstance(event.details, dict)
            check_limit(scene, event, found)
            where = f"seed {seed}, position {record.position}"
            if event.rule_id.startswith("trade-limit") and event.details["basis"] != "round_trips":
                counted = found.of_role(Role.ORDER if event.details["basis"] == "orders" else Role.EXECUTION)
                assert len(counted) == Decimal(event.details["figure"]), where
                wanted = OrderSubmitted if event.details["basis"] == "orders" else OrderFilled
                assert all(isinstance(each.record.event, wanted) for each in counted), where
            if event.rule_id == "cooldown":
                ended = {trip["position"] for trip in event.details["trips"]}
                assert ended <= {each.record.position for each in found.of_role(Role.EXECUTION)}, where
            count += 1
    assert count


def test_the_lockouts_of_a_group_end_at_the_fills_of_every_member() -> None:
    count = 0
    for seed in rounds("why of groups", test=12, prove=300):
        scene, after = Grouped(random.Random(seed)), 0
        for _ in range(25):
            scene.step()
            for record in list(scene.store.read(types=LockoutSet, after=after)):
                event = record.event
                assert isinstance(event, LockoutSet)
                assert isinstance(event.details, dict)
                found = auditing.why(scene.store, record)
                [limit] = [each.record for each in found.causes if each.role is Role.LIMIT]
                assert limit.stream == f"limits/@desk/{event.rule_id.removeprefix('group:desk:')}"
                members = set(event.details.get("accounts", {})) or {record.account}
                assert {each.account for each in found.figures} == members
                assert {each.record.account for each in found.of_role(*PARTS)} <= members <= set(ACCOUNTS)
                count += 1
            after = scene.store.head()
        scene.close()
        scene.store.close()
    assert count
