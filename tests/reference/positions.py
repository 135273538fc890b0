"""Reference: positions and P&L of one account, folded again from all executions whenever a figure is asked for."""

from __future__ import annotations

from fractions import Fraction

from tests.reference.executions import IDENTITIES_MAX, Executions
from tests.reference.facts import ZERO, Fact
from tests.reference.items import Item, fractions
from tests.reference.joining import joined
from tests.reference.marks import UNCERTAIN, marks_of
from tests.reference.sequence import WINDOW_MAX, Position
from tests.reference.trades import Execution, inherited

WORDS = {"BUST": "BUST", "CORRECT": "CORRECTION"}


class Positions:
    """One account: `apply` takes its facts in the order of the log."""

    def __init__(self, identities_max: int = IDENTITIES_MAX, window_max: int = WINDOW_MAX) -> None:
        self.executions = Executions(identities_max)
        self.held: dict[tuple[str, str], Position] = {}
        # Of trades that are not known: busts and corrections, those that say enough to be booked, and fees.
        self.unknown, self.booked, self.charged = list[Fact](), list[Fact](), list[Fact]()
        self._window_max = window_max

    def get(self, symbol: str, side: str = "NET") -> Position:
        key = (self.executions.contracts.of(symbol), side)
        return self.held.setdefault(key, Position(side, window_max=self._window_max))

    def marks(self, symbol: str, side: str = "NET") -> set[str]:
        """Return what is marked on a position; UNKNOWN_… until the trade is reported."""
        contract = self.executions.contracts.of
        mine = [each for each in self.unknown if each.symbol is None or contract(each.symbol) == contract(symbol)]
        return marks_of(self.get(symbol, side)) | {f"UNKNOWN_{WORDS[each.kind]}" for each in mine}

    def is_uncertain(self, symbol: str, side: str = "NET") -> bool:
        """Return whether something about a position is open: a conflict, bust, split, price or rounding."""
        contract = self.executions.contracts.of(symbol)
        mine = [each for each in self.executions.all if (each.contract, each.held) == (contract, side)]
        return any(each.conflicts for each in mine) or bool(self.marks(symbol, side) & UNCERTAIN)

    def apply(self, fact: Fact) -> None:
        match fact.kind:
            case "FILL" | "TRADE":
                self._report(fact)
            case "FEE":
                execution = self.executions.about(fact)
                self.charged.append(fact) if execution is None else execution.charge(fact.currency, fact.fee)
            case "BUST" | "CORRECT":
                self._change(fact)
            case "ADJUST":
                self._adjust(fact)
            case "DEFINE":
                self._define(fact)

    def _report(self, fact: Fact) -> None:
        verdict, execution = self.executions.report(fact)
        position, figures = self.get(execution.contract, execution.held), fractions(execution.figures[0][1:])
        if verdict == "CONFLICTING":
            position.marked.append((verdict, fact.log))
        elif verdict == "NEW":
            position.place(Item("FILL", fact.log, fact.at, [(fact.at, *figures)], execution))
            self._apply_early(execution, position)
        elif (item := position.item_of(execution)) is not None and item.at != execution.at:
            # Its time was missing: it counts on its own day, and moves to where it happened unless it is fixed.
            item.at = execution.at
            if position.is_open(item):
                position.items.remove(item)
                position.place(item)

    def _apply_early(self, execution: Execution, position: Position) -> None:
        """Apply what was recorded before the trade that it is about, by another process."""
        early = [fact for fact in (*self.charged, *self.unknown, *self.booked) if fact.at >= execution.at]
        for fact in sorted(early, key=lambda each: each.log):
            waiting = next(each for each in (self.charged, self.unknown, self.booked) if fact in each)
            # What was booked for a trade that was not known is taken out again, unless it is fixed.
            if self.executions.about(fact) is execution and (waiting is not self.booked or position.unbook(fact)):
                waiting.remove(fact)
                self.apply(fact)

    def _change(self, fact: Fact) -> None:
        execution, bust = self.executions.about(fact), fact.kind == "BUST"
        if execution is None:
            self._change_unknown(fact)
            return
        position = self.get(execution.contract, execution.held)
        if execution.busted:
            position.marked.append(("DUPLICATE_BUST" if bust else "UNKNOWN_CORRECTION", fact.log))
            return
        before, after = execution.change(fact)
        item = position.item_of(execution)
        assert item is not None
        if position.is_open(item):
            position.change(item, fact, fractions(after))
            if bust:
                execution.fees.clear()
            return
        # Figures are on the base of the trade's own time: splits have multiplied it since.
        by = position.scale_since(item.place)
        refund = {currency: -amount for currency, amount in execution.fees.items()} if bust else {}
        position.book(fact, (fractions(before, by), fractions(after, by)), refund, execution)

    def _change_unknown(self, fact: Fact) -> None:
        """Book a change of a trade that is not known by what it says of it; if that is not enough, remember it."""
        bust = fact.kind == "BUST"
        quantity, price = (fact.quantity, fact.price) if bust else fact.before or (None, None)
        again = [each for each in self.booked if (each.kind, each.id, each.symbol) == (fact.kind, fact.id, fact.symbol)]
        # A correction may restore what an earlier one replaced: it is repeated only if it states what the last one did.
        same = [each for each in again[-1:] if (each.quantity, each.price) == (fact.quantity, fact.price)]
        if fact.symbol is not None and (again if bust else same):
            self.get(fact.symbol, fact.held).marked.append((f"DUPLICATE_{WORDS[fact.kind]}", fact.log))
        elif fact.symbol is None or fact.side is None or quantity is None or price is None:
            self.unknown.append(fact)
        else:
            self.booked.append(fact)
            after = (ZERO, price) if bust else (fact.side * (fact.quantity or ZERO), fact.price or ZERO)
            change = fractions((fact.side * quantity, price)), fractions(after)
            refund = {fact.currency: -fact.fee} if bust and fact.fee else {}
            self.get(fact.symbol, fact.held).book(fact, change, refund)

    def _adjust(self, fact: Fact) -> None:
        position, price = self.get(str(fact.symbol), fact.held), None if fact.price is None else Fraction(fact.price)
        if fact.quantity:
            position.place(Item(fact.reason, fact.log, fact.at, [(fact.at, Fraction(fact.quantity), price)]))
            return
        # An adjustment by nothing, with a price: it states the price that earlier ones lacked.
        for item in position.items[position.start :]:
            if item.kind == fact.reason and item.is_unpriced:
                item.state(item.quantity, price)

    def _define(self, fact: Fact) -> None:
        """Learn a contract's names: positions under several of them become one, and so do two reports of one trade."""
        found = self.executions.define(fact)
        for name, side in list(self.held):
            if self.executions.contracts.of(name) != name:
                other = self.held.pop((name, side))
                contract = self.executions.contracts.of(name)
                self.held[contract, side] = joined(self.get(contract, side), other, fact.log)
        for twin, known, verdict in found:
            position = self.get(twin.contract, twin.held)
            if verdict == "CONFLICTING":
                position.marked.append((verdict, twin.log))
            position.drop(twin, fact)
            for later in inherited(twin, known, fact.log):
                self._change(later)
