"""Who holds a request, in plain Python: leases by two clocks of one machine, and what each process has seen of them."""

from __future__ import annotations

from dataclasses import dataclass, field

LEASE_MAX = 60 * 1_000_000_000


@dataclass
class Written:
    """A claim in the log: who wrote it, and until when it says it holds."""

    by: int
    until: int


@dataclass
class Process:
    """One process: when each claim that it saw ends by the monotonic clock, and its own lease by either clock."""

    ends_seen: dict[int, int] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    is_claimant: bool = False
    ends: tuple[int, int] = (0, 0)


class Claims:
    """One request, any number of processes. Times are integers; `wall` may be set, `monotonic` only advances."""

    def __init__(self, processes: int, wall: int) -> None:
        self.wall, self.monotonic = wall, 0
        self.processes = [Process() for _ in range(processes)]
        self.written: list[Written] = []
        self.answered = False

    def pass_time(self, length: int) -> None:
        self.wall += length
        self.monotonic += length

    def set_wall(self, wall: int) -> None:
        self.wall = wall

    def claim(self, who: int, lease: int) -> bool:
        """A process that has nothing of the request yet asks for it."""
        process = self.processes[who]
        if self.answered or self._left(process) > 0:
            return False
        process.own, process.is_claimant = set(), True
        self._write(who, lease)
        return True

    def extend(self, who: int, lease: int) -> bool:
        if not self._is_newest(who):
            return False
        self._write(who, lease)
        return True

    def answer(self, who: int) -> bool:
        if not self._is_newest(who):
            return False
        self.answered, self.processes[who].is_claimant = True, False
        return True

    def release(self, who: int) -> bool:
        if not self._is_newest(who):
            return False
        self.written.append(Written(who, self.wall))
        self.processes[who].is_claimant = False
        return True

    def is_held(self, who: int) -> bool:
        process = self.processes[who]
        if not process.is_claimant or self.wall >= process.ends[0] or self.monotonic >= process.ends[1]:
            return False
        return self._is_newest(who)

    def _is_newest(self, who: int) -> bool:
        process = self.processes[who]
        if not process.is_claimant:
            return False
        # A process that sees once that it is not the newest any more has lost it for good.
        process.is_claimant = not self.answered and len(self.written) - 1 in process.own
        return process.is_claimant

    def _write(self, who: int, lease: int) -> None:
        self.written.append(Written(who, self.wall + lease))
        self.processes[who].own.add(len(self.written) - 1)
        self.processes[who].ends = (self.wall + lease, self.monotonic + lease)

    def _left(self, process: Process) -> int:
        if not self.written:
            return 0
        left = self.written[-1].until - self.wall
        ends = process.ends_seen.setdefault(len(self.written) - 1, self.monotonic + min(max(left, 0), LEASE_MAX))
        return max(min(left, ends - self.monotonic), 0)
