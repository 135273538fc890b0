"""How each limit in force is judged: before an order, and as headroom; what cannot be judged says why."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from eventstore import StoreError
from eventstore.clock import derived_from
from eventstore.trading import Verdict
from projections.book import Book
from projections.decimals import FIXED, ZERO
from projections.fold_reader import FoldReader
from projections.risk.contexts import AccountContext
from projections.risk.limits.kind import KINDS, Compared, Finding, LimitKind
from projections.risk.limits.shipped import SHIPPED
from projections.risk.policies import stopped_policies
from projections.risk.policies.liveness import why_unjudged
from projections.valuation import Standing, Status, unknown
from projections.views.limits.headroom import Headroom, provide
from projections.views.limits.parameters import BadLimit, UnknownKind, is_disabled, kind_of, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.risk.cache import RiskCache
    from projections.risk.limits.kind import Measure
    from projections.view import BookReader
    from projections.views.limits.limit import Limit
    from projections.views.limits.parameters import Parameters

_KNOWN = Status.KNOWN
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
            return self._unjudged_finding(context, self.kind)
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

    def _unjudged_finding(self, context: AccountContext, kind: LimitKind[Any]) -> Finding | None:
        """Return the rejection by a limit that acts by its lockout alone, while it is not judged."""
        if type(kind).measure is LimitKind.measure:
            return None
        found = _of_group(context.cache, self, context)
        if found.status is _KNOWN:
            return None
        reason = f"{found.rule_id} cannot be judged: {found.why}"
        return Finding(found.rule_id, Verdict.REJECT, found.figure, found.limit, reason)

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
        context = AccountContext(book, account, at)
        figures, cache = context.figures, context.cache
        # The figures are the same object as long as neither a record nor a quote nor the time can have changed them.
        known = cache.groups["positions"].get("headroom")
        if known is None or known[0] is not figures:
            judges = judges_of(cache)
            known = (figures, tuple(_of_group(cache, judge, context) for judge in judges))
            cache.groups["positions"]["headroom"] = known
    found: tuple[Headroom, ...] = known[1]
    stopped = _stopped(book, account)
    return tuple(_unless_stopped(each, stopped) for each in found) if stopped else found


def _stopped(book: Book, account: str) -> dict[str, str]:
    """Return why policies do not judge an account's limits, by their names; by "" why none does."""
    found = {each.policy: each.sentence for each in book.policies.stopped(account)} | stopped_policies(book, account)
    why = None if found else why_unjudged(book, account)
    return found if why is None else {"": why}


def _of_group(cache: RiskCache, judge: Judge, context: AccountContext) -> Headroom:
    """Return the headroom of one limit, from its cache group if it has one."""
    if judge.group is None or _is_converted(cache):
        return judge.headroom(context)
    return cache.memoize(judge.group, ("headroom", judge.limit.position), lambda: judge.headroom(context))


def _is_converted(cache: RiskCache) -> bool:
    try:
        return cache.is_converted
    except StoreError:
        # Each limit says itself what it lacks.
        return True


def _unless_stopped(found: Headroom, stopped: dict[str, str]) -> Headroom:
    """Return the headroom of a limit whose policy stopped, or one that every limit rests on, as unknown."""
    if found.status is not _KNOWN:
        return found
    why = stopped.get(found.kind) or next((why for policy, why in stopped.items() if policy not in KINDS), "")
    return replace(found, status=Status.UNKNOWN, why=why) if why else found


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
