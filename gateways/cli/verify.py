"""`verify`: proof that nothing in a log was changed, or the first position where something was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from eventstore import CorruptJournal, EventReader, InvalidEvent, UnsupportedFormat, Verification
from eventstore.proofs import Checkpoint, merkle
from eventstore.proofs.continuity import first_not_continued, last_covered, logs_of
from eventstore.proofs.merkle import TreeHead
from gateways.alerting.verdicts import announce
from gateways.cli import evidence, options, stores
from gateways.cli.evidence import CheckpointPath, PublicKeys
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.keys import Keys
from gateways.cli.options import CommonOptions
from gateways.cli.verification import verify_log
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json

After = Annotated[int, typer.Option(min=0, metavar="POSITION", help="Check only records after this position.")]
Root = Annotated[
    str | None,
    typer.Option(metavar="HEX", help="A root kept elsewhere: the log must have had it, and continue it."),
]
Size = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Size of the log that --root belongs to; by default the current size."),
]

AfterCheckpoint = Annotated[
    bool, typer.Option("--after-checkpoint", help="With --checkpoint: check only what came after the newest of them.")
]

SizeAndRoot = tuple[int, bytes]


@options.command(url=True, read_only=True)
def verify(
    common: CommonOptions,
    *,
    after: After = 0,
    root: Root = None,
    size: Size = None,
    checkpoint: CheckpointPath = None,
    key: PublicKeys = None,
    folder: Keys = None,
    after_checkpoint: AfterCheckpoint = False,
) -> None:
    """Recompute every digest and the tree, check all else that reads depend on; name the first bad position.

    Exit code 1 if there is one. If both records and tree were rewritten, only what was kept elsewhere shows it, however
    much the log has grown since: signed checkpoints, or the printed root as --root and --size.
    """
    kept = _kept(checkpoint, root, is_needed=bool(key) or after_checkpoint)
    if kept:
        root, size = kept[-1].root.hex(), kept[-1].size
    is_signed = False
    found: Verification | None = None
    now: SizeAndRoot | None = None
    more: dict[str, Any] = {}
    limits: list[str] = []
    try:
        with _open_reader(common) as store:
            is_signed = bool(kept) and evidence.check_signed(kept, evidence.known_keys(key, folder, store))
            after = max(after, last_covered(store, kept[-1].head)) if after_checkpoint else after
            _note_past_end(store, after)
            found = verify_log(store, after=after, root=root, size=size)
            found = _compare_all(store, found, kept, after)
            now = store.root()
            limits = _not_shown(store, now, root, size, after) if found.ok else []
            more = stores.missing_tail(store)
            if root is not None and not kept and not found.ok:
                more |= _size_of_root(store, root)
    except UnsupportedFormat:
        raise
    except CorruptJournal as e:
        # Opening checks the head and the last records and failed there; or no root can be computed.
        if found is None or found.ok:
            found = Verification(ok=False, checked=0, first_bad=e.position, reason=e.reason)
    if common.as_json:
        head, current = (None, None) if now is None else (now[0], now[1].hex())
        more |= {"checkpoints": len(kept), "signed": is_signed} if kept else {}
        put_json({"log": common.log, **plain(found), "size": head, "root": current, **more})
    else:
        _put_verdict(found, now, more.get("root_of_size"), limits, from_influx=bool(common.url))
        if found.ok:
            _put_kept(root, size, len(kept), is_signed=is_signed)
    # A root that the log had at another size is a slip of who gave it: nobody is alerted.
    _conclude(common, found, is_whole=not after, is_known="root_of_size" not in more)


def _kept(path: Path | None, root: str | None, *, is_needed: bool) -> list[Checkpoint]:
    """Return the checkpoints of a file, the one with most records last."""
    if path is None:
        if is_needed:
            msg = "--key and --after-checkpoint belong to --checkpoint FILE"
            raise InvalidEvent(msg)
        return []
    if root is not None:
        msg = "give one of --checkpoint and --root"
        raise InvalidEvent(msg)
    return sorted(evidence.of_this_history(evidence.checkpoints_in(path)), key=lambda each: each.size)


def _not_shown(store: EventReader, now: SizeAndRoot, root: str | None, size: int | None, after: int) -> list[str]:
    """Return what a log that verifies leaves open, by the positions that it is read by."""
    kept = None if root is None else TreeHead(now[0] if size is None else size, bytes.fromhex(root))
    covered = None if kept is None else last_covered(store, kept)
    return evidence.not_shown(last_covered(store, TreeHead(*now)), covered, after)


def _put_kept(root: str | None, size: int | None, count: int, *, is_signed: bool) -> None:
    """Say what was kept elsewhere and is the log's."""
    if count:
        what = "the checkpoint" if count == 1 else f"all {count:,} checkpoints"
        put(f"the log continues {what}, " + ("signed by its key" if is_signed else "and who signed was not checked"))
    elif root is not None:
        when = "now" if size is None else f"at size {size:,}, and the log continues it"
        put(f"the log had root {root.lower()} {when}")


