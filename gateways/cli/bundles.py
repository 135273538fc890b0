"""Writing a bundle from the command line: which checkpoint it proves its records by, and who signs it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from eventstore import CheckpointSettings, EventReader, EventStore
from eventstore.proofs import Bundle, Checkpoint, write_bundle
from eventstore.proofs.continuity import last_covered
from eventstore.proofs.key_files import KeyFolder
from eventstore.proofs.witness_file import WITNESSED
from gateways.cli import evidence, instants, records
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery, open_query
from gateways.cli.read import last_before
from gateways.presenting.documents import plain
from gateways.presenting.output import note, progress, put, put_json
from gateways.presenting.timeline_page import TIMELINE, bundle_page


class Chosen(NamedTuple):
    """Which records a bundle has, as the command line gives them."""

    account: str | None
    types: list[str] | None
    start: str | None
    stop: str | None


def export_bundle(common: CommonOptions, target: Path, chosen: Chosen, given: Path | None, folder: KeyFolder) -> None:
    """Write a bundle of the records chosen, and say what it proves."""
    with open_query(common, chosen.account) as query:
        store = query.store
        signers = folder.signers(store.log_id)
        signed = checkpoint_to_prove_by(store, given, folder, can_sign=bool(signers))
        if signed is None:
            note("nobody has signed a checkpoint of this log: run eventstore keys new, then eventstore checkpoint")
        elif not signers:
            note(f"no key in {folder.path} signs this log: the bundle does not prove that nothing was left out of it")
        after = 0 if chosen.start is None else last_before(query, chosen.start)
        # A log without a checkpoint may grow while the page is made.
        until = store.head() if signed is None else last_covered(store, signed.head)
        if chosen.stop is not None:
            until = min(until, last_before(query, chosen.stop))
        page = bundle_page(store, query.shown, account=chosen.account, types=chosen.types, after=after, until=until)
        with progress("exporting") as step:
            written = write_bundle(
                store,
                target,
                checkpoint=signed,
                signers=signers,
                keys=[stored.public for stored in folder.of_log(store.log_id)],
                account=chosen.account,
                types=chosen.types,
                after=after,
                until=until,
                start=_time(query, chosen.start),
                stop=_time(query, chosen.stop),
                pages={TIMELINE: page.encode()},
                progress=step,
            )
        if not written.records:
            records.note_no_records(query, chosen.account, chosen.types)
    _put(common, target, written)


def checkpoint_to_prove_by(
    store: EventReader, given: Path | None, folder: KeyFolder, *, can_sign: bool
) -> Checkpoint | None:
    """Return the checkpoint to prove by: the one given, a new one where it can be signed, or the newest that exists."""
    if given is None and can_sign and isinstance(store, EventStore) and not store.read_only:
        result = store.checkpoint(msgspec.structs.replace(CheckpointSettings.load(), keys=str(folder.path)))
        for line in result.outcomes:
            if line.state != WITNESSED:
                note(f"witness {line.witness} failed, so the checkpoint is unwitnessed: {line.reason}")
        return result.checkpoint
    found = evidence.newest_checkpoint(store.side if isinstance(store, EventStore) else None, given, 0)
    if found is not None and last_covered(store, found.head) < store.head():
        note(f"the checkpoint is of {found.size:,} records: what was recorded after it is not in the bundle")
    return found


def _time(query: LogQuery, text: str | None) -> int | None:
    """Return the time that a bundle states as its bound, None where a position or a mark was given."""
    if text is None:
        return None
    found = instants.instant_of(query.store, text, query.shown.zone)
    return found.recorded_at if found.is_time else None


def _put(common: CommonOptions, target: Path, written: Bundle) -> None:
    if common.as_json:
        put_json({"log": common.log, "target": str(target), "form": "bundle", **plain(written)})
        return
    put(f"exported {written.records:,} records of {written.streams:,} streams to {target}")
    for each in written.proved:
        put(f"proved: {each}")
    for each in written.not_proved:
        put(f"not proved: {each}")
    put("to check it: python verify_bundle.py FILE --key VKEY  (eventstore keys show prints the key)")
