"""The pack of a dispute: its pages within a bundle that proves the records they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eventstore import EventReader, EventStore
from eventstore.arguments import POSITION_MAX
from eventstore.proofs import Bundle, Checkpoint, write_bundle
from eventstore.proofs.key_files import KeyFolder
from eventstore.proofs.keys import PrivateKey, PublicKey
from eventstore.proofs.proving import checkpoint_text, in_one_log, inclusions, unsigned
from eventstore.side import LogSide
from gateways.cli import bundles, evidence
from gateways.presenting.dispute_document import dispute_document
from gateways.presenting.dispute_page import dispute_pages
from gateways.presenting.documents import json_text
from gateways.presenting.output import note
from gateways.presenting.presenter import Presenter
from projections.auditing import Dispute, Evidence, evidence_of

DOCUMENT = "dispute.json"
PROOFS_MAX = 1_000
"""How many records from outside the stretch have a proof of their own."""


class _Signing(NamedTuple):
    """The checkpoint that a pack is proved by, the keys that sign it now, and the public ones that go with it."""

    checkpoint: Checkpoint
    signers: Sequence[PrivateKey]
    keys: Sequence[PublicKey]


class _OneLog(NamedTuple):
    """A log by itself, what lies beside it, and how many records the logs that it continues have."""

    store: EventReader
    side: LogSide | None
    offset: int


class _Proofs(NamedTuple):
    """Records of one log, by positions of all logs, that have a proof each, by a checkpoint of that log."""

    log: _OneLog
    checkpoint: Checkpoint
    positions: Sequence[int]

    def pages(self) -> dict[str, bytes]:
        """Return the proofs as files, named by the positions of all logs."""
        own = [position - self.log.offset for position in self.positions]
        made = inclusions(self.log.store, own, checkpoint=self.checkpoint)
        return {f"proof-{proof.position + self.log.offset}.txt": proof.text.encode() for proof in made}


def write_pack(
    store: EventReader,
    found: Dispute,
    target: Path,
    *,
    checkpoint: Path | None,
    folder: KeyFolder,
    shown: Presenter,
    progress: Callable[[int, int], None],
) -> Bundle:
    """Write a dispute as a bundle with its pages, whole or not at all; note what it cannot prove."""
    logs = _logs(store)
    chosen = evidence_of(found, logs)
    home = _log_of(store, chosen.last or store.head())
    signing = _signing(store, home, checkpoint, folder)
    proofs = list(_proofs(store, chosen, logs, home, signing))
    pages = dispute_pages(found, shown, list(_proof_sentences(found, chosen, home, signing, proofs)))
    pages[DOCUMENT] = json_text(dispute_document(found, shown)).encode() + b"\n"
    for each in proofs:
        pages |= each.pages()
    return write_bundle(
        home.store,
        target,
        checkpoint=signing.checkpoint,
        signers=signing.signers,
        keys=signing.keys,
        account=found.account,
        after=max(chosen.first - 1 - home.offset, 0),
        until=max(chosen.last - home.offset, 0),
        pages=pages,
        progress=progress,
    )


def _logs(store: EventReader) -> list[range]:
    """Return the positions of a log and of each one that it continues, newest first."""
    chain = store.chain if isinstance(store, EventStore) else None
    ends = [0, *(() if chain is None else sorted(chain.ends().values()))]
    return [range(last + 1, end + 1) for last, end in zip(ends, [*ends[1:], POSITION_MAX], strict=True)][::-1]


def _log_of(store: EventReader, position: int) -> _OneLog:
    """Return which log has a position of a store's."""
    one, own, side = in_one_log(store, position)
    return _OneLog(one, side, position - own)


def _proofs(
    store: EventReader, chosen: Evidence, logs: Sequence[range], home: _OneLog, signing: _Signing
) -> Iterator[_Proofs]:
    """Yield which records outside the stretch are proved one by one, for each log that has some."""
    left = PROOFS_MAX
    for positions in logs:
        others = [position for position in chosen.others if position in positions]
        if not others:
            continue
        log = _log_of(store, others[0])
        if log.store.log_id == home.store.log_id:
            head = signing.checkpoint
        else:
            head = evidence.newest_checkpoint(log.side, None, 0) or unsigned(log.store)
        proved = tuple([position for position in others if position - log.offset <= head.size][:left])
        left -= len(proved)
        if proved:
            yield _Proofs(log, head, proved)


