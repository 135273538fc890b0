"""`lock`, `unlock` and `limits`: an account locked by hand, opened again, and what it may not exceed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from eventstore import InvalidEvent, Record
from eventstore.clock import NANOSECONDS, TIME_MAX
from eventstore.streams import check_name
from eventstore.trading import Allows, LockoutCleared, LockoutSet
from gateways.cli import instants, known, options, outcome
from gateways.presenting.documents import plain, record_json
from gateways.presenting.numbers import without_powers
from gateways.presenting.output import ROWS_SHOWN, note, put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import Book
from projections import open as open_book
from projections.seeds import load
from projections.sessions import Calendar
from projections.views.limits.view import Limit
from projections.views.lockouts.view import Lockout
from projections.views.sessions import EVERYONE

BY_HAND = "manual"
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", re.ASCII)
_UNIT_SECONDS = (86_400, 3_600, 60, 1)
_LIMIT_COLUMNS = ("account", "rule", "~parameters", "in force from", "set by", ">position")

AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")]
Until = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="When it ends: 2025-11-19, '2025-11-19 15:10', 15:10 or ISO 8601.")
]
Session = Annotated[bool, typer.Option("--session", help="It ends with the account's next reset.")]
Calendars = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Seed file to read the calendar from if the log has no sessions."),
]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long it lasts, as 2h, 90m or 1d12h.")]
Irrevocable = Annotated[bool, typer.Option("--irrevocable", help="Nobody can end or weaken it before its end.")]
Nothing = Annotated[bool, typer.Option("--nothing", help="Allow nothing, not even reducing a position.")]
RuleId = Annotated[str, typer.Option("--rule", metavar="RULE_ID", help="The rule that it belongs to.")]
Symbol = Annotated[str | None, typer.Option(metavar="NAME", help="Only this symbol; by default the whole account.")]
Root = Annotated[str | None, typer.Option(metavar="NAME", help="Only the futures of this root, as ES.")]
Reason = Annotated[str, typer.Option(help="Why: recorded, and given to each refused order.")]
New = Annotated[bool, typer.Option("--new", help="Lock an account that the log has no record of yet.")]
Seed = Annotated[
    Path | None, typer.Option(metavar="FILE", help="First append what this TOML file has and the log lacks.")
]
Waiting = Annotated[bool, typer.Option("--pending", help="Those that wait for the next session instead.")]


def lock(  # noqa: PLR0917 - typer names them all
    account: AccountName,
    until: Until = None,
    session: Session = False,
    for_: For = None,
    calendars: Calendars = None,
    irrevocable: Irrevocable = False,
    nothing: Nothing = False,
    symbol: Symbol = None,
    root: Root = None,
    reason: Reason = "",
    rule: RuleId = BY_HAND,
    new: New = False,
    actor: options.Actor = None,
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Lock an account: until an instant, for a time, until its next reset, or without end date.

    Orders that reduce a position are still allowed, unless --nothing.
    """
    options.zone_of(zone)
    check_name("account", account)
    with options.opened(data, log) as store:
        known.check_account(store, account, "; to lock it before its first record, give --new", may_be_new=new)
        plan = None if calendars is None else load(calendars).calendars
        shown = options.presenter(store, zone, account, exact=exact, usual=_calendar_zone(plan, account))
        with open_book(store, accounts=[account], calendars=plan) as book:
            end = _end(book, account, until, for_, session=session, zone=shown.zone)
            scope = _scope(symbol, root) or "account"
            known.note_symbol(book, account, symbol)
            known.note_root(book, root)
            known.note_rule(book, account, rule, BY_HAND)
            event = LockoutSet(
                rule_id=rule,
                scope=scope,
                allows=Allows.NOTHING if nothing else Allows.REDUCE_ONLY,
                reason=reason or "locked by hand",
                until=end,
                revocable=not irrevocable,
            )
            _check_changes(event, book.lockouts.active(account, store.clock.now_ns()), shown)
            [record] = book.append(_stream(account, rule), event, actor=actor)
            now = store.clock.now_ns()
            held = [each for each in book.lockouts.active(account, now) if (each.rule_id, each.scope) == (rule, scope)]
        _report(record, "locked", held, shown, as_json=as_json)


