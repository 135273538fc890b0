"""The simulated week: its sizes, its clock, and the accounts, contracts and limits that its log begins with."""

from __future__ import annotations

import mmap
import struct
from datetime import time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

import eventstore
import projections
from benchmarks.workload import BATCH_EVENTS, SYMBOLS, append_all, lives
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet
from projections import Calendar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Event, EventStore

ACCOUNTS = 4
JUDGED = ("ACC000",)
"""The accounts that have limits, and that policies judge in a book of their own: judging takes most of the time."""
HOUR_NS = 3_600_000_000_000
START = 1_790_000_000_000_000_000
CALENDAR = Calendar(zone="UTC", open=time(0), reset=time(0), weekdays=tuple(range(7)))
_LIMITS: dict[str, dict[str, Any]] = {
    "daily-loss": {"limit": "100000000", "basis": "equity"},
    "trailing-drawdown": {"distance": "100000000"},
    "maximum-contracts": {"limit": "100000"},
}
_TIMES = struct.Struct("=qq")


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """How much happens: in each hour so many quotes and events; `before` events are in the log when it begins.

    One of `judged` quotes, which shares no factor with the number of symbols, is observed by the judged book too.
    """

    directory: str
    quotes: int
    events: int
    before: int
    judged: int = 17

    @property
    def time(self) -> Path:
        return Path(self.directory) / "time"


class WeekClock:
    """The simulated time, in a file: the process that trades sets it, all others read it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_TIMES.pack(START, 0))
        with path.open("r+b") as file:
            self._times = mmap.mmap(file.fileno(), _TIMES.size)

    def now_ns(self) -> int:
        return int(_TIMES.unpack_from(self._times)[0])

    def monotonic_ns(self) -> int:
        return int(_TIMES.unpack_from(self._times)[1])

    def advance(self, nanoseconds: int) -> None:
        now, monotonic = _TIMES.unpack_from(self._times)
        _TIMES.pack_into(self._times, 0, now + nanoseconds, monotonic + nanoseconds)


def happening(week: Week) -> Iterator[tuple[str, Event]]:
    """Yield all that happens to orders, from the beginning of the log on, without end."""
    return lives(Random(11), accounts=ACCOUNTS, alive=min(200, week.events), fills_max=3)


def write_history(week: Week, clock: WeekClock) -> None:
    """Write what precedes the week, at the pace of the week, with ten cuts."""
    lived, step = happening(week), week.before // 10
    with eventstore.open(week.directory, clock=clock) as store, projections.open(store, calendars=CALENDAR) as book:
        _define(store)
        for _ in range(10):
            for first in range(0, step, BATCH_EVENTS):
                written = append_all(store, islice(lived, min(BATCH_EVENTS, step - first)))
                clock.advance(HOUR_NS * written // week.events)
            book.refresh()
            book.snapshot()


def _define(store: EventStore) -> None:
    for symbol in SYMBOLS:
        contract = ContractDefined(
            symbol=symbol, multiplier=Decimal(50), tick_size=Decimal("0.25"), currency="USD", root=symbol[:-2]
        )
        store.append(f"contract/-/{symbol}", contract)
    for number in range(ACCOUNTS):
        account = f"ACC{number:03}"
        store.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(1_000_000), currency="USD"))
        for rule_id, parameters in _LIMITS.items() if account in JUDGED else ():
            store.append(
                f"limits/{account}/{rule_id}", LimitsSet(rule_id=rule_id, parameters=parameters), actor="bench"
            )
