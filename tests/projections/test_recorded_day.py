"""An account loses past its limit: locked by that fill or quote until the reset, whenever a process is killed."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import eventstore
import projections
from eventstore import EventStore, ManualClock, Record
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import (
    ContractDefined,
    EnforcementRequested,
    LimitsSet,
    LockoutExpired,
    LockoutSet,
    OrderFilled,
    SessionReset,
    Side,
)
from projections import Book
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.policies import Policies
from tests.projections.recorded_day import (
    CROSSING,
    MINUTE,
    SECOND_DAY,
    Player,
    crossing,
    fill,
    playing,
    the_day,
    the_day_after,
)
from tests.projections.rules_day import ACCOUNT, NEXT_RESET, NOON, RESET, SECOND
from tests.reliability.checking import ROOT, environment

BASES = ("realized", "equity")
KILLS = 16
"""As many kills spread over the day, and as many again while the limit is being reached."""
WAIT_SECONDS = 120
PYFOLIO = ROOT.parent / "shared" / "data" / "pyfolio" / "test_txn.csv.gz"
DAY_NS = 24 * 60 * MINUTE


def lockouts(store: EventStore) -> list[Record]:
    return list(store.read(types=(LockoutSet,)))


def is_locked(book: Book, at: int) -> bool:
    return bool(book.lockouts.active(ACCOUNT, at))


def the_crossing_fill(store: EventStore) -> list[Record]:
    return list(store.read(stream=f"order/{ACCOUNT}/{CROSSING}"))


# Without faults


@pytest.mark.parametrize("basis", BASES)
def test_the_record_that_reaches_the_limit_causes_the_lockout(basis: str, tmp_path: Path) -> None:
    steps, number = the_day(basis), crossing(basis)
    with playing(tmp_path) as player:
        player.play(steps[:number])
        assert not lockouts(player.store)
        player.play(steps[number : number + 1])
        [lockout] = lockouts(player.store)
        assert isinstance(lockout.event, LockoutSet)
        assert lockout.event.until == RESET
        assert lockout.event.reason.startswith("daily loss -2,000.00 of -2,000.00 USD reached; locked until ")
        found = the_crossing_fill(player.store)
        assert lockout.causation_id == (found[0].id if basis == "realized" else None)
        player.play(steps[number + 1 :])
        assert len(lockouts(player.store)) == 1


def test_it_expires_at_the_reset_and_the_second_day_starts_unlocked(tmp_path: Path) -> None:
    with playing(tmp_path) as player:
        player.play(the_day("realized"))
        player.play(the_day_after()[:1])
        assert is_locked(player.book, RESET - 1)
        player.play(the_day_after()[1:2])
        assert not is_locked(player.book, RESET)
        assert len(list(player.store.read(types=(LockoutExpired,)))) == 1
        [reset] = [record.event for record in player.store.read(types=(SessionReset,))]
        assert isinstance(reset, SessionReset)
        assert (reset.scheduled_for, reset.late) == (RESET, False)
        player.play(the_day_after()[2:])
        [made] = player.book.pnl.day(ACCOUNT, SECOND_DAY)
        assert made.net == -1_754
        assert not is_locked(player.book, player.book.now_ns())
        # The new day has its whole limit: another 246 are lost before it locks.
        at = SECOND_DAY + MINUTE
        player.play([fill(at, "b21", Side.BUY, "4900"), fill(at + SECOND, "s21", Side.SELL, "4895.16")])
        [_, second] = lockouts(player.store)
        assert isinstance(second.event, LockoutSet)
        assert second.event.until == NEXT_RESET


# Without a running process


def test_a_process_that_misses_the_reset_records_it_late_and_the_second_day_is_unlocked(tmp_path: Path) -> None:
    with playing(tmp_path) as player:
        player.play(the_day("realized"))
    with playing(tmp_path, now=SECOND_DAY) as player:
        assert not is_locked(player.book, SECOND_DAY)
        [reset] = [record.event for record in player.store.read(types=(SessionReset,))]
        assert isinstance(reset, SessionReset)
        assert (reset.scheduled_for, reset.late) == (RESET, True)
        player.play(the_day_after()[3:])
        assert len(list(player.store.read(types=(LockoutExpired,)))) == 1
        assert len(lockouts(player.store)) == 1
        assert not is_locked(player.book, player.book.now_ns())


def test_a_loss_while_no_process_ran_locks_at_its_own_fill(tmp_path: Path) -> None:
    with playing(tmp_path) as player:
        player.play(the_day("realized"))
    # Friday night and Sunday evening are two dates in UTC, and none of them the trading day's own, which is Monday.
    night, evening = RESET + 30 * MINUTE, RESET + 48 * 60 * MINUTE + 5 * MINUTE
    steps = [
        fill(night, "b20", Side.BUY, "4950"),
        fill(night + SECOND, "s20", Side.SELL, "4915"),
        fill(evening, "b21", Side.BUY, "4900"),
        fill(evening + SECOND, "s21", Side.SELL, "4895.16"),
    ]
    with eventstore.open(tmp_path, clock=ManualClock(night)) as store:
        clock = store.clock
        assert isinstance(clock, ManualClock)
        for step in steps:
            assert step.event is not None
            clock.advance(step.at - clock.now_ns())
            store.append(step.stream, step.event, key=step.key)
    with playing(tmp_path, now=SECOND_DAY + 2 * DAY_NS) as player:
        [crossed] = player.store.read(stream=f"order/{ACCOUNT}/s21")
        [first, second] = lockouts(player.store)
        assert isinstance(second.event, LockoutSet)
        assert (second.causation_id, second.event.until) == (crossed.id, NEXT_RESET)
        assert second.event.reason.startswith("daily loss -2,000.00 of -2,000.00 USD reached")
        assert isinstance(second.event.details, dict)
        assert second.event.details["trading_day"] == "2026-11-23"
        assert is_locked(player.book, player.book.now_ns())
        assert first.position < crossed.position


# Kills


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.projections.recorded_day"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=ROOT
    ) as server:
        yield server
        assert server.stdin is not None
        server.stdin.close()
        server.wait(WAIT_SECONDS)


def lived(server: subprocess.Popen[str], place: Path, basis: str, kill_at: int) -> list[int]:
    """Let a process play the day until it is killed at a call; return the number of calls after each step."""
    assert server.stdin is not None
    assert server.stdout is not None
    place.mkdir()
    order = {"directory": str(place / "data"), "acks": str(place / "acks"), "basis": basis, "kill_at": kill_at}
    server.stdin.write(json.dumps(order) + "\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    assert answer["killed"] is bool(kill_at), f"it was to be killed at call {kill_at}, and ended so: {answer}"
    acks = place / "acks"
    return [int(line) for line in acks.read_text().split()] if acks.exists() else []


def floors(directory: Path, basis: str) -> list[Decimal | None]:
    """Return the drawdown's floor after each step of an uninterrupted day."""
    found: list[Decimal | None] = []

    def done(_: object) -> None:
        mark = player.book.equity.get(ACCOUNT)
        found.append(None if mark is None else mark.floor)

    with playing(directory) as player:
        player.play(the_day(basis), done)
    return found


