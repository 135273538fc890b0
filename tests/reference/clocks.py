"""Reference: an account's days, limits and lockouts by the true time, whatever the wall clock says.

A day is a date in UTC. A tighter limit holds at once, a looser one from the first day that begins after it was set. A
lockout holds for as long as it was set for. Nothing here knows of jumps: the clock's error is only what is added to the
true time where somebody reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@dataclass
class Rule:
    """One limit: the amount that holds, and a looser one that waits, with the true time it was set at."""

    held: int | None = None
    waiting: tuple[int, int] | None = None

    def set(self, now: int, amount: int) -> None:
        self.waiting = None
        if self.held is None or amount <= self.held:
            self.held = amount
        else:
            self.waiting = (now, amount)

    def begin(self, began_at: int) -> None:
        """Begin a day: what was set before it comes into force."""
        if self.waiting is not None and self.waiting[0] <= began_at:
            self.held, self.waiting = self.waiting[1], None


@dataclass
class World:
    """True time, and by how much the wall clock is wrong."""

    now: int
    error: int = 0
    rule: Rule = field(default_factory=Rule)
    lockouts: dict[str, int] = field(default_factory=dict)
    """When each lockout may end, by the true time."""
    late: set[str] = field(default_factory=set)
    """Lockouts that may last longer: set, or held, under a clock that nobody saw change."""
    unseen: bool = False
    """Whether the clock was ever set while no process ran: what is decided while it is wrong may be wrong too."""

    @property
    def wall(self) -> int:
        return self.now + self.error

    @property
    def day(self) -> int:
        """The number of the day that it truly is."""
        return self.now // DAY

    def advance(self, nanoseconds: int) -> None:
        before, self.now = self.day, self.now + nanoseconds
        for number in range(before + 1, self.day + 1):
            self.rule.begin(number * DAY)

    def jump(self, error: int, *, seen: bool) -> None:
        if not seen:
            self.unseen = True
            self.late |= set(self.lockouts)
        self.error = error

    def limit(self, amount: int) -> None:
        # A clock that is behind looks like a right one: what is set then is set when it says.
        self.rule.set(min(self.now, self.wall), amount)
        if self.error < 0:
            # So it was set before a day that has begun in between, and holds in that one.
            self.rule.begin(self.day * DAY)

    def lock(self, name: str, duration: int) -> int:
        """Return until when a lockout is set, by the wall clock."""
        # As for limits: one that is set by a clock that is behind may end when it says.
        self.lockouts[name] = min(self.now, self.wall) + duration
        if self.error:
            self.late.add(name)
        return self.wall + duration

    def problems(self, day: int | None, held: int | None, locked: set[str]) -> list[str]:
        """Return what is early: of the day an account is in, the amount that holds, and the lockouts in force."""
        found = []
        if self.error == 0:
            # While the clock is wrong nobody can know it, and days begin and limits loosen by what it says.
            if day != self.day:
                found.append(f"the day is {day}, not {self.day}")
            if self.rule.held is not None and (held is None or held > self.rule.held):
                found.append(f"the limit is {held}, not {self.rule.held}")
            over = {name for name, end in self.lockouts.items() if end <= self.now and name not in self.late} & locked
            if over:
                found.append(f"{sorted(over)} ended late")
        missing = {name for name, end in self.lockouts.items() if self.now < end} - locked
        if missing and (self.error == 0 or not self.unseen):
            found.append(f"{sorted(missing)} ended early")
        return found
