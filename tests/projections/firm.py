"""Shared by the tests of groups: accounts of one firm on a day, their fills, quotes, limits and lockouts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import eventstore
import projections
from eventstore import ManualClock, Record
from eventstore.trading import (
    AccountOpened,
    ContractDefined,
    EnforcementRequested,
    GroupDefined,
    LimitsSet,
    LockoutSet,
    OrderFilled,
    OrderSubmitted,
    QuoteReceived,
    Side,
)
from projections.risk import Checked, Proposal, check
from projections.risk.limits.groups import GroupLimits
from projections.risk.policies import Policies, Policy
from projections.views.limits.headroom import Headroom
from tests.places import Place
from tests.projections.rules_day import CALENDAR, NOON, SECOND, completed

DESK = "@desk"


class Firm:
    """Accounts in a store with a book and policies, whose clock is set by hand."""

    def __init__(self, place: Place, *accounts: str, policies: Sequence[Policy] | None = None) -> None:
        self.clock = ManualClock(NOON)
        self.store = eventstore.open(place, clock=self.clock)
        self.number = 0
        self.start(policies)
        self.book.append("contract/-/ES", ContractDefined(symbol="ES", multiplier=Decimal(50), currency="USD"))
        for account in accounts:
            self.open(account)

    def start(self, policies: Sequence[Policy] | None = None) -> None:
        self.book = projections.open(self.store, calendars=CALENDAR)
        given = [GroupLimits()] if policies is None else policies
        self.policies = Policies(self.book, completed(given)).start(ticking=False)

    def restart(self, policies: Sequence[Policy] | None = None) -> None:
        self.policies.stop()
        self.book.close()
        self.start(policies)

    def close(self) -> None:
        self.policies.stop()
        self.book.close()
        self.store.close()

    def open(self, account: str, currency: str = "USD") -> None:
        self.book.append(f"account/{account}/-", AccountOpened(starting_balance=Decimal(50_000), currency=currency))
        self.begin(account)

    def begin(self, account: str) -> None:
        """Record an account's current trading day."""
        day = CALENDAR.day_at(self.clock.now_ns())
        self.book.append(f"session/{account}/{day.name}", day.opened())

    def group(self, *accounts: str, name: str = "desk") -> Record:
        return self.book.append(f"group/-/{name}", GroupDefined(accounts=accounts), actor="risk@desk")[0]

    def limit(self, rule_id: str, account: str = DESK, **parameters: Any) -> Record:  # noqa: ANN401 - any parameter
        event = LimitsSet(rule_id=rule_id, parameters=parameters)
        return self.book.append(f"limits/{account}/{rule_id}", event, actor="risk@desk")[0]

    def fill(self, account: str, side: Side, price: str, quantity: str = "1", symbol: str = "ES") -> Record:
        self.number += 1
        event = OrderFilled(
            trade_id=f"T{self.number}", symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(price)
        )
        return self.book.append(f"order/{account}/O{self.number}", event)[0]

    def make(self, account: str, amount: str, symbol: str = "ES") -> Record:
        """Realize an amount of money by a round trip in one contract of 50 a point, and return its last fill."""
        self.fill(account, Side.BUY, "5000", symbol=symbol)
        return self.fill(account, Side.SELL, str(Decimal(5_000) + Decimal(amount) / 50), symbol=symbol)

    def work(self, account: str, quantity: str, symbol: str = "ES") -> None:
        self.number += 1
        order = OrderSubmitted(symbol=symbol, side=Side.BUY, quantity=Decimal(quantity))
        self.book.append(f"order/{account}/O{self.number}", order)

    def quote(self, price: str, symbol: str = "ES") -> None:
        self.book.observe(f"quote/-/{symbol}", QuoteReceived(symbol=symbol, last=Decimal(price)))

    def pass_seconds(self, seconds: int) -> None:
        self.clock.advance(seconds * SECOND)

    def check(self, account: str, quantity: str = "1", symbol: str = "ES", side: Side = Side.BUY) -> Checked:
        proposal = Proposal(account=account, symbol=symbol, side=side, quantity=Decimal(quantity))
        return check(self.book, proposal, self.clock.now_ns())

    def headroom(self, account: str) -> Headroom:
        [found] = self.book.limits.headroom(account)
        return found

    def locked(self) -> list[str]:
        """Return the accounts with a lockout in force, sorted."""
        accounts = self.book.accounts.known()
        return [account for account in accounts if self.book.lockouts.active(account, self.clock.now_ns())]

    def lockouts(self) -> list[Record]:
        return list(self.store.read(types=(LockoutSet,)))

    def requests(self) -> list[tuple[str, EnforcementRequested]]:
        found = self.store.read(types=(EnforcementRequested,))
        return [(record.account, record.event) for record in found if isinstance(record.event, EnforcementRequested)]