def check_and_play_on(directory: Path, basis: str, done: int, floor: Decimal | None) -> bool:
    """Check what a killed process left, then be the next one; return whether the limit had been reached."""
    steps, number = the_day(basis), crossing(basis)
    with eventstore.open(directory, clock=ManualClock(NOON)) as store:
        left = len(lockouts(store))
        assert 2 * left == len(list(store.read(types=(EnforcementRequested,)))), "a decision was cut in two"
        # Every call that returned has had all its consequences.
        assert left == 1 or done <= number
    now = NOON + 20 * MINUTE
    with playing(directory, now=now) as player:
        crossed = the_crossing_fill(player.store) if basis == "realized" else lockouts(player.store)
        assert len(lockouts(player.store)) == len(crossed)
        assert is_locked(player.book, now) is bool(crossed)
        mark = player.book.equity.get(ACCOUNT)
        assert floor is None or (mark is not None and mark.floor is not None and mark.floor >= floor)
        player.play(steps[done:])
        check_the_end(player, basis)
    return bool(crossed)


def check_the_end(player: Player, basis: str) -> None:
    [lockout] = lockouts(player.store)
    found = the_crossing_fill(player.store)
    assert lockout.causation_id == (found[0].id if basis == "realized" else None)
    assert is_locked(player.book, player.book.now_ns())
    assert len(player.book.enforcement.of(ACCOUNT)) == 2
    player.play(the_day_after())
    assert not is_locked(player.book, player.book.now_ns())
    assert len(lockouts(player.store)) == len(list(player.store.read(types=(LockoutExpired,)))) == 1
    assert len(list(player.store.read(types=(SessionReset,)))) == 1
    assert [made.net for name, (made,) in player.book.pnl.days(ACCOUNT)] == [-2_304, -1_754]
    assert player.policies.is_caught_up


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("basis", BASES)
def test_no_kill_unlocks_an_account_that_reached_its_limit(
    basis: str, server: subprocess.Popen[str], tmp_path: Path
) -> None:
    calls = lived(server, tmp_path / "whole", basis, 0)
    assert len(calls) == len(the_day(basis))
    expected = floors(tmp_path / "floors", basis)
    start, stop, number = calls[0] // 2, calls[-1], crossing(basis)
    moments = [start + (stop - start) * part // KILLS for part in range(KILLS)]
    start, stop = calls[number - 1], calls[number]
    moments += [start + (stop - start) * part // KILLS for part in range(1, KILLS + 1)]
    reached = 0
    for life, moment in enumerate(moments):
        done = len(lived(server, tmp_path / f"life{life}", basis, moment))
        floor = expected[done - 1] if done else None
        reached += check_and_play_on(tmp_path / f"life{life}" / "data", basis, done, floor)
    # Some were killed before it, some after it.
    assert 0 < reached < len(moments)


# Real trades


@pytest.mark.untraced
@pytest.mark.skipif(not PYFOLIO.is_file(), reason=f"the real data is not on this machine: there is no {PYFOLIO}")
def test_a_real_strategys_fills_lock_each_day_at_the_fill_that_an_independent_sum_finds() -> None:
    clock = ManualClock(NOON - 30 * 365 * DAY_NS)
    store = EventStore(MemoryJournal(clock=clock), clock=clock)
    book = projections.open(store)
    limit = Decimal(200)
    with gzip.open(PYFOLIO, "rt", encoding="utf-8") as text:
        rows = list(csv.reader(text))[1:1_500]
    for symbol in sorted({row[4] for row in rows}):
        book.append(f"contract/-/{symbol}", ContractDefined(symbol=symbol, multiplier=Decimal(1), currency="USD"))
    event = LimitsSet(rule_id="daily-loss", parameters={"limit": str(limit)})
    book.append("limits/P1/daily-loss", event, actor="risk@desk")
    policies = Policies(book, [DailyLoss()]).start(ticking=False)
    expected: dict[str, bytes] = {}
    sums: dict[str, Decimal] = {}
    lots: dict[str, deque[list[Decimal]]] = {}
    for number, (traded_at, amount, price, _, symbol, _) in enumerate(rows):
        at = int(datetime.fromisoformat(traded_at).astimezone(UTC).timestamp()) * SECOND
        clock.set(at)
        quantity = Decimal(amount)
        side = Side.BUY if quantity > 0 else Side.SELL
        filled = OrderFilled(
            trade_id=str(number), symbol=symbol, side=side, quantity=abs(quantity), price=Decimal(price)
        )
        [record] = book.append(f"order/P1/{number}", filled, occurred_at=at)
        before = sums.get(traded_at, Decimal(0))
        sums[traded_at] = before + closed(lots.setdefault(symbol, deque()), quantity, Decimal(price))
        if sums[traded_at] <= -limit:
            expected.setdefault(traded_at, record.id)
    assert [record.causation_id for record in lockouts(store)] == list(expected.values())
    assert len(expected) > 10
    assert policies.is_caught_up


def closed(lots: deque[list[Decimal]], quantity: Decimal, price: Decimal) -> Decimal:
    """Return the result of a signed quantity against the lots, oldest first, and update them."""
    made = Decimal(0)
    while quantity and lots and (lots[0][0] > 0) is not (quantity > 0):
        taken = min(abs(quantity), abs(lots[0][0])) * (1 if lots[0][0] > 0 else -1)
        made += taken * (price - lots[0][1])
        lots[0][0] -= taken
        quantity += taken
        if not lots[0][0]:
            lots.popleft()
    if quantity:
        lots.append([quantity, price])
    return made
