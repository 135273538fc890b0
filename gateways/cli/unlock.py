"""`unlock`: the end of an account's lockout, by default of the one set by hand."""

from __future__ import annotations

from eventstore import InvalidEvent
from eventstore.streams import check_name, stream_of
from eventstore.trading import LockoutCleared
from gateways.cli import lockouts, names, options, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.lockouts import BY_HAND
from gateways.cli.options import CommonOptions
from gateways.presenting.approvals import awaited_approvals, awaited_sentence
from gateways.presenting.output import note
from gateways.presenting.presenter import Presenter
from gateways.presenting.rows import lockout_sentence
from projections import open as open_book
from projections.views.lockouts.lockout import Lockout


@options.command(service=True, zone=True, exact=True)
def unlock(
    common: CommonOptions,
    account: lockouts.AccountName,
    *,
    symbol: lockouts.Symbol = None,
    root: lockouts.Root = None,
    reason: lockouts.Reason = "",
    rule: lockouts.RuleId = BY_HAND,
    actor: options.Actor = None,
) -> None:
    """Clear an account's lockout by a rule, by default the one set by hand; an irrevocable one stays.

    For an account with a second approver this only asks for it, with exit code 1: `approve` is the second person's.
    """
    check_name("account", account)
    with stores.open_existing(common) as store:
        names.check_account(store, account)
        shown = zones.presenter(common, store, account)
        with open_book(store, accounts=[account]) as book:
            scope = lockouts.scope_of(symbol, root)
            active = book.lockouts.active(account, store.clock.now_ns())
            _check_clearable(account, rule, scope, active, shown)
            event = LockoutCleared(by=actor or "", reason=reason, scope=scope)
            [record] = book.append(stream_of("lockout", account, rule), event, actor=actor)
            left = list(book.lockouts.active(account, store.clock.now_ns()))
            waiting = [each for each in awaited_approvals(book, [account]) if each.position == record.position]
        state = "still locked" if left else "unlocked"
        lockouts.put_result(record, state, left, shown, as_json=common.as_json)
        for each in waiting:
            note(awaited_sentence(each, shown))
        if waiting:
            end_with_problem()


def _check_clearable(account: str, rule: str, scope: str | None, active: tuple[Lockout, ...], shown: Presenter) -> None:
    """Reject what would have no effect, before it is recorded."""
    matching = [lockout for lockout in active if lockout.rule_id == rule and scope in {None, lockout.scope}]
    if not matching:
        others = ", ".join(f"{lockout.rule_id} ({lockout.scope})" for lockout in active)
        hint = f"{account} has no active lockout by {rule!r}, only {others}: name one with --rule"
        msg = hint if others else f"{account} has no active lockouts"
        raise InvalidEvent(msg)
    if all(not lockout.revocable for lockout in matching):
        note(f"{account} is {lockout_sentence(matching[0], shown)}, and that is irrevocable: nothing was changed")
        end_with_problem()
