"""The demo's day as data for notebooks: played once into a directory, the same in every run, with its prices."""

from __future__ import annotations

import csv
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import eventstore
from eventstore.clock import format_time
from eventstore.files import make_directory, publish_directory
from eventstore.locations import local_path
from gateways.demo.day import INSTRUMENTS, OPENS_AT, SEED, TICK_NS, TICKS, SimulatedMarket
from gateways.demo.trading import TradingLoop

DATA, PRICES = "data", "prices.csv"


class DemoDay(NamedTuple):
    """Where the day is: the data directory of its log, and a file of its prices with the columns at, symbol, price."""

    data: Path
    prices: Path


def demo_day(directory: str | os.PathLike[str] = "demo") -> DemoDay:
    """Return the demo's day in a directory; play it there first, which takes seconds, unless it is there already.

    Three accounts trade four futures on 19 November 2025, and one of them is locked out. Quotes are not part of a log,
    so the prices of the simulated market are in a file beside it, as those of a data vendor are. The directory is there
    whole or not at all.
    """
    place = local_path(directory, "the demo's directory").absolute()
    if not place.exists():
        make_directory(place.parent)
        temporary_place = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            _play(temporary_place)
            # Of two that play it at once, the first gives the name.
            if not place.exists():
                publish_directory(temporary_place, place)
        finally:
            shutil.rmtree(temporary_place, ignore_errors=True)
    return DemoDay(place / DATA, place / PRICES)


def _play(directory: Path) -> None:
    with eventstore.open(directory / DATA) as store:
        TradingLoop(store, lambda _: None).run()
    with (directory / PRICES).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("at", "symbol", "price"))
        market = SimulatedMarket(random.Random(SEED))
        for number in range(TICKS):
            market.move()
            at = format_time(OPENS_AT + number * TICK_NS)
            table.writerows((at, symbol, market.price(symbol, market.prices[symbol])) for symbol in INSTRUMENTS)
