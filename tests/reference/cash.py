"""Reference: what cash does to high water, floor, capital and the day's result, found by going through all facts."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal

DAY = 24 * 3_600 * 10**9
RESULTS = {"FUNDING", "FEE", "INTEREST", "DIVIDEND"}


@dataclass
class Fact:
    """One fact, in the order of the log: an opening, a setting, a movement, a mark, or a trading day."""

    kind: str
    at: int = 0
    recorded_at: int = 0
    currency: str = ""
    amount: Decimal = Decimal(0)
    cash: str = ""
    payout: str = ""
    figures: dict[str, Decimal] = field(default_factory=dict)
    """Of a mark: its high water, balance, equity and floor; `close` instead of equity where a closing caused it."""
    name: str = ""
    until: int = 0
    begins: bool = False


def received(fact: Fact) -> Decimal:
    """Return what a movement brought, below zero what it took."""
    if fact.cash == "DEPOSIT":
        return abs(fact.amount)
    if fact.cash in {"WITHDRAWAL", "PAYOUT"}:
        return -abs(fact.amount)
    return -fact.amount if fact.cash == "FEE" else fact.amount


def rule_at(facts: list[Fact], index: int) -> str:
    """Return the rule for payouts that was in force when a fact was recorded."""
    settings = [fact.payout for fact in facts[:index] if fact.kind == "CONFIGURE"]
    return settings[-1] if settings else "moves-floor"


def movements(facts: list[Fact], since: int) -> dict[str, Decimal]:
    """Return, by currency, what moved the high-water mark after a place in the log."""
    sums: dict[str, Decimal] = {}
    for index, fact in enumerate(facts):
        if index < since or fact.kind != "CASH" or fact.cash in RESULTS:
            continue
        if fact.cash == "PAYOUT" and rule_at(facts, index) == "keeps-floor":
            continue
        sums[fact.currency] = sums.get(fact.currency, Decimal(0)) + received(fact)
    return sums


def now(amount: Decimal, facts: list[Fact], since: int, rates: dict[str, Decimal]) -> Decimal:
    """Return what an amount of a place in the log is now, with the cash that has moved since, at the rates of now."""
    return amount + sum(value * rates[currency] for currency, value in movements(facts, since).items())


def high(facts: list[Fact], figure: str, rates: dict[str, Decimal]) -> Decimal | None:
    """Return the highest mark of a figure; None without one."""
    marks = [(index, fact.figures[figure]) for index, fact in enumerate(facts) if figure in fact.figures]
    return max((now(amount, facts, index, rates) for index, amount in marks), default=None)


def floor(facts: list[Fact], rates: dict[str, Decimal]) -> Decimal | None:
    """Return the floor: the highest that was marked since a payout last set it, or what that set it to."""
    found: list[tuple[int, Decimal]] = []
    for index, fact in enumerate(facts):
        if "floor" in fact.figures:
            found.append((index, fact.figures["floor"]))
        rule = rule_at(facts, index)
        if fact.kind == "CASH" and fact.cash == "PAYOUT" and rule.startswith("floor-to="):
            found = [(index + 1, Decimal(rule.removeprefix("floor-to=")))]
    return max((now(amount, facts, index, rates) for index, amount in found), default=None)


def capital(facts: list[Fact], rates: dict[str, Decimal]) -> Decimal:
    """Return what high water begins with: the first starting balance, and what moved since the first fact."""
    openings = [fact.amount for fact in facts if fact.kind == "OPEN"]  # reported again, it changes nothing
    return now(openings[0], facts, 0, rates)


def balances(facts: list[Fact]) -> dict[str, Decimal]:
    """Return the balance of an account without trades, by currency."""
    sums = {"USD": next(fact.amount for fact in facts if fact.kind == "OPEN")}
    for fact in facts:
        if fact.kind == "CASH":
            sums[fact.currency] = sums.get(fact.currency, Decimal(0)) + received(fact)
    return {currency: amount for currency, amount in sums.items() if amount}


def days(facts: list[Fact]) -> dict[str, dict[str, Decimal]]:
    """Return, by day and currency, the cash that counts in the day's result."""
    known = [fact for fact in facts if fact.kind == "DAY"]
    sums: dict[str, dict[str, Decimal]] = {}
    for fact in facts:
        if fact.kind != "CASH" or fact.cash not in RESULTS or not fact.amount:
            continue
        at = min(fact.at, fact.recorded_at)
        begins = any(day.begins and at in {day.at, day.until} for day in known)
        place = at if begins else at - 1
        names = [day.name for day in known if day.at <= place < day.until]
        name = names[0] if names else "~" + date_of(place)
        of_day = sums.setdefault(name, {})
        of_day[fact.currency] = of_day.get(fact.currency, Decimal(0)) + received(fact)
    return {name: kept for name, of_day in sums.items() if (kept := {k: v for k, v in of_day.items() if v})}


def date_of(at: int) -> str:
    """Return an instant's date in UTC."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=at // DAY)).isoformat()
