"""Reference: which reports are one execution, and which execution a fee, a bust or a correction is about.

Written to be obviously right, without anything of the project: plain facts in, plain values out, no limit on time.
"""

from __future__ import annotations

from tests.reference.contracts import Contracts
from tests.reference.facts import ZERO, Fact
from tests.reference.trades import Execution, Fee, completed, state_terms

IDENTITIES_MAX = 2_000


class Executions:
    """The executions of one account, in the order of their first reports."""

    def __init__(self, identities_max: int = IDENTITIES_MAX) -> None:
        self.all: list[Execution] = []
        self.dropped: list[Execution] = []
        self.contracts = Contracts()
        # Fees of trades that are not known, and every fee that was recorded by itself, by its log position.
        self.charged: list[Fact] = []
        self.fees: dict[int, Fee] = {}
        # What is not certain of the report that was taken last, or of what has turned out to be another execution.
        self.doubts: list[str] = []
        self._max = identities_max

    @property
    def recent(self) -> list[Execution]:
        """Return the executions that are compared: of the newest, whatever has turned out to be another one."""
        newest = sorted(self.all + self.dropped, key=lambda each: each.log)[-self._max :]
        return [each for each in newest if each not in self.dropped]

    def report(self, fact: Fact) -> tuple[str, Execution]:
        """Return NEW, REPEATED, COMPLETED or CONFLICTING, and the execution that a report is of."""
        figures = [(fact.at, (fact.side or 0) * (fact.quantity or ZERO), fact.price or ZERO)]
        times = (fact.at, fact.timed, fact.log)
        contract = self.contracts.of(str(fact.symbol))
        fresh = Execution(fact.id, contract, fact.held, *times, [fact.stream], fact.trading_day, figures)
        fresh.coin = self.contracts.defined[contract].coin if contract in self.contracts.defined else ""
        if fact.fee:
            fresh.charge(Fee(fact.currency, fact.fee, self.contracts.defined.get(contract)))
            fresh.stated_fee = fresh.fees[0]
        verdict, known = self.compared(fresh, self.recent)
        if known is None:
            self.all.append(fresh)
            return verdict, fresh
        if verdict == "CONFLICTING":
            known.conflicts.append(fact.log)
            # Whatever it filled, it is of the order that reports it.
            known.streams += [stream for stream in fresh.streams if stream not in known.streams]
        return verdict, known

    def compared(self, fresh: Execution, among: list[Execution]) -> tuple[str, Execution | None]:
        """Compare a report with what is known: an id is one trade per contract, side and stated trading day."""
        rivals = [
            each
            for each in among
            if each.id == fresh.id
            and each.contract == fresh.contract
            and any((quantity > 0) is (fresh.figures[0][1] > 0) for _, quantity, _ in each.figures if quantity)
            and (None in {each.trading_day, fresh.trading_day} or each.trading_day == fresh.trading_day)
        ]
        self.doubts = []
        # A report of the figures before a correction is a report of the same execution.
        same = [each for each in rivals if fresh.figures[0][1:] in [figure[1:] for figure in each.figures]]
        same = [each for each in same if "NET" in {each.held, fresh.held} or each.held == fresh.held]
        same.sort(key=lambda each: each.trading_day == fresh.trading_day)
        if same:
            self.doubts = same[-1].doubts(fresh)
            return ("COMPLETED" if completed(same[-1], fresh) else "REPEATED"), same[-1]
        return ("CONFLICTING", rivals[-1]) if rivals else ("NEW", None)

    def about(self, fact: Fact) -> Execution | None:
        """Return the execution that a later fact names: of its own stream, else the newest with all that is stated."""
        return max(self.candidates(fact), key=lambda each: each.log, default=None)

    def candidates(self, fact: Fact) -> list[Execution]:
        """Return all executions that a later fact may name."""
        known = [
            each
            for each in self.recent
            if each.id == fact.id
            and (fact.symbol is None or each.contract == self.contracts.of(fact.symbol))
            and (fact.kind != "BUST" or fact.side is None or each.busted or (each.quantity > 0) is (fact.side > 0))
        ]
        ranks = [(fact.stream in each.streams, has_had(each, fact)) for each in known]
        return [each for each, rank in zip(known, ranks, strict=True) if rank == max(ranks)]

    def define(self, fact: Fact) -> list[tuple[Execution, Execution, str, list[str]]]:
        """Learn a contract's names. Of executions known apart until now, take out each that is another, earlier one.

        Return each with that one, the verdict, and what is not certain of it.
        """
        self.contracts.define(fact)
        apart = [(each, each.contract) for each in self.all]
        for each in self.all:
            each.contract = self.contracts.of(each.contract)
        self._state_terms(fact)
        found, kept = [], list[tuple[Execution, str]]()
        recent = [(each, name) for each, name in apart if each in self.recent]
        first = {each.id: each.log for each, _ in reversed(recent)}
        for twin, name in sorted(recent, key=lambda each: (first[each[0].id], each[0].log)):
            verdict, known = self.compared(twin, [each for each, other in kept if other != name])
            if known is None:
                kept.append((twin, name))
                continue
            self.all.remove(twin)
            self.dropped.append(twin)
            found.append((twin, known, verdict, self.doubts))
        return found

    def charge(self, fact: Fact) -> Execution | None:
        """Charge a fee to its execution, and return that; one that is not known may still be reported."""
        execution = self.about(fact)
        contract = self.contracts.of(fact.symbol or "") if execution is None else execution.contract
        # A fee that is recorded before its trade keeps the terms of then.
        fee = self.fees.setdefault(fact.log, Fee(fact.currency, fact.fee, None))
        fee.terms = fee.terms or self.contracts.defined.get(contract)
        if execution is None:
            self.charged.append(fact)
            return None
        execution.charge(fee)
        # What the venue charges after several fees were reported settles which it is.
        execution.fee_conflict = False
        return execution

    def _state_terms(self, fact: Fact) -> None:
        """State a contract's terms for the fees that were recorded before there were any."""
        mine = [each for each in self.all + self.dropped if each.contract == fact.symbol]
        early = [each for each in self.charged if self.contracts.of(each.symbol or "") == fact.symbol]
        fees = [fee for each in mine for fee in [*each.fees, *(spent for _, spent in each.spent)]]
        state_terms(fees + [self.fees[each.log] for each in early], fact)


def has_had(execution: Execution, fact: Fact) -> bool:
    """Return whether an execution has had the figures that a bust or correction repeats of it."""
    quantity, price = (fact.quantity, fact.price) if fact.kind == "BUST" else fact.before or (None, None)
    return any(
        (quantity is None or abs(each) == quantity) and (price is None or other == price)
        for _, each, other in execution.figures
    )
