"""Limits: a tightening holds at once, a loosening from the next session; and which one held in the past."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import eventstore
import projections
from eventstore import QUEUED, Batch, Event, EventStore, InvalidEvent, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import LimitBreached, LimitsSet, SessionOpened, SessionReset, Severity
from projections.fold_reader import FoldReader
from projections.view import PartitionParked
from projections.views.limits import view as limits
from projections.views.limits.view import LimitsState
from tests.clocks import EpochClock

DAY = date(2025, 7, 21)


@eventstore.event(durability=QUEUED, requires_actor=True)
class Waived(Event, frozen=True, kw_only=True):
    """Something that may be enqueued, by somebody who is named."""


class LimitsLog:
    """A store and its book, with settings and sessions recorded at chosen times."""

    def __init__(self) -> None:
        self.clock = EpochClock(1)
        self.book = projections.open(EventStore(MemoryJournal(clock=self.clock), clock=self.clock))

    def set(self, at: int, limit: int | str | None = None, *, effective_from: int | None = None, **more: Any) -> Record:  # noqa: ANN401 - any parameter
        self.clock.set(at)
        parameters = more if limit is None else {"limit": limit, **more}
        event = LimitsSet(rule_id="daily-loss", parameters=parameters, effective_from=effective_from)
        return self.book.append("limits/A/daily-loss", event, actor="desk")[0]

    def session(self, at: int, begins: int | None = None, day: int = 0) -> None:
        """Tell at `at` of a session that began, or begins, at another time."""
        self.clock.set(at)
        scheduled_for = at if begins is None else begins
        self.begin(SessionReset(trading_day=DAY + timedelta(day or at), scheduled_for=scheduled_for))

    def begin(self, event: Event) -> None:
        self.book.append("session/A/day", event)

    def held(self, *instants: int) -> list[Any]:
        found = [self.book.limits.get("A", "daily-loss", at) for at in instants]
        return [None if limit is None else limit.parameters["limit"] for limit in found]

    def waits(self, at: int) -> list[Any]:
        return [limit.parameters["limit"] for limit in self.book.limits.pending("A", at)]


@pytest.fixture
def log() -> LimitsLog:
    return LimitsLog()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with eventstore.open(tmp_path / "data", clock=EpochClock(100)) as opened:
        yield opened


@pytest.mark.parametrize("actor", [None, ""])
def test_setting_a_limit_requires_an_actor(store: EventStore, actor: str | None) -> None:
    event = LimitsSet(rule_id="daily-loss", parameters={"limit": Decimal(500)})
    batches = [Batch("limits/A/other", event, actor="desk"), Batch("limits/A/daily-loss", event, actor=actor)]
    with pytest.raises(InvalidEvent, match="LimitsSet requires an actor"):
        store.append("limits/A/daily-loss", event, actor=actor)
    with pytest.raises(InvalidEvent, match="LimitsSet requires an actor"):
        store.append_many(batches)
    with pytest.raises(InvalidEvent, match="LimitsSet requires an actor"):
        projections.open(store).append("limits/A/daily-loss", event, actor=actor)
    with pytest.raises(InvalidEvent, match="Waived requires an actor"):
        store.enqueue("limits/A/daily-loss", Waived(), actor=actor)
    with pytest.raises(InvalidEvent, match="LimitsSet must be at least SYNCED"):
        store.enqueue("limits/A/daily-loss", event, actor="desk")
    store.flush()
    assert store.head() == 0


def test_a_rule_s_first_setting_holds_at_once_and_says_who_set_it(log: LimitsLog) -> None:
    record = log.set(100, "500.00", warn_at="0.5")
    assert log.held(99, 100) == [None, "500.00"]
    (limit,) = log.book.limits.of("A")
    assert (limit.account, limit.rule_id, limit.revision, limit.actor) == ("A", "daily-loss", 1, "desk")
    assert (limit.parameters, limit.position) == ({"limit": "500.00", "warn_at": "0.5"}, record.position)
    assert (limit.set_at, limit.effective_from, limit.in_force_at) == (100, None, 100)
    assert (limit.loosens, limit.superseded_at) == (False, None)
    assert log.book.limits.of("B") == log.book.limits.pending("B") == ()
    assert log.book.limits.get("A", "other") is None


def test_figures_given_as_decimals_are_kept_exactly(log: LimitsLog) -> None:
    log.clock.set(100)
    event = LimitsSet(
        rule_id="maximum-contracts", parameters={"limit": Decimal("500.10"), "weights": {"MES": Decimal("0.1")}}
    )
    log.book.append("limits/A/daily-loss", event, actor="desk")
    assert log.book.limits.of("A")[0].parameters == {"limit": "500.10", "weights": {"MES": "0.1"}}


def test_a_tightening_holds_at_once(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 400)
    assert log.held(199, 200) == [500, 400]


def test_a_setting_may_hold_from_later_on(log: LimitsLog) -> None:
    log.set(100, 500, effective_from=150)
    log.set(200, 400, effective_from=300)
    log.session(250)
    assert log.held(149, 150, 299, 300) == [None, 500, 500, 400]
    assert log.waits(120) == [500]
    assert log.waits(299) == [400]
    assert log.waits(300) == []


def test_a_setting_never_holds_before_it_was_recorded(log: LimitsLog) -> None:
    log.set(100, 500, effective_from=1)
    assert log.held(99, 100) == [None, 500]


def test_a_loosening_waits_for_the_next_session(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 600)
    assert log.held(200, 10**9) == [500, 500]
    assert log.waits(200) == [600]
    (waiting,) = log.book.limits.pending("A")
    assert (waiting.loosened, waiting.loosens, waiting.in_force_at) == (("limit",), True, None)
    log.session(300)
    assert log.held(299, 300) == [500, 600]
    assert (log.waits(199), log.waits(299), log.waits(300)) == ([], [600], [])


def test_a_session_that_had_begun_before_does_not_count(log: LimitsLog) -> None:
    log.set(100, 500)
    log.session(150)
    log.set(200, 600)
    log.session(210, begins=199)
    assert log.held(220) == [500]
    log.session(300, begins=200)
    assert log.held(199, 200) == [500, 600]


def test_a_session_recorded_late_counts_from_when_it_began(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 600)
    log.session(400, begins=300)
    assert log.held(299, 300) == [500, 600]


def test_a_session_recorded_in_advance_counts_from_when_it_begins(log: LimitsLog) -> None:
    log.set(100, 500)
    log.session(150, begins=300)
    log.session(160, begins=250)
    log.set(200, 600)
    assert log.held(249, 250) == [500, 600]


def test_of_sessions_recorded_out_of_order_the_earliest_counts(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 600)
    log.session(210, begins=300)
    log.session(220, begins=250)
    log.session(230, begins=280)
    assert log.held(249, 250) == [500, 600]


def test_a_loosening_for_later_waits_for_the_session_after_that(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 600, effective_from=350)
    log.session(300)
    assert log.held(10**9) == [500]
    log.session(400)
    assert log.held(399, 400) == [500, 600]


def test_a_trading_day_begins_once(log: LimitsLog) -> None:
    log.set(100, 500)
    log.begin(SessionReset(trading_day=DAY, scheduled_for=150))
    log.set(200, 600)
    log.begin(SessionOpened(trading_day=DAY, opens_at=300))
    assert log.held(10**9) == [500]


@pytest.mark.parametrize(
    ("times", "held_from"),
    [({"began_at": 300, "opens_at": 320}, 300), ({"opens_at": 320}, 320), ({}, 330), ({"began_at": 199}, None)],
)
def test_a_session_that_opened_begins_a_day_if_no_reset_was_recorded(
    log: LimitsLog, times: dict[str, Any], held_from: int | None
) -> None:
    log.set(100, 500)
    log.set(200, 600)
    log.clock.set(330)
    log.begin(SessionOpened(trading_day=DAY, **times))
    newest = log.book.limits.history("A")[-1]
    assert newest.in_force_at == held_from


def test_another_account_s_session_does_not_count(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 600)
    log.book.append("session/B/day", SessionReset(trading_day=DAY, scheduled_for=300))
    assert log.held(10**9) == [500]


def test_a_newer_setting_takes_the_place_of_one_that_waits(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 900)
    log.set(300, 400)
    log.session(350)
    assert log.held(299, 300, 10**9) == [500, 400, 400]
    assert log.waits(299) == [900]
    assert log.waits(300) == []
    gone = log.book.limits.history("A")[1]
    assert (gone.superseded_at, gone.in_force_at) == (300, None)


def test_a_setting_is_compared_with_what_is_in_force_not_with_what_waits(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 900)
    log.set(300, 600)
    assert (log.held(300), log.waits(300)) == ([500], [600])
    log.session(350)
    assert log.held(350) == [600]


def test_the_same_again_holds_at_once_and_ends_what_waits(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 900)
    log.set(300, "500.00")
    log.session(350)
    assert log.held(300, 10**9) == ["500.00", "500.00"]


def test_what_tightens_and_loosens_waits_as_a_whole(log: LimitsLog) -> None:
    log.set(100, 500, net_of_fees=True)
    log.set(200, 400, net_of_fees=False)
    assert log.held(200) == [500]
    assert log.book.limits.pending("A", 200)[0].loosened == ("net_of_fees",)


def test_a_revision_s_number_does_not_decide(log: LimitsLog) -> None:
    log.set(100, 500)
    log.book.append(
        "limits/A/daily-loss", LimitsSet(rule_id="daily-loss", revision=-1, parameters={"limit": 400}), actor="desk"
    )
    assert [(limit.revision, limit.parameters["limit"]) for limit in log.book.limits.of("A")] == [(-1, 400)]


def test_rules_are_kept_apart_and_sorted(log: LimitsLog) -> None:
    log.set(100, 500)
    for rule_id in ("weekly-loss", "consistency"):
        log.book.append("limits/A/x", LimitsSet(rule_id=rule_id, parameters={"limit": 1}), actor="desk")
    assert [limit.rule_id for limit in log.book.limits.of("A")] == ["consistency", "daily-loss", "weekly-loss"]
    assert [limit.rule_id for limit in log.book.limits.history("A")] == ["daily-loss", "weekly-loss", "consistency"]
    assert [limit.rule_id for limit in log.book.limits.history("A", "weekly-loss")] == ["weekly-loss"]


def test_a_clock_that_was_set_back_does_not_undo_a_limit(log: LimitsLog) -> None:
    log.set(100, 500)
    log.set(200, 400)
    log.clock.set(50)
    assert [limit.parameters["limit"] for limit in log.book.limits.of("A")] == [400]
    assert log.book.limits.of("A", datetime.fromtimestamp(0, UTC)) == ()


def test_limits_and_what_waits_survive_a_restart(tmp_path: Path) -> None:
    clock = EpochClock(100)
    with eventstore.open(tmp_path / "data", clock=clock) as store, projections.open(store) as book:
        for limit in (500, 400):
            book.append(
                "limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": limit}), actor="desk"
            )
        assert book.snapshot()
        book.append("limits/A/daily-loss", LimitsSet(rule_id="daily-loss", parameters={"limit": 900}), actor="desk")
        before = book.limits.of("A"), book.limits.pending("A")
    with eventstore.open(tmp_path / "data", clock=clock) as store:
        again = projections.open(store)
        assert again.recovery.cut == 2
        assert (again.limits.of("A"), again.limits.pending("A")) == before
        assert [[limit.parameters["limit"] for limit in each] for each in before] == [[400], [900]]


def test_the_past_is_read_from_the_log_where_the_state_forgot_it(log: LimitsLog) -> None:
    for at in range(100, 400):
        log.set(at, 1_000 - at)
    log.set(500, 999)
    state: LimitsState = log.book.state("limits", "A")
    assert len(state.rules["daily-loss"].settings) == 100
    assert log.held(99, 100, 250, 399, 600) == [None, 900, 750, 601, 601]
    assert len(log.book.limits.history("A")) == 301


def test_what_is_in_force_stays_however_many_loosenings_are_superseded(log: LimitsLog) -> None:
    log.set(100, 500)
    for at in range(200, 400):
        log.set(at, at + 500)
    assert log.held(150, 400) == [500, 500]
    assert log.waits(399) == [899]
    assert log.waits(200) == [700]
    log.session(400)
    assert log.held(400) == [899]


def test_the_recent_past_is_answered_without_the_log(log: LimitsLog, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(100, 400):
        log.set(at, 1_000 - at)
    monkeypatch.delattr(FoldReader, "read")
    assert log.held(310, 399) == [690, 601]


def test_too_many_rules_are_an_error_before_anything_changes(log: LimitsLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RULES_MAX", 1)
    log.set(100, 500)
    log.set(200, 400)
    log.book.append("limits/A/blackout", LimitsSet(rule_id="blackout"), actor="desk")
    with pytest.raises(PartitionParked, match="limits of 1 rules, and the record at position 3"):
        log.book.limits.of("A")


def breach(rule_id: str, figure: int, **more: Any) -> LimitBreached:  # noqa: ANN401 - any member
    return LimitBreached(rule_id=rule_id, figure=Decimal(figure), limit=Decimal(500), **more)


def test_breaches_are_kept_by_rule(log: LimitsLog) -> None:
    details = {"quotes": {"ESZ5": "6000.25"}}
    log.book.append(
        "breach/A/daily-loss", breach("daily-loss", 510, basis="net", currency="USD", trading_day=DAY, details=details)
    )
    (late,) = log.book.append("breach/A/size", breach("size", 501, severity=Severity.LOCKOUT), occurred_at=5)
    first, second = log.book.limits.breaches("A")
    assert (first.figure, first.limit) == (Decimal(510), Decimal(500))
    assert (first.basis, first.currency) == ("net", "USD")
    assert (first.trading_day, first.details, first.severity) == (DAY, details, Severity.WARNING)
    assert (second.severity, second.occurred_at, second.position, second.id) == (Severity.LOCKOUT, 5, 2, late.id)
    assert log.book.limits.breaches("A", "size") == (second,)
    assert log.book.limits.breaches("B") == ()
    assert log.book.limits.of("A") == ()


def test_the_newest_thousand_breaches_are_kept(log: LimitsLog) -> None:
    log.book.append("breach/A/daily-loss", [breach("daily-loss", number) for number in range(1, 1_004)])
    assert [each.figure for each in log.book.limits.breaches("A")] == list(range(4, 1_004))
    state: LimitsState = log.book.state("limits", "A")
    assert state.breach_count == 1_003
