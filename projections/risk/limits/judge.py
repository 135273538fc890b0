"""How one limit in force is judged: before an order, and as headroom; what cannot be judged says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import StoreError
from eventstore.errors import shown
from eventstore.trading import Verdict
from projections.decimals import ZERO
from projections.risk.limits.kind import KINDS, Compared, Finding, LimitKind, ValuedKind, message_of
from projections.risk.proposals import MissingInput, is_finite_decimal
from projections.valuation import KNOWN, Standing, Status, unknown
from projections.view import GROUP
from projections.views.limits.headroom import Headroom
from projections.views.limits.parameters import (
    BadLimit,
    UnknownKind,
    group_problem,
    is_disabled,
    kind_of,
    read,
    rule_id_of,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.book import Book
    from projections.risk.cache import RiskCache
    from projections.risk.contexts import AccountContext
    from projections.risk.limits.kind import Measure
    from projections.views.limits.limit import Limit
    from projections.views.limits.parameters import Parameters


class StatedLimit(NamedTuple):
    """A limit's figure and limit as a firm states them: of a drawdown the equity or balance, and the floor."""

    rule_id: str
    figure: Decimal | None
    limit: Decimal | None
    standing: Standing
    currency: str | None = None


class Judge:
    """A limit in force with its kind, or the error that leaves it unjudged.

    `group`: the cache group whose change invalidates a PASS; None if each order is checked, as for a limit of several
    accounts: what happens in one of them changes the figure of all. `members` are these accounts. `by_figures`: whether
    it depends on the account's figures alone.
    """

    def __init__(
        self,
        limit: Limit,
        kind: LimitKind[Any] | None = None,
        parameters: Parameters | None = None,
        *,
        error: str = "",
        members: tuple[str, ...] = (),
    ) -> None:
        self.limit, self.kind, self.parameters, self.error, self.members = limit, kind, parameters, error, members
        self.rule_id = rule_id_of(limit)
        """The limit's rule id, as it is an account's or a group's."""
        self.is_of_group = limit.account.startswith(GROUP)
        """Whether the limit is a group's."""
        self.group = None if kind is None or self.is_of_group else kind.cache_group(parameters)
        self.by_figures = kind is not None and kind.by_figures and not self.is_of_group
        self.is_of_results = isinstance(kind, ValuedKind)
        """Whether the figure is a sum of results, to which what an order opens will add."""
        self.accounts = (limit.account, *members)
        """The accounts whose records the figure rests on, and under which the limit is set."""

    def find(self, context: AccountContext) -> Finding | None:
        """Return the finding on an order; what cannot be judged rejects it."""
        if self.kind is None:
            return Finding(self.rule_id, Verdict.REJECT, reason=self.error)
        if not self.kind.checked:
            return self._unjudged_finding(context, self.kind)
        try:
            if self.members:
                return self._find_of_group(context, self.kind)
            return self.kind.check(context, self.limit, self.parameters)
        except Exception as error:  # noqa: BLE001 - a kind may be its user's code: what fails is not judged
            reason = f"{self.rule_id} cannot be judged: {message_of(error)}"
            return Finding(self.rule_id, Verdict.REJECT, reason=reason)

    def _unjudged_finding(self, context: AccountContext, kind: LimitKind[Any]) -> Finding | None:
        """Return the rejection by a limit that acts by its lockout alone, while it is not judged."""
        if type(kind).measure is LimitKind.measure:
            return None
        found = self.headroom(context)
        if found.status is Status.KNOWN:
            return None
        reason = f"{found.rule_id} cannot be judged: {found.why}"
        return Finding(found.rule_id, Verdict.REJECT, found.figure, found.limit, reason)

    def _find_of_group(self, context: AccountContext, kind: LimitKind[Any]) -> Finding | None:
        measure = self._measure(context, kind)
        if measure is None:
            return None
        found = kind.found(context, self.rule_id, self.parameters, measure)
        if not found.reason or measure.standing is not KNOWN:
            return found
        return found._replace(reason=f"group {self.limit.account.removeprefix(GROUP)}: {found.reason}")

    def _measure(self, context: AccountContext, kind: LimitKind[Any]) -> Measure | None:
        if not self.members:
            return kind.measure(context, self.limit, self.parameters)
        accounts = self.members if kind.is_summed else (context.account,)
        return kind.measure_group([context.of_member(each) for each in accounts], self.limit, self.parameters)

    def stated(self, context: AccountContext) -> StatedLimit | None:
        """Return how the account stands to the limit as a firm states it; None where nothing is compared."""
        if self.kind is None:
            return StatedLimit(self.rule_id, None, None, unknown(self.error))
        try:
            measure = self._measure(context, self.kind)
        except Exception as error:  # noqa: BLE001 - as above
            return StatedLimit(self.rule_id, None, None, unknown(message_of(error)))
        if measure is None:
            return None
        return StatedLimit(self.rule_id, *self.kind.stated(measure), measure.standing, measure.currency)

    def headroom(self, context: AccountContext) -> Headroom:
        """Return how the account stands to the limit, from its cache group if it has one."""
        cache = context.cache
        if self.group is None or _is_converted(cache):
            return self._headroom(context)
        return cache.memoize(self.group, ("headroom", self.limit.position), lambda: self._headroom(context))

    def _headroom(self, context: AccountContext) -> Headroom:
        if self.kind is None:
            return self._unjudged(unknown(self.error))
        try:
            measure = self._measure(context, self.kind)
            return _headroom(self.rule_id, self.kind, measure)
        except Exception as error:  # noqa: BLE001 - as above: it must hide no other limit's figure
            return self._unjudged(unknown(message_of(error)))

    def _unjudged(self, standing: Standing) -> Headroom:
        kind = kind_of(self.limit.rule_id)
        return Headroom(rule_id=self.rule_id, kind=kind, status=standing.status, why=standing.why)


