"""Plays the demo's day into the log of a stack: `python -m gateways.demo.seeding`, which `make demo-stack` runs."""

from __future__ import annotations

import os
import sys

import eventstore
from eventstore import EventStore, StoreError
from eventstore.clock import NANOSECONDS
from gateways.demo.day import EVENTS, OPENS_AT
from gateways.demo.trading import TradingLoop

HOUR_NS = 3_600 * NANOSECONDS


class NotTheDemo(StoreError):
    """The log has records that are not the demo's: nothing is added to it."""


def seed(store: EventStore) -> int:
    """Play the day into an empty log, or what of it is missing; return how many records were added.

    Raises NotTheDemo for a log that holds anything else: a day of the past would be mixed with it.
    """
    before = store.head()
    first = next(iter(store.read(limit=1)), None)
    if first is not None and abs(first.occurred_at - OPENS_AT) > HOUR_NS:
        msg = f"log {store.log} has {before:,} records that are not the demo's: nothing was added, use an empty log"
        raise NotTheDemo(msg)
    if before < EVENTS:
        TradingLoop(store, lambda _: None).run()
    return store.head() - before


def main() -> int:
    """Seed the log in EVENTSTORE_DATA."""
    with eventstore.open(os.environ.get("EVENTSTORE_DATA", "data")) as store:
        try:
            added = seed(store)
        except StoreError as e:
            print(f"demo: {e}", file=sys.stderr)
            return 2
        print(f"demo: {added:,} records were added, the log has {store.head():,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
