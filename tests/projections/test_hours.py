"""Trading hours: orders outside the session are rejected, and what is open is flattened before the close."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from eventstore import InvalidEvent
from eventstore.trading import Asset, ContractDefined, EnforcementAction, EnforcementRequested, SessionOpened, Side
from projections.rules import Hours
from projections.valuation import Status
from tests.projections.checked_orders import BUY, PASS, REJECT, SELL, check_order, rejection
from tests.projections.rules_day import CALENDAR, RESET, SECOND, Day, at, trading_day

MINUTE = 60 * SECOND
CLOSE = at(20, 21, 10)
OPEN = at(22, 23)
"""Friday at 15:10, and Sunday at 17:00, in Chicago."""


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data", Hours())
    yield day
    day.close()


def requests(day: Day) -> list[EnforcementRequested]:
    """Return what the rule asks to flatten; each goes with a request to cancel orders, and is asked again later."""
    found = (record.event for record in day.store.read(types=(EnforcementRequested,)))
    first = [event for event in found if isinstance(event, EnforcementRequested) and event.attempt == 1]
    assert [event.action for event in first[::2]] == [EnforcementAction.CANCEL_ORDERS] * (len(first) // 2)
    return first[1::2]


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"flatten_before": -1}, "flatten_before = -1: expected 0 or more"),
        ({"flat_by": "25:00"}, "cannot be read"),
        ({"flat_by": "15:10+01:00"}, "expected a local time, without a zone"),
        ({"halts": [["2026-11-26T12:00:00", "2026-11-26T17:00:00"]]}, "zone"),
        ({"halts": [["2026-11-26T18:00:00Z", "2026-11-26T17:00:00Z"]]}, "each begins before it ends"),
        ({"halts": [["2026-11-26T18:00:00Z"]]}, "cannot be read"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(day: Day, parameters: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        day.limit("hours", **parameters)


@pytest.mark.parametrize("symbol", ["ESZ6\n", " ESZ6", ""])
def test_a_position_in_a_symbol_that_no_scope_can_name_is_flattened_too(day: Day, symbol: str) -> None:
    day.limit("hours", symbols=[symbol])
    day.fill(BUY, "5000", symbol)
    day.clock.set(CLOSE - MINUTE)
    day.policies.tick()
    [request] = requests(day)
    [lockout] = day.book.lockouts.active("A", CLOSE - MINUTE)
    assert (lockout.scope, request.symbol, dict(day.policies.stopped)) == ("account", None, {})


def test_without_a_session_or_a_calendar_it_is_unjudged(day: Day) -> None:
    day.book.sessions.calendars = {}
    day.limit("hours")
    day.clock.set(OPEN)
    assert "nothing says when the session opens and closes" in rejection(day)
    assert [each.rule_id for each in day.book.limits.unjudged("A")] == ["hours"]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (CLOSE - 2 * MINUTE - 1, None),
        (CLOSE - 2 * MINUTE, "positions must be flat by 2026-11-20 15:10 CST"),
        (CLOSE - 1, "positions must be flat by 2026-11-20 15:10 CST"),
        (CLOSE, "the session is closed until 2026-11-22 17:00 CST"),
        (RESET, "the session is closed until 2026-11-22 17:00 CST"),
        (OPEN - 1, "the session is closed until 2026-11-22 17:00 CST"),
        (OPEN, None),
    ],
)
def test_orders_pass_from_the_open_until_shortly_before_the_close(day: Day, now: int, reason: str | None) -> None:
    day.limit("hours")
    day.clock.set(now)
    found = check_order(day)
    assert found.reason == ("" if reason is None else f"Order blocked: {reason}")


def test_an_order_that_reduces_passes_at_any_time(day: Day) -> None:
    day.limit("hours")
    day.fill(Side.BUY, "5000")
    for now in (CLOSE - MINUTE, CLOSE + MINUTE, RESET + MINUTE):
        day.clock.set(now)
        assert check_order(day, SELL).verdict is PASS


def test_what_is_open_is_flattened_before_the_close_and_locked_until_the_open(day: Day) -> None:
    day.limit("hours")
    day.fill(Side.BUY, "5000")
    day.clock.set(CLOSE - 2 * MINUTE - SECOND)
    day.policies.tick()
    assert not day.lockouts()
    day.clock.set(CLOSE - 2 * MINUTE)
    day.policies.tick()
    day.policies.tick()
    [request] = requests(day)
    assert (request.action, request.symbol) == (EnforcementAction.FLATTEN, None)
    [lockout] = day.book.lockouts.active("A", day.clock.now_ns())
    assert (lockout.until, lockout.reason) == (OPEN, "positions must be flat by 2026-11-20 15:10 CST")
    day.fill(Side.SELL, "5000")
    day.clock.set(OPEN)
    assert not day.is_locked()


def test_the_reset_before_the_open_ends_no_lockout(day: Day) -> None:
    day.limit("hours", outside=False, halts=[[at(23, 15), at(23, 16)]])
    day.fill(Side.BUY, "5000")
    day.clock.set(CLOSE - MINUTE)
    day.policies.tick()
    day.end()
    for now in (RESET, OPEN - MINUTE):
        day.clock.set(now)
        day.policies.tick()
        assert [held.until for held in day.book.lockouts.active("A", now)] == [OPEN]
    assert rejection(day).startswith("positions must be flat by")
    day.clock.set(OPEN)
    assert not day.is_locked()


def test_who_is_flat_is_neither_locked_nor_asked(day: Day) -> None:
    day.limit("hours")
    day.clock.set(CLOSE - MINUTE)
    day.policies.tick()
    assert not day.lockouts()
    # A fill that comes late is flattened too.
    day.fill(Side.BUY, "5000")
    assert len(requests(day)) == 1


def test_a_symbol_that_closes_earlier_has_hours_of_its_own(day: Day) -> None:
    day.define("ZC")
    day.limit("hours:grains", symbols=["ZC"], flat_by="13:20", outside=False)
    day.fill(Side.BUY, "400", "ZC")
    day.fill(Side.BUY, "5000", "ES")
    day.clock.set(at(20, 19, 19))
    day.policies.tick()
    [request] = requests(day)
    assert request.symbol == "ZC"
    day.quote("400", "ZC")
    day.quote("5000", "ES")
    assert check_order(day, BUY, symbol="ES").verdict is PASS
    # Twice: by its lockout, and by the hours themselves.
    assert "positions must be flat by 2026-11-20 13:20 CST" in check_order(day, BUY, symbol="ZC").reason


def test_a_local_time_needs_a_zone(tmp_path: Path) -> None:
    # Friday at 12:00 in Chicago, in a session that was recorded without a calendar.
    day = Day(tmp_path / "other", [Hours()], now=at(20, 18))
    day.book.sessions.calendars = {}
    day.open_account()
    day.define("ES")
    session = SessionOpened(trading_day=date(2026, 11, 20), opens_at=at(20, 10), resets_at=at(20, 23))
    day.book.append("session/A/2026-11-20", session)
    day.limit("hours", flat_by="11:50")
    day.fill(BUY, "5000")
    day.quote("5000")
    assert "no zone is known in which 11:50 is local" in rejection(day)
    [headroom] = day.book.limits.headroom("A")
    assert headroom.status is Status.UNKNOWN
    day.policies.tick()
    assert requests(day) == []
    # Without one of its own a session is in its calendar's.
    day.book.sessions.calendars = {"*": CALENDAR}
    assert "the session is closed" in rejection(day)
    day.policies.tick()
    assert len(requests(day)) == 1
    day.close()


def test_a_future_that_states_no_root_may_close_as_early(day: Day) -> None:
    for symbol, root in (("ZCZ6", None), ("ESZ6", "ES")):
        contract = ContractDefined(symbol=symbol, multiplier=Decimal(50), currency="USD", root=root, asset=Asset.FUTURE)
        day.book.append(f"contract/-/{symbol}", contract)
    day.limit("hours:grains", symbols=["ZC"], flat_by="13:20", outside=False)
    day.fill(BUY, "400", "ZCZ6")
    day.clock.set(at(20, 19, 19))
    day.policies.tick()
    day.quote("400", "ZCZ6")
    assert check_order(day, BUY, symbol="ESZ6").verdict is PASS
    found = check_order(day, BUY, symbol="ZCZ6")
    assert found.verdict is REJECT
    assert "13:20 CST, if ZCZ6 is of ZC: define it with its root" in found.reason
    assert requests(day) == [], "what only may be so closes nothing"


def test_a_holiday_that_trades_for_a_part_of_the_day_has_a_halt(day: Day) -> None:
    # Thanksgiving: closed from 12:00 to 17:00, in the trading day of the Friday.
    day.book.sessions.calendars = {"*": msgspec.structs.replace(CALENDAR, holidays=frozenset({date(2026, 11, 26)}))}
    day.clock.set(at(26, 15))
    day.begin()
    halt = ["2026-11-26T12:00:00-06:00", "2026-11-26T17:00:00-06:00"]
    day.limit("hours", halts=[halt])
    day.clock.set(at(26, 17, 59))
    assert "positions must be flat by 2026-11-26 12:00 CST" in rejection(day)
    day.clock.set(at(26, 20))
    assert "the session is closed until 2026-11-26 17:00 CST" in rejection(day)
    day.clock.set(at(26, 17, 59))
    day.fill(Side.BUY, "5000")
    [lockout] = day.book.lockouts.active("A", day.clock.now_ns())
    assert (len(requests(day)), lockout.until) == (1, at(26, 23))
    day.fill(Side.SELL, "5000")
    day.clock.set(at(26, 23))
    assert check_order(day).verdict is PASS


def test_headroom_is_the_time_that_is_left(day: Day) -> None:
    day.limit("hours")
    day.clock.set(CLOSE - 12 * MINUTE)
    [headroom] = day.book.limits.headroom("A")
    assert (headroom.left, headroom.unit) == (Decimal(10 * MINUTE), "ns")
