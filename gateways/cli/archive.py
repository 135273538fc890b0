"""`archive`: days that are over as plain Parquet files, and the check that nothing in them was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from eventstore import InvalidEvent, Verification
from eventstore.clock import parse_duration
from eventstore.proofs import Checkpoint
from eventstore.proofs.continuity import first_not_continued
from eventstore.proofs.keys import PublicKey
from gateways.cli import evidence, options, stores
from gateways.cli.evidence import PublicKeys
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the archive; made if it is not there.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="DURATION", help="Only days that ended so long ago: 30d, 12h.")
]
Until = Annotated[
    int | None,
    typer.Option("--until", min=0, metavar="POSITION", help="Up to this position, also if its day is not over."),
]
Kept = Annotated[
    Path | None, typer.Option("--checkpoint", metavar="FILE", help="With --check: checkpoints that it must continue.")
]
Check = Annotated[bool, typer.Option("--check", help="Write nothing: check the archive, and compare it with the log.")]


@options.command(url=True, read_only=True)
def archive(
    common: CommonOptions,
    folder: Folder,
    *,
    older_than: OlderThan = None,
    until: Until = None,
    check: Check = False,
    checkpoint: Kept = None,
    key: PublicKeys = None,
) -> None:
    """Write days that are over as Parquet files by day and category; nothing is deleted from the log.

    A day is written once, and again never; a run that was interrupted is completed by the next one. With --check every
    record is hashed again and the typed columns are compared with the data; exit code 1 names the first bad position.
    """
    if check and (older_than is not None or until is not None):
        msg = "--check takes neither --older-than nor --until: it checks all that is archived"
        raise InvalidEvent(msg)
    if check:
        kept = [] if checkpoint is None else evidence.of_this_history(evidence.checkpoints_in(checkpoint))
        _check(common, folder, kept, evidence.public_keys(key or []))
        return
    if checkpoint is not None or key:
        msg = "--checkpoint and --key belong to --check"
        raise InvalidEvent(msg)
    from projections import analysis

    wait = None if older_than is None else parse_duration(older_than)
    with stores.open_reader(common) as store:
        done = analysis.archive(store, folder, older_than=wait, until=until)
    if common.as_json:
        put_json({"log": common.log, "folder": str(folder), **plain(done)})
        return
    if not done.files:
        put(f"nothing to archive: no further day is over; {folder} ends at position {done.head:,}")
    else:
        put(f"archived positions {done.first:,} to {done.last:,}: {done.files:,} files, {done.size:,} bytes")
    if done.head:
        put(f"root {done.root} at size {done.head:,}")


def _check(common: CommonOptions, folder: Path, kept: list[Checkpoint], keys: list[PublicKey]) -> None:
    from projections import analysis

    is_signed = bool(kept) and evidence.check_signed(kept, keys)
    if common.url or stores.exists(common):
        with stores.open_reader(common) as store:
            found = analysis.check_archive(folder, store=store)
    else:
        note(f"there is no log {common.log!r} in {common.data}: the archive is checked by itself alone")
        found = analysis.check_archive(folder)
    compared: list[Checkpoint] = []
    if found.ok and kept:
        found, compared = _compared(found, folder, kept)
    _put_verdict(found, folder, common, compared, is_signed=is_signed)
    if not found.ok:
        end_with_problem()


def _compared(found: Verification, folder: Path, kept: list[Checkpoint]) -> tuple[Verification, list[Checkpoint]]:
    """Return the verdict with the checkpoints compared that lie within the archive, and these; later ones are noted.

    Raises InvalidEvent where none does: who gave them would take the archive for proved.
    """
    from projections.analysis.archive import ArchiveReader

    with ArchiveReader(folder) as reader:
        head = reader.head()
        within = [checkpoint for checkpoint in kept if checkpoint.size <= head]
        if not within:
            msg = (
                f"the archive ends at position {head:,}, and no checkpoint of {kept[0].size:,} records or more can be "
                "compared with it: give earlier ones too, such as the whole checkpoints.txt"
            )
            raise InvalidEvent(msg)
        if len(within) < len(kept):
            note(f"{len(kept) - len(within):,} checkpoints are of more records than the {head:,} that are archived")
        with progress("comparing checkpoints"):
            fault = first_not_continued(reader, [checkpoint.head for checkpoint in within])
    if fault is None:
        return found, within
    checked = max(fault.position - 1, 0)
    return Verification(ok=False, checked=checked, first_bad=fault.position, reason=fault.reason), within


def _put_verdict(
    found: Verification, folder: Path, common: CommonOptions, compared: list[Checkpoint], *, is_signed: bool
) -> None:
    if common.as_json:
        more = {"checkpoints": len(compared), "signed": is_signed} if compared else {}
        put_json({"log": common.log, "folder": str(folder), **msgspec.to_builtins(found), **more})
        return
    if found.ok:
        put(f"ok: {found.checked:,} archived records are as they were written")
        for what in found.unproved:
            put(f"unproved: {what}")
        size = max((checkpoint.size for checkpoint in compared), default=None)
        for what in evidence.not_shown(found.checked, size):
            put(f"not shown: {what}")
        if compared:
            whose = "signed by its key" if is_signed else "and who signed was not checked"
            put(f"the archive continues {len(compared):,} checkpoints, {whose}")
        return
    where, before = (f" at position {found.first_bad}", " before it") if found.first_bad else ("", "")
    put(f"wrong{where}: {found.reason}")
    put(f"{found.checked:,} records{before} are as they were written; move the bad file away and archive again")