def group_judge(book: Book, limit: Limit) -> Judge | None:
    """Return how a group's limit is judged; None if it is disabled."""
    members = book.groups.members(limit.account.removeprefix(GROUP))
    try:
        parameters = read(limit)
    except (BadLimit, UnknownKind) as error:
        return None if is_disabled(limit.parameters) else Judge(limit, error=str(error), members=members)
    if not parameters.enabled:
        return None
    problem = group_problem(limit.account, limit.rule_id, parameters)
    if problem is not None:
        why = f"{limit.rule_id} cannot be a limit of group {limit.account.removeprefix(GROUP)}: {problem}"
        return Judge(limit, error=why, members=members)
    return Judge(limit, KINDS[kind_of(limit.rule_id)](), parameters, members=members)


def _is_converted(cache: RiskCache) -> bool:
    try:
        return cache.is_converted
    except StoreError:
        # Each limit says itself what it lacks.
        return True


def _headroom(rule_id: str, kind: LimitKind[Any], measure: Measure | None) -> Headroom:
    unit = "" if kind.unit is None else str(kind.unit)
    if measure is None:
        return Headroom(rule_id=rule_id, kind=kind.name, unit=unit)
    figure, most, standing = measure.figure, measure.limit, measure.standing
    if not (is_finite_decimal(figure) and is_finite_decimal(most)):
        msg = f"its kind computes {shown(figure)} of {shown(most)}, expected finite Decimals"
        raise MissingInput(msg)
    left = figure - most if kind.compared is Compared.BELOW else most - figure - measure.reserve
    whole = figure if kind.compared is Compared.BELOW else most
    # Where nothing is allowed, or there is nothing left, no part of it is left either.
    share = left / whole if whole > ZERO else ZERO
    return Headroom(
        rule_id=rule_id,
        kind=kind.name,
        figure=figure,
        limit=most,
        left=left,
        share=share,
        status=standing.status,
        why=standing.why,
        unit=unit,
        currency=measure.currency,
    )
