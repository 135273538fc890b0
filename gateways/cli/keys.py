"""`keys`: makes, shows and retires the keys that sign a log's checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eventstore import EventStore, InvalidEvent, StoreError
from eventstore.clock import format_time
from eventstore.proofs.key_files import KeyFolder, StoredKey, key_folder
from eventstore.proofs.signers import origin_of
from gateways.cli import options, stores
from gateways.cli.options import CommonOptions
from gateways.presenting.output import note, put, put_json

NEW, SHOW, RETIRE = "new", "show", "retire"

Action = Annotated[str, typer.Argument(metavar="ACTION", help="new, show or retire; by default show.")]
Named = Annotated[
    str | None, typer.Argument(metavar="KEY", help="With retire: the key's id, eight hex digits, or its public line.")
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys", metavar="DIR", help="Folder of keys; by default EVENTSTORE_KEYS, else ~/.config/eventstore/keys."
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="NAME", help="With new: the key's name, which is the log's origin; the default has its id."
    ),
]


@options.command(postgres=True)
def keys(
    common: CommonOptions, action: Action = SHOW, key: Named = None, *, folder: Keys = None, name: Name = None
) -> None:
    """Make, show or retire the keys that sign a log's checkpoints. Public keys go to stdout, private ones nowhere.

    Hand the public line to those who verify, on a way that those who can write the log do not control. While two keys
    are active both sign, so that those who know the first one can follow to the second; then retire the first.
    """
    place = key_folder(folder)
    if (key is not None) != (action == RETIRE) or (name is not None and action != NEW):
        msg = "KEY belongs to retire, and --name to new: see eventstore keys --help"
        raise InvalidEvent(msg)
    with stores.open_local_reader(common) as store:
        if action == NEW:
            _new(store, place, name, as_json=common.as_json)
        elif action == SHOW:
            _show(store, place, as_json=common.as_json)
        elif key is not None and action == RETIRE:
            _retire(store, place, key, as_json=common.as_json)
        else:
            msg = f"{action!r:.80} is not one of {NEW}, {SHOW} and {RETIRE}"
            raise InvalidEvent(msg)


def _new(store: EventStore, folder: KeyFolder, name: str | None, *, as_json: bool) -> None:
    known = folder.of_log(store.log_id)
    origin = known[-1].public.name if known else None
    chosen = name or origin or origin_of(store.log, store.log_id)
    active = [stored for stored in known if stored.retired_at is None]
    if active and chosen != origin:
        msg = f"the log's active keys have the name {origin}: retire them before a key of another name signs"
        raise InvalidEvent(msg)
    made = folder.create(chosen, store.log, store.log_id, store.clock.now_ns())
    _put(store, [made], as_json=as_json)
    note(f"the private key is in {folder.path}, for its owner alone: back it up, apart from the log")
    note("hand the public line to those who verify; eventstore checkpoint signs with it")
    if active:
        note(f"{len(active) + 1} keys sign now: retire the older one once everybody has the new public line")


def _show(store: EventStore, folder: KeyFolder, *, as_json: bool) -> None:
    found = folder.of_log(store.log_id)
    _put(store, found, as_json=as_json)
    if not found:
        note(f"no key in {folder.path} signs this log: eventstore keys new makes one")
    for stored in found:
        try:
            if stored.retired_at is None:
                folder.private(stored)
        except StoreError as e:
            note(str(e))


def _retire(store: EventStore, folder: KeyFolder, named: str, *, as_json: bool) -> None:
    fitting = [stored for stored in folder.of_log(store.log_id) if named in {stored.key, stored.public.id.hex()}]
    if not fitting:
        msg = f"no key of log {store.log} in {folder.path} has the id {named!r:.100}: eventstore keys show lists them"
        raise InvalidEvent(msg)
    [stored] = fitting
    if stored.retired_at is not None:
        note(f"the key was retired at {format_time(stored.retired_at)} already")
    else:
        stored = folder.retire(stored, store.clock.now_ns())
        note("its private key is deleted: copies of it elsewhere still sign, so destroy them too")
    _put(store, [stored], as_json=as_json)


def _put(store: EventStore, found: list[StoredKey], *, as_json: bool) -> None:
    if as_json:
        keys = [_document(stored) for stored in found]
        put_json({"log": store.log, "log_id": store.log_id.hex(), "keys": keys})
        return
    for stored in found:
        put(stored.key)
        if stored.retired_at is not None:
            note(f"{stored.public.id.hex()} is retired since {format_time(stored.retired_at)}")


def _document(stored: StoredKey) -> dict[str, Any]:
    return {
        "id": stored.public.id.hex(),
        "key": stored.key,
        "created_at": format_time(stored.created_at),
        "retired_at": None if stored.retired_at is None else format_time(stored.retired_at),
    }
