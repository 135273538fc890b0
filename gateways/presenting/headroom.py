"""How far accounts are from their limits, and which are not judged, as a book without quotes can say it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from gateways.presenting.presenter import NONE
from projections import PartitionParked
from projections.risk.limits.baseline import accounts_of
from projections.valuation import Status
from projections.views.limits.directions import Measured
from projections.views.limits.headroom import Unjudged
from projections.views.limits.parameters import BadLimit, UnknownKind, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateways.presenting.presenter import Presenter
    from projections import Book
    from projections.views.limits.headroom import Headroom
    from projections.views.limits.limit import Limit

Cells = tuple[str, ...]

HEADROOM_COLUMNS = ("rule", ">figure", ">limit", ">left", "in", ">share", "status")
LEFT_COLUMNS = ("account", "rule", ">left", "in", ">share", "status")
WITHOUT_QUOTES = (
    "this command sees no quotes, so what rests on an open position is not KNOWN here: "
    "ask the trading process, which does (book.limits.headroom)"
)
_PERCENT = Decimal(100)


def headroom_row(found: Headroom, shown: Presenter) -> Cells:
    figures = (_figure(each, found, shown) for each in (found.figure, found.limit, found.left))
    return (found.rule_id, *figures, _unit(found), _percent(found.share), found.status)


def left_row(account: str, found: Headroom, shown: Presenter) -> Cells:
    """Return what is left of a limit, for a table that has no room for the rest."""
    return (
        *(account, found.rule_id, _figure(found.left, found, shown)),
        *(_unit(found), _percent(found.share), found.status),
    )


def headroom_notes(
    by_account: Mapping[str, Iterable[Headroom]], unjudged: Mapping[str, Iterable[Unjudged]]
) -> list[str]:
    """Return why limits are not KNOWN, once for all of an account that have the same reason.

    Without those that are listed as unjudged for that reason.
    """
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for account, found in by_account.items():
        listed = {(each.rule_id, each.why) for each in unjudged.get(account, ())}
        for each in found:
            if each.status is not Status.KNOWN and (each.rule_id, each.why) not in listed:
                reasons.setdefault((account, each.status, each.why), []).append(each.rule_id)
    return [f"{account} is {status} for {', '.join(rules)}: {why}" for (account, status, why), rules in reasons.items()]


def unjudged_line(account: str, found: Unjudged, shown: Presenter, *, is_shadow: bool = False) -> str:
    what = "is not judged" if found.since is None else f"has not been judged since {shown.time(found.since)}"
    outcome = "which rejects nothing in SHADOW mode" if is_shadow else "so new exposure is rejected"
    return f"{account}: {found.rule_id} {what}, {outcome}: {found.why}"


def headroom_of(book: Book, accounts: Iterable[str], at: int | None) -> dict[str, tuple[Headroom, ...]]:
    """Return the headroom of each account that has limits, at an instant or now; a parked partition is left out."""
    found: dict[str, tuple[Headroom, ...]] = {}
    for account in accounts:
        try:
            headroom = book.limits.headroom(account, at)
        except PartitionParked:
            continue
        if headroom:
            found[account] = headroom
    return found


def unjudged_of(book: Book, accounts: Iterable[str], at: int | None) -> dict[str, tuple[Unjudged, ...]]:
    """Return the limits of each account that are not judged, apart from those that quotes alone may be missing for.

    Those are recorded by the process that has the quotes, which may have recorded others too.
    """
    found: dict[str, tuple[Unjudged, ...]] = {}
    for account in accounts:
        try:
            unjudged = _unjudged(book, account, at)
        except PartitionParked:
            continue
        if unjudged:
            found[account] = unjudged
    return found


def holds_positions(book: Book, accounts: Iterable[str]) -> bool:
    """Return whether one of some accounts has an open position, whose value rests on quotes."""
    return any(_holds_positions(book, account) for account in accounts)


def _unjudged(book: Book, account: str, at: int | None) -> tuple[Unjudged, ...]:
    limits = book.limits.judging(account, at)
    found = {
        each.rule_id: Unjudged(rule_id=each.rule_id, why=each.why, since=each.since)
        for each in book.limits.recorded_unjudged(account)
        if each.rule_id not in limits or each.limit_position in {None, limits[each.rule_id].position}
    }
    for each in book.limits.unjudged(account, at):
        # At an instant before the log's newest time a limit is judged that was not in force yet.
        limit = limits.get(each.rule_id)
        if limit is None or not holds_positions(book, accounts_of(book, limit)) or not _is_readable(limit):
            found.setdefault(each.rule_id, each)
    return tuple(each for _, each in sorted(found.items()))


def _holds_positions(book: Book, account: str) -> bool:
    try:
        return any(held.quantity for held in book.positions.of(account))
    except PartitionParked:
        return False


def _is_readable(limit: Limit) -> bool:
    try:
        read(limit)
    except (BadLimit, UnknownKind):
        return False
    return True


def _figure(value: Decimal | None, found: Headroom, shown: Presenter) -> str:
    if value is None:
        return NONE
    if found.unit == Measured.SHARE:
        return shown.quantity(value * _PERCENT) if shown.exact else f"{value * _PERCENT:,.1f}"
    return shown.money(value, found.currency) if _is_money(found) else shown.quantity(value)


def _unit(found: Headroom) -> str:
    if found.unit == Measured.SHARE:
        return "%"
    return (found.currency or NONE) if _is_money(found) else NONE


def _is_money(found: Headroom) -> bool:
    return found.unit == Measured.MONEY or (found.currency is not None and found.unit != Measured.SHARE)


def _percent(share: Decimal | None) -> str:
    return NONE if share is None else f"{share * _PERCENT:,.1f} %"
