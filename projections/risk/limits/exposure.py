"""The rules about what is held: the most contracts, symbols that may not be traded, and blackouts."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore import UnknownContract
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
    OrderReported,
    OrderSubmitted,
    PositionAdjusted,
    SessionOpened,
    SessionReset,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.decimals import FIXED, ZERO
from projections.risk.limits import parameters as kinds
from projections.risk.limits.base import Breach, Rule, decided, escaped, now_of
from projections.risk.limits.figures import day_of, sentence
from projections.risk.limits.holdings import held_by, summed, working_for
from projections.risk.limits.parameters import Parameters, kind_of
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


class _WhileItLasts(Rule[P]):
    """A rule whose lockouts hold as long as what they are about: it clears them again, all that may be cleared.

    What somebody else locked under its name, it leaves alone.
    """

    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        wanted: dict[tuple[str, str], int | None] = {}
        for limit, parameters in self.limits(book, trigger):
            for breach in self.breaches(book, trigger, limit, parameters):
                wanted[limit.rule_id, breach.scope] = breach.until
                decision = decided(book, trigger, limit, parameters, breach)
                if decision is not None:
                    # The same may begin and end more than once in a day.
                    key = f"{trigger.account}/{limit.rule_id}/{breach.scope}/{book.position}"
                    yield replace(decision, key=key)
        for held in book.lockouts.active(trigger.account, now_of(trigger)):
            if self._is_own(held) and _is_over(held, wanted):
                yield _cleared(held, self.name)

    def _is_own(self, held: Lockout) -> bool:
        own = isinstance(held.details, dict) and "limit_position" in held.details
        return own and held.revocable and kind_of(held.rule_id) == self.name


def _is_over(held: Lockout, wanted: Mapping[tuple[str, str], int | None]) -> bool:
    """Tell whether nothing wants a lockout any more, or not for so long: it is set again then."""
    if (held.rule_id, held.scope) not in wanted:
        return True
    until = wanted[held.rule_id, held.scope]
    return until is not None and (held.until is None or held.until > until)


def _cleared(held: Lockout, name: str) -> Decision:
    account = held.account

    def is_cleared(book: Book) -> bool:
        return all(other.cause != held.cause for other in book.lockouts.active(account, book.now_ns()))

    event = LockoutCleared(by=name, reason="what it was about is over", rule_id=held.rule_id, scope=held.scope)
    stream = f"lockout/{account}/{escaped(held.rule_id)}"
    return Decision(((stream, event),), obsolete_if=is_cleared, key=f"{held.cause.hex()}/{held.positions[-1]}")


class MaximumContracts(_WhileItLasts[kinds.MaximumContracts]):
    """Locks new exposure, and asks for less, while more contracts are held than allowed, or may come to be held.

    Each symbol counts with the worst that its working orders can make of it: all buys filled and no sell, or all
    sells and no buy. What is reduce-only, or closes a side that the venue keeps by itself, enlarges nothing; an order
    of unknown quantity counts nothing. It locks until the reset, or until no more is held than allowed.

    `quantity` of the request is what may be left: of the symbol, where there is one, else contracts by weight.
    """

    name = "maximum-contracts"
    parameters: ClassVar[type[Parameters]] = kinds.MaximumContracts
    types: ClassVar[tuple[type[Event], ...]] = (
        OrderSubmitted,
        OrderAccepted,
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
        CashMoved,
        AccountOpened,
        LimitsSet,
        LockoutCleared,
        SessionOpened,
        SessionReset,
    )

    @override
    def breaches(
        self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.MaximumContracts
    ) -> Iterable[Breach]:
        account = trigger.account
        with decimal.localcontext(FIXED):
            held = exposures(book, account)
            weighed = {symbol: most * _weight(book, parameters.weights, symbol) for symbol, most in held.items()}
            total, most = sum(weighed.values(), ZERO), _most(book, account, parameters)
            symbol = next(iter(held)) if len(held) == 1 else None
            weight = ONE if symbol is None else _weight(book, parameters.weights, symbol)
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


class SymbolBlock(_WhileItLasts[kinds.SymbolBlock]):
    """Locks each symbol, or root, that the limit in force names; what is held in it may be closed."""

    name = "symbol-block"
    parameters: ClassVar[type[Parameters]] = kinds.SymbolBlock
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet, LockoutCleared, SessionOpened, SessionReset)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.SymbolBlock) -> Iterable[Breach]:
        day = day_of(book, trigger.account, trigger.at, now_of(trigger)).trading_day
        for name in parameters.symbols:
            for scope in scopes_of(book, name):
                yield Breach(figure=ONE, limit=ZERO, reason=f"{name} is blocked", trading_day=day, scope=scope)


class Blackouts(_WhileItLasts[kinds.Blackouts]):
    """Locks new exposure while a scheduled blackout lasts, in its symbols or in all; a canceled one locks no more."""

    name = "blackout"
    parameters: ClassVar[type[Parameters]] = kinds.Blackouts
    types: ClassVar[tuple[type[Event], ...]] = (BlackoutScheduled, BlackoutCanceled, LimitsSet, LockoutCleared)

    @override
    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: kinds.Blackouts) -> Iterable[Breach]:
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


def exposures(book: Book, account: str) -> dict[str, Decimal]:
    """Return, by symbol, the most contracts that what is held and working can come to; nothing where that is none."""
    with decimal.localcontext(FIXED):
        sums = summed(held_by(book, account), working_for(book, account))
    return {symbol: most for symbol, most in sums.most.items() if most}


def _weight(book: Book, weights: Mapping[str, Decimal], symbol: str) -> Decimal:
    names = all_names(book.state("contracts", SHARED), symbol) if weights else ()
    return next((weights[name] for name in names if name in weights), ONE)


def _most(book: Book, account: str, parameters: kinds.MaximumContracts) -> Decimal:
    """Return how many contracts are allowed; where nobody can tell the balance, the fewest of all."""
    if not parameters.scaling:
        return parameters.limit
    try:
        return parameters.at(book.accounts.balance(account, parameters.currency))
    except UnknownContract:
        return min(parameters.limit, *(scaled for _, scaled in parameters.scaling))


def scopes_of(book: Book, name: str) -> list[str]:
    """Return the scopes of lockouts that mean a symbol or a root; what may be either means both."""
    _, root = names_and_root(book.state("contracts", SHARED), name)
    return [f"symbol:{name}"] if root not in {None, name} else [f"symbol:{name}", f"root:{name}"]
