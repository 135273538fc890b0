"""The views that every book has, and the questions one asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from projections.views.accounts import Accounts, AccountsView
from projections.views.baselines import BaselinesView
from projections.views.blackouts import BlackoutSchedule, BlackoutsView
from projections.views.contracts.view import Contracts, ContractsView
from projections.views.enforcement import Enforcements, EnforcementView
from projections.views.equity import Equities, EquityView
from projections.views.executions.counters import Counters, CountersView
from projections.views.executions.pnl import Pnl
from projections.views.executions.positions import Positions
from projections.views.executions.round_trips import RoundTrips
from projections.views.executions.trades import Trades
from projections.views.executions.view import ExecutionsView
from projections.views.groups import Groups, GroupsView
from projections.views.high_water_marks import HighWaterMarks, HighWaterMarksView
from projections.views.limits.view import Limits, LimitsView
from projections.views.lockouts.view import Lockouts, LockoutsView
from projections.views.notes import Notes, NotesView
from projections.views.orders.view import Orders, OrdersView
from projections.views.pairs import Pairs, PairsView
from projections.views.policies import PoliciesView, StoppedPolicies
from projections.views.quotes import Quotes, QuotesView
from projections.views.rates import ExchangeRates, RatesView
from projections.views.sessions import Sessions, SessionsView
from projections.views.shadow import Shadow, ShadowView
from projections.views.timers import Timers, TimersView
from projections.views.waiting import Approvals

if TYPE_CHECKING:
    from projections.tiers import Tiers
    from projections.view import BookReader, View
    from projections.views.orders.order import Order


def builtin_views(tiers: Tiers[Order] | None = None) -> tuple[View[Any], ...]:
    """Return the views that every book has; `tiers` keeps the closed orders that leave the orders view's state."""
    return (
        OrdersView(tiers=tiers),
        ExecutionsView(),
        LockoutsView(),
        ContractsView(),
        AccountsView(),
        SessionsView(),
        LimitsView(),
        GroupsView(),
        EquityView(),
        HighWaterMarksView(),
        BaselinesView(),
        CountersView(),
        EnforcementView(),
        BlackoutsView(),
        NotesView(),
        PairsView(),
        PoliciesView(),
        ShadowView(),
        QuotesView(),
        RatesView(),
        TimersView(),
    )


class BuiltinQueries:
    """The queries of the built-in views."""

    def __init__(self, book: BookReader) -> None:
        self.orders = Orders(book)
        self.trades = Trades(book)
        self.positions = Positions(book)
        self.contracts = Contracts(book)
        self.accounts = Accounts(book)
        self.pnl = Pnl(book)
        self.equity = Equities(book)
        self.bests = HighWaterMarks(book)
        self.quotes = Quotes(book)
        self.rates = ExchangeRates(book)
        self.sessions = Sessions(book)
        self.groups = Groups(book)
        self.limits = Limits(book, self.groups)
        self.lockouts = Lockouts(book)
        self.approvals = Approvals(book)
        self.shadow = Shadow(book, self.lockouts, self.groups)
        self.enforcement = Enforcements(book)
        self.blackouts = BlackoutSchedule(book)
        self.notes = Notes(book)
        self.timers = Timers(book)
        self.counters = Counters(book)
        self.trips = RoundTrips(book)
        self.pairs = Pairs(book)
        self.policies = StoppedPolicies(book)

    def queries_of(self, book: BookReader) -> BuiltinQueries:
        """Return the queries of another reader of the same fold, with what was set on these, not what they computed."""
        queries = BuiltinQueries(book)
        queries.orders, queries.sessions.calendars = self.orders.reading(book), self.sessions.calendars
        queries.quotes.surroundings.bounds = self.quotes.bounds
        return queries