def _signing(store: EventReader, home: _OneLog, given: Path | None, folder: KeyFolder) -> _Signing:
    log_id = home.store.log_id
    signers = folder.signers(log_id)
    if log_id == store.log_id:
        signed = bundles.checkpoint_to_prove_by(store, given, folder, can_sign=bool(signers))
    else:
        # A log that has ended is signed by what signed it then.
        signed = evidence.newest_checkpoint(home.side, given, 0)
    if signed is None:
        note(
            "nobody has signed a checkpoint of this log, so the pack proves nothing to others: "
            "run eventstore keys new, then eventstore checkpoint"
        )
    elif not signers:
        note(f"no key in {folder.path} signs this log: the pack does not prove that nothing was left out of it")
    keys = [stored.public for stored in folder.of_log(log_id)]
    return _Signing(unsigned(home.store) if signed is None else signed, signers if signed is not None else (), keys)


def _proof_sentences(
    found: Dispute, chosen: Evidence, home: _OneLog, signing: _Signing, proofs: Sequence[_Proofs]
) -> Iterator[str]:
    """Yield what of a pack is proved by what, and how to check it."""
    checkpoint = signing.checkpoint
    covered = checkpoint.size + home.offset
    proved = sum(len(each.positions) for each in proofs)
    if checkpoint.signatures:
        names = ", ".join(dict.fromkeys(each.name for each in checkpoint.signatures))
        yield f"A checkpoint of the log at {checkpoint.size:,} records is signed by {names}: checkpoint.txt."
    else:
        yield (
            "Nothing here is signed: this log has no signed checkpoint. The files fit together, and anybody who has "
            "them could have made others that do."
        )
    if chosen.last >= chosen.first:
        yield (
            f"The records of {found.account} from position {chosen.first:,} to {min(chosen.last, covered):,} "
            "are in records.jsonl and records.csv, and proof.bin proves them."
        )
    yield from _rotation_sentences(found, home, proofs)
    if proved:
        yield (
            f"{proved:,} records from elsewhere that these pages name, such as settings of limits, have a proof each, "
            "proof-POSITION.txt: eventstore prove --check FILE --key VKEY."
        )
    if len(chosen.others) > proved:
        yield f"{len(chosen.others) - proved:,} more records that these pages name have no proof here."
    if any(position > covered for each in proofs for position in each.positions):
        yield f"What was recorded after position {covered:,} is proved where it has a proof of its own, and else not."
    elif found.log_position > covered:
        yield f"What was recorded after position {covered:,} is on these pages and not proved."
    yield from _checking_sentences(signing)


def _checking_sentences(signing: _Signing) -> Iterator[str]:
    """Yield how to check a pack, and by whose key."""
    yield "To check all of it: python verify_bundle.py PACK.zip --key VKEY. It says what is proved, and what is not."
    if not signing.signers:
        yield "These pages are not signed: only the records are proved."
    else:
        yield "These pages are computed from the records; manifest.note signs them as they are."
    for key in signing.keys:
        yield f"The log's public key, to be confirmed by its owner: {key.text}"
    root = checkpoint_text(signing.checkpoint).splitlines()[2]
    yield f"Where the checkpoint stands: {root} is the root of the log's tree."


def _rotation_sentences(found: Dispute, home: _OneLog, proofs: Sequence[_Proofs]) -> Iterator[str]:
    """Yield how positions are counted where rotations have ended logs, and whose checkpoints prove what."""
    others = [each for each in proofs if each.log.store.log_id != home.store.log_id]
    if not home.offset and home.store.log == found.log and not others:
        return
    for log in (home, *(each.log for each in others)):
        before = f"whose position 1 is {log.offset + 1:,} on these pages" if log.offset else "with the same positions"
        what = "The records are" if log is home else "Other proofs are"
        yield f"{what} of log {log.store.log}, {before}: a proof counts in one log, these pages in all."
    for each in others:
        names = ", ".join(dict.fromkeys(signature.name for signature in each.checkpoint.signatures))
        by = f"signed by {names}" if names else "signed by nobody"
        yield f"The checkpoint in {len(each.positions):,} proofs of log {each.log.store.log} is that log's, {by}."