def unlock(  # noqa: PLR0917 - typer names them all
    account: AccountName,
    symbol: Symbol = None,
    root: Root = None,
    reason: Reason = "",
    rule: RuleId = BY_HAND,
    actor: options.Actor = None,
    data: options.LocalData = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """End an account's lockout by a rule, by default the one set by hand. An irrevocable one stays."""
    options.zone_of(zone)
    check_name("account", account)
    with options.opened(data, log) as store:
        known.check_account(store, account)
        shown = options.presenter(store, zone, account, exact=exact)
        with open_book(store, accounts=[account]) as book:
            scope = _scope(symbol, root)
            active = book.lockouts.active(account, store.clock.now_ns())
            _check_clearable(account, rule, scope, active, shown)
            event = LockoutCleared(by=actor or "", reason=reason, scope=scope)
            [record] = book.append(_stream(account, rule), event, actor=actor)
            left = list(book.lockouts.active(account, store.clock.now_ns()))
        _report(record, "still locked" if left else "unlocked", left, shown, as_json=as_json)


def limits(  # noqa: PLR0917 - typer names them all
    account: options.Account = None,
    seed: Seed = None,
    pending: Waiting = False,
    actor: options.Actor = None,
    rows: Annotated[int, typer.Option(min=0, help="At most so many rows of a table; 0 for all.")] = ROWS_SHOWN,
    data: options.Data = options.DATA,
    log: options.Log = options.LOG,
    as_json: options.Json = False,
    zone: options.Zone = None,
    exact: options.Exact = False,
) -> None:
    """Show which limits are in force, since when and set by whom; with --seed, set first ones from a file."""
    options.zone_of(zone)
    if seed is not None:
        _seed(seed, actor, data, log)
    with options.reading(data, log) as store:
        shown = options.presenter(store, zone, account, exact=exact)
        is_known = known.note_account(store, account)
        accounts = None if account is None else [account]
        with open_book(store, accounts=accounts) as book:
            ask = book.limits.pending if pending else book.limits.of
            now = options.clock_of(store).now_ns()
            found = [limit for name in sorted(accounts or book.partitions("limits")) for limit in ask(name, now)]
        missing = options.missing_tail(store)
    if as_json:
        put_json([plain(limit, shown.document_zone) | missing for limit in found])
    else:
        title = "Pending limits" if pending else "Limits in force"
        put_table(title, _LIMIT_COLUMNS, [_row(limit, shown) for limit in found], shown=rows)
    if not is_known:
        outcome.wrong()


def _seed(path: Path, actor: str | None, data: Path, log: str) -> None:
    seeds = load(path)
    with options.writing(data, log) as store, open_book(store) as book:
        records = seeds.apply(book, actor or store.actor)
    note(f"{path}: {len(records)} events appended" if records else f"{path}: the log has all of it, nothing was added")


def _row(limit: Limit, shown: Presenter) -> tuple[str, ...]:
    parameters = ", ".join(f"{name} {_parameter(value)}" for name, value in limit.parameters.items())
    since = "the next session" if limit.in_force_at is None else shown.time(limit.in_force_at)
    return limit.account, limit.rule_id, parameters or NONE, since, limit.actor, str(limit.position)


def _parameter(value: object) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{name} {_parameter(each)}" for name, each in value.items())
    return " and ".join(map(_parameter, value)) if isinstance(value, list) else without_powers(str(value))


def _end(book: Book, account: str, until: str | None, for_: str | None, *, session: bool, zone: tzinfo) -> int | None:
    if (until is not None) + (for_ is not None) + session > 1:
        msg = "give one of --until, --for and --session: each says when the lockout ends"
        raise InvalidEvent(msg)
    now = book.now_ns()
    if session:
        reset = book.sessions.next_reset(account, now)
        if reset is None:
            msg = f"no session of {account} says when it resets next: give --until, --for or --calendars"
            raise InvalidEvent(msg)
        return reset
    if for_ is not None:
        end = now + duration(for_)
        if end > TIME_MAX:
            msg = f"--for {for_} is out of range: a lockout ends by 2199-12-31; without --for it has no end"
            raise InvalidEvent(msg)
        return end
    if until is None:
        return None
    end = instants.time_of(book.reader, until, zone)
    if end <= now:
        msg = f"--until {until} is over already: a lockout ends in the future"
        raise InvalidEvent(msg)
    return end


def duration(text: str) -> int:
    """Return a time like 2h, 90m or 1d12h in ns; raise InvalidEvent for another text."""
    found = _DURATION.fullmatch(text)
    seconds = (
        0 if found is None else sum(int(n or 0) * unit for n, unit in zip(found.groups(), _UNIT_SECONDS, strict=True))
    )
    if not seconds:
        msg = f"invalid duration {text!r}: write it like 2h, 90m or 1d12h"
        raise InvalidEvent(msg)
    return seconds * NANOSECONDS


def _calendar_zone(plan: Mapping[str, Calendar] | None, account: str) -> str | None:
    calendar = (plan or {}).get(account) or (plan or {}).get(EVERYONE)
    return None if calendar is None else calendar.zone


def _scope(symbol: str | None, root: str | None) -> str | None:
    if symbol is not None and root is not None:
        msg = "give --symbol or --root: a lockout has one scope"
        raise InvalidEvent(msg)
    if symbol is not None:
        return f"symbol:{symbol}"
    return None if root is None else f"root:{root}"


def _stream(account: str, rule: str) -> str:
    return f"lockout/{account}/{rule.replace('/', '%2F')}"


def _check_clearable(account: str, rule: str, scope: str | None, active: tuple[Lockout, ...], shown: Presenter) -> None:
    """Refuse what would have no effect, before it is recorded."""
    meant = [held for held in active if held.rule_id == rule and scope in {None, held.scope}]
    if not meant:
        others = ", ".join(f"{held.rule_id} ({held.scope})" for held in active)
        only = f"{account} has no lockout by {rule!r} in force, only {others}: name one with --rule"
        msg = only if others else f"{account} has no active lockouts"
        raise InvalidEvent(msg)
    if all(not held.revocable for held in meant):
        note(f"{account} is {_held(meant[0], shown)}, and that is irrevocable: nothing was changed")
        outcome.wrong()


def _check_changes(event: LockoutSet, active: tuple[Lockout, ...], shown: Presenter) -> None:
    """Refuse a lockout that is no stricter than the irrevocable one which it would repeat, before it is recorded."""
    for held in active:
        if held.revocable or (held.rule_id, held.scope) != (event.rule_id, event.scope):
            continue
        ends_later = held.until is not None and (event.until is None or event.until > held.until)
        if not ends_later and (held.allows is Allows.NOTHING or event.allows is not Allows.NOTHING):
            terms = _held(held, shown).replace("locked", "locked irrevocably", 1)
            note(f"{held.account} is already {terms}; this changed nothing")
            outcome.wrong()


def _held(held: Lockout, shown: Presenter) -> str:
    end = "without end" if held.until is None else f"until {shown.time(held.until)}"
    return f"locked {end} by {held.rule_id} ({held.scope})"


def _report(record: Record, state: str, held: list[Lockout], shown: Presenter, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {
            "record": record_json(record, shown.document_zone),
            "lockouts": [plain(each, shown.document_zone) for each in held],
        }
        put_json(document)
        return
    put(f"{record.account} {state}: position {record.position}  {record.stream}")
    for each in held:
        put(f"{_held(each, shown)}, lets {'nothing' if each.allows is Allows.NOTHING else 'reductions'} through")
