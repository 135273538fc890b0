"""Shadow mode of a user's own policies, which may not know of it: they lock nothing, and do not repeat themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from eventstore import Event
from eventstore.trading import (
    Allows,
    EnforcementRequested,
    LockoutCleared,
    LockoutExtended,
    LockoutSet,
    OrderFilled,
    Side,
    WouldAsk,
    WouldClear,
)
from projections import Book
from projections.risk.policies import Decision, Policy, Trigger, TriggerKind
from tests.projections.rules_day import ACCOUNT, NEXT_RESET, RESET
from tests.projections.shadowing import acted, new_day, shadow


class Losing(Policy):
    """Locks after each fill, as a policy does that asks only for the real lockouts."""

    name = "losing"
    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.kind is TriggerKind.RECORD and not book.lockouts.active(trigger.account, trigger.at):
            lockout = LockoutSet(rule_id="losing", reason=f"at {book.position}")
            yield Decision(((f"lockout/{trigger.account}/losing", lockout),))


class Fixed(Policy):
    """Decides the same at each fill."""

    name = "fixed"
    types: ClassVar[tuple[type[Event], ...]] = (OrderFilled,)

    def __init__(self, *events: tuple[str, Event]) -> None:
        self.events = events

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.kind is TriggerKind.RECORD:
            yield Decision(self.events)


def test_a_policy_that_knows_nothing_of_the_mode_does_not_flood(tmp_path: Path) -> None:
    day = new_day(tmp_path / "data", Losing())
    shadow(day)
    for _ in range(3):
        day.make("-10")
    assert acted(day) == [("WouldLock", "shadow/A/losing")]
    day.close()


def test_each_part_of_a_decision_is_recorded_as_what_it_would_have_been(tmp_path: Path) -> None:
    asked = EnforcementRequested(rule_id="fixed", action="FLATTEN", request_id="R")  # type: ignore[arg-type]
    other = EnforcementRequested(rule_id="fixed", action="CANCEL_ORDERS", request_id="S")  # type: ignore[arg-type]
    lockout = LockoutSet(rule_id="fixed", allows=Allows.REDUCE_ONLY, until=RESET, details={"figure": "1"})
    events = (("lockout/A/fixed", lockout), ("enforcement/A/R", asked), ("enforcement/A/S", other))
    day = new_day(tmp_path / "data", Fixed(*events))
    shadow(day)
    day.make("-10")
    assert acted(day) == [
        ("WouldLock", "shadow/A/fixed"),
        ("WouldAsk", "shadow/A/fixed"),
        ("WouldAsk", "shadow/A/fixed"),
    ]
    [would] = day.book.shadow.locks(ACCOUNT)
    assert (would.allows, would.until, would.details) == (Allows.REDUCE_ONLY, RESET, {"figure": "1"})
    assert [(each.action, each.request_id) for each in day.book.shadow.asks(ACCOUNT)] == [
        ("FLATTEN", "R"),
        ("CANCEL_ORDERS", "S"),
    ]
    assert not day.book.enforcement.pending(ACCOUNT)
    day.close()


def test_an_extension_would_hold_longer(tmp_path: Path) -> None:
    first = LockoutSet(rule_id="fixed", until=RESET)
    day = new_day(tmp_path / "data", Fixed(("lockout/A/fixed", first)))
    shadow(day)
    day.make("-10")
    day.policies.stop()
    day.restart([Fixed(("lockout/A/fixed", LockoutExtended(until=NEXT_RESET)))])
    day.make("-10")
    assert [each.until for each in day.book.shadow.locks(ACCOUNT)] == [NEXT_RESET]
    assert not day.lockouts()
    day.close()


def test_a_request_of_a_lockout_in_force_is_made(tmp_path: Path) -> None:
    asked = EnforcementRequested(rule_id="desk", action="FLATTEN")  # type: ignore[arg-type]
    day = new_day(tmp_path / "data", Fixed(("enforcement/A/R", asked)))
    day.book.append("lockout/A/desk", LockoutSet(rule_id="desk"))
    shadow(day)
    day.fill(Side.BUY, "5000")
    assert acted(day, EnforcementRequested, WouldAsk) == [("EnforcementRequested", "enforcement/A/R")]
    day.close()


def test_a_request_of_before_is_made_again(tmp_path: Path) -> None:
    asked = EnforcementRequested(rule_id="desk", action="FLATTEN", attempt=2)  # type: ignore[arg-type]
    day = new_day(tmp_path / "data", Fixed(("enforcement/A/R", asked)))
    shadow(day)
    day.fill(Side.BUY, "5000")
    assert acted(day, EnforcementRequested, WouldAsk) == [("EnforcementRequested", "enforcement/A/R")]
    day.close()


def test_a_clearing_of_a_real_lockout_clears_it(tmp_path: Path) -> None:
    day = new_day(tmp_path / "data", Fixed(("lockout/A/desk", LockoutCleared(by="fixed"))))
    day.book.append("lockout/A/desk", LockoutSet(rule_id="desk"))
    shadow(day)
    day.fill(Side.BUY, "5000")
    assert not day.is_locked()
    assert not acted(day, WouldClear)
    day.close()
