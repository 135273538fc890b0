"""`prove`: that a record is in the log, or that the log only grew since it had some size; and the check of a proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from eventstore import EventReader, EventStore, InvalidEvent, InvalidNote, TargetExists, Unavailable
from eventstore.errors import shown
from eventstore.files import replace
from eventstore.proofs import Checkpoint, ConsistencyProof, InclusionProof
from eventstore.proofs import prove as prove_record
from eventstore.proofs.keys import PublicKey
from eventstore.proofs.proving import TEXT_MAX, in_one_log
from gateways.cli import evidence, options, stores
from gateways.cli.evidence import CheckpointPath, PublicKeys
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.evidence import proof_members
from gateways.presenting.output import note, put, put_json

Position = Annotated[int | None, typer.Argument(min=1, metavar="POSITION", help="Log position of the record.")]
From = Annotated[
    int | None, typer.Option("--from", min=0, metavar="SIZE", help="Prove that the log continues what it was then.")
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="New file for the proof; by default it is printed.")
]
Check = Annotated[Path | None, typer.Option("--check", metavar="FILE", help="Check a proof; needs no log.")]
Earlier = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="With --check: the earlier checkpoint that a proof of consistency begins at."),
]


@options.command(url=True, read_only=True)
def prove(
    common: CommonOptions,
    position: Position = None,
    *,
    from_size: From = None,
    checkpoint: CheckpointPath = None,
    out: Out = None,
    check: Check = None,
    key: PublicKeys = None,
    earlier: Earlier = None,
) -> None:
    """Prove that a record is in the log, or with --from that the log only grew, as text that other tools read.

    A proof ends with the newest signed checkpoint that covers the position. --check verifies one, with the public key
    that --key gives; exit code 1 if it does not hold.
    """
    if [position, from_size, check].count(None) != 2:  # noqa: PLR2004 - of three
        msg = "give one of POSITION, --from SIZE and --check FILE"
        raise InvalidEvent(msg)
    if check is not None:
        _check(common, check, evidence.public_keys(key or []), earlier)
        return
    with stores.open_reader(common) as store:
        found = _proof(store, position, from_size, checkpoint)
    if not found.checkpoint.signatures:
        note("no checkpoint covers this, so nobody has signed it: eventstore checkpoint signs one")
    _put(common, found, out)


def _proof(
    store: EventReader, position: int | None, from_size: int | None, given: Path | None
) -> InclusionProof | ConsistencyProof:
    if position is not None:
        one, own, side = in_one_log(store, position)
        return prove_record(one, own, checkpoint=evidence.newest_checkpoint(side, given, own))
    side = store.side if isinstance(store, EventStore) else None
    signed = evidence.newest_checkpoint(side, given, from_size or 0)
    return prove_record(store, from_size=from_size or 0, checkpoint=signed)


def _put(common: CommonOptions, found: InclusionProof | ConsistencyProof, out: Path | None) -> None:
    """Print a proof, or write it into a new file."""
    if out is not None:
        if out.exists():
            msg = f"{out} exists already: name a new file for the proof"
            raise TargetExists(msg)
        replace(out.absolute(), found.text.encode())
    if common.as_json:
        put_json({"log": common.log, "proof": found.text, **proof_members(found)})
    elif out is None:
        for line in found.text.removesuffix("\n").split("\n"):
            put(line)
    else:
        put(f"proof of {_subject(found)} in {out}")


def _subject(found: InclusionProof | ConsistencyProof) -> str:
    size = found.checkpoint.size
    if isinstance(found, InclusionProof):
        return f"position {found.position:,} among {size:,} records"
    return f"the growth from {found.from_size:,} to {size:,} records"


def _check(common: CommonOptions, path: Path, keys: list[PublicKey], earlier: Path | None) -> None:
    """Check a proof by itself: that it holds, and that one of the keys signed its checkpoint."""
    if not keys:
        msg = "give the log's public key with --key: who signed decides what a proof proves"
        raise InvalidEvent(msg)
    first = None if earlier is None else evidence.checkpoints_in(earlier)[-1]
    try:
        found = _parsed(_text(path))
        found.checkpoint.verify(*keys)
        evidence.note_restored(found.checkpoint)
        what = _verdict(found, first, keys)
    except InvalidNote as e:
        if common.as_json:
            put_json({"ok": False, "reason": str(e)})
        else:
            put(f"wrong: {e}")
        end_with_problem()
    if common.as_json:
        record = msgspec.Raw(found.line[:-1]) if isinstance(found, InclusionProof) else None
        put_json({"ok": True, "origin": found.checkpoint.origin, **proof_members(found), "record": record})
        return
    put(f"ok: {what}, in the log {found.checkpoint.origin}")
    if isinstance(found, InclusionProof):
        put(found.line.decode().removesuffix("\n"))


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read(TEXT_MAX + 1)
    except UnicodeDecodeError as e:
        msg = f"{path} is not a proof: it is not UTF-8 text"
        raise InvalidNote(msg) from e
    except OSError as e:
        msg = f"{path} cannot be read: {e.strerror}"
        raise Unavailable(msg) from e


def _parsed(text: str) -> InclusionProof | ConsistencyProof:
    return ConsistencyProof.parse(text) if text.startswith("old ") else InclusionProof.parse(text)


def _verdict(found: InclusionProof | ConsistencyProof, earlier: Checkpoint | None, keys: list[PublicKey]) -> str:
    """Return what a proof proves; raise InvalidNote where it does not."""
    size = found.checkpoint.size
    if isinstance(found, InclusionProof):
        return f"the record of position {found.position:,} is among the {size:,} records of the checkpoint"
    if earlier is None:
        msg = "give the earlier checkpoint with --earlier FILE: a proof of consistency leads from one to the other"
        raise InvalidEvent(msg)
    earlier.verify(*keys)
    if earlier.origin != found.checkpoint.origin:
        msg = f"the earlier checkpoint is of {shown(earlier.origin)}, another log than {shown(found.checkpoint.origin)}"
        raise InvalidNote(msg)
    if not found.continues(earlier):
        msg = (
            f"the checkpoint of {size:,} records does not continue that of {earlier.size:,}: the log was rewritten, "
            "or the proof is of other checkpoints"
        )
        raise InvalidNote(msg)
    return f"the {size:,} records of the checkpoint begin with the {earlier.size:,} of the earlier one, unchanged"
