"""Trade limits, cooldowns and consistency compared with the reference: lockouts, headroom and what a check says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from typing_extensions import override

from eventstore.trading import OrderSubmitted, Side
from tests.proving import rounds
from tests.reference.activity import Activity
from tests.reference.facts import DAY, Fact
from tests.reference.scene import MULTIPLIERS
from tests.reference.scene import Scene as Trading
from tests.reference.traded import HOUR, day_begin

pytestmark = pytest.mark.untraced

LENGTH = 7
UNITS = ("orders", "fills", "round_trips")
MISSPELT: tuple[tuple[str, dict[str, object]], ...] = (
    ("trade-limits", {"limit": 3}),
    ("trade-limit", {"limit": "-1"}),
    ("cooldown", {}),
    ("cooldown", {"losing_trip": 2}),
    ("consistency", {"limit": "half"}),
)


class Scene(Trading[Activity]):
    """An account that trades often, and sends orders that nobody fills."""

    model_class = Activity

    @override
    def limit(self) -> None:
        chance = self.chance
        rule = chance.choice(("trade-limit", "trade-limit:b", "cooldown", "cooldown", "consistency"))
        given: dict[str, object] = {"limit": chance.choice((1, 2, 3, 5)), "unit": chance.choice(UNITS)}
        if rule == "cooldown":
            given = {"duration": chance.choice((HOUR // 4, 3 * HOUR, DAY))}
            given |= chance.choice(({"losing_trips": 1}, {"losing_trips": 2}, {"loss": "600"}))
            given |= {"loss": "1000"} if chance.randrange(4) == 0 else {}
        elif rule == "consistency":
            given = {"limit": chance.choice(("0.5", "0.7")), "severity": chance.choice(("LOCKOUT", "WARNING"))}
        options: list[dict[str, object]] = [{"severity": "WARNING"}, {"revocable": False}, {"enabled": False}]
        given |= chance.choice(options) if chance.randrange(4) == 0 else {}
        if chance.randrange(10) == 0:
            rule, given = chance.choice(MISSPELT)
        self.set(rule, given)
        self.model.happened(None, self.desk.now)

    @override
    def step(self) -> None:
        if self.chance.randrange(6) == 0:
            self.order()
        super().step()

    def order(self) -> None:
        """Send an order; some are recorded late."""
        at = self.desk.now - self.chance.choice((0, 0, 0, HOUR))
        at = max(at, self.first_day + 1)
        self.count += 1
        event = OrderSubmitted(symbol=self.chance.choice(list(MULTIPLIERS)), side=Side.BUY, quantity=Decimal(1))
        self.desk.append(f"order/A/S{self.count}", event, at=at)
        self.model.sent.append(at)
        self.model.happened(Fact("SUBMIT", 0, at), self.desk.now)

    @override
    def tell(self, fact: Fact) -> Fact:
        sent = super().tell(fact)
        self.model.happened(sent, self.desk.now)
        return sent

    @override
    def closed(self, ended_at: int) -> None:
        self.model.closed(self.desk.now, day_begin(self.desk.now) + DAY)

    @override
    def ticked(self) -> None:
        super().ticked()
        self.model.happened(None, self.desk.now)


def test_counts_pauses_and_shares_lock_as_the_reference_says(memory_path: Path) -> None:
    for seed in rounds("activity against the reference", test=200, prove=20_000):
        scene = Scene(seed, memory_path)
        for number in range(LENGTH):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.desk.close()
