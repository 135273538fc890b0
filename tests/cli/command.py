"""A command in this process, how it ends and what it prints, a small log to query, and a byte changed on disk."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pty
import select
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from typer import main, testing

import eventstore
from eventstore.clock import parse_time
from eventstore.trading import (
    ContractDefined,
    LockoutSet,
    OrderAccepted,
    OrderFilled,
    OrderSubmitted,
    Side,
)
from gateways.cli import app

NINE = parse_time("2025-11-19T09:00:00-06:00")
SECOND = 1_000_000_000
SILENT_SECONDS = 120
"""More than any command takes before it prints something, on a busy machine."""
INTERRUPT, INTERRUPT_SECONDS = "\x03", 5
ROOT = Path(__file__).resolve().parents[2]
ON_OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]

# The runner builds the parsers of all commands for each call, which takes longer than most commands do.
commands = functools.cache(main.get_command)
testing._get_command = commands  # type: ignore[attr-defined] # private


def run_here(*arguments: object, stdin: str | None = None) -> Ended:
    """Run a command in this process."""
    result = testing.CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def plain_environment() -> dict[str, str]:
    """Return this process's environment, from which a child finds the project in any directory."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def on_terminal(
    arguments: list[str],
    columns: int,
    results: Path | None = None,
    answers: Sequence[tuple[str, str]] = (),
    **settings: str,
) -> Ended:
    """Run a command on a terminal of its own, so many columns wide; its results may go to a file.

    `answers` are pairs of what is asked, which ends what was printed so far, and of what is typed then.
    """
    ours, theirs = pty.openpty()
    environment = plain_environment() | settings | {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "eventstore", *arguments]
    waiting = deque(answers)
    with contextlib.ExitStack() as stack:
        stdout = theirs if results is None else stack.enter_context(results.open("wb"))
        # With a session of its own it is this terminal that it has, and whose ^C interrupts it.
        child = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", ON_OWN_TERMINAL, *command],
                stdout=stdout,
                stderr=theirs,
                stdin=theirs,
                env=environment,
                start_new_session=True,
            )
        )
        os.close(theirs)
        said, typed = b"", ""
        stack.callback(child.kill)
        # Linux ends a terminal that its last user has left with an error, not with an empty read.
        while True:
            assert _is_answered(ours, typed), f"nothing since {said.decode()!r}"
            try:
                part = os.read(ours, 65_536)
            except OSError:
                break
            if not part:
                break
            said += part
            if waiting and said.rstrip().endswith(waiting[0][0].encode()):
                typed = waiting.popleft()[1]
                os.write(ours, typed.encode())
        child.wait(timeout=300)
    os.close(ours)
    assert not waiting, f"not asked: {waiting}"
    return Ended(child.returncode, said.decode(), "")


def _is_answered(terminal: int, typed: str) -> bool:
    """Wait until something is printed; press ^C again where nothing follows it, as people do.

    Python leaves a signal that comes between what it prints and its reading of the answer until something is read.
    """
    for _ in range(SILENT_SECONDS // INTERRUPT_SECONDS):
        if select.select([terminal], [], [], INTERRUPT_SECONDS)[0]:
            return True
        if typed == INTERRUPT:
            os.write(terminal, typed.encode())
    return False


def small_log(directory: Path) -> None:
    """Append eight records of two accounts; the second one is locked out, and its contract is unknown."""
    with eventstore.open(directory) as store:
        define = ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD", root="ES")
        store.append("contract/-/ESZ5", define, occurred_at=NINE)
        sent = OrderSubmitted(symbol="ESZ5", side=Side.BUY, quantity=Decimal(3), limit_price=Decimal("6650.25"))
        store.append("order/ACC1/O-1", sent, occurred_at=NINE + SECOND)
        store.append("order/ACC1/O-1", OrderAccepted(broker_order_id="77"), occurred_at=NINE + 2 * SECOND)
        store.append("order/ACC1/O-1", filled("T-1", Side.BUY, 2, "6650.25"), occurred_at=NINE + 3 * SECOND)
        store.append("order/ACC2/O-2", filled("T-2", Side.SELL, 1, "60.10", "CLZ5"), occurred_at=NINE + 4 * SECOND)
        store.append("order/ACC1/O-3", filled("T-3", Side.SELL, 1, "6652.25"), occurred_at=NINE + 5 * SECOND)
        locked = LockoutSet(rule_id="daily-loss", reason="too much lost", until=NINE + 3600 * SECOND, revocable=False)
        store.append("lockout/ACC2/daily-loss", locked, occurred_at=NINE + 6 * SECOND)
        store.append("order/ACC1/O-4", sent, occurred_at=NINE + 7 * SECOND, note="a remark", actor="tester")


def filled(trade_id: str, side: Side, quantity: int, price: str, symbol: str = "ESZ5") -> OrderFilled:
    return OrderFilled(
        trade_id=trade_id,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal("2.25"),
    )


def flip(directory: Path, position: int) -> None:
    """Change one byte of a record's data in a journal's file that nobody has open."""
    with eventstore.open(directory) as store:
        record = next(store.read(after=position - 1, limit=1))
    path = directory / "main" / "journal.db"
    content = bytearray(path.read_bytes())
    place = content.index(record.id + record.data) + len(record.id) + record.data.index(b":") + 2
    content[place] ^= 1
    path.write_bytes(content)
