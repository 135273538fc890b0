"""Rules on what is held: the maximum number of contracts, blocked symbols, and blackouts."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore import UnknownContract
from eventstore.streams import stream_of
from eventstore.trading import (
    AccountOpened,
    BlackoutCanceled,
    BlackoutScheduled,
    CashMoved,
    LimitsSet,
    LockoutCleared,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderReduced,
    OrderRejected,
    OrderReplaced,
    OrderReplaceRequested,
    OrderReported,
    OrderSubmitted,
    PositionAdjusted,
    PositionReported,
    SessionOpened,
    SessionReset,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.risk.caches import risk_cache
from projections.risk.days import day_of
from projections.risk.limits.base import Breach, Rule, breach_decision, now_of
from projections.risk.limits.figures import sentence
from projections.risk.limits.parameters import (
    BlackoutParameters,
    MaximumContractsParameters,
    Parameters,
    SymbolBlockParameters,
    kind_of,
)
from projections.risk.policies import Decision
from projections.view import SHARED
from projections.views.contracts.names import all_names, names_and_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eventstore import Event
    from projections.book import Book
    from projections.risk.policies import Trigger
    from projections.views.limits.view import Limit
    from projections.views.lockouts.view import Lockout

P = TypeVar("P", bound=Parameters)
ONE = Decimal(1)


class _WhileInBreach(Rule[P]):
    """A rule whose lockouts last as long as the breach: it clears its own revocable lockouts when that is over.

    A lockout that somebody else set under its rule id is left alone.
    """

    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        required: dict[tuple[str, str], int | None] = {}
        for limit, parameters in self.limits(book, trigger):
            for breach in self.breaches(book, trigger, limit, parameters):
                required[limit.rule_id, breach.scope] = breach.until
                decision = breach_decision(book, trigger, limit, parameters, breach)
                if decision is not None:
                    # A breach may begin and end several times a day: by the trigger alone all would have the same key.
                    key = f"{trigger.account}/{limit.rule_id}/{breach.scope}/{book.position}"
                    yield replace(decision, key=key)
        for held in book.lockouts.active(trigger.account, now_of(trigger)):
            if self._is_own(held) and _is_over(held, required):
                yield _cleared(held, self.name)

    def _is_own(self, held: Lockout) -> bool:
        # The details of a lockout that a limit led to name that limit (see `breach_details`).
        own = isinstance(held.details, dict) and "limit_position" in held.details
        return own and held.revocable and kind_of(held.rule_id) == self.name


def _is_over(held: Lockout, required: Mapping[tuple[str, str], int | None]) -> bool:
    """Return whether no breach requires a lockout any more, or not for as long: then a shorter one replaces it."""
    if (held.rule_id, held.scope) not in required:
        return True
    until = required[held.rule_id, held.scope]
    return until is not None and (held.until is None or held.until > until)


def _cleared(held: Lockout, name: str) -> Decision:
    account = held.account

    def is_cleared(book: Book) -> bool:
        return all(other.cause != held.cause for other in book.lockouts.active(account, book.now_ns()))

    event = LockoutCleared(by=name, reason="the breach is over", rule_id=held.rule_id, scope=held.scope)
    stream = stream_of("lockout", account, held.rule_id)
    return Decision(((stream, event),), obsolete_if=is_cleared, key=f"{held.cause.hex()}/{held.positions[-1]}")


class MaximumContracts(_WhileInBreach[MaximumContractsParameters]):
    """Locks new exposure and requests a reduction while the worst-case number of contracts exceeds the limit.

    Each symbol counts with the worst case of its working orders: all buys filled and no sell, or all sells and no
    buy. Reduce-only orders, and those that close a side that the venue keeps separate, add nothing; neither does an
    order of unknown quantity. It locks until the reset, or until the limit is no longer exceeded.

    `quantity` of the request is what may remain: of the symbol if there is only one, else contracts by weight.
    """

    name = "maximum-contracts"
    parameters: ClassVar[type[Parameters]] = MaximumContractsParameters
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderSubmitted,
        OrderAccepted,
        OrderReplaceRequested,
        OrderReplaced,
        OrderReduced,
        OrderFilled,
        OrderCanceled,
        OrderExpired,
        OrderRejected,
        OrderReported,
        TradeExecuted,
        TradeBusted,
        TradeCorrected,
        PositionAdjusted,
        PositionReported,
        CashMoved,
        AccountOpened,
        LimitsSet,
        LockoutCleared,
        SessionOpened,
        SessionReset,
    )

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: MaximumContractsParameters
    ) -> Iterable[Breach]:
        account = trigger.account
        with decimal.localcontext(FIXED):
            held = exposures(book, account, now_of(trigger))
            weighed = {symbol: most * _weight(book, parameters.weights, symbol) for symbol, most in held.items()}
            total, most = sum(weighed.values(), ZERO), _most(book, account, parameters)
            symbol = next(iter(held)) if len(held) == 1 else None
            weight = ONE if symbol is None else _weight(book, parameters.weights, symbol)
            # The request names a symbol if there is only one to reduce; then its quantity is in that symbol.
            left = most / weight if weight else most
        if total <= most:
            return
        day = day_of(book, account, trigger.at, now_of(trigger))
        what = f"maximum contracts {total:f} of {most:f}, working orders counted,"
        yield Breach(
            figure=total,
            limit=most,
            reason=sentence(book, trigger, parameters, what, day.ends_at),
            trading_day=day.trading_day,
            until=day.ends_at,
            symbol=symbol,
            quantity=left,
            details={"contracts": {name: str(figure) for name, figure in sorted(held.items())}},
        )


class SymbolBlock(_WhileInBreach[SymbolBlockParameters]):
    """Locks each symbol or root in the limit; positions in it may be closed."""

    name = "symbol-block"
    parameters: ClassVar[type[Parameters]] = SymbolBlockParameters
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet, LockoutCleared, SessionOpened, SessionReset)

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: SymbolBlockParameters
    ) -> Iterable[Breach]:
        day = day_of(book, trigger.account, trigger.at, now_of(trigger)).trading_day
        for name in parameters.symbols:
            for scope in scopes_of(book, name):
                yield Breach(figure=ONE, limit=ZERO, reason=f"{name} is blocked", trading_day=day, scope=scope)


class Blackouts(_WhileInBreach[BlackoutParameters]):
    """Locks new exposure during a scheduled blackout, in its symbols or in all, unless it is canceled."""

    name = "blackout"
    parameters: ClassVar[type[Parameters]] = BlackoutParameters
    types: ClassVar[tuple[type[Event], ...]] = (BlackoutScheduled, BlackoutCanceled, LimitsSet, LockoutCleared)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: BlackoutParameters) -> Iterable[Breach]:
        account, now = trigger.account, now_of(trigger)
        longest: dict[str, Breach] = {}
        for blackout in book.blackouts.active(account, now):
            names = [scope for name in blackout.symbols for scope in scopes_of(book, name)] or ["account"]
            what = f"blackout {blackout.reason or blackout.name}"
            for scope in names:
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


def exposures(book: Book, account: str, at: int | None = None) -> dict[str, Decimal]:
    """Return the worst-case position by symbol at an instant, by default now, without those that are zero.

    It is what checks judge an order by, without reports of positions that may still be explained: one wrong report must
    not lock an account.
    """
    with decimal.localcontext(FIXED):
        exposure = risk_cache(book, account, book.now_ns() if at is None else at).confirmed_exposure
    return {symbol: most for symbol, most in exposure.worst_case.items() if most}


def _weight(book: Book, weights: Mapping[str, Decimal], symbol: str) -> Decimal:
    names = all_names(book.state("contracts", SHARED), symbol) if weights else ()
    return next((weights[name] for name in names if name in weights), ONE)


def _most(book: Book, account: str, parameters: MaximumContractsParameters) -> Decimal:
    """Return how many contracts are allowed; if the balance is unknown, the smallest number."""
    if not parameters.scaling:
        return parameters.limit
    try:
        return parameters.at(book.accounts.balance(account, parameters.currency))
    except UnknownContract:
        return min(parameters.limit, *(scaled for _, scaled in parameters.scaling))


def scopes_of(book: Book, name: str) -> list[str]:
    """Return the lockout scopes of a symbol or root; both if the name may be either."""
    _, root = names_and_root(book.state("contracts", SHARED), name)
    return [f"symbol:{name}"] if root not in {None, name} else [f"symbol:{name}", f"root:{name}"]
