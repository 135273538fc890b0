"""Reference: daily loss, weekly loss and daily profit: the result of a day or week against what it may become."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from typing_extensions import override

from tests.reference.facts import DAY
from tests.reference.limited import Figure, Limited
from tests.reference.traded import NOTHING, WEEK, day_begin, week_begin


@dataclass
class Losses(Limited):
    """An account with limits on results."""

    @override
    def until(self, rule: str, now: int) -> int:
        return week_begin(now) + WEEK if rule.startswith("weekly-loss") else day_begin(now) + DAY

    @override
    def figure(self, rule: str, parameters: dict[str, Any], process: int, now: int) -> Figure | None:
        is_week, is_profit = rule.startswith("weekly-loss"), rule.startswith("daily-profit")
        begin = week_begin(now) if is_week else day_begin(now)
        steps = [step for step in self.steps() if begin <= step.at < begin + (WEEK if is_week else DAY)]
        result = best = NOTHING
        for index, step in enumerate(steps, 1):
            result += step.made - (step.fees if parameters["net_of_fees"] else 0)
            if index == len(steps) or steps[index].at != step.at:
                best = max(best, result)
        if parameters["basis"] == "equity":
            if not self.is_priced(process, now):
                return None
            result += (self.unrealized(process) or [NOTHING])[0]
        most = Fraction(parameters["target" if is_profit else "limit"])
        if is_profit:
            return result, most
        return (best if parameters.get("trailing") else NOTHING) - result, most

    @override
    def is_confirmed(self, rule: str, parameters: dict[str, Any], process: int, figure: Figure) -> bool:
        """Return whether the limit is reached at every price of the confirming window."""
        if parameters["basis"] != "equity":
            return True
        found = self.unrealized(process) or []
        if len(found) == 1:
            return False
        worst = figure[0] + (found[1] - found[0] if rule.startswith("daily-profit") else found[0] - found[2])
        return worst >= figure[1]
