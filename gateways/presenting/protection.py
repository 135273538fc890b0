"""Whether an account's limits act, as a sentence: who put it in shadow mode, since when and why, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstore.trading import Protection
from projections import PartitionParked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateways.presenting.presenter import Presenter
    from projections import Book
    from projections.views.limits.protection import Mode

_MEANS = {
    Protection.SHADOW: "its limits only record what they would do: nothing is locked or rejected",
    Protection.ARMED: "its limits lock, and reject orders",
}


def mode_line(held: Mode | None, waiting: Mode | None, account: str, shown: Presenter) -> str:
    """Return the mode of an account in force, and the one that waits for its next trading day."""
    mode = Protection.ARMED if held is None else held.mode
    line = f"{account} is {_named(mode)}" + ("" if held is None else _since(held, shown)) + f": {_MEANS[mode]}"
    if waiting is None:
        return line
    return f"{line}; {_named(waiting.mode)}, {_set(waiting)}, waits for its next trading day"


def mode_lines(book: Book, accounts: Iterable[str], shown: Presenter) -> list[str]:
    """Return a line for each account that is not simply armed; a partition that has failed is left out."""
    found = []
    for account, held, waiting in modes_of(book, accounts):
        if waiting is not None or (held is not None and held.mode is Protection.SHADOW):
            found.append(mode_line(held, waiting, account, shown))
    return found


def modes_of(book: Book, accounts: Iterable[str]) -> list[tuple[str, Mode | None, Mode | None]]:
    """Return the mode in force of each account that was ever given one, and the one that waits."""
    found = []
    for account in accounts:
        try:
            held, waiting = book.shadow.setting(account), book.shadow.pending(account)
        except PartitionParked:
            continue
        if held is not None or waiting is not None:
            found.append((account, held, waiting))
    return found


def in_shadow(book: Book, accounts: Iterable[str]) -> frozenset[str]:
    """Return the accounts that are in shadow mode."""
    found = modes_of(book, accounts)
    return frozenset(account for account, held, _ in found if held is not None and held.mode is Protection.SHADOW)


def _named(mode: Protection) -> str:
    return "in SHADOW mode" if mode is Protection.SHADOW else "ARMED"


def _since(mode: Mode, shown: Presenter) -> str:
    since = "" if mode.in_force_at is None else f" since {shown.time(mode.in_force_at)}"
    return f"{since}, {_set(mode)}"


def _set(mode: Mode) -> str:
    return f"set by {mode.actor}" + (f" ({mode.reason})" if mode.reason else "")
