"""How each limit in force is judged: before an order, and as headroom; what cannot be judged says why."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import StoreError
from eventstore.clock import derived_from
from eventstore.trading import Verdict
from projections.book import Book
from projections.decimals import FIXED, ZERO
from projections.fold_reader import FoldReader
from projections.risk.contexts import AccountContext
from projections.risk.limits.kind import KINDS, Compared, Finding
from projections.risk.limits.shipped import SHIPPED
from projections.valuation import Standing, unknown
from projections.views.limits.headroom import Headroom, provide
from projections.views.limits.parameters import BadLimit, UnknownKind, is_disabled, kind_of, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.risk.cache import RiskCache
    from projections.risk.limits.kind import LimitKind, Measure
    from projections.view import BookReader
    from projections.views.limits.limit import Limit
    from projections.views.limits.parameters import Parameters

_ORDER = {kind.name: number for number, kind in enumerate(SHIPPED)}


class Judge(NamedTuple):
    """A limit in force with its kind, or the error that leaves it unjudged.

    `group`: the cache group whose change invalidates a PASS; None if each order is checked.
    """

    limit: Limit
    kind: LimitKind[Any] | None = None
    parameters: Parameters | None = None
    group: str | None = None
    error: str = ""

    def find(self, context: AccountContext) -> Finding | None:
        """Return the finding on an order; what cannot be judged rejects it."""
        if self.kind is None:
            return Finding(self.limit.rule_id, Verdict.REJECT, reason=self.error)
        if not self.kind.checked:
            return None
        try:
            return self.kind.check(context, self.limit, self.parameters)
        except (StoreError, ArithmeticError) as error:
            reason = f"{self.limit.rule_id} cannot be judged: {message_of(error)}"
            return Finding(self.limit.rule_id, Verdict.REJECT, reason=reason)

    def headroom(self, context: AccountContext) -> Headroom:
        """Return how the account stands to the limit."""
        if self.kind is None:
            return self._unjudged(unknown(self.error))
        try:
            measure = self.kind.measure(context, self.limit, self.parameters)
        except (StoreError, ArithmeticError) as error:
            return self._unjudged(unknown(message_of(error)))
        return _headroom(self.limit, self.kind, measure)

    def _unjudged(self, standing: Standing) -> Headroom:
        rule_id = self.limit.rule_id
        return Headroom(rule_id=rule_id, kind=kind_of(rule_id), status=standing.status, why=standing.why)


def judges_of(cache: RiskCache) -> tuple[Judge, ...]:
    """Return how the limits in force are judged, in the order in which the first rejection counts."""
    return cache.memoize("limits", "judges", lambda: tuple(sorted(_judges(cache), key=_rank)))


def _headroom_of(reader: BookReader, account: str, at: int) -> tuple[Headroom, ...]:
    """Return the headroom in the book whose queries ask: of a book of the past they hold what it reads, not itself."""
    book: object = reader
    if isinstance(reader, FoldReader) and reader.owner is not None:
        book = reader.owner() or Book.of(reader)
    assert isinstance(book, Book), "queries belong to a book"
    return headroom(book, account, at)


def headroom(book: Book, account: str, at: int) -> tuple[Headroom, ...]:
    """Return how an account stands to each of its limits in force, in the order in which orders are checked."""
    with derived_from(at), decimal.localcontext(FIXED):
        context, found = AccountContext(book, account, at), []
        groups, is_converted = context.cache.groups, context.cache.is_converted
        for judge in judges_of(context.cache):
            group, key = None if is_converted else judge.group, ("headroom", judge.limit.position)
            known = groups[group].get(key) if group is not None else None
            if known is None:
                known = judge.headroom(context)
                if group is not None:
                    groups[group][key] = known
            found.append(known)
    return tuple(found)


provide(_headroom_of)


def message_of(error: Exception) -> str:
    """Return an error's message; an arithmetic error has none beyond its class."""
    return str(error) if isinstance(error, StoreError) else f"it cannot be computed ({type(error).__name__})"


def _rank(judge: Judge) -> tuple[int, str]:
    return _ORDER.get(kind_of(judge.limit.rule_id), len(_ORDER)), judge.limit.rule_id


def _judges(cache: RiskCache) -> Iterator[Judge]:
    for limit in cache.limits:
        try:
            parameters = read(limit)
        except (BadLimit, UnknownKind) as error:
            if not is_disabled(limit.parameters):
                yield Judge(limit, error=str(error))
            continue
        if parameters.enabled:
            kind = KINDS[kind_of(limit.rule_id)]()
            yield Judge(limit, kind, parameters, kind.cache_group(parameters))


def _headroom(limit: Limit, kind: LimitKind[Any], measure: Measure | None) -> Headroom:
    unit = "" if kind.unit is None else str(kind.unit)
    if measure is None:
        return Headroom(rule_id=limit.rule_id, kind=kind.name, unit=unit)
    figure, most, standing = measure.figure, measure.limit, measure.standing
    left = figure - most if kind.compared is Compared.BELOW else most - figure - measure.reserve
    whole = figure if kind.compared is Compared.BELOW else most
    # Where nothing is allowed, or there is nothing left, no part of it is left either.
    share = left / whole if whole > ZERO else ZERO
    return Headroom(
        rule_id=limit.rule_id,
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
