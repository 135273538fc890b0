"""Reference: limits on how often an account trades, pauses after losses, and how much of all profit one day made.

An order counts when it was sent, an execution when it happened, a round trip when it ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from typing_extensions import override

from tests.reference.facts import DAY, Fact
from tests.reference.limited import Figure, Limited
from tests.reference.round_trips import Trip, all_trips
from tests.reference.traded import NOTHING, day_begin

PROFITABLE_DAYS_MIN = 2


@dataclass
class Activity(Limited):
    """An account with such limits; `sent` are the times of its orders."""

    sent: list[int] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    results: list[tuple[int | None, Fraction]] = field(default_factory=list)

    @override
    def figure(self, rule: str, parameters: dict[str, Any], process: int, now: int) -> Figure | None:
        kind = rule.partition(":")[0]
        if kind == "trade-limit":
            return Fraction(self.count(parameters["unit"], now)), Fraction(parameters["limit"])
        if kind == "consistency":
            return self.share(net=parameters["net_of_fees"]), Fraction(parameters["limit"])
        if parameters["losing_trips"] is not None:
            allowed = int(parameters["losing_trips"])
            return Fraction(self.losing() % allowed), Fraction(allowed)
        last = [self.result(trip) for trip in all_trips(self.positions)][-1:]
        return max(-sum(last, NOTHING), NOTHING), Fraction(parameters["loss"])

    def count(self, unit: str, now: int) -> int:
        """Return how many of a unit an instant's day had; a busted execution counts, a repeated report does not."""
        executed = [each.at for each in self.positions.executions.all]
        ended = [trip.ended_at or 0 for trip in all_trips(self.positions)]
        times = {"orders": self.sent, "fills": executed, "round_trips": ended}[unit]
        return sum(day_begin(at) == day_begin(now) for at in times)

    def share(self, *, net: bool) -> Fraction:
        """Return the share of the best day in the profit of all; none with a single profitable day."""
        days: dict[int, Fraction] = {}
        for step in self.steps():
            # What no session covers yet counts for its date in UTC.
            begin = day_begin(step.at)
            day = begin if begin <= max(self.settings.days) else -(step.at // DAY)
            days[day] = days.get(day, NOTHING) + step.made - (step.fees if net else 0)
        total = sum(days.values(), NOTHING)
        if total <= 0 or sum(amount > 0 for amount in days.values()) < PROFITABLE_DAYS_MIN:
            return NOTHING
        return max(days.values()) / total

    def result(self, trip: Trip) -> Fraction:
        terms = self.positions.executions.contracts.defined[trip.symbol]
        fees = sum((Fraction(amount) for amount in trip.fees.values()), NOTHING)
        return (trip.received or NOTHING) * Fraction(str(terms.multiplier)) - fees

    def losing(self) -> int:
        """Return how many round trips in a row have lost, up to the last."""
        lost = [self.result(trip) < 0 for trip in all_trips(self.positions)]
        return len(lost) - max((index for index, each in enumerate(lost, 1) if not each), default=0)

    @override
    def judge(self, process: int, now: int) -> None:
        """Nothing: what happens decides, each with its own time."""

    def happened(self, fact: Fact | None, now: int) -> None:
        """Judge after a fact; None where only settings have changed, or a process has started."""
        # A fill that is reported late may leave the ends of trips where they are, and change what they made.
        before, self.trips = self.results, all_trips(self.positions)
        self.results = [(trip.ended_at, self.result(trip)) for trip in self.trips]
        ended = self.results != before
        for rule, parameters in self.settings.of(now).items():
            if parameters is None or parameters["severity"] == "WARNING":
                continue
            if rule.startswith("trade-limit"):
                until = day_begin(now) + DAY
                if self.count(parameters["unit"], now) >= int(parameters["limit"]):
                    self.lock(rule, until, parameters, now)
            elif rule.startswith("cooldown") and self.trips and (fact is None or fact.kind != "FILL" or ended):
                until = (self.trips[-1].ended_at or 0) + int(parameters["duration"])
                if until > now and self.pauses(parameters):
                    self.lock(rule, until, parameters, now)

    def pauses(self, parameters: dict[str, Any]) -> bool:
        loss, allowed, losing = parameters["loss"], parameters["losing_trips"], self.losing()
        is_big = loss is not None and self.result(self.trips[-1]) <= -Fraction(loss)
        return is_big or (allowed is not None and losing > 0 and losing % int(allowed) == 0)

    def closed(self, now: int, until: int) -> None:
        """Judge consistency at a session's close."""
        for rule, parameters in self.settings.of(now).items():
            if parameters is not None and rule == "consistency" and parameters["severity"] == "LOCKOUT":
                figure, most = self.figure(rule, parameters, 0, now) or (NOTHING, NOTHING)
                if figure and figure >= most:
                    self.lock(rule, until, parameters, now)

    def lock(self, rule: str, until: int, parameters: dict[str, Any], now: int) -> None:
        held = [each for each in self.active(now) if each[0] == rule]
        if not any((ends or 0) >= until for _, ends, _ in held):
            # A rule has one lockout, which a longer one replaces; one that is irrevocable never weakens.
            self.locked = [each for each in self.locked if each[0] != rule]
            self.locked.append((rule, until, parameters["revocable"] and all(may_end for _, _, may_end in held)))

    @override
    def is_rejected(self, process: int, now: int) -> bool:
        """A cooldown and a share of profit stop nothing by themselves: only their lockouts do."""
        settings = self.settings.of(now)
        rejecting = {rule for rule in settings if rule.startswith("trade-limit") or settings[rule] is None}
        return (
            bool(self.active(now))
            or not self.is_priced(process, now)
            or any(
                figure is None or (figure[0] >= figure[1] and (settings[rule] or {})["severity"] == "LOCKOUT")
                for rule, figure in self.figures(process, now).items()
                if rule in rejecting
            )
        )
