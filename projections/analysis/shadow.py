"""Shadow mode beside the firm: each day's figures of limits as it reports them and as we do, and who locked when."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore import Instant
from eventstore.clock import derived_from, derived_times
from eventstore.streams import unescaped
from eventstore.trading import LimitReported
from projections.analysis.questions import question
from projections.decimals import FIXED
from projections.risk.days import day_of
from projections.risk.limits.judging import stated_limits
from projections.risk.limits.kind import KINDS
from projections.valuation import Status
from projections.views.limits.parameters import kind_of
from projections.views.lockouts.view import BROKER
from projections.views.shadow import ReportedLimit, report_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from projections.book import Book
    from projections.risk.limits.judge import StatedLimit
    from projections.views.lockouts.lockout import Lockout

NOT_REPORTED = "the firm reported nothing"
NEVER_LOCKS = "the firm reports no locks"
FIGURE, LIMIT = "figure", "limit"
BOTH, OURS, THEIRS = "both", "only here", "only the firm"


class FirmFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a limit on a trading day: ours at the instant of the firm's newest report of that day, and theirs.

    `what` is the limit's figure, or the limit itself; of a drawdown the equity or balance, and the floor. `difference`
    is theirs less ours, None where one is missing, not known, or in another currency: `why` says which.
    """

    day: date
    rule_id: str
    what: str
    ours: Decimal | None = None
    theirs: Decimal | None = None
    difference: Decimal | None = None
    currency: str | None = None
    status: Status | None = None
    why: str = ""
    reported_at: Instant | None = None

    @property
    def differs(self) -> bool:
        return bool(self.difference)


class FirmLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lockout that a limit made, or would have made, and one that the firm made on that day, where there is one.

    `made_by` is "both", "only here" or "only the firm"; where the firm reports no locks, that it does not.
    """

    day: date
    made_by: str
    rule_id: str | None = None
    would: bool = False
    ours_at: Instant | None = None
    ours_until: Instant | None = None
    firm_at: Instant | None = None
    reason: str = ""

    @property
    def differs(self) -> bool:
        return self.made_by in {OURS, THEIRS}


class BesideFirm(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded of an account beside what its firm reports. `never_reported` are limits it never reported."""

    account: str
    figures: tuple[FirmFigure, ...]
    locks: tuple[FirmLock, ...]
    never_reported: tuple[str, ...]


def beside_the_firm(book: Book, account: str, *, first: date | None = None, last: date | None = None) -> BesideFirm:
    """Return an account's figures and lockouts beside the firm's, from one trading day to another, both included.

    The firm's figures are its LimitReported, its locks AccountUpdated(can_trade=False) and lockouts by the rule
    `broker`. Ours are of the instants of its reports, as known now; without quotes, which no log keeps, what rests on
    an open position is not KNOWN.
    """

    def is_asked(day: date) -> bool:
        return (first is None or first <= day) and (last is None or day <= last)

    reports = _reports(book, account)
    chosen = {key: each for key, each in reports.items() if is_asked(key[0])}
    locks = [each for each in _locks(book, account) if is_asked(each.day)]
    days = {day for day, _ in chosen} | {each.day for each in locks} | set(filter(is_asked, _traded(book, account)))
    figures = [*_figures(book, account, chosen), *_missing(reports.keys(), days)]
    rules = {rule_id for _, rule_id in reports}
    kinds = {kind_of(rule_id) for rule_id in rules}
    in_force = [limit.rule_id for limit in book.limits.of(account)]
    return BesideFirm(
        account=account,
        figures=tuple(sorted(figures, key=lambda each: (each.day, each.rule_id, each.what != FIGURE))),
        locks=tuple(sorted(locks, key=lambda each: (each.day, each.ours_at or each.firm_at or 0))),
        never_reported=tuple(rule_id for rule_id in in_force if kind_of(rule_id) not in kinds),
    )


def _day(book: Book, account: str, at: int) -> date:
    return day_of(book, account, at, at).trading_day


def _traded(book: Book, account: str) -> set[date]:
    """Return the trading days that an account has a result of, of the newest 400."""
    return {date.fromisoformat(name.lstrip("~")) for name, _ in book.pnl.days(account)}


# Figures


def _reports(book: Book, account: str) -> dict[tuple[date, str], ReportedLimit]:
    """Return the firm's newest report, by its own time, of each trading day and rule."""
    newest: dict[tuple[date, str], ReportedLimit] = {}
    for record in book.read(account=account, types=(LimitReported,)):
        event = record.event
        if not isinstance(event, LimitReported):
            continue
        report = report_of(event, record)
        day = event.trading_day or _day(book, account, report.reported_at)
        named = unescaped(record.entity)
        key = day, named if kind_of(named) == kind_of(event.kind) else event.kind
        known = newest.get(key)
        if known is None or known.reported_at <= report.reported_at:
            newest[key] = report
    return newest


