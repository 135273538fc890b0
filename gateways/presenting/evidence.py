"""Checkpoints and proofs as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.proofs import InclusionProof
from eventstore.proofs.signed_notes import base64_of
from eventstore.proofs.signing import SIGNED_LINE

if TYPE_CHECKING:
    from eventstore.proofs import Checkpoint, ConsistencyProof


def checkpoint_document(found: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's members, and its signed note as text."""
    return {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "signed_at": found.extension(SIGNED_LINE),
        "extensions": list(found.extensions),
        "signatures": [f"{each.name}+{each.key_id.hex()}" for each in found.signatures],
        "text": found.text,
    }


def proof_members(found: InclusionProof | ConsistencyProof) -> dict[str, object]:
    """Return what a proof proves, and its hashes in base64."""
    hashes = [base64_of(each) for each in found.path]
    head = {"size": found.checkpoint.size, "root": found.checkpoint.root.hex(), "hashes": hashes}
    if isinstance(found, InclusionProof):
        return {"position": found.position, "digest": found.digest.hex(), **head}
    return {"from": found.from_size, **head}
