"""`lock`: an account locked out by hand, until an instant, its next reset or without end date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Annotated

import typer

from eventstore import InvalidEvent
from eventstore.clock import TIME_MAX, parse_duration
from eventstore.streams import check_name, stream_of
from eventstore.trading import Allows, LockoutSet
from gateways.cli import instants, lockouts, names, options, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.lockouts import BY_HAND
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import lockout_sentence
from projections import Book, Calendar
from projections import open as open_book
from projections.seeds import load
from projections.view import GROUP
from projections.views.lockouts.lockout import Lockout
from projections.views.sessions import EVERYONE

Until = Annotated[
    str | None,
    typer.Option(metavar="INSTANT", help="When the lockout ends: 2025-11-19, '2025-11-19 15:10', 15:10 or ISO 8601."),
]
Session = Annotated[bool, typer.Option("--session", help="End the lockout at the account's next reset.")]
For = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="How long the lockout lasts: 2h, 90m or 1d12h.")
]
Calendars = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Seed file to read the calendar from if the log has no sessions."),
]
Irrevocable = Annotated[
    bool, typer.Option("--irrevocable", help="The lockout cannot be cleared or weakened before its end.")
]
Nothing = Annotated[bool, typer.Option("--nothing", help="Allow nothing, not even orders that reduce a position.")]
New = Annotated[bool, typer.Option("--new", help="Lock an account that has no records in the log yet.")]


@options.command(service=True, zone=True, exact=True)
def lock(
    common: CommonOptions,
    account: lockouts.AccountName,
    *,
    until: Until = None,
    session: Session = False,
    for_: For = None,
    calendars: Calendars = None,
    irrevocable: Irrevocable = False,
    nothing: Nothing = False,
    symbol: lockouts.Symbol = None,
    root: lockouts.Root = None,
    reason: lockouts.Reason = "",
    rule: lockouts.RuleId = BY_HAND,
    new: New = False,
    actor: options.Actor = None,
) -> None:
    """Lock an account: until an instant, for a duration, until its next reset, or without end date.

    Orders that reduce a position remain allowed unless --nothing is given.
    """
    check_name("account", account)
    if account.startswith(GROUP):
        # Under that name it would lock nobody.
        msg = f"{account} is a group, and each account is locked by itself: name its members"
        raise InvalidEvent(msg)
    with stores.open_existing(common) as store:
        names.check_account(store, account, "; to lock it before its first record, give --new", may_be_new=new)
        plan = None if calendars is None else load(calendars).calendars
        shown = zones.presenter(common, store, account, calendar_zone=_calendar_zone(plan, account))
        with open_book(store, accounts=[account], calendars=plan) as book:
            end = _end(book, account, until, for_, session=session, zone=shown.zone)
            scope = lockouts.scope_of(symbol, root) or "account"
            names.note_symbol(book, account, symbol)
            names.note_root(book, root)
            names.note_rule(book, account, rule, BY_HAND)
            event = LockoutSet(
                rule_id=rule,
                scope=scope,
                allows=Allows.NOTHING if nothing else Allows.REDUCE_ONLY,
                reason=reason or "locked by hand",
                until=end,
                revocable=not irrevocable,
            )
            _check_has_effect(event, book.lockouts.active(account, store.clock.now_ns()), shown)
            [record] = book.append(stream_of("lockout", account, rule), event, actor=actor)
            active = book.lockouts.active(account, store.clock.now_ns())
        own = [lockout for lockout in active if (lockout.rule_id, lockout.scope) == (rule, scope)]
        lockouts.put_result(record, "locked", own, shown, as_json=common.as_json)


def _end(book: Book, account: str, until: str | None, for_: str | None, *, session: bool, zone: tzinfo) -> int | None:
    """Return when the lockout ends (UNIX ns); None for no end date."""
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
        end = now + parse_duration(for_)
        if end > TIME_MAX:
            msg = f"--for {for_} is out of range: a lockout ends by 2199-12-31; leave out --for for no end date"
            raise InvalidEvent(msg)
        return end
    if until is None:
        return None
    end = instants.time_of(book.reader, until, zone)
    if end <= now:
        msg = f"--until {until} is in the past: a lockout must end in the future"
        raise InvalidEvent(msg)
    return end


def _calendar_zone(plan: Mapping[str, Calendar] | None, account: str) -> str | None:
    calendar = (plan or {}).get(account) or (plan or {}).get(EVERYONE)
    return None if calendar is None else calendar.zone


def _check_has_effect(event: LockoutSet, active: tuple[Lockout, ...], shown: Presenter) -> None:
    """End the command, with nothing recorded, for a lockout no stricter than the irrevocable one it would replace."""
    for held in active:
        if held.revocable or (held.rule_id, held.scope) != (event.rule_id, event.scope):
            continue
        ends_later = held.until is not None and (event.until is None or event.until > held.until)
        if not ends_later and (held.allows is Allows.NOTHING or event.allows is not Allows.NOTHING):
            terms = lockout_sentence(held, shown).replace("locked", "locked irrevocably", 1)
            note(f"{held.account} is already {terms}; nothing was changed")
            end_with_problem()
