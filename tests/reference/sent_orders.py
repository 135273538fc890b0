"""Reference: what an order may still execute, by its own facts and by reports of it.

A fact has the time at which it happened and the one at which it was recorded. Kinds: SEND, ASK (for a new total), TAKE
(the venue takes it), REFUSE, END, FILL, SAY (a report of an order), HOLD (a report of the position, signed).
"""

from __future__ import annotations

from dataclasses import dataclass

GRACE = 5_000_000_000


@dataclass(frozen=True)
class Fact:
    kind: str
    at: int
    recorded: int
    order: str = ""
    buys: bool = True
    quantity: int = 0
    filled: int = 0
    status: str = ""
    trade: str = ""
    group: str = ""
    parent: str = ""
    ends_at: int | None = None


@dataclass
class Report:
    """What a report says beyond the facts: zero or None where it agrees, and since when."""

    at: int | None = None
    since: int = 0
    twice: bool = False

    def compare(self, fact: Fact, *, differs: bool, same: bool) -> None:
        """Take a report that differs, or not, in the same way as the one before."""
        if not (differs and same):
            self.since, self.twice = fact.recorded, False
        elif self.at is not None and fact.at > self.at:
            self.twice = True

    def filled(self, fact: Fact) -> None:
        """Begin the grace again with a fill."""
        self.since, self.twice = fact.recorded, False

    def is_certain(self, now: int) -> bool:
        return self.twice or now >= self.since + GRACE


class Sent:
    """An order."""

    def __init__(self, fact: Fact) -> None:
        self.terms, self.total, self.filled = fact, fact.quantity, 0
        self.asked, self.pending = 0, 0
        self.ended = self.done = False
        self.missing, self.other = 0, 0  # fills and a total that only a report states
        self.report = Report()

    def fill(self, fact: Fact) -> None:
        self.filled += fact.quantity
        self.missing = max(0, self.missing - fact.quantity)
        self.report.filled(fact)
        self.done |= not self.ended and self.filled >= self.total

    def apply(self, fact: Fact) -> None:
        match fact.kind:
            case "ASK" if not self.ended:
                self.asked, self.pending = max(self.asked, fact.quantity), self.pending + 1
            case "TAKE" | "REFUSE":
                self.pending = max(0, self.pending - 1)
                self.asked = self.asked if self.pending else 0
                if fact.kind == "TAKE":
                    larger, self.other = max(fact.quantity, self.filled) > self.total, 0
                    self.total = max(fact.quantity, self.filled)
                    self.done = not self.ended and ((self.done and not larger) or self.filled >= self.total)
            case "END" if not self.done:
                self.ended, self.asked, self.pending = True, 0, 0
            case "SAY":
                self.say(fact)

    def say(self, fact: Fact) -> None:
        newest = self.report.at
        # Of two reports of one instant the one that closes the order is the later one.
        closed = (self.ended or self.done) and fact.status not in {"CANCELED", "FILLED"}
        if newest is not None and (fact.at < newest or (fact.at == newest and closed)):
            return
        differed, missing, other = self.differs, self.missing, self.other
        self.missing = max(0, fact.filled - self.filled)
        self.other = 0 if fact.quantity == self.total else fact.quantity
        if self.filled < self.total:
            self.ended, self.done = fact.status == "CANCELED", fact.status == "FILLED"
        else:
            self.ended, self.done = False, True
        self.pending = 0
        if fact.status != "NEW" or fact.quantity == self.asked:
            self.asked = 0
        same = differed and (missing, other) == (self.missing, self.other)
        self.report.compare(fact, differs=self.differs, same=same)
        self.report.at = fact.at

    @property
    def differs(self) -> bool:
        return self.missing > 0 or (self.other > 0 and not (self.ended or self.done))

    def left(self, now: int, missing: int) -> int:
        closed, end, said = self.ended or self.done, self.terms.ends_at, self.report.at
        if end is not None and now >= end and (closed or said is None or said < end):
            return missing
        totals = [self.asked] if closed else [self.total, self.asked, self.other]
        return max(max(totals) - self.filled, missing, 0)
