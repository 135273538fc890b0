"""What a trial found, as text: days, limits, what would have locked and by which executions, and a summary."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from eventstore.clock import NANOSECONDS
from gateways.cli import zones
from gateways.cli.options import CommonOptions
from gateways.presenting.output import put, put_table, screen
from gateways.presenting.presenter import NONE, Presenter
from gateways.presenting.tables import wrapped
from gateways.trying import AccountTried, DayTried, Execution, LimitOfDay, TrialReport, WouldHaveLocked
from projections.views.limits.directions import Measured

EXECUTIONS_SHOWN = 5
WITHOUT_QUOTES = (
    "Without quotes an open position is valued at the newest execution of its contract in the file, for 10 s after it. "
    "Losses and highs between executions are not seen: live, a limit may lock earlier than here. `unjudged` is for how "
    "long, in hours and minutes, a limit was not judged because an open position had no price."
)

_LIMIT_COLUMNS = ("day", ">worst", "at", ">at the end", ">limit", "status", ">unjudged")
_LOCK_COLUMNS = ("time", "rule", "~reason", ">after it")
_EXECUTION_COLUMNS = (">line", "time", "id", "side", ">quantity", "symbol", ">price")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def document_zone(common: CommonOptions) -> tzinfo:
    """Return the zone of times in JSON: the one that was asked for, else UTC."""
    return zones.presenter(common).document_zone


def put_trial(report: TrialReport, common: CommonOptions, rows: int) -> None:
    """Print a trial: the days and limits of each account, what would have locked, and a summary."""
    for account in report.accounts:
        shown = zones.presenter(common, calendar_zone=account.zone)
        _put_days(account, shown, rows)
        _put_limits(account, shown, rows)
        _put_locks(account, shown, rows)
    if report.left_out:
        bad = [(str(row.line), row.column or NONE, row.value or NONE, row.why) for row in report.left_out]
        put_table("Left out", (">line", "column", "~value", "~why"), bad, shown=rows)
    _put_summary(report, common)


def _put_days(account: AccountTried, shown: Presenter, rows: int) -> None:
    has_file = any(day.reported is not None for day in account.days)
    columns = ["day", ">exec.", ">realized", ">fees", *([">in file"] if has_file else []), ">balance", ">floor"]
    lines = [_day_row(day, account, shown, has_file=has_file) for day in account.days]
    notes = [_difference(day, account, shown) for day in account.days if day.differs]
    title = f"Days of {account.account} in {account.currency}, before fees, times of {shown.zone}"
    put_table(title, [*columns, "would lock"], lines, shown=rows, notes=notes)


def _day_row(day: DayTried, account: AccountTried, shown: Presenter, *, has_file: bool) -> list[str]:
    def money(value: Decimal | None) -> str:
        return shown.money(value, account.currency)

    in_file = [money(day.reported) + (" !" if day.differs else "")] if has_file else []
    locked = _clock(day.locks[0].at, shown) if day.locks else NONE
    return [
        *(day.trading_day.isoformat(), f"{day.executions:,}", money(day.realized), money(day.fees)),
        *(*in_file, money(day.balance), money(day.floor), locked),
    ]


def _difference(day: DayTried, account: AccountTried, shown: Presenter) -> str:
    by = shown.money(day.difference, account.currency)
    return f"! {day.trading_day}: the file's figure is {by} {account.currency} from ours"


def _put_limits(account: AccountTried, shown: Presenter, rows: int) -> None:
    rules = dict.fromkeys(limit.rule_id for day in account.days for limit in day.limits)
    for rule_id in rules:
        found = [(day, limit) for day in account.days for limit in day.limits if limit.rule_id == rule_id]
        unit = _unit(found[-1][1])
        title = f"{rule_id} of {account.account}{f' in {unit}' if unit else ''}: how much of it was used"
        put_table(title, _LIMIT_COLUMNS, [_limit_row(day, limit, shown) for day, limit in found], shown=rows)


def _limit_row(day: DayTried, limit: LimitOfDay, shown: Presenter) -> tuple[str, ...]:
    most = limit.end_limit if limit.worst_limit is None else limit.worst_limit
    figures = [_limit_figure(each, limit, shown) for each in (limit.worst, limit.end, most)]
    worst_at = NONE if limit.worst_at is None else _clock(limit.worst_at, shown)
    unjudged = _hours(limit.unjudged_ns) if limit.unjudged_ns else NONE
    return (day.trading_day.isoformat(), figures[0], worst_at, *figures[1:], limit.status, unjudged)


def _limit_figure(value: Decimal | None, limit: LimitOfDay, shown: Presenter) -> str:
    if limit.unit == Measured.DURATION and value is not None and not shown.exact:
        return _hours(int(value))
    return shown.money(value, limit.currency) if limit.unit == Measured.MONEY else shown.quantity(value)


def _unit(limit: LimitOfDay) -> str:
    return (limit.currency or "") if limit.unit == Measured.MONEY else limit.unit


def _put_locks(account: AccountTried, shown: Presenter, rows: int) -> None:
    found = [
        (_time(lock.at, shown), lock.rule_id, lock.reason, shown.money(lock.after, account.currency))
        for lock in account.locks
    ]
    put_table(f"{account.account} would have been locked", _LOCK_COLUMNS, found, shown=rows)
    for lock in account.locks[:rows] if rows else account.locks:
        if lock.executions:
            _put_executions(lock, shown, rows)


def _put_executions(lock: WouldHaveLocked, shown: Presenter, rows: int) -> None:
    newest = lock.executions[-EXECUTIONS_SHOWN:] if rows else lock.executions
    earlier = len(lock.executions) - len(newest)
    notes = [f"and {earlier:,} before them: --rows 0 shows all"] if earlier else []
    what = "Executions that led to it" if lock.execution is not None else "Executions before it"
    title = f"{what}: {lock.rule_id} at {_time(lock.at, shown)}"
    put_table(title, _EXECUTION_COLUMNS, [_execution_row(each, shown) for each in newest], notes=notes)


def _execution_row(each: Execution, shown: Presenter) -> tuple[str, ...]:
    return (
        *(str(each.line), _time(each.at, shown), each.trade_id or NONE, each.side.lower()),
        *(shown.quantity(each.quantity), each.symbol, shown.price(each.price)),
    )


def _put_summary(report: TrialReport, common: CommonOptions) -> None:
    of = report.published
    whose = "a file of your own" if of is None else f"{of.firm}, read {of.dated}"
    lines = [f"{report.file}: {report.executions:,} executions under {report.program} ({whose})"]
    for account in report.accounts:
        lines += _sentences(account, zones.presenter(common, calendar_zone=account.zone))
    waited = any(limit.unjudged_ns for each in report.accounts for day in each.days for limit in day.limits)
    for text in (*lines, *report.notes, *([WITHOUT_QUOTES] if waited else [])):
        for line in wrapped(text, screen().width):
            put(line)


def _sentences(account: AccountTried, shown: Presenter) -> list[str]:
    days = Counter(rule_id for day in account.days for rule_id in {lock.rule_id for lock in day.locks})
    locked = sum(bool(day.locks) for day in account.days)
    by = f": {', '.join(f'{rule_id} on {count:,}' for rule_id, count in sorted(days.items()))}" if days else ""
    found = [f"{account.account}: lockouts on {locked:,} of {len(account.days):,} trading days{by}"]
    ended = account.ended
    if ended is not None:
        found.append(f"{account.account}: {_time(ended.at, shown)} would have ended the account: {ended.rule_id}")
    if any(lock.after is not None for lock in account.locks):
        what = f"`after it` is what the account realized then, net of fees, in {account.currency}"
        found.append(f"{account.account}: {what}: until the day's end, or the file's where the account had ended")
    return [
        *found,
        *(f"{account.account}: {rule_id} was not judged: {why}" for rule_id, why in account.unjudged.items()),
    ]


def _local(instant: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(seconds=instant // NANOSECONDS)).astimezone(zone)


def _clock(instant: int, shown: Presenter) -> str:
    """Return the time of day; on another day the table says which."""
    return shown.time(instant) if shown.exact else f"{_local(instant, shown.zone):%H:%M:%S}"


def _time(instant: int, shown: Presenter) -> str:
    return shown.time(instant) if shown.exact else f"{_local(instant, shown.zone):%Y-%m-%d %H:%M:%S}"


def _hours(nanoseconds: int) -> str:
    minutes = nanoseconds // (60 * NANOSECONDS)
    return f"{minutes // 60:,}:{minutes % 60:02d}"
