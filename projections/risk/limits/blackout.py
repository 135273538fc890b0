"""Blackouts: no new exposure while a scheduled one lasts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from eventstore.trading import Approved, BlackoutCanceled, BlackoutScheduled, LimitsSet, LockoutCleared
from projections.decimals import ZERO
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import RestsOn
from projections.risk.limits.results import sentence
from projections.risk.limits.while_in_breach import WhileInBreach, scopes_of
from projections.views.limits.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

ONE = Decimal(1)


class BlackoutParameters(Parameters, frozen=True, kw_only=True):
    """Scheduled blackouts lock until they stop; without such a limit they are only checked before orders."""


class Blackouts(WhileInBreach[BlackoutParameters]):
    """Locks new exposure during a scheduled blackout, in its symbols or in all, unless it is canceled."""

    name = "blackout"
    parameters: ClassVar[type[Parameters]] = BlackoutParameters
    checked: ClassVar[bool] = False
    rests_on: ClassVar[RestsOn] = RestsOn.LIMIT
    types: ClassVar[tuple[type[Event], ...]] = (
        Approved,
        BlackoutScheduled,
        BlackoutCanceled,
        LimitsSet,
        LockoutCleared,
    )

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: BlackoutParameters) -> Iterable[Breach]:
        account, now = trigger.account, now_of(trigger)
        longest: dict[str, Breach] = {}
        for blackout in book.blackouts.active(account, now):
            named = [scope for name in blackout.symbols for scope in scopes_of(book, name)]
            what = f"blackout {blackout.reason or blackout.name}"
            for scope in named if blackout.symbols else ["account"]:
                known = longest.get(scope)
                if known is None or known.until is None or known.until < blackout.stop:
                    longest[scope] = Breach(
                        figure=ONE,
                        limit=ZERO,
                        reason=sentence(book, trigger, parameters, what, blackout.stop),
                        trading_day=day_of(book, account, trigger.at, now).trading_day,
                        until=blackout.stop,
                        scope=scope,
                        details={"blackout": blackout.name, "source": blackout.source},
                    )
        return longest.values()