def _compare_all(store: EventReader, found: Verification, kept: list[Checkpoint], after: int) -> Verification:
    """Return the verdict with all checkpoints of a file compared, not the newest alone."""
    if not found.ok or len(kept) <= 1:
        return found
    fault = first_not_continued(store, [checkpoint.head for checkpoint in kept])
    if fault is None:
        return found
    checked = max(fault.position - 1 - after, 0)
    return Verification(ok=False, checked=checked, first_bad=fault.position, reason=fault.reason)


def _conclude(common: CommonOptions, found: Verification, *, is_whole: bool, is_known: bool = True) -> None:
    """Alert the receivers of eventstore.toml about a bad log, or about a whole one that is good again; end."""
    if not common.url and is_known and (is_whole or not found.ok):
        place, log = common.place
        announce(place, log, found, *common.directories, Path(), report=note)
    if not found.ok:
        end_with_problem()


@contextlib.contextmanager
def _open_reader(common: CommonOptions) -> Iterator[EventReader]:
    """Open a log to verify it: read-only if it lost its tail, which is a reason to look, not to refuse."""
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(stores.open_reader(common))
        except CorruptJournal as e:
            if common.read_only or common.url or not stores.lacks_tail(common):
                raise
            note(f"{e.reason}: verified as with --read-only")
            store = stack.enter_context(stores.open_reader(msgspec.structs.replace(common, read_only=True)))
        yield store


def _note_past_end(store: EventReader, after: int) -> None:
    if after > store.head():
        note(f"position {after} is not in the log, which ends at {store.head()}: no record was checked")


def _size_of_root(store: EventReader, root: str) -> dict[str, Any]:
    """Return the JSON member with the size at which an undamaged log had a root; empty if it never had."""
    if not verify_log(store).ok:
        return {}
    with progress("looking for the root") as step:
        for log in logs_of(store):
            sought, tree = root.lower(), merkle.Frontier()
            for record in log.read():
                if tree.root().hex() == sought:
                    break
                tree.grow([record.digest])
                step(tree.size, log.head())
            if tree.root().hex() == sought:
                return {"root_of_size": tree.size}
    return {}


def _put_verdict(
    found: Verification, now: SizeAndRoot | None, root_size: int | None, limits: list[str], *, from_influx: bool
) -> None:
    if from_influx:
        # InfluxDB stores no digests, so what is read proves its order; comparing with the journal proves its content.
        proved = "follow one another without a gap, and give the roots that the mirror left"
        advice = "compare with the journal: eventstore mirror --check"
    else:
        proved, advice = "are as they were written", "keep the file, restore from a backup"
    if found.ok:
        put(f"ok: {found.checked:,} records {proved}")
        for what in found.unproved:
            put(f"unproved: {what}")
        for what in limits:
            put(f"not shown: {what}")
        root = "" if now is None else now[1].hex()
        put(f"root {root}" + ("  (the journal's must be the same)" if from_influx else ""))
        return
    where, before = (f" at position {found.first_bad}", " before it") if found.first_bad else ("", "")
    put(f"wrong{where}: {found.reason}")
    if not found.checked and now is None:
        put(f"no records were checked, because the log cannot be opened; {advice}")
        return
    if now is not None and root_size is not None:
        put(f"{now[0]:,} records {proved}; the root given is the log's at size {root_size:,}: give --size {root_size}")
        return
    put(f"{found.checked:,} records{before} {proved}; {advice}")
