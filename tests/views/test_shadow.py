"""The shadow view: what the firm reports, by its own time, and lockouts that would hold until something ends them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    AccountReopened,
    EnforcementAction,
    EquityCorrected,
    LimitReported,
    LockoutSet,
    Protection,
    ProtectionMode,
    WouldAsk,
    WouldClear,
    WouldLock,
)
from projections import Book
from projections.views import shadow
from projections.views.shadow import ASKS_MAX, REPORTS_MAX, ShadowState, ShadowView

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
FRIDAY = date(2026, 11, 20)


class Scene:
    """A log in memory, whose events happen so many seconds after its start, and its book."""

    def __init__(self) -> None:
        clock = ManualClock(START + 1_000 * SECOND)
        self.store = EventStore(MemoryJournal(clock=clock), clock=clock)
        self.book: Book = projections.open(self.store)

    def at(self, seconds: int, event: Event, stream: str = "shadow/A/loss") -> None:
        self.book.append(stream, event, occurred_at=START + seconds * SECOND, actor="ann@desk")

    def spans(self) -> list[tuple[int, int | None, str | None]]:
        found = self.book.shadow.history("A")
        assert found == self.book.shadow.ended_and_held("A")
        return [(seconds(each.set_at), each.ended_at and seconds(each.ended_at), each.ended_by) for each in found]

    def holds(self, at: int, symbol: str | None = None) -> list[str]:
        return [each.scope for each in self.book.shadow.locks("A", START + at * SECOND, symbol)]


def seconds(at: int) -> int:
    return (at - START) // SECOND


def lock(until: int | None = 100, *, scope: str = "account", revocable: bool = True, reason: str = "") -> WouldLock:
    end = None if until is None else START + until * SECOND
    return WouldLock(rule_id="loss", scope=scope, until=end, revocable=revocable, reason=reason)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.book.close()
    scene.store.close()


# What the firm reports


def report(figure: int, *, at: int | None = None, kind: str = "daily-loss", day: date | None = None) -> LimitReported:
    when = None if at is None else START + at * SECOND
    return LimitReported(kind=kind, figure=Decimal(figure), reported_at=when, trading_day=day)


def reported(scene: Scene, kind: str | None = None) -> list[tuple[str, int, date | None]]:
    found = scene.book.shadow.reported("A", kind)
    return [(each.kind, int(each.figure or 0), each.trading_day) for each in found]


def test_nothing_is_known_of_an_account_that_nothing_was_reported_of(scene: Scene) -> None:
    assert scene.book.shadow.reported("A") == ()
    assert scene.book.shadow.asks("A") == ()
    assert scene.book.shadow.locks("A") == ()
    assert scene.book.shadow.history("A") == ()


def test_the_newest_report_counts_by_its_own_time(scene: Scene) -> None:
    stream = "limits/A/daily-loss"
    scene.at(10, report(100), stream)
    scene.at(30, report(300, at=20), stream)
    # Late, and repeated.
    scene.at(40, report(100, at=10), stream)
    scene.at(50, report(300, at=20), stream)
    assert reported(scene) == [("daily-loss", 300, None)]
    [newest] = scene.book.shadow.reported("A", "daily-loss")
    assert (seconds(newest.reported_at), newest.position) == (20, 4)
    assert scene.book.shadow.reported("B") == ()


def test_each_kind_day_and_currency_has_its_own(scene: Scene) -> None:
    for number, (kind, day) in enumerate([("daily-loss", FRIDAY), ("daily-loss", None), ("no-such-kind", FRIDAY)]):
        scene.at(number, report(number, kind=kind, day=day), "limits/A/daily-loss")
    scene.at(9, LimitReported(kind="daily-loss", figure=Decimal(9), currency="EUR"), "limits/A/daily-loss")
    assert len(reported(scene)) == 4
    assert reported(scene, "no-such-kind") == [("no-such-kind", 2, FRIDAY)]


def test_reports_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert REPORTS_MAX == 1_000
    monkeypatch.setattr(shadow, "REPORTS_MAX", 50)
    view, state = ShadowView(), ShadowState()
    for number in range(50 + 5):
        scene.at(number, report(number, kind=f"kind-{number}"), "limits/A/daily-loss")
    for record in scene.store.read():
        view.apply(state, record.event, record)
    assert len(state.reported) == 50
    assert state.reported[0].kind == "kind-5"


# What would have been done


def test_a_lockout_would_hold_from_when_it_happened_until_its_end(scene: Scene) -> None:
    scene.at(10, lock(100))
    assert (scene.holds(9), scene.holds(10), scene.holds(99), scene.holds(100)) == ([], ["account"], ["account"], [])
    assert scene.book.lockouts.active("A", START + 50 * SECOND) == ()
    assert scene.book.lockouts.history("A") == ()


def test_a_scope_is_of_its_symbol(scene: Scene) -> None:
    scene.at(10, lock(scope="symbol:ES"))
    assert (scene.holds(50, "symbol"), scene.holds(50, "ES")) == (["symbol:ES"], ["symbol:ES"])


def test_one_of_an_earlier_instant_leaves_the_present_one(scene: Scene) -> None:
    scene.at(200, lock(300))
    scene.at(10, lock(100))
    scene.at(120, lock(None))
    assert scene.spans() == [(10, 100, "expired"), (120, 200, "replaced"), (200, None, None)]
    assert scene.holds(250) == ["account"]


def test_it_is_cleared_by_what_clears_it(scene: Scene) -> None:
    scene.at(10, lock(100))
    scene.at(20, lock(100, scope="symbol:ES"))
    scene.at(30, WouldClear(by="loss", rule_id="loss", scope="account"))
    assert scene.holds(40) == ["symbol:ES"]
    scene.at(50, WouldClear(by="loss"))
    scene.at(60, WouldClear(by="loss"))
    assert scene.spans() == [(10, 30, "cleared by loss"), (20, 50, "cleared by loss")]


def test_arming_and_reopening_end_it_though_it_is_irrevocable(scene: Scene) -> None:
    scene.at(10, lock(None, revocable=False))
    scene.at(20, ProtectionMode(mode=Protection.SHADOW), "account/A/-")
    assert scene.holds(25) == ["account"]
    scene.at(30, ProtectionMode(mode=Protection.ARMED), "account/A/-")
    scene.at(40, lock(None, revocable=False))
    scene.at(50, AccountReopened(starting_balance=Decimal(1), currency="USD"), "account/A/-")
    assert [(start, end) for start, end, _ in scene.spans()] == [(10, 30), (40, 50)]


def test_a_correction_releases_what_a_wrong_record_led_to(scene: Scene) -> None:
    event = WouldLock(rule_id="loss", revocable=False, details={"quotes": {"ES": {"price": "1", "at": 1}}})
    scene.at(10, event)
    [record] = scene.store.read(types=(WouldLock,))
    scene.at(20, EquityCorrected(reason="a wrong price", wrong=record.uuid), "account/A/-")
    assert [(start, end) for start, end, _ in scene.spans()] == [(10, 20)]


def test_a_real_lockout_is_not_part_of_it(scene: Scene) -> None:
    scene.at(10, LockoutSet(rule_id="loss"), "lockout/A/loss")
    assert scene.book.shadow.history("A") == ()


def test_asks_are_kept_up_to_a_bound(scene: Scene) -> None:
    view, state = ShadowView(), ShadowState()
    for number in range(ASKS_MAX + 5):
        scene.at(number, WouldAsk(rule_id="loss", action=EnforcementAction.FLATTEN, request_id=f"R{number}"))
    for record in scene.store.read():
        view.apply(state, record.event, record)
    assert len(state.asks) == ASKS_MAX
    assert [each.request_id for each in scene.book.shadow.asks("A")] == [f"R{n}" for n in range(5, ASKS_MAX + 5)]


def test_ended_ones_are_kept_up_to_a_bound_and_are_all_in_the_log(scene: Scene) -> None:
    view, state = ShadowView(ended_max=2), ShadowState()
    for number in range(5):
        scene.at(number * 10, lock(number * 10 + 5))
    for record in scene.store.read():
        view.apply(state, record.event, record)
    assert (len(state.ended), len(state.active)) == (2, 1)
    assert len(scene.book.shadow.history("A")) == 5
