"""A kind of limit: one class that policies, checks before an order, headroom and documents are generic over."""

from __future__ import annotations

import enum
from decimal import Decimal  # noqa: TC003 - a Finding's members are read with their types
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from eventstore import StoreError
from eventstore.trading import Severity, Verdict
from projections.decimals import ZERO
from projections.risk.caches import risk_cache
from projections.risk.days import day_of
from projections.risk.limits.breaches import breach_decision, now_of, per_account
from projections.risk.policies import Decision, Policy
from projections.risk.proposals import MissingInput
from projections.valuation import KNOWN, Standing, worst
from projections.view import GROUP, SHARED
from projections.views.limits.directions import Measured
from projections.views.limits.parameters import Parameters, kind_of, read_enabled, register

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore import Event
    from projections.book import Book
    from projections.risk.contexts import AccountContext
    from projections.risk.days import TradingPeriod
    from projections.risk.limits.breaches import Breach
    from projections.risk.policies import Trigger
    from projections.views.limits.limit import Limit

P = TypeVar("P", bound=Parameters)
# Looked up once: reading a member of an enumeration costs more than the comparison itself.
_ADVISORY, _PASS, _WARNING, _REJECT = Severity.WARNING, Verdict.PASS, Verdict.WARNING, Verdict.REJECT


class Compared(enum.Enum):
    """How a kind's figure is compared with its limit."""

    REACHED = enum.auto()
    """A figure that exists before the order: reaching the limit is a breach."""
    EXCEEDED = enum.auto()
    """A figure that an order causes: it may reach the limit, but not exceed it."""
    BELOW = enum.auto()
    """A figure that must not fall below the limit."""


class RestsOn(enum.Enum):
    """Which records a kind's figure is made of, for the answer to why it locked."""

    DAY = enum.auto()
    """What the trading day realized: executions, fees and cash; with the open positions where its details name them."""
    WEEK = enum.auto()
    """The same of the week."""
    HIGH = enum.auto()
    """What has changed the balance since the mark that its details name, or since the account began."""
    TRIPS = enum.auto()
    """The round trips that its details name."""
    COUNT = enum.auto()
    """The trading day's trades or orders, as the breach's basis says."""
    POSITIONS = enum.auto()
    """The open positions."""
    LIMIT = enum.auto()
    """The limit's setting alone, or a schedule."""


_BELOW, _REACHED = Compared.BELOW, Compared.REACHED


class Measure(NamedTuple):
    """A kind's figure and what it is compared with.

    `standing` says whether the figure is known, `reserve` what the account's haircut holds back, `unit` how it is
    shown, `parts` what the kind's sentence is made of, `shares` each account's figure if it is a group's.
    """

    figure: Decimal
    limit: Decimal
    standing: Standing = KNOWN
    reserve: Decimal = ZERO
    currency: str | None = None
    parts: Any = None
    shares: Mapping[str, Decimal] = {}


class Finding(NamedTuple):
    """One rule's verdict on an order. `figure` is what the order would result in, `limit` what is allowed.

    `reason` is a sentence for the trader, empty if the order passes.
    """

    rule_id: str
    verdict: Verdict
    figure: Decimal | None = None
    limit: Decimal | None = None
    reason: str = ""


KINDS: dict[str, type[LimitKind[Any]]] = {}
"""The kinds that this process knows, by name, in the order in which they were defined."""


def _place(cls: type, member: str) -> int:
    """Return how far up among its bases a class has a member from."""
    return next(place for place, each in enumerate(cls.__mro__) if member in each.__dict__)


