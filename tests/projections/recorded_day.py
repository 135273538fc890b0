"""The recorded day that the tests play, kill and resume: an account that exceeds its loss limit, and the day after.

python -m tests.projections.recorded_day serve < orders, a line of JSON each
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import eventstore
import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    LimitsSet,
    OrderFilled,
    QuoteReceived,
    Side,
)
from projections import Book
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.marks import EquityMarks
from projections.risk.limits.schedule import LockoutExpiry, SessionKeeper
from projections.risk.limits.trailing_drawdown import TrailingDrawdown
from projections.risk.policies import Policies, Policy
from tests.projections.rules_day import ACCOUNT, CALENDAR, NOON, RESET, SECOND

MINUTE = 60 * SECOND
CROSSING = "crossing"
SECOND_DAY = RESET + 16 * 60 * MINUTE


class Step(NamedTuple):
    """What happens at an instant: an event with its stream and key; a quote has none. None lets time pass alone."""

    at: int
    stream: str = ""
    event: Event | None = None
    key: str = ""


def policies() -> list[Policy]:
    return [SessionKeeper(), LockoutExpiry(), DailyLoss(), EquityMarks(), TrailingDrawdown()]


def fill(at: int, key: str, side: Side, price: str) -> Step:
    event = OrderFilled(trade_id=key, symbol="ES", side=side, quantity=Decimal(1), price=Decimal(price), fee=Decimal(2))
    return Step(at, f"order/{ACCOUNT}/{key}", event, key)


def quote(at: int, price: str) -> Step:
    return Step(at, "quote/-/ES", QuoteReceived(symbol="ES", last=Decimal(price)))


def the_day(basis: str) -> list[Step]:
    """Return a day that makes 1,000, gives it back, goes through its limit of 2,000 and tries to continue.

    On realized figures the fill `crossing` comes to the limit to the cent, on equity the quote before it does.
    """
    limits = {
        "daily-loss": {"limit": "2000", "basis": basis},
        "trailing-drawdown": {"distance": "6000", "basis": "equity"},
    }
    steps = [
        Step(NOON, "contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"), "ES"),
        Step(NOON, f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"), "opened"),
        *(
            Step(NOON, f"limits/{ACCOUNT}/{name}", LimitsSet(rule_id=name, parameters=parameters), name)
            for name, parameters in limits.items()
        ),
        Step(NOON + SECOND),
    ]
    at = NOON + MINUTE
    for number, (bought, sold) in enumerate([("5000", "5021"), ("5010", "4989"), ("4990", "4970.5"), ("4975", "4959")]):
        steps += [
            fill(at, f"b{number}", Side.BUY, bought),
            quote(at + SECOND, str(Decimal(bought) + 8)),
            quote(at + 2 * SECOND, sold),
            fill(at + 3 * SECOND, f"s{number}", Side.SELL, sold),
            Step(at + 4 * SECOND),
        ]
        at += MINUTE
    steps += [
        fill(at, "b9", Side.BUY, "4960"),
        quote(at + SECOND, "4955.86"),
        fill(at + 2 * SECOND, CROSSING, Side.SELL, "4955.90"),
        Step(at + 3 * SECOND),
        fill(at + 4 * SECOND, "b10", Side.BUY, "4956"),
        fill(at + 5 * SECOND, "s10", Side.SELL, "4950"),
    ]
    return steps


def crossing(basis: str) -> int:
    """Return the number of the step that reaches the limit."""
    number = next(number for number, step in enumerate(the_day(basis)) if step.key == CROSSING)
    return number if basis == "realized" else number - 1


def the_day_after() -> list[Step]:
    """Return how the reset comes, and a second day that loses less than its limit."""
    return [
        Step(RESET - 1),
        Step(RESET),
        Step(SECOND_DAY),
        fill(SECOND_DAY + SECOND, "b20", Side.BUY, "4950"),
        fill(SECOND_DAY + 2 * SECOND, "s20", Side.SELL, "4915"),
        Step(SECOND_DAY + 3 * SECOND),
    ]


class Player:
    """A process that plays steps: each is appended once, even if an earlier process appended it."""

    def __init__(self, directory: Path, *, now: int = NOON) -> None:
        self.clock = ManualClock(now)
        self.store: EventStore = eventstore.open(directory, clock=self.clock)
        self.book: Book = projections.open(self.store, calendars=CALENDAR)
        self.policies = Policies(self.book, policies()).start(ticking=False)

    def play(self, steps: list[Step], done: Callable[[Step], None] | None = None) -> None:
        for step in steps:
            # The clock is not set back: after a crash the recorded steps are repeated at a later time.
            self.clock.advance(max(0, step.at - self.clock.now_ns()))
            if step.event is None:
                self.policies.tick()
            elif step.key:
                self.book.append(step.stream, step.event, key=step.key, occurred_at=step.at, actor="trader@desk")
            else:
                self.book.observe(step.stream, step.event)
            if done is not None:
                done(step)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()


@contextlib.contextmanager
def playing(directory: Path, *, now: int = NOON) -> Iterator[Player]:
    player = Player(directory, now=now)
    yield player
    player.close()


# The process that is killed


class _Killer:
    """Counts the calls, of Python's functions and of C's, and ends the process at one of them."""

    def __init__(self, at: int) -> None:
        self.calls, self._at = 0, at

    def __call__(self, frame: object, event: str, argument: object) -> None:
        self.calls += 1
        if self.calls == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def live(directory: Path, acks: Path, basis: str, kill_at: int) -> None:
    """Play the day from its beginning, noting after how many calls each step was done."""
    noted = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    killer = _Killer(kill_at)

    def done(step: Step) -> None:
        os.write(noted, b"%d\n" % killer.calls)

    sys.setprofile(killer)
    player = Player(directory)
    player.play(the_day(basis), done)
    sys.setprofile(None)


def serve() -> None:
    """Fork a process that plays and dies for each line of standard input; print how it ended."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            try:
                live(Path(order["directory"]), Path(order["acks"]), order["basis"], order["kill_at"])
            except BaseException:  # noqa: BLE001 - any error is printed for the parent, and the fork ends here
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"killed": killed, "status": status}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    serve()
