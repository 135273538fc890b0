"""`api-keys`: adds, lists and revokes the keys with which programs and people ask the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from eventstore import EventStore, InvalidEvent
from eventstore.clock import parse_duration
from gateways.cli import names, options, stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note, put, put_json
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from gateways.http.keys.key import ApiKey
    from gateways.http.keys.stored import StoredKeys

ADD, LIST, REVOKE = "add", "list", "revoke"

Action = Annotated[str, typer.Argument(metavar="ACTION", help="add, list or revoke; by default list.")]
Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="The key's name, the actor of what it appends; with revoke also its id."),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help="With add: read, append, trade, audit or admin; repeatable."),
]
Accounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="NAME",
        help="With add: only this account; repeatable. '-' stands for what belongs to none, such as contracts.",
    ),
]
Expires = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="With add: how long the key is valid: 12h or 90d.")
]


@options.command(postgres=True)
def api_keys(
    common: CommonOptions,
    action: Action = LIST,
    name: Name = None,
    *,
    scope: Scopes = None,
    account: Accounts = None,
    for_: Expires = None,
    actor: options.Actor = None,
) -> None:
    """Add, list or revoke the API keys of a log's service. A running service notices at once.

    A new key is printed once, on stdout, and stored nowhere: only its hash is. Without --account it is for all
    accounts. Once a key was added, the service answers nobody without one.
    """
    if (name is None) != (action == LIST) or (action != ADD and (scope or account or for_)):
        msg = "NAME belongs to add and revoke, the options to add: see eventstore api-keys --help"
        raise InvalidEvent(msg)
    with stores.open_existing(common) as store, stores.open_keys(common) as file:
        by = actor or store.actor
        if action == ADD and name is not None:
            asked = _KeyAsked(name, scope or [], account or [], for_, by)
            _add(store, file, asked, as_json=common.as_json)
        elif action == REVOKE and name is not None:
            revoked = file.revoke(name, now=store.clock.now_ns(), by=by)
            _put([revoked], {}, store.clock.now_ns(), as_json=common.as_json)
        elif action == LIST:
            _put(list(file.load()), file.used(), store.clock.now_ns(), as_json=common.as_json)
        else:
            msg = f"{action!r:.80} is not one of {ADD}, {LIST} and {REVOKE}"
            raise InvalidEvent(msg)


class _KeyAsked(NamedTuple):
    """The key that is asked for, as the options say it."""

    name: str
    scopes: list[str]
    accounts: list[str]
    lasts: str | None
    by: str


def _add(store: EventStore, file: StoredKeys, asked: _KeyAsked, *, as_json: bool) -> None:
    now = store.clock.now_ns()
    is_first = not file.exists()
    key, text = file.add(
        asked.name,
        _scopes_of(asked.scopes),
        now=now,
        by=asked.by,
        accounts=asked.accounts,
        expires_at=None if asked.lasts is None else now + parse_duration(asked.lasts),
    )
    for each in key.accounts or ():
        if each != SHARED and not each.startswith(GROUP):
            names.note_account(store, each)
    if as_json:
        put_json(_document(key, {}, now) | {"key": text})
    else:
        put(text)
    note(f"this is the key {key.name!r} ({_may(key)}): it is shown once, and cannot be shown again")
    if is_first:
        note("from now on the service answers nobody without a key")


def _scopes_of(given: list[str]) -> list[Any]:
    from gateways.http.access import Scope

    unknown = [each for each in given if each not in set(Scope)]
    if unknown:
        msg = f"--scope {unknown[0]!r:.80} is not one of {', '.join(Scope)}"
        raise InvalidEvent(msg)
    return [Scope(each) for each in given]


def _may(key: ApiKey) -> str:
    accounts = "all accounts" if key.accounts is None else ", ".join(key.accounts)
    return f"{', '.join(key.scopes)}; {accounts}"


def _put(keys: list[ApiKey], used: dict[str, str], now: int, *, as_json: bool) -> None:
    if as_json:
        for each in keys:
            put_json(_document(each, used, now))
        return
    for each in keys:
        put(f"{each.id}  {each.name}  {_may(each)}  {_state(each, used.get(each.id), now)}")
    if not keys:
        note("there are no API keys: the service listens on the loopback only")


def _state(key: ApiKey, used: str | None, now: int) -> str:
    if key.revoked_at is not None:
        return f"revoked at {key.revoked_at} by {key.revoked_by}"
    if key.is_over(now):
        return f"expired at {key.expires_at}"
    until = "" if key.expires_at is None else f", valid until {key.expires_at}"
    return ("never used" if used is None else f"last used at {used}") + until


def _document(key: ApiKey, used: dict[str, str], now: int) -> dict[str, Any]:
    """Return a key as a JSON document, without its hash."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "accounts": None if key.accounts is None else list(key.accounts),
        "in_force": not key.is_over(now),
        "added_at": key.added_at,
        "added_by": key.added_by,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "revoked_by": key.revoked_by,
        "last_used_at": used.get(key.id),
    }
