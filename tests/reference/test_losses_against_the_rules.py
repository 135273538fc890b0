"""Losses and profits by the day and week compared with the reference: lockouts, headroom and what a check says."""

from __future__ import annotations

from pathlib import Path

import pytest
from typing_extensions import override

from tests.proving import rounds
from tests.reference.losses import Losses
from tests.reference.scene import Scene as Trading

pytestmark = pytest.mark.untraced

LENGTH = 7
MISSPELT: tuple[tuple[str, dict[str, object]], ...] = (
    ("daily-los", {"limit": "500"}),
    ("daily-loss", {"limt": "500"}),
    ("daily-loss", {"limit": "abc"}),
    ("weekly-loss", {"limit": "-500"}),
    ("daily-profit", {}),
    ("daily-loss:b", {"limit": "NaN"}),
)
"""Limits as an old log may have them, which nobody can judge."""


class Scene(Trading[Losses]):
    """An account with limits on results."""

    model_class = Losses

    @override
    def limit(self) -> None:
        """Set a limit: a new one, tighter or looser, disabled, a mere warning, or one that nobody can read."""
        chance = self.chance
        rule = chance.choice(("daily-loss", "daily-loss:b", "weekly-loss", "daily-profit"))
        given: dict[str, object] = {
            "target" if rule == "daily-profit" else "limit": str(chance.choice((400, 700, 1_500)))
        }
        options: list[dict[str, object]] = [
            {"basis": "equity"},
            {"net_of_fees": False},
            {"severity": "WARNING"},
            {"revocable": False},
        ]
        options += [{"enabled": False}, {"warn_at": "0.5"}] if chance.randrange(2) else []
        for added in chance.sample(options, chance.choice((0, 0, 1, 1, 2))):
            given |= added
        if rule.startswith("daily-loss") and given.get("basis") is None and chance.randrange(2):
            given["trailing"] = True
        if chance.randrange(10) == 0:
            rule, given = chance.choice(MISSPELT)
        self.set(rule, given)


@pytest.mark.slow
def test_losses_and_profits_lock_as_the_reference_says(memory_path: Path) -> None:
    for seed in rounds("losses and profits against the reference", test=200, prove=20_000):
        scene = Scene(seed, memory_path)
        for number in range(LENGTH):
            scene.step()
            assert scene.problems() == [], f"seed {seed}, step {number}"
        scene.desk.close()
