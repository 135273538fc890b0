"""Irrevocable lockouts that expired by a clock ahead of time: they hold once it is right, whatever came since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    Allows,
    ClockJumped,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections.book import Book
from projections.views.lockouts import bounds

HOUR = 3_600_000_000_000
START = 1_800_000_000_000_000_000
END = START + 8 * HOUR
LOSS = "lockout/A/loss"
LATEST = 7_258_118_399_000_000_000
"""As late as times may be: at the end of 2199."""


class Scene:
    """A book whose clock is set by hand, with an irrevocable lockout of eight hours."""

    def __init__(self, directory: Path, **members: Any) -> None:  # noqa: ANN401 - any of a lockout's
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.cuts = directory / "cuts.sqlite"
        self.book: Book = projections.open(self.store, snapshots=self.cuts)
        self.book.append(LOSS, LockoutSet(rule_id="loss", until=END, revocable=False, **members))

    def at(self, hours: float) -> None:
        self.clock.set(START + int(hours * HOUR))

    def expire_ahead(self) -> None:
        """Let it expire by a clock that is nine hours ahead, and set that right an hour later."""
        self.at(9)
        self.book.append(LOSS, LockoutExpired())
        self.at(1)

    def restart(self) -> None:
        assert self.book.snapshot()
        self.book.close()
        self.book = projections.open(self.store, snapshots=self.cuts)

    def holds(self, at: int | None = None, symbol: str | None = None) -> list[tuple[str, Allows, bool]]:
        found = self.book.lockouts.active("A", self.clock.now_ns() if at is None else at, symbol)
        return [(each.rule_id, each.allows, each.revocable) for each in found]


IRREVOCABLE = ("loss", Allows.NOTHING, False)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.expire_ahead()
    return scene


@pytest.mark.parametrize("others", [1, 99, 100, 101, 250])
def test_it_outlives_any_number_of_others(scene: Scene, others: int) -> None:
    for number in range(others):
        stream = f"lockout/A/m{number}"
        scene.book.append(stream, LockoutSet(rule_id=f"m{number}"))
        scene.book.append(stream, LockoutCleared())
    assert scene.holds() == [IRREVOCABLE]
    scene.restart()
    assert scene.holds() == [IRREVOCABLE]
    assert scene.holds(END - 1) == [IRREVOCABLE]
    assert scene.holds(END) == []


def test_it_outlives_any_number_of_irrevocable_ones_that_expired_too(tmp_path: Path) -> None:
    scene, most = Scene(tmp_path), bounds.EXPIRED_MAX
    scene.at(9)
    scene.book.append(LOSS, LockoutExpired())
    for number in range(most + 5):
        lockout = LockoutSet(rule_id=f"m{number}", until=END + HOUR - 1, revocable=False)
        scene.book.append(f"lockout/A/m{number}", [lockout, LockoutExpired()])
    scene.at(1)
    state = scene.book.state("lockouts", "A")
    assert len(state.expired) == most
    assert "loss" not in {each.rule_id for each in state.expired}
    assert len(scene.holds()) == most + 6
    assert IRREVOCABLE in scene.holds()
    scene.restart()
    assert IRREVOCABLE in scene.holds()
    scene.book.append(LOSS, LockoutExtended(until=END + 20 * HOUR))
    assert scene.holds(END + 19 * HOUR) == [IRREVOCABLE]


def test_more_lockouts_than_the_state_holds_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LOCKOUTS_MAX", 20)
    scene = Scene(tmp_path)
    for number in range(50):
        scene.book.append("lockout/A/many", LockoutSet(rule_id="many", scope=f"symbol:S{number}"))
    assert not scene.book.parked
    assert len(scene.holds()) == 51
    assert len(scene.book.state("lockouts", "A").active) == 20
    scene.restart()
    assert len(scene.holds()) == 51
    assert scene.holds(symbol="S49")[0] == IRREVOCABLE
    scene.expire_ahead()
    assert IRREVOCABLE in scene.holds()
    scene.book.append("lockout/A/many", LockoutCleared())
    assert scene.holds() == [IRREVOCABLE]


@pytest.mark.parametrize("revocable", [True, False])
@pytest.mark.parametrize("allows", list(Allows))
def test_one_set_since_under_its_rule_and_scope_hides_nothing(scene: Scene, allows: Allows, revocable: bool) -> None:
    scene.at(9)
    scene.book.append(LOSS, LockoutSet(rule_id="loss", allows=allows, until=START + 20 * HOUR, revocable=revocable))
    scene.at(1)
    assert IRREVOCABLE in scene.holds()
    # The first event that is recorded by the right clock finds it in force again.
    scene.book.append(LOSS, LockoutCleared())
    assert scene.holds() == [IRREVOCABLE]
    assert IRREVOCABLE in scene.holds(END - 1)


def test_setting_a_weaker_one_by_the_right_clock_weakens_nothing(scene: Scene) -> None:
    scene.book.append(LOSS, LockoutSet(rule_id="loss", allows=Allows.REDUCE_ONLY, until=START + 2 * HOUR))
    scene.book.append(LOSS, LockoutCleared())
    assert scene.holds() == [IRREVOCABLE]
    assert scene.holds(END - 1) == [IRREVOCABLE]


def test_extending_it_by_the_right_clock_extends_it(scene: Scene) -> None:
    scene.book.append(LOSS, LockoutExtended(until=END + HOUR))
    assert scene.book.lockouts.anomalies("A") == ()
    assert scene.holds(END) == [IRREVOCABLE]
    assert scene.holds(END + HOUR) == []


def test_one_that_allows_less_is_not_hidden_by_one_that_allows_more(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.expire_ahead()
    scene.at(9)
    scene.book.append(LOSS, LockoutSet(rule_id="loss", allows=Allows.REDUCE_ONLY, until=None, revocable=False))
    scene.at(1)
    assert {each[1] for each in scene.holds()} == {Allows.NOTHING, Allows.REDUCE_ONLY}


def test_a_recorded_jump_back_and_another_ahead_end_nothing(scene: Scene) -> None:
    jumps = [(9, 1), (1, 30), (30, 2)]
    for before, after in jumps:
        scene.at(after)
        event = ClockJumped(before=START + before * HOUR, after=START + after * HOUR)
        scene.book.append("lockout/A/clock", event)
    assert scene.holds() == [IRREVOCABLE]
    assert scene.holds(END - 1) == [IRREVOCABLE]


@pytest.mark.parametrize("until", [START - 10 * HOUR, START, LATEST])
def test_an_absurd_end_of_one_set_again_does_not_move_the_first_one_s(tmp_path: Path, until: int) -> None:
    scene = Scene(tmp_path)
    for revocable in (True, False):
        scene.book.append(LOSS, LockoutSet(rule_id="loss", until=until, revocable=revocable))
        scene.book.append(LOSS, LockoutExtended(until=until))
    assert scene.holds() == [IRREVOCABLE]
    assert scene.holds(END - 1) == [IRREVOCABLE]
    assert scene.holds(END) == ([IRREVOCABLE] if until > END else [])


@pytest.mark.parametrize(("before", "after"), [(0, LATEST), (LATEST, 0)])
def test_absurd_clocks_leave_a_state_that_can_be_stored(tmp_path: Path, before: int, after: int) -> None:
    scene = Scene(tmp_path)
    for _ in range(5):
        scene.book.append("lockout/A/clock", ClockJumped(before=before, after=after))
    assert not scene.book.parked
    scene.restart()
    assert scene.holds(END - 1) == [IRREVOCABLE]
