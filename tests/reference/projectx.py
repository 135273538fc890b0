"""Reference: a gateway with one account, what it would say at each step, and what is true of it at the end.

Plain data, as the gateway writes it: orders, trades and positions by id, times as text. Nothing here knows how messages
are recorded.
"""

from __future__ import annotations

import random
from typing import Any

from tests.reference.projectx_trades import CONTRACTS, held_of

ACCOUNT_ID = 4711
OPEN, FILLED, CANCELLED, EXPIRED, REJECTED, PENDING, SUSPENDED = 1, 2, 3, 4, 5, 6, 8
WORDS = {2: "FILLED", 3: "CANCELED", 4: "EXPIRED", 5: "REJECTED", 6: "PENDING_NEW", 8: "SUSPENDED"}
WORKING = {OPEN, PENDING}
Said = tuple[str, dict[str, Any]]


class Gateway:
    """Each method changes what is true, and adds to `said` what the user hub would say of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.said: list[Said] = []
        self.orders: dict[int, dict[str, Any]] = {}
        self.trades: dict[int, dict[str, Any]] = {}
        self.balance, self.can_trade, self.ticks = 50_000.0, True, 0

    def live(self, steps: int) -> Gateway:
        for _ in range(steps):
            step = self.chance.choice((self.place, self.place, self.fill, self.fill, self.fill, self.end, self.more))
            step()
        return self

    def now(self) -> str:
        self.ticks += self.chance.randint(1, 90_000_000)
        seconds, micros = divmod(self.ticks, 1_000_000)
        return f"2026-11-30T{9 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}+00:00"

    def place(self) -> None:
        """Place an order of ours, with a tag, or one from the platform, sometimes the child of another one."""
        id_, at = 9_000 + len(self.orders), self.now()
        parents = [each for each in self.orders.values() if each["status"] == OPEN]
        parent = self.chance.choice(parents) if parents and self.chance.random() < 0.2 else None
        contract = self.chance.choice([*CONTRACTS]) if parent is None else parent["contractId"]
        status = SUSPENDED if parent else self.chance.choice((PENDING, OPEN, OPEN))
        self.orders[id_] = {
            "id": id_, "accountId": ACCOUNT_ID, "contractId": contract, "creationTimestamp": at, "updateTimestamp": at,
            "status": status, "type": self.chance.choice((1, 2, 4)), "side": self.chance.choice((0, 1)),
            "size": self.chance.randint(1, 4), "limitPrice": self.chance.choice((None, 100.25)), "stopPrice": None,
            "fillVolume": 0, "filledPrice": None, "customTag": f"O-{id_}" if self.chance.random() < 0.6 else None,
        }  # fmt: skip
        if parent:
            self.orders[id_] |= {"parentOrderId": parent["id"], "side": 1 - parent["side"]}
        self._say_order(id_)

    def fill(self) -> None:
        """Fill a part of an order; the message about the order may have the very time of its creation."""
        working = [each for each in self.orders.values() if each["status"] in WORKING]
        if not working:
            return
        order = self.chance.choice(working)
        left = order["size"] - order["fillVolume"]
        size, price = self.chance.randint(1, left), float(self.chance.randint(400, 440)) / 4
        at = self.now() if order["fillVolume"] or self.chance.random() < 0.7 else order["updateTimestamp"]
        trade_id = 100 + len(self.trades)
        self.trades[trade_id] = {
            "id": trade_id, "accountId": ACCOUNT_ID, "contractId": order["contractId"], "creationTimestamp": self.now(),
            "price": price, "profitAndLoss": None, "fees": self.chance.choice((0.37, 1.4)), "side": order["side"],
            "size": size, "voided": False, "orderId": order["id"],
        }  # fmt: skip
        filled = order["fillVolume"] + size
        order |= {"fillVolume": filled, "filledPrice": price, "status": FILLED if size == left else OPEN}
        order["updateTimestamp"] = at if size == left else self.now()
        both = [("Trade", dict(self.trades[trade_id])), ("Order", dict(order))]
        self.said += both if self.chance.random() < 0.5 else reversed(both)
        self._say_position(order["contractId"])

    def end(self) -> None:
        working = [each for each in self.orders.values() if each["status"] in {OPEN, PENDING, SUSPENDED}]
        if working:
            order = self.chance.choice(working)
            ends = (CANCELLED, EXPIRED) if order["fillVolume"] else (CANCELLED, CANCELLED, EXPIRED, REJECTED)
            order |= {"status": self.chance.choice(ends), "updateTimestamp": self.now()}
            self._say_order(order["id"])

    def more(self) -> None:
        """Activate an order, void a trade, or change the account."""
        order = self.chance.choice([*self.orders.values(), None])
        if order and order["status"] in {PENDING, SUSPENDED}:
            order |= {"status": OPEN, "updateTimestamp": self.now()}
            self._say_order(order["id"])
        elif self.chance.random() < 0.5:
            # What a working order does after a bust is the gateway's word alone.
            done = [
                each for each in self.trades.values() if self.orders[each["orderId"]]["status"] not in {OPEN, PENDING}
            ]
            for trade in done[-1:]:
                self._void(trade)
        else:
            self.balance, self.can_trade = self.balance + self.chance.randint(-9, 9), self.chance.random() < 0.9
            self.said.append(("Account", self.account()))

    def _void(self, trade: dict[str, Any]) -> None:
        order = self.orders[trade["orderId"]]
        order["fillVolume"] -= 0 if trade["voided"] else trade["size"]
        order["updateTimestamp"] = self.now()
        trade["voided"] = True
        self.said.append(("Trade", dict(trade)))
        self._say_order(order["id"])

    def account(self) -> dict[str, Any]:
        return {"id": ACCOUNT_ID, "name": "50K", "balance": self.balance, "canTrade": self.can_trade}

    def positions(self) -> list[dict[str, Any]]:
        """Return the open positions, as they are asked for."""
        held = {contract: held_of(self.trades.values(), contract) for contract in CONTRACTS}
        common = {"accountId": ACCOUNT_ID, "creationTimestamp": "2026-11-30T09:00:00+00:00"}
        return [
            {"contractId": each, "type": 1 if size > 0 else 2, "size": abs(size), "averagePrice": None} | common
            for each, size in held.items()
            if size
        ]

    def filled(self, order_id: int) -> int:
        """Return how much of an order counts as filled."""
        return sum(each["size"] for each in self.trades.values() if each["orderId"] == order_id and not each["voided"])

    def status(self, order_id: int) -> str:
        order = self.orders[order_id]
        return WORDS.get(order["status"]) or ("PARTIALLY_FILLED" if order["fillVolume"] else "NEW")

    def _say_order(self, order_id: int) -> None:
        self.said.append(("Order", dict(self.orders[order_id])))

    def _say_position(self, contract: str) -> None:
        said = [each for each in self.positions() if each["contractId"] == contract]
        self.said.append(
            ("Position", said[0] if said else {"accountId": ACCOUNT_ID, "contractId": contract, "size": 0})
        )
