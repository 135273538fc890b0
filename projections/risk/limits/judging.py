"""The limits that an account is judged by, in the order in which orders are checked, and its headroom."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from eventstore.clock import derived_from
from projections.book import Book
from projections.decimals import FIXED
from projections.fold_reader import FoldReader
from projections.risk.limits.judge import Judge, group_judge
from projections.risk.limits.kind import KINDS
from projections.risk.limits.shipped import SHIPPED
from projections.risk.proposals import CheckContext
from projections.view import GROUP
from projections.views.limits.headroom import Headroom, provide
from projections.views.limits.parameters import (
    BadLimit,
    UnknownKind,
    group_rule_id,
    is_disabled,
    kind_of,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.risk.cache import RiskCache
    from projections.view import BookReader

_ORDER = {kind.name: number for number, kind in enumerate(SHIPPED)}


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
    """Return how an account stands to each of its limits in force, in the order in which orders are checked.

    Its groups' limits are among them. Of a group, asked for as the account `@NAME`, they are its own alone.
    """
    if account.startswith(GROUP):
        member = next(iter(book.groups.members(account.removeprefix(GROUP))), None)
        rule_ids = {group_rule_id(account, limit.rule_id) for limit in book.limits.of(account, at)}
        return () if member is None else tuple(each for each in headroom(book, member, at) if each.rule_id in rule_ids)
    with derived_from(at), decimal.localcontext(FIXED):
        context, found = CheckContext(book, account, at), []
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
    for limit in cache.group_limits:
        judge = group_judge(cache.book, limit)
        if judge is not None:
            yield judge
