"""The breaks of positions: what a statement says was held at an instant, beside what had happened by then."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from eventstore.clock import derived_times
from projections.auditing.statements.breaks import EVIDENCE_MAX, Break, BreakKind
from projections.decimals import ZERO
from projections.replay import as_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from eventstore import EventReader
    from projections.auditing.statements.logged import LoggedAccount
    from projections.auditing.statements.stated import Stated, StatedPosition

INSTANTS_MAX = 100
"""At how many instants positions are compared: the book of each is folded from the account's first record."""


def position_breaks(store: EventReader, stated: Stated, logged: LoggedAccount) -> Iterator[Break]:
    """Yield where positions differ, of the newest 100 instants; also what a list of positions leaves out."""
    by_instant: defaultdict[int, list[StatedPosition]] = defaultdict(list)
    for each in stated.positions:
        is_of_day = each.trading_day is not None
        by_instant[logged.days.at(each.at).until - 1 if is_of_day else each.at + stated.within_ns - 1].append(each)
    for at in sorted(by_instant)[-INSTANTS_MAX:]:
        yield from _at(store, by_instant[at], at, logged)


def _at(store: EventReader, rows: Sequence[StatedPosition], at: int, logged: LoggedAccount) -> Iterator[Break]:
    with derived_times():
        book = as_of(store, position=logged.book.position, occurred_at=at, account=logged.account)
    held = {(each.symbol, each.side): each.quantity for each in book.positions.of(logged.account)}
    for each in rows:
        symbol = logged.symbol(each.symbol)
        here = held.pop((symbol, each.side), ZERO)
        if here != each.quantity:
            text = f"the statement has a position of {each.quantity:f} {symbol}, the log {here:f}"
            yield _break(logged, (symbol, at), text, here=here, there=each.quantity, lines=(each.line,))
    for (symbol, _), here in sorted(held.items()):
        if here:
            text = f"the log has a position of {here:f} {symbol}, which the statement's list does not name"
            yield _break(logged, (symbol, at), text, here=here)


def _break(
    logged: LoggedAccount,
    what: tuple[str, int],
    sentence: str,
    **members: Any,  # noqa: ANN401 - a break's own
) -> Break:
    symbol, at = what
    trades = [each.position for each in logged.trades if each.symbol == symbol and each.at <= at]
    return Break(
        kind=BreakKind.OTHER_POSITION,
        account=logged.account,
        sentence=sentence,
        symbol=symbol,
        trading_day=logged.days.at(at).trading_day,
        at=at,
        records=tuple(sorted(trades)[-EVIDENCE_MAX:]),
        **members,
    )