class LimitKind(Policy, Generic[P]):
    """One kind of limit: the limits whose rule id is `name` or `name:…`. Defining a subclass with a name registers it.

    `measure` computes its figure, for headroom, and for an order about to be sent; `breaches` finds what locks the
    account, from the same figure. Either may be left out: a kind without `breaches` is judged before orders alone, one
    without `measure` by its lockouts alone.

    A breach leads to a lockout and an enforcement request, appended together. If the limit's severity is WARNING, or
    the lockout would be over already, it leads to a LimitBreached, once per trading day.
    """

    types: ClassVar[tuple[type[Event], ...]] = ()
    parameters: ClassVar[type[Parameters]]
    unit: ClassVar[Measured | None] = None
    """The unit of the figure."""
    compared: ClassVar[Compared] = _REACHED
    group: ClassVar[str | None] = None
    """The RiskCache group that the figure is computed from alone; None if it depends on the order, or on quotes.

    A kind that computes the figure itself (`measure`, `found` or `check`) does not inherit it, nor `by_figures`.
    """
    by_figures: ClassVar[bool] = False
    """Whether the figure is computed from the account's `AccountFigures`, whatever the order is."""
    rests_on: ClassVar[RestsOn] = RestsOn.POSITIONS
    """Which records the figure is made of."""
    checked: ClassVar[bool] = True
    """Whether an order is compared with the limit; False for a kind that acts by its lockout alone."""
    is_summed: ClassVar[bool] = True
    """Whether a group's limit adds up its members' figures; False for a kind that is the same for each member."""

    @override
    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for member in ("group", "by_figures"):
            # What is said of a figure is not true of one that is computed otherwise.
            if any(_place(cls, each) < _place(cls, member) for each in ("measure", "found", "check")):
                setattr(cls, member, getattr(LimitKind, member))
        if "name" in cls.__dict__:
            register(cls.name, cls.parameters)
            KINDS[cls.name] = cls

    def measure(self, context: AccountContext, limit: Limit, parameters: P) -> Measure | None:
        """Return the figure as it is or, in the context of an order, as it would be; None where no limit applies.

        Raise a StoreError where it cannot be computed. It runs in the decimal context projections.decimals.FIXED.
        """
        return None

    def stated(self, measure: Measure) -> tuple[Decimal, Decimal]:
        """Return the figure and the limit as a firm states them."""
        return measure.figure, measure.limit

    def sentence(self, context: AccountContext, parameters: P, measure: Measure, verdict: Verdict) -> str:
        """Return what a trader reads about an order that does not pass, or passes with a warning."""
        return f"{self.name} {measure.figure:f} of {measure.limit:f}"

    def breaches(self, book: Book, trigger: Trigger, limit: Limit, parameters: P) -> Iterable[Breach]:
        """Return the breaches of one limit in the book's current state."""
        return ()

    @classmethod
    def locks(cls) -> bool:
        """Return whether the kind finds breaches: one that does not is judged before orders alone."""
        return cls.breaches is not LimitKind.breaches

    # Before an order

    def check(self, context: AccountContext, limit: Limit, parameters: P) -> Finding | None:
        """Return the finding on an order; None where the limit does not apply to it."""
        measure = self.measure(context, limit, parameters)
        return None if measure is None else self.found(context, limit.rule_id, parameters, measure)

    def found(self, context: AccountContext, rule_id: str, parameters: P, measure: Measure) -> Finding:
        """Return the finding that a figure leads to."""
        figure, most, standing = measure.figure, measure.limit, measure.standing
        if standing is not KNOWN:
            return Finding(rule_id, _REJECT, figure, most, f"{rule_id} cannot be judged: {standing.why}")
        verdict = self.verdict(parameters, measure)
        # Most orders pass, and composing a sentence costs more than the comparison.
        if verdict is _PASS:
            return Finding(rule_id, verdict, figure, most)
        return Finding(rule_id, verdict, figure, most, self.sentence(context, parameters, measure, verdict))

    def verdict(self, parameters: P, measure: Measure) -> Verdict:
        """Compare a figure with its limit."""
        figure, most, compared = measure.figure + measure.reserve, measure.limit, self.compared
        if self.is_past(figure, most):
            return breach_verdict(parameters)
        return _WARNING if compared is not _BELOW and figure >= most * parameters.warn_at else _PASS

    def is_past(self, figure: Decimal, most: Decimal) -> bool:
        """Return whether a figure breaches a limit."""
        if self.compared is _BELOW:
            return figure < most
        return figure > most or (self.compared is _REACHED and figure == most)

    def cache_group(self, parameters: P) -> str | None:
        """Return the cache group whose change invalidates a PASS; None if every order must be checked again."""
        # A limit in a currency of its own is compared at the newest rate.
        return self.group if parameters.currency is None else None

    # Of a group of accounts: its parameters' `group_problem` says whether the kind has such limits

    def measure_group(self, members: Sequence[AccountContext], limit: Limit, parameters: P) -> Measure | None:
        """Return the figure of several accounts, each in a context of its own; None where no limit applies."""
        return summed(members, [self.measure_member(each, limit, parameters) for each in members])

    def measure_member(self, member: AccountContext, limit: Limit, parameters: P) -> Measure | None:
        """Return a member's own figure; raise MissingInput, which names the member, where it cannot be computed."""
        try:
            return self.measure(member, limit, parameters)
        except (StoreError, ArithmeticError) as error:
            msg = f"{member.account}: {message_of(error)}"
            raise MissingInput(msg) from error

    def period(self, book: Book, account: str, at: int) -> TradingPeriod:
        """Return the period that a member is locked for, and to which its part of a group's figure belongs."""
        return day_of(book, account, at, at)

    def is_confirmed(self, members: Sequence[AccountContext], parameters: P, measure: Measure) -> bool:
        """Return whether more than one observation shows that a group's figure is past its limit."""
        return True

    # As a policy

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for limit, parameters in self.limits(book, trigger):
            for breach in self.breaches(book, trigger, limit, parameters):
                decision = breach_decision(book, trigger, limit, parameters, breach)
                if decision is not None:
                    yield decision

    def limits(self, book: Book, trigger: Trigger) -> Iterator[tuple[Limit, P]]:
        """Yield the enabled limits of this kind that are in force, with their parameters.

        An unreadable limit is skipped here; it is unjudged, and the check before an order rejects new exposure for it.
        """
        if trigger.account == SHARED or trigger.account.startswith(GROUP):
            return
        cache = risk_cache(book, trigger.account, now_of(trigger))
        yield from cache.memoize("limits", (self.name, self.parameters), lambda: tuple(self._readable(cache.limits)))

    def _readable(self, limits: Iterable[Limit]) -> Iterator[tuple[Limit, P]]:
        for limit in limits:
            if kind_of(limit.rule_id) != self.name:
                continue
            parameters = read_enabled(limit)
            if isinstance(parameters, self.parameters):
                yield limit, self.enforced(parameters)  # type: ignore[arg-type]

    def enforced(self, parameters: P) -> P:
        """Return the parameters by which a breach is enforced."""
        return parameters


