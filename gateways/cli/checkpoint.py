"""`checkpoint`: signs what the log is now, and hands it to witnesses; once or on a schedule."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from eventstore import CheckpointSettings, EventStore, InvalidEvent, Overloaded, StorageFull, Unavailable
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.checkpoints import Checkpoint
from eventstore.proofs.settings import command_of, seconds_of
from eventstore.proofs.signed_notes import base64_of
from eventstore.proofs.signing import SIGNED_LINE, CheckpointResult
from eventstore.proofs.witness_file import GIVEN_UP, WITNESSED, WitnessFile, WitnessLine
from gateways.cli import options, service, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.keys import Keys
from gateways.cli.options import CommonOptions
from gateways.presenting.evidence import checkpoint_document
from gateways.presenting.output import note, progress, put, put_json, put_table

Every = Annotated[
    str | None, typer.Option("--every", metavar="DURATION", help="Sign again and again, such as every 1h, until ended.")
]
Witnesses = Annotated[
    list[str] | None,
    typer.Option(
        "--witness",
        metavar="NAME=COMMAND",
        help="Hand it to a command on its stdin; repeatable; in place of those of eventstore.toml.",
    ),
]
NoWitness = Annotated[
    bool, typer.Option("--no-witness", help="Ask no witness, and record that none is expected to have it.")
]
Restored = Annotated[
    bool,
    typer.Option(
        "--restored",
        help="The log was put back to an earlier state: a new key begins again, and every checkpoint says so.",
    ),
]
List = Annotated[bool, typer.Option("--list", help="Sign nothing; list the newest checkpoints of checkpoints.txt.")]

WATCH_SECONDS = 0.2


@options.command(postgres=True)
def checkpoint(
    common: CommonOptions,
    *,
    every: Every = None,
    witness: Witnesses = None,
    no_witness: NoWitness = False,
    folder: Keys = None,
    restored: Restored = False,
    listed: List = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Sign the log as it is now (size and root of its tree), append that to checkpoints.txt, hand it to witnesses.

    What was stored since the last one is read back first; nothing is signed that does not continue it. Settings are in
    ./eventstore.toml under checkpoints. Exit code 1 if a witness failed, or the log does not verify.
    """
    if listed:
        _list(common, rows)
        return
    settings = _settings(folder, witness, no_witness=no_witness)
    with stores.open_existing(common) as store:
        if every is not None:
            _repeat(store, settings, seconds_of(every), as_json=common.as_json)
            return
        with progress("reading back") as step:
            result = store.checkpoint(settings, restored=restored, progress=step)
        if no_witness:
            _give_up(store, result.checkpoint)
        _put(store, result, as_json=common.as_json)
        if not result.is_witnessed:
            end_with_problem()


def _settings(folder: Path | None, witness: list[str] | None, *, no_witness: bool) -> CheckpointSettings:
    found = CheckpointSettings.load()
    if folder is not None:
        found = msgspec.structs.replace(found, keys=str(folder))
    if no_witness and witness:
        msg = "give one of --witness and --no-witness"
        raise InvalidEvent(msg)
    if no_witness:
        return msgspec.structs.replace(found, witnesses={}, witness_keys={})
    if witness:
        commands = dict(map(_named, witness))
        known = {name: key for name, key in found.witness_keys.items() if name in commands}
        return msgspec.structs.replace(found, witnesses=commands, witness_keys=known)
    return found


def _named(given: str) -> tuple[str, Any]:
    name, equals, command = given.partition("=")
    if not equals or not command.strip():
        msg = f"a witness is NAME=COMMAND, such as usb='cp /dev/stdin /mnt/usb/checkpoint', not {given!r:.100}"
        raise InvalidEvent(msg)
    return name, command_of(name, command)


def _give_up(store: EventStore, signed: Checkpoint) -> None:
    assert store.side is not None, "a log that was opened here"
    WitnessFile(store.side).append([WitnessLine.of(signed, store.clock.now_ns(), "", GIVEN_UP)])


def _repeat(store: EventStore, settings: CheckpointSettings, seconds: float, *, as_json: bool) -> None:
    """Sign every so often until SIGTERM, and then once more. What may pass is noted, and tried again."""
    if not seconds:
        msg = "--every is a duration such as 1h: leave it out to sign once"
        raise InvalidEvent(msg)
    with service.terminated_by_signal() as termination:
        service.notify(service.READY)
        while True:
            is_last = termination.is_requested
            try:
                _put(store, store.checkpoint(settings), as_json=as_json)
            except (Overloaded, StorageFull, Unavailable) as e:
                if is_last:
                    raise
                note(f"not signed: {e}")
            if is_last:
                return
            due = store.clock.monotonic_ns() + round(seconds * 1e9)
            while store.clock.monotonic_ns() < due and not termination.is_requested:
                time.sleep(WATCH_SECONDS)


def _put(store: EventStore, result: CheckpointResult, *, as_json: bool) -> None:
    assert store.side is not None, "a log that was opened here"
    found = result.checkpoint
    for message in result.notes:
        note(message)
    if as_json:
        put_json({"log": store.log, **checkpoint_document(found), "new": result.new, "witnesses": _outcomes(result)})
        return
    what = "signed" if result.new else "signed before, and the log has not grown since"
    put(f"checkpoint of size {found.size:,}: {what}")
    put(f"root {found.root.hex()}")
    put(f"kept in {CheckpointFile(store.side).place}")
    for line in result.outcomes:
        put(f"witness {line.witness}: " + ("has it" if line.state == WITNESSED else f"failed: {line.reason}"))
    if not result.is_witnessed:
        put("unwitnessed: doctor reports it until the witness has it; eventstore checkpoint asks again")


def _outcomes(result: CheckpointResult) -> list[dict[str, Any]]:
    return [
        {"witness": line.witness, "witnessed": line.state == WITNESSED, "reason": line.reason or None}
        for line in result.outcomes
    ]


def _list(common: CommonOptions, rows: int) -> None:
    with stores.open_local_reader(common) as store:
        assert store.side is not None, "a log that was opened here"
        found = CheckpointFile(store.side).newest()[::-1]
    if common.as_json:
        put_json({"log": common.log, "checkpoints": [checkpoint_document(each) for each in found]})
        return
    columns = ("SIZE", "SIGNED AT", "ROOT", "SIGNATURES")
    shown = [
        (
            f"{each.size:,}",
            each.extension(SIGNED_LINE) or "",
            base64_of(each.root),
            ", ".join(signature.key_id.hex() for signature in each.signatures),
        )
        for each in found
    ]
    put_table("checkpoints, not verified", columns, shown, shown=rows)
