"""A log with accounts and limits, for tests of metrics."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from eventstore import Batch, EventStore
from eventstore.trading import AccountOpened, LimitsSet

LIMITS: dict[str, dict[str, Any]] = {
    "daily-loss": {"limit": "3000"},
    "weekly-loss": {"limit": "6000"},
    "trailing-drawdown": {"distance": "5000"},
    "trade-limit": {"limit": 50},
    "maximum-contracts": {"limit": "10"},
}
"""One limit of each of five kinds, with its parameters."""


def open_accounts(store: EventStore, count: int) -> list[str]:
    """Open accounts with a balance and five limits each; return their names."""
    names = [f"ACC{number:03}" for number in range(1, count + 1)]
    batches = [
        Batch(f"account/{name}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"), actor="desk")
        for name in names
    ]
    batches += [
        Batch(f"limits/{name}/{kind}", LimitsSet(rule_id=kind, parameters=parameters), actor="desk")
        for name in names
        for kind, parameters in LIMITS.items()
    ]
    store.append_many(batches)
    return names