class ValuedKind(LimitKind[P]):
    """A kind on money, evaluated at quotes, as time passes and when a contract defines what its points are worth."""

    unit: ClassVar[Measured | None] = Measured.MONEY
    quotes: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        for each in per_account(book, trigger):
            yield from super().decide(book, each)


def summed(members: Sequence[AccountContext], measures: Sequence[Measure | None]) -> Measure | None:
    """Return the sum of the members' figures, with the worst status; None where the limit applies to none of them."""
    pairs = [(each.account, found) for each, found in zip(members, measures, strict=True) if found is not None]
    if not pairs:
        return None
    standings = [
        replace(found.standing, why=f"{account}: {found.standing.why}")
        for account, found in pairs
        if found.standing is not KNOWN
    ]
    return pairs[0][1]._replace(
        figure=sum((found.figure for _, found in pairs), ZERO),
        standing=worst(standings),
        reserve=sum((found.reserve for _, found in pairs), ZERO),
        shares={account: found.figure for account, found in pairs},
    )


def message_of(error: Exception) -> str:
    """Return an error's message; an arithmetic error has none beyond its class, any other is a fault of the kind."""
    if isinstance(error, StoreError):
        return str(error)
    name = type(error).__name__
    return (
        f"it cannot be computed ({name})"
        if isinstance(error, ArithmeticError)
        else f"its kind failed ({name}: {error})"
    )


def breach_verdict(parameters: Parameters) -> Verdict:
    """Return the verdict on an order past a limit."""
    return _WARNING if parameters.severity is _ADVISORY else _REJECT
