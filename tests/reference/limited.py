"""Reference: what every limit that locks has in common: settings, lockouts, and whether new exposure is rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.reference.facts import DAY
from tests.reference.settings import Settings
from tests.reference.traded import Traded, day_begin

Figure = tuple[Fraction, Fraction]
Lockout = tuple[str, int | None, bool]


@dataclass
class Limited(Traded):
    """An account with limits. A subclass says what is used up of one, and until when it locks."""

    settings: Settings = field(default_factory=Settings)
    locked: list[Lockout] = field(default_factory=list)

    def figure(self, rule: str, parameters: dict[str, Any], process: int, now: int) -> Figure | None:
        """Return how much of a limit is used up, and the limit; None where that is not known."""
        raise NotImplementedError

    def until(self, rule: str, now: int) -> int | None:
        return day_begin(now) + DAY

    def is_confirmed(self, rule: str, parameters: dict[str, Any], process: int, figure: Figure) -> bool:
        """Return whether more than one observation shows that a limit is reached."""
        return True

    def figures(self, process: int, now: int) -> dict[str, Figure | None]:
        """Return the figure of each limit in force; None where nobody can judge it."""
        return {
            rule: None if parameters is None else self.figure(rule, parameters, process, now)
            for rule, parameters in self.settings.of(now).items()
        }

    def judge(self, process: int, now: int) -> None:
        """Lock what is reached; what nobody confirms never irrevocably, or without end."""
        for rule, parameters in self.settings.of(now).items():
            if parameters is None or parameters["severity"] == "WARNING":
                continue
            figure, until = self.figure(rule, parameters, process, now), self.until(rule, now)
            held = [ends for name, ends, _ in self.active(now) if name == rule]
            if figure is None or figure[0] < figure[1] or any(lasts(ends, until) for ends in held):
                continue
            may_end = parameters["revocable"] and until is not None
            if may_end or self.is_confirmed(rule, parameters, process, figure):
                self.locked.append((rule, until, parameters["revocable"]))

    def active(self, now: int) -> set[Lockout]:
        return {each for each in self.locked if each[1] is None or now < each[1]}

    def is_rejected(self, process: int, now: int) -> bool:
        """Return whether new exposure is: locked, a limit reached or not judged, a position without a price."""
        settings = self.settings.of(now)
        return (
            bool(self.active(now))
            or not self.is_priced(process, now)
            or any(
                figure is None or (figure[0] >= figure[1] and (settings[rule] or {})["severity"] == "LOCKOUT")
                for rule, figure in self.figures(process, now).items()
            )
        )


def lasts(ends: int | None, until: int | None) -> bool:
    return ends is None or (until is not None and ends >= until)
