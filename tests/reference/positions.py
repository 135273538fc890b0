"""Reference: positions and P&L of one account, folded again from all executions whenever a figure is asked for."""

from __future__ import annotations

from fractions import Fraction

from tests.reference.booking import book, drop, stated, unbook
from tests.reference.executions import IDENTITIES_MAX, Executions
from tests.reference.facts import Fact
from tests.reference.items import Item, fractions
from tests.reference.joining import joined
from tests.reference.marks import UNCERTAIN, marks_of
from tests.reference.sequence import RECONCILED_MAX, WINDOW_MAX, Position
from tests.reference.trades import Execution, Fee, inherited

WORDS = {"BUST": "BUST", "CORRECT": "CORRECTION"}


class Positions:
    """One account: `apply` takes its facts in the order of the log."""

    def __init__(
        self, identities_max: int = IDENTITIES_MAX, window_max: int = WINDOW_MAX, reconciled_max: int = RECONCILED_MAX
    ) -> None:
        self.executions = Executions(identities_max)
        self.held: dict[tuple[str, str], Position] = {}
        # Busts and corrections of trades that are not known, and those of them that say enough to be booked.
        self.unknown, self.booked = list[Fact](), list[Fact]()
        self._window_max, self._reconciled_max = window_max, reconciled_max

    def get(self, symbol: str, side: str = "NET") -> Position:
        key = (self.executions.contracts.of(symbol), side)
        terms = self.executions.contracts.defined.get(key[0])
        empty = Position(side, terms=terms, window_max=self._window_max, reconciled_max=self._reconciled_max)
        return self.held.setdefault(key, empty)

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
                self.executions.charge(fact)
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
        else:
            position.move(execution)

    def _apply_early(self, execution: Execution, position: Position) -> None:
        """Apply what was recorded before the trade that it is about, by another process."""
        lists = (self.executions.charged, self.unknown, self.booked)
        early = [fact for waiting in lists for fact in waiting if fact.at >= execution.at]
        for fact in sorted(early, key=lambda each: each.log):
            waiting = next(each for each in lists if fact in each)
            # What was booked for a trade that was not known is taken out again, unless it is fixed.
            if self.executions.about(fact) is execution and (waiting is not self.booked or unbook(position, fact)):
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
        refund = [fee.refund() for fee in execution.fees] if bust else []
        book(position, fact, (fractions(before, by), fractions(after, by)), refund, execution)

    def _change_unknown(self, fact: Fact) -> None:
        """Book a change of a trade that is not known by what it says of it; if that is not enough, remember it."""
        bust, change = fact.kind == "BUST", stated(fact)
        again = [each for each in self.booked if (each.kind, each.id, each.symbol) == (fact.kind, fact.id, fact.symbol)]
        # A correction may restore what an earlier one replaced: it is repeated only if it states what the last one did.
        same = [each for each in again[-1:] if (each.quantity, each.price) == (fact.quantity, fact.price)]
        if fact.symbol is not None and (again if bust else same):
            self.get(fact.symbol, fact.held).marked.append((f"DUPLICATE_{WORDS[fact.kind]}", fact.log))
        elif change is None:
            self.unknown.append(fact)
        else:
            self.booked.append(fact)
            position = self.get(str(fact.symbol), fact.held)
            refund = [Fee(fact.currency, -fact.fee, position.terms)] if bust and fact.fee else []
            book(position, fact, change, refund)

    def _adjust(self, fact: Fact) -> None:
        position, price = self.get(str(fact.symbol), fact.held), None if fact.price is None else Fraction(fact.price)
        if fact.quantity:
            position.place(Item(fact.reason, fact.log, fact.at, [(fact.at, Fraction(fact.quantity), price)]))
        else:
            # An adjustment by nothing, with a price: it states the price that earlier ones lacked.
            position.state_price(fact.reason, price)

    def _define(self, fact: Fact) -> None:
        """Learn a contract's names: positions under several of them become one, and so do two reports of one trade."""
        twins, contract = self.executions.define(fact), self.executions.contracts.of
        for name, side in [key for key in self.held if contract(key[0]) != key[0]]:
            other = self.held.pop((name, side))
            self.held[contract(name), side] = joined(self.get(name, side), other, fact.log)
        for position in [position for (name, _), position in self.held.items() if name == fact.symbol]:
            position.define(fact)
        for twin, known, verdict in twins:
            self._merge(twin, known, verdict, fact)

    def _merge(self, twin: Execution, known: Execution, verdict: str, fact: Fact) -> None:
        """Take out an execution that turns out to be another one: its time, busts and corrections are of that."""
        position = self.get(known.contract, known.held)
        if verdict == "CONFLICTING":
            position.marked.append((verdict, twin.log))
        drop(self.get(twin.contract, twin.held), twin, fact)
        position.move(known)
        for later in inherited(twin, known, fact.log):
            self._change(later)
