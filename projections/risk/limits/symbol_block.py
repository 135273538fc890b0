"""Blocked symbols: they may not be traded, and positions in them may be closed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar

from typing_extensions import override

from eventstore.trading import Approved, LimitsSet, LockoutCleared, SessionOpened, SessionReset, Verdict
from eventstore.trading.lockouts import problem_of_names
from projections.decimals import ZERO
from projections.risk.days import day_of
from projections.risk.limits.breaches import Breach, now_of
from projections.risk.limits.kind import Finding, RestsOn, breach_verdict
from projections.risk.limits.while_in_breach import WhileInBreach, scopes_of
from projections.views.limits.directions import BLOCKED
from projections.views.limits.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore import Event
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

ONE = Decimal(1)


class SymbolBlockParameters(Parameters, frozen=True, kw_only=True):
    """`symbols`: the symbols or roots that may not be traded; positions in them may be closed."""

    symbols: Annotated[tuple[str, ...], BLOCKED] = ()

    @override
    def problem(self) -> str | None:
        return problem_of_names("symbols", self.symbols)


class SymbolBlock(WhileInBreach[SymbolBlockParameters]):
    """Locks each symbol or root in the limit; positions in it may be closed. It compares no figure."""

    name = "symbol-block"
    parameters: ClassVar[type[Parameters]] = SymbolBlockParameters
    rests_on: ClassVar[RestsOn] = RestsOn.LIMIT
    types: ClassVar[tuple[type[Event], ...]] = (Approved, LimitsSet, LockoutCleared, SessionOpened, SessionReset)

    @override
    def check(self, context: AccountContext, limit: Limit, parameters: SymbolBlockParameters) -> Finding:
        symbols = parameters.symbols
        # A name that no contract has may be any of them.
        blocked = context.cache.named_in(context.symbol or "", symbols) if symbols else []
        if not blocked:
            return Finding(limit.rule_id, Verdict.PASS)
        said = f"{context.symbol} is blocked for {context.account} ({', '.join(blocked)})"
        return Finding(limit.rule_id, breach_verdict(parameters), reason=said)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: SymbolBlockParameters
    ) -> Iterable[Breach]:
        day = day_of(book, trigger.account, trigger.at, now_of(trigger)).trading_day
        for name in parameters.symbols:
            for scope in scopes_of(book, name):
                yield Breach(figure=ONE, limit=ZERO, reason=f"{name} is blocked", trading_day=day, scope=scope)
