"""Reference: the worst-case exposure of one account in one contract, and whether reports contradict the facts."""

from __future__ import annotations

from tests.reference.sent_orders import Fact, Report, Sent


class Exposure:
    """One account in one contract: `apply` takes its facts in the order of the log."""

    def __init__(self) -> None:
        self.orders: dict[str, Sent] = {}
        self.fills: dict[str, tuple[int, int]] = {}  # when and how much, by trade
        self.held, self.beyond, self.stated = 0, 0, 0  # what the broker has beyond the fills, and states
        self.report, self.is_fresh = Report(), False

    def apply(self, fact: Fact) -> None:
        if fact.kind == "HOLD":
            self._hold(fact)
        elif fact.kind == "SEND":
            self.orders[fact.order] = Sent(fact)
        elif fact.kind != "FILL":
            self.orders[fact.order].apply(fact)
        elif fact.trade not in self.fills:
            self._fill(fact)

    def _hold(self, fact: Fact) -> None:
        known = self.report.at
        if known is not None and (fact.at < known or (fact.at == known and fact.quantity == self.stated)):
            return
        later = sum(quantity for at, quantity in self.fills.values() if at > fact.at)
        beyond = 0 if fact.quantity == self.held else fact.quantity - (self.held - later)
        same = beyond == self.beyond
        if same and not self.is_fresh:
            self.report.at = None  # the one before was followed by a fill: it confirms nothing
        self.report.compare(fact, differs=beyond != 0, same=same)
        self.report.at, self.beyond, self.stated = fact.at, beyond, fact.quantity
        self.is_fresh = all(at <= fact.at for at, _ in self.fills.values())

    def _fill(self, fact: Fact) -> None:
        signed = fact.quantity if fact.buys else -fact.quantity
        self.fills[fact.trade] = (fact.at, signed)
        self.held, self.is_fresh = self.held + signed, False
        if self.report.at is not None and self.beyond and fact.at < self.report.at:
            self.beyond -= signed
        if self.held == self.stated:
            self.beyond = 0
        self.report.filled(fact)
        if fact.order in self.orders:
            self.orders[fact.order].fill(fact)

    def missing(self, order: Sent, now: int) -> int:
        """Return the fills that only a report states: none once a later report of the position agrees with the rest."""
        hold, said = self.report.at, order.report.at
        accounted = not self.beyond and hold is not None and said is not None and hold >= said
        return 0 if accounted and order.report.is_certain(now) else order.missing

    def sides(self, now: int) -> tuple[int, int]:
        """Return how much orders may buy and sell: a group's largest, and of a child what its parent has filled."""
        sums = {True: 0, False: 0}
        groups: dict[tuple[bool, str], int] = {}
        for order in self.orders.values():
            missing, terms = self.missing(order, now), order.terms
            left, parent = order.left(now, missing), self.orders.get(terms.parent)
            if parent is not None and parent.terms.buys is not terms.buys:
                left = max(min(left, parent.filled + parent.missing - order.filled), missing)
            if terms.group:
                groups[terms.buys, terms.group] = max(groups.get((terms.buys, terms.group), 0), left)
            else:
                sums[terms.buys] += left
        for (buys, _), left in groups.items():
            sums[buys] += left
        return sums[True], sums[False]

    def worst_case(self, now: int) -> int:
        buys, sells = self.sides(now)
        possible = (self.held, self.stated, self.held + self.beyond) if self.beyond else (self.held,)
        return max(max(possible) + buys, sells - min(possible))

    def contradicts(self, now: int) -> bool:
        others = [each for each in self.orders.values() if each.differs and each.report.is_certain(now)]
        return (self.beyond != 0 and self.report.is_certain(now)) or any(
            self.missing(each, now) or (each.other and not (each.ended or each.done)) for each in others
        )
