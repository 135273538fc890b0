"""Trailing drawdowns in each basis compared with the reference: floors, lockouts, headroom and checks."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from typing_extensions import override

from eventstore.trading import CashKind, CashMoved
from tests.proving import rounds
from tests.reference.drawdowns import Drawdowns
from tests.reference.scene import Scene as Trading

pytestmark = pytest.mark.untraced

LENGTH = 7
MISSPELT: tuple[tuple[str, dict[str, object]], ...] = (
    ("trailing-drawdowns", {"distance": "2000"}),
    ("trailing-drawdown", {"distance": "0"}),
    ("trailing-drawdown:b", {"limit": "2000"}),
)


class Scene(Trading[Drawdowns]):
    """An account with trailing drawdowns."""

    model_class = Drawdowns

    @override
    def limit(self) -> None:
        chance = self.chance
        rule = chance.choice(("trailing-drawdown", "trailing-drawdown:b"))
        given: dict[str, object] = {
            "distance": str(chance.choice((1_000, 2_000))),
            "basis": chance.choice(("realized", "equity", "end_of_day")),
        }
        options: list[dict[str, object]] = [
            {"severity": "WARNING"}, {"revocable": True}, {"enabled": False}, {"step": "500"}, {"locks_at": "49500"},
        ]  # fmt: skip
        for added in chance.sample(options, chance.choice((0, 0, 1, 2))):
            given |= added
        if chance.randrange(10) == 0:
            rule, given = chance.choice(MISSPELT)
        self.set(rule, given)

    @override
    def cash(self) -> None:
        amount = self.chance.choice((300, -500, 900))
        kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
        self.desk.append("account/A/-", CashMoved(amount=Decimal(abs(amount)), currency="USD", kind=kind))
        self.model.move(Fraction(amount))

    @override
    def closed(self, ended_at: int) -> None:
        self.model.close(0, self.desk.now, ended_at)


def test_drawdowns_lock_as_the_reference_says(memory_path: Path) -> None:
    for seed in rounds("drawdowns against the reference", test=200, prove=20_000):
        scene = Scene(seed, memory_path)
        for number in range(LENGTH):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.desk.close()
