"""Reference: a venue that says in FIX what happens to an account's orders, and what they and the position then are."""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

BEGIN = datetime.datetime(2026, 11, 30, 14, 30, tzinfo=datetime.UTC)
ENDS = {"4": "CANCELED", "8": "REJECTED", "C": "EXPIRED"}
Message = dict[int, Any]


@dataclass
class VenueOrder:
    number: int
    side: int
    quantity: int
    price: int
    client_id: str
    ended: str = ""
    pending: str = ""
    is_changed: bool = False
    # By the id that each trade had first: quantity and price; a busted one is gone.
    trades: dict[str, tuple[int, int]] = field(default_factory=dict)
    # The id of the latest correction of each trade.
    named: dict[str, str] = field(default_factory=dict)

    @property
    def filled(self) -> int:
        return sum(quantity for quantity, _ in self.trades.values())

    @property
    def average(self) -> Decimal | None:
        value = sum(quantity * price for quantity, price in self.trades.values())
        return Decimal(value) / Decimal(self.filled) if self.filled else None

    @property
    def code(self) -> str:
        if self.ended:
            return self.ended
        if self.pending:
            return self.pending
        return "2" if self.filled >= self.quantity else "1" if self.filled else "0"


class Venue:
    """Orders of one account in one contract, and every message about them, in order."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 0
        self.ids = 0
        self.orders: list[VenueOrder] = []
        self.messages: list[Message] = []
        self.fees: dict[str, Decimal] = {}

    @property
    def position(self) -> int:
        return sum(order.side * order.filled for order in self.orders)

    def open_order(self) -> None:
        number = len(self.orders) + 1
        side, quantity = self.chance.choice((1, -1)), self.chance.randint(1, 9)
        order = VenueOrder(number, side, quantity, self.chance.randint(90, 110), f"C-{number}")
        self.orders.append(order)
        self.say(order, "0")

    def step(self) -> None:
        if not self.orders or (len(self.orders) < 3 and self.chance.random() < 0.2):
            self.open_order()
            return
        order = self.chance.choice(self.orders)
        works = not order.ended and order.filled < order.quantity
        # Whether an order works again whose fill is taken back while a request is pending, OrdStatus does not say.
        is_unclear = order.pending and order.filled >= order.quantity
        choices = ["status"] + ["correct", "bust"] * bool(order.trades and not is_unclear)
        choices += ["fill"] * 4 + ["end", "pend"] if works else []
        # A quantity below what is filled is raised to that, also where a bust is only recorded later.
        choices += ["replace"] if works and not order.is_changed else []
        getattr(self, f"_{self.chance.choice(choices)}")(order)

    def say(self, order: VenueOrder, exec_type: str, **tags: Any) -> None:  # noqa: ANN401 - any value of a tag
        """Say what happened, with the order's figures as they are now; each at an instant of its own."""
        self.now += self.chance.randint(1, 3)
        self.ids += 1
        moment = BEGIN + datetime.timedelta(milliseconds=self.now)
        message = {
            35: "8", 1: "ACC1", 37: f"O-{order.number}", 11: order.client_id, 17: f"E{self.ids}", 150: exec_type,
            39: order.code, 55: "MNQH6", 54: "1" if order.side > 0 else "2", 38: str(order.quantity),
            14: str(order.filled), 151: "0" if order.ended else str(order.quantity - order.filled),
            6: str(order.average or 0), 44: str(order.price), 40: "2", 60: moment.strftime("%Y%m%d-%H:%M:%S.%f"),
        }  # fmt: skip
        self.messages.append(message | {int(name[1:]): value for name, value in tags.items()})

    def _fill(self, order: VenueOrder) -> None:
        quantity, price = self.chance.randint(1, order.quantity - order.filled), self.chance.randint(90, 110)
        trade_id = f"E{self.ids + 1}"
        order.trades[trade_id] = (quantity, price)
        fee = self.chance.randint(0, 3)
        self.fees[trade_id] = Decimal(fee)
        self.say(order, "F", t32=str(quantity), t31=str(price), t12=str(fee), t13="3", t479="USD")

    def _correct(self, order: VenueOrder) -> None:
        order.is_changed = True
        trade_id = self.chance.choice([*order.trades])
        before, _ = order.trades[trade_id]
        order.trades[trade_id] = (self.chance.randint(1, before), self.chance.randint(90, 110))
        # A chain names the trade, or the correction before.
        named = self.chance.choice((trade_id, order.named.get(trade_id, trade_id)))
        order.named[trade_id] = f"E{self.ids + 1}"
        quantity, price = order.trades[trade_id]
        self.say(order, "G", t19=named, t32=str(quantity), t31=str(price))

    def _bust(self, order: VenueOrder) -> None:
        order.is_changed = True
        trade_id = self.chance.choice([*order.trades])
        del order.trades[trade_id]
        named = self.chance.choice((trade_id, order.named.get(trade_id, trade_id)))
        self.say(order, "H", t19=named)

    def _end(self, order: VenueOrder) -> None:
        order.pending, order.ended = "", self.chance.choice("4C")
        self.say(order, order.ended)

    def _replace(self, order: VenueOrder) -> None:
        old, order.client_id, order.pending = order.client_id, f"C-{order.number}-{self.ids}", ""
        order.quantity = max(order.filled, 1) + self.chance.randint(0, 5)
        order.price = self.chance.randint(90, 110)
        self.say(order, "5", t41=old)

    def _pend(self, order: VenueOrder) -> None:
        order.pending = self.chance.choice("6E")
        self.say(order, order.pending, t11=f"R-{self.ids}", t41=order.client_id)

    def _status(self, order: VenueOrder) -> None:
        self.say(order, "I", t17="0")
