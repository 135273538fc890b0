"""A log with accounts and limits, and keys by name, for tests of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from eventstore import Batch, EventStore
from eventstore.trading import AccountOpened, ContractDefined, LimitsSet, OrderFilled, OrderSubmitted, OrderType, Side
from gateways.http.access import Caller, NotAuthenticated, Scope

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


def hold_without_price(store: EventStore) -> str:
    """Open an account with a limit on its equity and a position whose only price is that of its fill; return it."""
    store.append("contract/-/ESZ5", ContractDefined(symbol="ESZ5", multiplier=Decimal(50), currency="USD"))
    store.append("account/HELD/-", AccountOpened(starting_balance=Decimal(10_000), currency="USD"), actor="desk")
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "500", "basis": "equity"})
    store.append("limits/HELD/daily-loss", limit, actor="desk")
    side, quantity = Side.BUY, Decimal(1)
    submitted = OrderSubmitted(symbol="ESZ5", side=side, quantity=quantity, order_type=OrderType.MARKET)
    filled = OrderFilled(trade_id="T-1", symbol="ESZ5", side=side, quantity=quantity, price=Decimal(6_000))
    store.append("order/HELD/O-1", [submitted, filled])
    return "HELD"


class NamedKeys:
    """Takes a key's name for the key: `reader` for all accounts, `one` for ACC1, `appender` without `read`."""

    needs_key = True
    _callers: Mapping[str, Caller] = {
        "reader": Caller("reader", frozenset({Scope.READ})),
        "one": Caller("one", frozenset({Scope.READ}), frozenset({"ACC1"})),
        "appender": Caller("appender", frozenset({Scope.APPEND})),
    }

    def caller(self, headers: Mapping[str, str]) -> Caller:
        found = self._callers.get(headers.get("authorization", "").removeprefix("Bearer "))
        if found is None:
            msg = "no key was sent"
            raise NotAuthenticated(msg)
        return found

    def is_valid(self, caller: Caller) -> bool:
        return True
