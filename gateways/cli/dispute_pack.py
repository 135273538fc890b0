"""The pack of a dispute: its pages within a bundle that proves the records they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eventstore import EventReader
from eventstore.proofs import Bundle, Checkpoint, write_bundle
from eventstore.proofs.key_files import KeyFolder
from eventstore.proofs.keys import PrivateKey, PublicKey
from eventstore.proofs.proving import checkpoint_text, inclusions, unsigned
from gateways.cli import bundles
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
    signing = _signing(store, checkpoint, folder)
    chosen = evidence_of(found)
    size = signing.checkpoint.size
    proved = [position for position in chosen.others if position <= size][:PROOFS_MAX]
    pages = dispute_pages(found, shown, list(_proof_sentences(found, chosen, signing, len(proved))))
    pages[DOCUMENT] = json_text(dispute_document(found, shown)).encode() + b"\n"
    for proof in inclusions(store, proved, checkpoint=signing.checkpoint):
        pages[f"proof-{proof.position}.txt"] = proof.text.encode()
    return write_bundle(
        store,
        target,
        checkpoint=signing.checkpoint,
        signers=signing.signers,
        keys=signing.keys,
        account=found.account,
        after=chosen.first - 1,
        until=chosen.last,
        pages=pages,
        progress=progress,
    )


def _signing(store: EventReader, given: Path | None, folder: KeyFolder) -> _Signing:
    signers = folder.signers(store.log_id)
    signed = bundles.checkpoint_to_prove_by(store, given, folder, can_sign=bool(signers))
    if signed is None:
        note(
            "nobody has signed a checkpoint of this log, so the pack proves nothing to others: "
            "run eventstore keys new, then eventstore checkpoint"
        )
    elif not signers:
        note(f"no key in {folder.path} signs this log: the pack does not prove that nothing was left out of it")
    keys = [stored.public for stored in folder.of_log(store.log_id)]
    return _Signing(unsigned(store) if signed is None else signed, signers if signed is not None else (), keys)


def _proof_sentences(found: Dispute, chosen: Evidence, signing: _Signing, proved: int) -> Iterator[str]:
    """Yield what of a pack is proved by what, and how to check it."""
    checkpoint = signing.checkpoint
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
            f"The records of {found.account} from position {chosen.first:,} to {min(chosen.last, checkpoint.size):,} "
            "are in records.jsonl and records.csv, and proof.bin proves them."
        )
    if proved:
        yield (
            f"{proved:,} records from elsewhere that these pages name, such as settings of limits, have a proof each, "
            "proof-POSITION.txt: eventstore prove --check FILE --key VKEY."
        )
    if len(chosen.others) > proved:
        yield f"{len(chosen.others) - proved:,} more records that these pages name have no proof here."
    if found.log_position > checkpoint.size:
        yield f"What was recorded after position {checkpoint.size:,} is on these pages and not proved."
    yield "To check all of it: python verify_bundle.py PACK.zip --key VKEY. It says what is proved, and what is not."
    if not signing.signers:
        yield "These pages are not signed: only the records are proved."
    else:
        yield "These pages are computed from the records; manifest.note signs them as they are."
    for key in signing.keys:
        yield f"The log's public key, to be confirmed by its owner: {key.text}"
    yield f"Where the checkpoint stands: {checkpoint_text(checkpoint).splitlines()[2]} is the root of the log's tree."
