"""The demo's output: numbered steps, checks that pass or fail, and tables."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from rich.text import Text

from eventstore import Record
from eventstore.clock import NANOSECONDS
from gateways.demo.day import ACCOUNTS, ZONE
from gateways.demo.trading import net
from gateways.presenting.escaping import escaped
from gateways.presenting.output import screen
from gateways.presenting.presenter import NONE, Presenter
from gateways.presenting.tables import table, wrapped
from projections import Book
from projections.views.lockouts.lockout import Lockout
from projections.views.orders.view import Order

SHOWN = Presenter(zone=zoneinfo.ZoneInfo(ZONE))


class Show:
    """One run of the demo: its directory, what it has found so far, and the console it prints to."""

    def __init__(self, directory: Path, out: TextIO) -> None:
        self.directory = directory
        self.data, self.tampered, self.feed = directory / "data", directory / "tampered", directory / "feed"
        self.console = screen(out)
        self.checks: dict[str, bool] = {}
        self.facts: dict[str, Any] = {}
        self.acknowledged: dict[int, str] = {}
        self.culprit: Record | None = None
        self._steps = 0

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(self.checks.values())

    def title(self, text: str) -> None:
        self.console.print(Text(text, style="bold"))

    def step(self, title: str) -> None:
        """Begin a numbered step."""
        self._steps += 1
        self.console.print()
        self.console.rule(Text(f"{self._steps}  {title}", style="bold"), align="left", style="dim")

    def say(self, text: str) -> None:
        self.console.print(Text(escaped(text)))

    def line(self, text: str) -> None:
        """Print a line for copying, which is never wrapped."""
        self.console.print(Text(escaped(text)), soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Iterable[str]]) -> None:
        """Print a table between empty lines."""
        self.console.print()
        self.console.print(Text(title, style="bold"))
        for line in table(columns, rows, self.console.width):
            self.line(line)

    def check(self, name: str, passed: bool, text: str) -> None:
        """Record whether a check passed, and print it."""
        self.checks[name] = passed
        self.check_line(passed, text)

    def check_line(self, passed: bool, text: str) -> None:
        word = Text("ok     ", style="green") if passed else Text("WRONG  ", style="bold red")
        self._hanging(word, text)

    def named(self, name: str, text: str) -> None:
        """Print a text with a name before it, wrapped with a hanging indent."""
        self._hanging(Text(f"{name:<9}", style="bold"), text)

    def _hanging(self, head: Text, text: str) -> None:
        lines = wrapped(escaped(text), self.console.width - len(head))
        margin = " " * len(head)
        self.console.print(head + Text(f"\n{margin}".join(lines)), soft_wrap=True)


def clock_time(instant: int) -> str:
    """Return a time of the simulated day as its traders' clocks show it."""
    moment = datetime.datetime.fromtimestamp(instant // NANOSECONDS, zoneinfo.ZoneInfo(ZONE))
    return f"{moment:%H:%M:%S %Z}"


def put_orders(show: Show, orders: Iterable[Order]) -> None:
    """Print the open orders."""
    rows = [
        (
            *(o.account, o.order_id, o.symbol or NONE, o.side or NONE),
            *(f"{SHOWN.quantity(o.leaves)} of {SHOWN.quantity(o.quantity)}", SHOWN.price(o.limit_price), o.status),
        )
        for o in orders
    ]
    columns = ("account", "order", "symbol", "side", ">leaves", ">limit", "status")
    show.table(f"{len(rows)} open orders", columns, rows)


def put_positions(show: Show, book: Book) -> None:
    """Print every position, with its realized profit and loss."""
    rows = [
        (
            *(account, p.symbol, SHOWN.quantity(p.quantity), SHOWN.mean(p.average_price)),
            *(SHOWN.money(p.realized), SHOWN.money(p.fees), SHOWN.quantity(p.reported)),
        )
        for account in ACCOUNTS
        for p in book.positions.of(account)
    ]
    columns = ("account", "symbol", ">position", ">average", ">realized", ">fees", ">broker reports")
    show.table("Positions, in USD, first in, first out", columns, rows)


def put_losses(show: Show, book: Book) -> None:
    """Print each account's profit and loss, before and after fees."""
    rows = []
    for account in ACCOUNTS:
        positions = book.positions.of(account)
        realized = sum((p.realized for p in positions), Decimal(0))
        fees = sum((p.fees for p in positions), Decimal(0))
        rows.append((account, SHOWN.money(realized), SHOWN.money(fees), SHOWN.money(net(book, account))))
    show.table("Profit and loss of the day, in USD", ("account", ">realized", ">fees", ">net"), rows)


def put_lockouts(show: Show, lockouts: Iterable[Lockout]) -> None:
    """Print lockouts, with their reason and end."""
    rows = [
        (
            *(lock.account, lock.allows, clock_time(lock.set_at)[:8]),
            NONE if lock.until is None else clock_time(lock.until)[:8],
            f"{lock.rule_id}: {lock.reason}",
        )
        for lock in lockouts
    ]
    show.table(f"Lockouts in force ({ZONE})", ("account", "allows", "since", "until", "~why"), rows)