def _figures(book: Book, account: str, reports: dict[tuple[date, str], ReportedLimit]) -> Iterable[FirmFigure]:
    at = tuple(sorted({each.reported_at for each in reports.values()}))
    stated: dict[int, Sequence[StatedLimit]] = {}
    if not at:
        return
    with derived_times():
        asked = question(book.reader, account=account, at=at, members=True, progress=False)
    for instant, past in asked.books(book.reader, at):
        with derived_from(instant):
            stated[instant] = stated_limits(past, account, instant)
    for key, report in reports.items():
        ours = _named(stated[report.reported_at], key[1])
        of = _day(book, account, report.reported_at)
        yield from (_beside(key, what, ours, report, of) for what in (FIGURE, LIMIT))


def _named(found: Sequence[StatedLimit], rule_id: str) -> StatedLimit | None:
    """Return our limit of a rule's id or, without one, the first of its kind."""
    of_kind = [each for each in found if kind_of(each.rule_id) == kind_of(rule_id)]
    return next((each for each in of_kind if each.rule_id == rule_id), of_kind[0] if of_kind else None)


def _beside(key: tuple[date, str], what: str, ours: StatedLimit | None, report: ReportedLimit, of: date) -> FirmFigure:
    """Return a figure beside the firm's; `of`: the trading day that ours is of."""
    figure = None if ours is None else ours.figure if what == FIGURE else ours.limit
    theirs = report.figure if what == FIGURE else report.limit
    status = None if ours is None else ours.standing.status
    currencies = {report.currency, None if ours is None else ours.currency} - {None}
    why = _why_not_compared(key[1], ours, figure, theirs, currencies)
    if not why and key[0] != of:
        why = f"it is of {key[0]} and was reported on {of}: set reported_at to an instant of its trading day"
    difference = None
    if not why and figure is not None and theirs is not None:
        difference = FIXED.subtract(theirs, figure)
    return FirmFigure(
        day=key[0],
        rule_id=key[1],
        what=what,
        ours=None if status is Status.UNKNOWN or key[0] != of else figure,
        theirs=theirs,
        difference=difference,
        currency=report.currency or (None if ours is None else ours.currency),
        status=status,
        why=why or ("" if ours is None else ours.standing.why),
        reported_at=report.reported_at,
    )


def _why_not_compared(
    rule_id: str, ours: StatedLimit | None, figure: Decimal | None, theirs: Decimal | None, currencies: set[str | None]
) -> str:
    if theirs is None:
        return NOT_REPORTED
    if kind_of(rule_id) not in KINDS:
        return f"no kind of limit is named {kind_of(rule_id)}: it is one of {', '.join(sorted(KINDS))}"
    if ours is None:
        return "no such limit was in force here"
    if len(currencies) > 1:
        return f"it is reported in another currency: {' and '.join(sorted(map(str, currencies)))}"
    if ours.standing.status is Status.UNKNOWN:
        return ours.standing.why
    return "nothing is compared here" if figure is None else ""


def _missing(reported: Iterable[tuple[date, str]], days: set[date]) -> Iterable[FirmFigure]:
    """Yield what the firm has not reported on a day of what it reports on others."""
    known = set(reported)
    for rule_id in sorted({rule_id for _, rule_id in known}):
        for day in days:
            if (day, rule_id) not in known:
                yield FirmFigure(day=day, rule_id=rule_id, what=FIGURE, why=NOT_REPORTED)


# Lockouts


def _locks(book: Book, account: str) -> Iterable[FirmLock]:
    would, real = book.shadow.history(account), book.lockouts.history(account)
    firms = [each for each in real if each.rule_id == BROKER]
    ours = [(each, True) for each in would] + [(each, False) for each in real if _is_of_limit(each)]
    own = book.accounts.get(account)
    reports_locks = bool(firms) or (own is not None and own.can_trade is not None)
    matched: set[bytes] = set()
    for each, is_would in ours:
        day = _day(book, account, each.set_at)
        same = [firm for firm in firms if _overlap(each, firm) or _day(book, account, firm.set_at) == day]
        matched.update(firm.cause for firm in same)
        yield FirmLock(
            day=day,
            made_by=BOTH if same else OURS if reports_locks else NEVER_LOCKS,
            rule_id=each.rule_id,
            would=is_would,
            ours_at=each.set_at,
            ours_until=each.ends_at if each.ended_at is None else each.ended_at,
            firm_at=same[0].set_at if same else None,
            reason=each.reason,
        )
    for firm in firms:
        if firm.cause not in matched:
            day = _day(book, account, firm.set_at)
            yield FirmLock(day=day, made_by=THEIRS, firm_at=firm.set_at, reason=firm.reason)


def _is_of_limit(lockout: Lockout) -> bool:
    return isinstance(lockout.details, dict) and "limit_position" in lockout.details


def _overlap(one: Lockout, other: Lockout) -> bool:
    return _begins_within(one, other) or _begins_within(other, one)


def _begins_within(one: Lockout, other: Lockout) -> bool:
    return other.set_at <= one.set_at and other.is_active(one.set_at)
