"""The demo's screen: numbered steps, checks that hold or not, and its tables."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from eventstore import Record
from eventstore.clock import NANOSECONDS
from gateways.cli.demo_day import ACCOUNTS, ZONE
from gateways.cli.demo_trading import net
from gateways.cli.output import screen, table
from gateways.cli.plain import figure, mean, money
from projections import Book
from projections.views.lockouts import Lockout
from projections.views.orders import Order

PIPED_COLUMNS = 100


class Show:
    """One run of the demo: where it plays, what it has found so far, and the screen it tells it on."""

    def __init__(self, directory: Path, out: TextIO) -> None:
        self.directory = directory
        self.data, self.tampered = directory / "data", directory / "tampered"
        self.console = screen(out, piped_columns=PIPED_COLUMNS)
        self.checks: dict[str, bool] = {}
        self.facts: dict[str, Any] = {}
        self.acknowledged: dict[int, str] = {}
        self.culprit: Record | None = None
        self._steps = 0

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return all(self.checks.values())

    def title(self, text: str) -> None:
        self.console.print(Text(text, style="bold"))

    def step(self, title: str) -> None:
        """Begin a numbered step."""
        self._steps += 1
        self.console.print()
        self.console.rule(Text(f"{self._steps}  {title}", style="bold"), align="left", style="dim")

    def say(self, text: str) -> None:
        self.console.print(Text(text))

    def line(self, text: str) -> None:
        """Print a line to be copied: it is never broken."""
        self.console.print(Text(text), soft_wrap=True)

    def check(self, name: str, held: bool, text: str) -> None:
        """Keep whether a check held, and say so."""
        self.checks[name] = held
        self.check_line(held, text)

    def check_line(self, held: bool, text: str) -> None:
        word = Text("ok     ", style="green") if held else Text("WRONG  ", style="bold red")
        grid = Table.grid()
        grid.add_row(word, Text(text))
        self.console.print(grid)


def clock_time(instant: int) -> str:
    """Return a time of the simulated day as its traders' clocks show it."""
    moment = datetime.datetime.fromtimestamp(instant // NANOSECONDS, zoneinfo.ZoneInfo(ZONE))
    return f"{moment:%H:%M:%S %Z}"


def order_table(orders: Iterable[Order]) -> Table:
    """Return the open orders."""
    rows = [
        (
            *(o.account, o.order_id, o.symbol or "-", o.side or "-"),
            *(f"{figure(o.leaves)} of {figure(o.quantity)}", figure(o.limit_price), o.status),
        )
        for o in orders
    ]
    columns = ("account", "order", "symbol", "side", ">leaves", ">limit", "status")
    return table(f"{len(rows)} open orders", columns, rows)


def position_table(book: Book) -> Table:
    """Return every position, with its realized profit and loss."""
    rows = [
        (
            account,
            p.symbol,
            figure(p.quantity),
            mean(p.average_price),
            money(p.realized),
            money(p.fees),
            figure(p.reported),
        )
        for account in ACCOUNTS
        for p in book.positions.of(account)
    ]
    columns = ("account", "symbol", ">position", ">average", ">realized", ">fees", ">broker says")
    return table("Positions, in USD, first in, first out", columns, rows)


def loss_table(book: Book) -> Table:
    """Return each account's profit and loss after fees, and how many of its trades made it."""
    rows = []
    for account in ACCOUNTS:
        positions = book.positions.of(account)
        realized, fees = sum(p.realized for p in positions), sum(p.fees for p in positions)
        rows.append((account, f"{realized:,.2f}", f"{fees:,.2f}", money(net(book, account))))
    return table("Profit and loss of the day, in USD", ("account", ">realized", ">fees", ">net"), rows)


def lockout_table(lockouts: Iterable[Lockout]) -> Table:
    """Return lockouts, with why and until when."""
    rows = [
        (
            *(lock.account, lock.allows, clock_time(lock.set_at)[:8]),
            "-" if lock.until is None else clock_time(lock.until)[:8],
            f"{lock.rule_id}: {lock.reason}",
        )
        for lock in lockouts
    ]
    return table(f"Lockouts in force ({ZONE})", ("account", "allows", "since", "until", "why"), rows)
