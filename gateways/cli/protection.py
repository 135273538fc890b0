"""`limits shadow` and `limits arm`: whether an account's limits act, or only record what they would do."""

from __future__ import annotations

import difflib
from typing import Any

from eventstore import InvalidEvent
from eventstore.streams import check_name, stream_of
from eventstore.trading import Protection, ProtectionMode
from gateways.cli import names, stores, zones
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.approvals import awaited_approvals, awaited_sentence
from gateways.presenting.documents import plain, record_json
from gateways.presenting.output import note, put, put_json
from gateways.presenting.protection import mode_line
from projections import Book
from projections import open as open_book
from projections.view import GROUP

MODES = {"shadow": Protection.SHADOW, "arm": Protection.ARMED}


def set_mode(
    common: CommonOptions, action: str, account: str | None, reason: str, actor: str | None, *, given: list[str]
) -> None:
    """Append an account's protection mode, and print what is in force, or what it waits for.

    `given` are the options of `limits` that mean nothing here.
    """
    mode = _mode(action)
    if account is None:
        msg = f"limits {action}: which account? write it like: limits {action} ACC1 --reason 'to try its limits'"
        raise InvalidEvent(msg)
    if given:
        msg = f"limits {action} takes --reason and --actor, not {', '.join(given)}: leave that out"
        raise InvalidEvent(msg)
    if account.startswith(GROUP):
        msg = f"{account} is a group, and each account has a mode of its own: name its members"
        raise InvalidEvent(msg)
    check_name("account", account)
    if not reason.strip():
        msg = f"limits {action} {account}: give --reason, which is recorded with the mode"
        raise InvalidEvent(msg)
    with stores.open_existing(common) as store:
        names.check_account(store, account)
        shown = zones.presenter(common, store, account)
        with open_book(store, accounts=[account]) as book:
            _note_unopened(book, account)
            event = ProtectionMode(mode=mode, reason=reason)
            [record] = book.append(stream_of("account", account, "-"), event, actor=actor or store.actor)
            held, waiting = book.shadow.setting(account), book.shadow.pending(account)
            awaited = [each for each in awaited_approvals(book, [account]) if each.position == record.position]
        if common.as_json:
            zone = shown.document_zone
            document: dict[str, Any] = {
                "record": record_json(record, zone),
                "mode": None if held is None else plain(held, zone),
                "pending": None if waiting is None else plain(waiting, zone),
                "awaits_approval": bool(awaited),
            }
            put_json(document)
        else:
            put(mode_line(held, waiting, account, shown))
            put(f"position {record.position}  {record.stream}")
        for each in awaited:
            note(awaited_sentence(each, shown))
        if awaited:
            end_with_problem()


def _mode(action: str) -> Protection:
    mode = MODES.get(action)
    if mode is not None:
        return mode
    close = difflib.get_close_matches(action, MODES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected {' or '.join(MODES)}"
    msg = f"limits {action} is unknown: {hint}; --account NAME shows the limits of one account"
    raise InvalidEvent(msg)


def _note_unopened(book: Book, account: str) -> None:
    known = book.accounts.get(account)
    if known is None or known.starting_balance is None:
        note(f"{account} was never opened: limits that need its starting balance are not judged until it is")
