"""The kill switch: no new exposure while it is set, for an account or a group of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore.trading import Allows, Approved, EnforcementAction, LimitsSet, LockoutCleared, Severity
from projections.decimals import ZERO
from projections.risk.days import TradingPeriod, day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import Measure, RestsOn
from projections.risk.limits.while_in_breach import WhileInBreach
from projections.views.limits.directions import ACTION, NEITHER, at_once, from_loose_to_strict
from projections.views.limits.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from eventstore.trading import Verdict
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

ONE = Decimal(1)
_ACTIONS = (EnforcementAction.NONE, EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN)


class KillSwitchParameters(Parameters, frozen=True, kw_only=True):
    """`enabled` locks, and to disable it releases at once; `reason`: what traders read; cancels orders by default."""

    # No change waits for a session, and what it allows is part of each setting.
    enabled: Annotated[bool, at_once(from_loose_to_strict(False, True))] = True  # noqa: FBT003 - values of a choice
    allows: Annotated[Allows, at_once(from_loose_to_strict("REDUCE_ONLY", "NOTHING"))] = Allows.REDUCE_ONLY
    action: Annotated[EnforcementAction, at_once(ACTION)] = EnforcementAction.CANCEL_ORDERS
    reason: Annotated[str, NEITHER] = ""

    @override
    def problem(self) -> str | None:
        if not self.revocable or self.severity is not Severity.LOCKOUT:
            return "a kill switch locks until it is disabled: leave severity and revocable out"
        return None if self.action in _ACTIONS else f"action is {self.action}: expected {', '.join(_ACTIONS)}"

    @override
    def group_problem(self) -> str | None:
        return None


class KillSwitch(WhileInBreach[KillSwitchParameters]):
    """Locks while it is enabled, in breach without any figure; an enabled one that is set again locks again."""

    name = "kill-switch"
    parameters: ClassVar[type[Parameters]] = KillSwitchParameters
    rests_on: ClassVar[RestsOn] = RestsOn.LIMIT
    types: ClassVar[tuple[type[Event], ...]] = (Approved, LimitsSet, LockoutCleared)
    is_summed: ClassVar[bool] = False

    @override
    def measure(self, context: AccountContext, limit: Limit, parameters: KillSwitchParameters) -> Measure:
        return Measure(ONE, ZERO)

    @override
    def sentence(
        self, context: AccountContext, parameters: KillSwitchParameters, measure: Measure, verdict: Verdict
    ) -> str:
        return _said(parameters)

    @override
    def period(self, book: Book, account: str, at: int) -> TradingPeriod:
        return replace(day_of(book, account, at, at), ends_at=None)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: KillSwitchParameters
    ) -> Iterable[Breach]:
        day = day_of(book, trigger.account, trigger.at, now_of(trigger)).trading_day
        yield Breach(figure=ONE, limit=ZERO, reason=_said(parameters), trading_day=day, renews=True)


def _said(parameters: KillSwitchParameters) -> str:
    return f"kill switch: {parameters.reason}" if parameters.reason else "kill switch"
