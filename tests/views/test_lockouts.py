"""Lockouts: active until their time, their end or forever; no event weakens an irrevocable one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import Event, InvalidEvent
from eventstore.clock import format_time
from eventstore.trading import (
    AccountUpdated,
    Allows,
    ClockJumped,
    ContractDefined,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
)
from projections.views.lockouts import bounds, transitions
from projections.views.lockouts.view import (
    Lockout,
    LockoutAnomalyKind,
    LockoutsState,
    LockoutsView,
)
from tests.views.position_folding import Folding, round_tripped

REDUCE_ONLY, NOTHING = Allows.REDUCE_ONLY, Allows.NOTHING
NOT_SET, IRREVOCABLE = LockoutAnomalyKind.NOT_SET, LockoutAnomalyKind.IRREVOCABLE
SHORTER, TOO_EARLY = LockoutAnomalyKind.SHORTER, LockoutAnomalyKind.TOO_EARLY
STREAM = "lockout/A/daily-loss"


class Locks(Folding):
    """A log whose events happen and are recorded at the time that each one names."""

    def at(self, time: int, *events: Event, stream: str = STREAM, recorded_at: int | None = None) -> None:
        self.add(stream, *events, occurred_at=time, recorded_at=time if recorded_at is None else recorded_at)

    def holds(self, at: int, symbol: str | None = None) -> list[tuple[str, Allows, int | None]]:
        return [(lockout.scope, lockout.allows, lockout.until) for lockout in self.lockouts.active("A", at, symbol)]

    def anomalies(self) -> list[tuple[LockoutAnomalyKind, int]]:
        return [(anomaly.kind, anomaly.position) for anomaly in self.lockouts.anomalies("A")]

    def ends(self) -> list[tuple[int | None, str | None]]:
        return [(lockout.ended_at, lockout.ended_by) for lockout in self.lockouts.history("A")]


def lock(until: int | None = 100, **more: Any) -> LockoutSet:  # noqa: ANN401 - any member
    return LockoutSet(rule_id="daily-loss", until=until, **more)


def test_a_lockout_holds_from_its_event_until_its_time() -> None:
    book = Locks()
    assert book.holds(10) == []
    book.at(10, lock(reason="loss of 1,000.00 reached", allows=REDUCE_ONLY))
    assert book.holds(99) == [("account", REDUCE_ONLY, 100)]
    assert book.holds(100) == []
    (lockout,) = book.lockouts.active("A", 10)
    assert (lockout.account, lockout.rule_id, lockout.set_at) == ("A", "daily-loss", 10)
    assert (lockout.reason, lockout.cause, lockout.positions) == ("loss of 1,000.00 reached", book.records[0].id, (1,))
    assert book.lockouts.active("B", 50) == ()


def test_a_clock_that_was_set_back_does_not_open_the_account() -> None:
    book = Locks()
    book.at(10, lock())
    assert book.holds(5) == [("account", NOTHING, 100)]


def test_a_lockout_without_an_end_holds_forever_and_an_aware_time_is_taken() -> None:
    book = Locks()
    book.at(10, lock(None))
    assert len(book.lockouts.active("A", datetime(2199, 1, 1, tzinfo=UTC))) == 1
    with pytest.raises(InvalidEvent, match="time zone"):
        book.lockouts.active("B", datetime(2199, 1, 1))  # noqa: DTZ001 - that is what is refused


def test_a_symbol_is_locked_by_account_symbol_and_root() -> None:
    book = Locks()
    contract = ContractDefined(symbol="MES-X", root="MES", broker_ids=("CON.MES",))
    book.add("contract/-/MES-X", contract, ContractDefined(symbol="NQZ5", root="NQ"), ContractDefined(symbol="GOOG"))
    book.add("contract/-/ES", *[ContractDefined(symbol=symbol, root="ES") for symbol in ("ESZ5", "ESH26")])
    for scope in ("symbol:ESZ5", "root:ES", "symbol:CON.MES", "root:MES", "root:NQ"):
        book.at(10, lock(scope=scope))
    scopes = {symbol: {held[0] for held in book.holds(50, symbol)} for symbol in ("ESZ5", "ESH26", "MES-X", "CON.MES")}
    assert scopes == {
        "ESZ5": {"symbol:ESZ5", "root:ES"},
        "ESH26": {"root:ES"},
        "MES-X": {"symbol:CON.MES", "root:MES"},
        "CON.MES": {"symbol:CON.MES", "root:MES"},
    }
    assert book.holds(50, "NQZ5") == [("root:NQ", NOTHING, 100)]
    assert book.holds(50, "GOOG") == []
    book.at(11, lock())
    assert [held[0] for held in book.holds(50, "GOOG")] == ["account"]
    assert len(book.holds(50)) == 6


def test_clearing_ends_a_revocable_one_and_says_who_did_it() -> None:
    book = Locks()
    book.at(10, lock(), lock(scope="symbol:ESZ5"))
    book.at(20, LockoutCleared(by="risk desk", scope="account"))
    assert book.holds(20) == [("symbol:ESZ5", NOTHING, 100)]
    book.at(30, LockoutCleared())
    assert book.holds(30) == []
    assert book.ends() == [(20, "cleared by risk desk"), (30, "cleared by user@host/test")]
    first, _ = book.lockouts.history("A")
    assert [first.is_active(at) for at in (9, 10, 19, 20)] == [False, True, True, False]
    assert first.positions == (1, 3)


def test_setting_a_revocable_one_again_replaces_it_and_the_same_again_only_touches_it() -> None:
    book = Locks()
    book.at(10, lock())
    book.at(20, lock())
    assert book.lockouts.active("A", 20)[0].positions == (1, 2)
    book.at(30, lock(50, allows=REDUCE_ONLY))
    assert book.holds(30) == [("account", REDUCE_ONLY, 50)]
    assert book.ends() == [(30, "replaced"), (None, None)]
    assert book.anomalies() == []


def test_extending_never_shortens() -> None:
    book = Locks()
    book.at(10, lock())
    book.at(20, LockoutExtended(until=150))
    book.at(21, LockoutExtended(until=120))
    book.at(22, LockoutExtended(until=150))
    assert book.holds(30) == [("account", NOTHING, 150)]
    assert book.anomalies() == [(SHORTER, 3)]
    book.at(23, LockoutExtended())
    assert book.holds(10**18) == [("account", NOTHING, None)]


def test_an_extension_after_the_end_holds_from_then_on() -> None:
    book = Locks()
    book.at(10, lock())
    book.at(120, LockoutExtended(until=200))
    assert book.holds(150) == [("account", NOTHING, 200)]
    first, second = book.lockouts.history("A")
    assert (first.ended_at, first.ended_by, second.set_at, second.cause) == (100, "expired", 120, first.cause)


def test_an_irrevocable_one_only_takes_the_stricter_terms() -> None:
    book = Locks()
    book.at(10, lock(allows=REDUCE_ONLY, revocable=False, reason="first"))
    book.at(20, lock(90, revocable=False, allows=NOTHING))
    assert book.holds(20) == [("account", NOTHING, 100)]
    book.at(21, lock(130, revocable=True, allows=REDUCE_ONLY))
    assert book.holds(21) == [("account", NOTHING, 130)]
    book.at(22, LockoutCleared(by="somebody"), LockoutExtended(until=40), LockoutExpired())
    assert book.holds(129) == [("account", NOTHING, 130)]
    (held,) = book.lockouts.active("A", 22)
    assert (held.reason, held.revocable, held.cause) == ("first", False, book.records[0].id)
    assert book.anomalies() == [(IRREVOCABLE, 2), (IRREVOCABLE, 3), (IRREVOCABLE, 4), (SHORTER, 5), (TOO_EARLY, 6)]
    book.at(23, lock(None, revocable=False, allows=NOTHING))
    assert book.holds(10**18) == [("account", NOTHING, None)]


@pytest.mark.parametrize("times", [(100, 99), (99, 100)])
def test_an_expiry_counts_when_both_of_its_times_have_come(times: tuple[int, int]) -> None:
    book = Locks()
    book.at(10, lock())
    book.at(times[0], LockoutExpired(), recorded_at=times[1])
    assert book.anomalies() == [(TOO_EARLY, 2)]
    assert book.holds(99) == [("account", NOTHING, 100)]
    book.at(101, LockoutExpired())
    assert book.ends() == [(100, "expired")]
    book.at(102, LockoutExpired())
    assert book.anomalies() == [(TOO_EARLY, 2), (NOT_SET, 4)]


@pytest.mark.parametrize("ending", [LockoutCleared(), LockoutExpired()])
def test_an_irrevocable_one_whose_time_has_passed_gives_way(ending: Event) -> None:
    book = Locks()
    book.at(10, lock(revocable=False))
    book.at(100, ending)
    assert (book.ends(), book.anomalies()) == ([(100, "expired")], [])
    again = Locks()
    again.at(10, lock(revocable=False))
    again.at(100, lock(120, allows=REDUCE_ONLY))
    assert again.holds(100) == [("account", REDUCE_ONLY, 120)]
    assert again.ends() == [(100, "expired"), (None, None)]


def test_an_event_about_nothing_in_force_is_an_anomaly() -> None:
    book = Locks()
    book.at(10, LockoutCleared(), LockoutExtended(scope="account"), LockoutExpired(rule_id="other"))
    found = [(each.kind, each.rule_id, each.scope) for each in book.lockouts.anomalies("A")]
    assert found == [(NOT_SET, "daily-loss", None), (NOT_SET, "daily-loss", "account"), (NOT_SET, "other", None)]


def test_a_rule_without_a_name_in_the_event_is_the_streams() -> None:
    book = Locks()
    book.at(10, LockoutSet(rule_id="a/b"), LockoutSet(rule_id="c"), stream="lockout/A/a%2Fb")
    book.at(11, LockoutCleared(), stream="lockout/A/a%2Fb")
    assert [lockout.rule_id for lockout in book.lockouts.active("A", 11)] == ["c"]
    book.at(12, LockoutCleared(rule_id="c"), stream="lockout/A/a%2Fb")
    assert book.holds(12) == []


def test_history_is_complete_although_the_state_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "ANOMALIES_MAX", 3)
    monkeypatch.setattr(transitions, "POSITIONS_MAX", 4)
    book = Locks()
    for time in range(0, 400, 2):
        book.at(time, lock(1000))
        book.at(time + 1, LockoutCleared())
    book.at(400, *[lock(1000)] * 6, *[LockoutExtended(until=1)] * 5)
    history = book.lockouts.history("A")
    assert (len(history), history[-1].ended_by) == (201, None)
    assert [lockout.set_at for lockout in history] == sorted(lockout.set_at for lockout in history)
    assert history[-1].positions == (401, 404, 405, 406)
    state: LockoutsState = book.state("lockouts", "A")
    assert (len(state.ended), len(state.anomalies), state.anomaly_count) == (100, 3, 5)


def test_beyond_the_limit_lockouts_are_answered_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LOCKOUTS_MAX", 2)
    book = Locks()
    book.at(10, lock(20, scope="symbol:A"), lock(100, scope="symbol:B"))
    book.at(50, lock(scope="symbol:C"))
    assert [held[0] for held in book.holds(50)] == ["symbol:B", "symbol:C"]
    assert book.state("lockouts", "A").forgotten_to == 20
    book.at(60, lock(scope="symbol:D", revocable=False), lock(scope="symbol:E"))
    assert [held[0] for held in book.holds(60)] == ["symbol:B", "symbol:C", "symbol:D", "symbol:E"]
    assert len(book.state("lockouts", "A").active) == 2
    assert "symbol:D" in {held.scope for held in book.state("lockouts", "A").active.values()}
    reads = book.reads
    assert len(book.holds(61)) == 4
    assert book.reads == reads
    book.at(70, LockoutCleared(scope="symbol:C"), LockoutCleared(scope="symbol:E"))
    assert [held[0] for held in book.holds(70)] == ["symbol:B", "symbol:D"]
    assert book.anomalies() == []


def test_readers_see_all_that_an_event_does_or_nothing() -> None:
    book = Locks()
    book.at(10, lock(), lock(scope="symbol:ESZ5"))
    seen = book.state("lockouts", "A").active
    book.at(20, LockoutCleared())
    assert len(seen) == 2
    assert book.holds(20) == []


ACCOUNT = "account/A/-"


def may_trade(allowed: bool | None) -> AccountUpdated:
    return AccountUpdated(can_trade=allowed)


def test_a_broker_that_says_an_account_may_not_trade_locks_it_until_it_says_otherwise() -> None:
    book = Locks()
    book.at(10, may_trade(None), may_trade(True), stream=ACCOUNT)
    assert book.holds(10) == []
    book.at(20, may_trade(False), may_trade(False), may_trade(None), stream=ACCOUNT)
    (lockout,) = book.lockouts.active("A", 10**18)
    assert (lockout.rule_id, lockout.scope, lockout.allows, lockout.until) == ("broker", "account", NOTHING, None)
    assert (lockout.revocable, lockout.set_at, lockout.positions) == (True, 20, (3, 4))
    assert "broker says" in lockout.reason
    book.at(30, may_trade(True), stream=ACCOUNT)
    assert (book.holds(29), book.holds(30)) == ([], [])
    assert book.ends() == [(30, "cleared by the broker")]
    assert book.anomalies() == []
    book.at(40, may_trade(False), stream=ACCOUNT)
    assert book.ends() == [(30, "cleared by the broker"), (None, None)]


def test_a_broker_ends_its_own_lockout_and_no_other() -> None:
    book = Locks()
    book.at(10, lock(None, revocable=False))
    same = LockoutSet(rule_id="broker", until=None, revocable=False, reason="mine")
    book.at(10, same, stream="lockout/A/broker")
    book.at(20, may_trade(False), stream=ACCOUNT)
    assert len(book.lockouts.active("A", 20)) == 3
    book.at(30, may_trade(True), stream=ACCOUNT)
    assert [(held.rule_id, held.until, held.revocable) for held in book.lockouts.active("A", 30)] == [
        ("daily-loss", None, False),
        ("broker", None, False),
    ]
    assert book.anomalies() == []


def test_an_irrevocable_lockout_keeps_its_end_whatever_the_broker_says() -> None:
    book = Locks()
    book.at(10, LockoutSet(rule_id="broker", until=100, revocable=False), stream="lockout/A/broker")
    for at, allowed in ((20, False), (30, True)):
        book.at(at, may_trade(allowed), stream=ACCOUNT)
    assert book.holds(99) == [("account", NOTHING, 100)]
    assert book.holds(100) == []


def test_somebody_may_clear_what_the_broker_said_until_it_says_so_again() -> None:
    book = Locks()
    book.at(10, may_trade(False), stream=ACCOUNT)
    book.at(20, LockoutCleared(by="me"), stream="lockout/A/broker")
    assert book.holds(20) == []
    book.at(30, may_trade(False), stream=ACCOUNT)
    assert book.holds(30) == [("account", NOTHING, None)]


def test_what_the_broker_said_before_it_locked_does_not_open_the_account() -> None:
    book = Locks()
    book.at(20, may_trade(False), stream=ACCOUNT)
    book.at(19, may_trade(True), stream=ACCOUNT, recorded_at=30)
    assert book.holds(30) == [("account", NOTHING, None)]
    book.at(20, may_trade(True), stream=ACCOUNT, recorded_at=40)
    assert book.holds(40) == []


def test_most_updates_of_an_account_touch_no_lockout() -> None:
    book = Locks()
    book.at(10, lock())
    seen = book.state("lockouts", "A").active
    book.at(20, may_trade(None), may_trade(True), AccountUpdated(), stream=ACCOUNT)
    assert book.state("lockouts", "A").active is seen


def test_a_lockout_has_what_it_was_decided_on_and_how_long_it_has_left() -> None:
    book = Locks()
    details = {"loss": "1,020.00", "limit": "1,000.00", "quotes": {"ESZ5": ["100.25", 7]}}
    book.at(10, lock(details=details))
    (lockout,) = book.lockouts.active("A", 10)
    assert lockout.details == details
    assert [lockout.remaining(format_time(at)) for at in (10, 99, 100, 101)] == [90, 1, 0, 0]
    assert lockout.remaining(datetime(1970, 1, 1, tzinfo=UTC)) == 100
    state = book.state("lockouts", "A")
    assert round_tripped(state, LockoutsState) == state
    book.at(20, LockoutCleared())
    (ended,) = book.lockouts.history("A")
    assert (ended.details, ended.remaining(format_time(19)), ended.remaining(format_time(20))) == (details, 81, 0)
    book.at(30, lock(None))
    assert book.lockouts.active("A", 30)[0].remaining(10**18) is None


times = st.integers(1, 60)
terms = st.sampled_from([REDUCE_ONLY, NOTHING])
ends = st.one_of(st.none(), times)
scopes = st.sampled_from(["account", "symbol:ESZ5"])
attempts = st.one_of(
    st.builds(LockoutSet, rule_id=st.just("r"), scope=scopes, allows=terms, until=ends, revocable=st.booleans()),
    st.builds(LockoutExtended, until=ends, scope=st.one_of(st.none(), scopes)),
    st.builds(LockoutCleared, scope=st.one_of(st.none(), scopes)),
    st.builds(LockoutExpired, scope=st.one_of(st.none(), scopes)),
    st.builds(AccountUpdated, can_trade=st.sampled_from([None, True, False])),
    st.builds(ClockJumped, before=times, after=times),
)


@given(st.lists(st.tuples(attempts, times, times), max_size=25), terms, ends)
def test_no_sequence_of_events_weakens_an_irrevocable_lockout(
    events: list[tuple[Event, int, int]], allows: Allows, until: int | None
) -> None:
    """Whatever comes, each event with any time of its own, as long as one clock does not reach the end."""
    book = Locks()
    book.at(0, LockoutSet(rule_id="r", allows=allows, until=until, revocable=False), stream="lockout/A/r")
    for event, occurred_at, recorded_at in events:
        clocks = (occurred_at, recorded_at) if until is None else (occurred_at, min(recorded_at, until - 1))
        book.at(clocks[0], event, stream="lockout/A/r", recorded_at=max(clocks[1], 0))
        for at in (0, *([10**18] if until is None else [until - 1])):
            active = book.lockouts.active("A", at)
            (held,) = [lockout for lockout in active if (lockout.rule_id, lockout.scope) == ("r", "account")]
            assert not held.revocable
            assert held.allows in {allows, NOTHING}
            assert held.cause == book.records[0].id


@given(st.lists(st.tuples(attempts, times, times), max_size=25), st.integers(0, 25))
def test_the_fold_continues_from_a_snapshot_at_any_cut(events: list[tuple[Event, int, int]], cut: int) -> None:
    view, log = LockoutsView(), Folding()
    whole, resumed = view.initial(), view.initial()
    for number, (event, occurred_at, recorded_at) in enumerate(events):
        record = log.record("lockout/A/r", event, occurred_at=occurred_at, recorded_at=recorded_at)
        resumed = round_tripped(resumed, LockoutsState) if number == cut else resumed
        for state in (whole, resumed):
            view.apply(state, record.event, record)
    assert resumed == whole
    assert all(isinstance(lockout, Lockout) for lockout in whole.active.values())
